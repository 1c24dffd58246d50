"""``bench run``."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bench.cli import console
from bench.cli.options import (
    Duration,
    Rate,
    TargetOptions,
    metrics_option,
    parse_as_of,
    parse_metrics,
    parse_regions,
    parse_settings,
    parse_target,
    target_options,
)
from bench.errors import UsageError
from bench.units import format_duration


@click.command("run")
@click.argument("scenario")
@target_options
@click.option(
    "--variants", metavar="NAMES", help="Run on each of these schema variants, comma-separated, and compare them."
)
@click.option("--yes", is_flag=True, help="With --variants: replace what is in databases of their names.")
@metrics_option
@click.option("--regions", help="Regions, comma-separated, the primary first (default: the scenario's).")
@click.option("--scale", help="Size of the seeded data (default: the scenario's).")
@click.option("--users", type=click.IntRange(min=1), help="Size of the pool of users over all regions.")
@click.option("--rate", type=Rate(), help="Peak arrival rate; the scenario's shape is scaled to it.")
@click.option("--duration", type=Duration(), help="Length of the run; the scenario's phases are stretched to it.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of arrivals and inputs (default: the scenario's).")
@click.option("--data-seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the data.")
@click.option("--as-of", help="Day that the data ends before (default: the first of this month).")
@click.option(
    "--isolation",
    type=click.Choice(["serializable", "repeatable-read", "read-committed"]),
    help="Isolation level of all transactions (default: the server's).",
)
@click.option("--strategy", help="How stock is reserved, where the workload has strategies.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the workload; repeatable.")
@click.option("--no-distance", is_flag=True, help="Do not emulate the regions' distance to the server.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes that put the load on (default: this one alone).")
@click.option(
    "--remote-workers",
    type=click.IntRange(min=0),
    default=0,
    help="Workers to wait for from elsewhere (`bench worker`).",
)
@click.option("--bind", metavar="HOST[:PORT]", help="Where workers find this run (default: 127.0.0.1).")
@click.option(
    "--ui", type=click.IntRange(1, 65535), metavar="PORT", help="Show the run on Locust's web page, on loopback."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs.")
@click.option("--dry-run", is_flag=True, help="Print the resolved plan and stop.")
def command(scenario: str, **given: Any) -> int:
    """Run SCENARIO (a name or a .toml file), audit the data, and write a report.

    \b
    bench run flash-sale
    bench run flash-sale --strategy naive --isolation read-committed
    bench run flash-sale --url postgresql://shop@db/shop --duration 5m
    bench run checkout --variants pg,pg_partitioned
    """
    # First of all, because it patches the standard library for gevent before psycopg looks at it.
    import bench.load  # noqa: F401
    from bench.cli.planning import Overrides, resolve

    target = parse_target(given["url"], given["gateways"], given["variant"], given["port"], given["target"])
    target = replace(target, metrics=parse_metrics(given["metrics"]) or target.metrics)
    overrides = Overrides(
        regions=parse_regions(given["regions"]),
        scale=given["scale"],
        users=given["users"],
        peak_rate=given["rate"],
        duration_s=given["duration"],
        seed=given["seed"],
        isolation=given["isolation"].replace("-", " ") if given["isolation"] else None,
        settings=parse_settings(given["settings"], given["strategy"]),
        # Each region has a gateway of its own: what is far is so by itself.
        no_distance=given["no_distance"] or bool(target.gateways),
    )
    plan = resolve(scenario, overrides, given["data_seed"], parse_as_of(given["as_of"]))
    cells, variants = _cells(plan, given, overrides.isolation), _variants(given)
    if cells and variants:
        raise UsageError(
            f"'{plan.scenario.name}' is a bake-off already", hint="fix its side with --strategy and --isolation"
        )
    if given["dry_run"]:
        console.out(plan.describe(target.first))
        _tell_runs(plan, cells, variants)
        return 0
    if cells or variants:
        return _several(plan, target, given, cells, variants)
    # Only now: a second of imports that a faulty option or a dry run need not wait for.
    from bench.cli.distributing import make_crew
    from bench.cli.running import run_scenario

    crew = make_crew(given["workers"], given["remote_workers"], given["bind"], target)
    page = _page(given["ui"], alone=crew is None)
    return run_scenario(plan, target, given["out"], ["bench", *sys.argv[1:]], crew, page)


def _cells(plan: Any, given: dict[str, Any], isolation: Any) -> list[tuple[str, str]]:
    """Return the runs of a bake-off; none where it is one run."""
    if plan.scenario.matrix is None:
        return []
    from bench.cli.bakeoff import open_cells

    return open_cells(plan.scenario.matrix, given["strategy"], isolation)


def _variants(given: dict[str, Any]) -> tuple[str, ...]:
    """Return the variants to compare; UsageError for names that cannot be."""
    if not given["variants"]:
        return ()
    from bench.cli.variants import parse_variants

    if given["variant"]:
        raise UsageError("--variant and --variants are one or the other", hint="leave out --variant")
    return parse_variants(given["variants"])


def _tell_runs(plan: Any, cells: list[tuple[str, str]], variants: tuple[str, ...]) -> None:
    """Print how many runs it is, where it is more than the one that was described."""
    if not cells and not variants:
        return
    strategies, isolations = (len(set(values)) for values in zip(*cells, strict=True)) if cells else (0, 0)
    what = f"variants {', '.join(variants)}" if variants else _sides(strategies, isolations)
    each = format_duration(plan.scenario.duration_s)
    console.out(f"runs      {len(cells) or len(variants)}: {what}, {each} of load each")


def _sides(strategies: int, isolations: int) -> str:
    """Return the sides of a bake-off."""
    return (
        f"{strategies} {'strategy' if strategies == 1 else 'strategies'} × "
        f"{isolations} isolation level{'' if isolations == 1 else 's'}"
    )


def _several(
    plan: Any, target: TargetOptions, given: dict[str, Any], cells: list[tuple[str, str]], variants: tuple[str, ...]
) -> int:
    """Run what is more than one run, and return its exit code."""
    if variants:
        from bench.cli.variants import run_variants

        return run_variants(plan, variants, target, sys.argv[1:], given["out"], yes=given["yes"])
    from bench.cli.bakeoff import run_bakeoff

    return run_bakeoff(plan.scenario, cells, sys.argv[1:], given["out"])


def _page(port: int | None, *, alone: bool) -> Any:
    if port is None:
        return None
    if not alone:
        raise UsageError("--ui shows a run of one process", hint="leave out --ui or the workers")
    from bench.load.web import WebPage

    return WebPage(port)
