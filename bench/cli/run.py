"""``bench run``."""

import sys
from pathlib import Path
from typing import Any

import click

from bench.cli import console
from bench.cli.options import Duration, Rate, parse_as_of, parse_regions, parse_settings, parse_target, target_options
from bench.errors import UsageError


@click.command("run")
@click.argument("scenario")
@target_options
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
    """
    # First of all, because it patches the standard library for gevent before psycopg looks at it.
    import bench.load  # noqa: F401
    from bench.cli.planning import Overrides, resolve

    overrides = Overrides(
        regions=parse_regions(given["regions"]),
        scale=given["scale"],
        users=given["users"],
        peak_rate=given["rate"],
        duration_s=given["duration"],
        seed=given["seed"],
        isolation=given["isolation"].replace("-", " ") if given["isolation"] else None,
        settings=parse_settings(given["settings"], given["strategy"]),
        no_distance=given["no_distance"],
    )
    target = parse_target(given["url"], given["gateways"], given["variant"], given["port"])
    plan = resolve(scenario, overrides, given["data_seed"], parse_as_of(given["as_of"]))
    if given["dry_run"]:
        console.out(plan.describe(target.url))
        return 0
    if plan.scenario.matrix is not None:
        from bench.cli.bakeoff import open_cells, run_bakeoff

        cells = open_cells(plan.scenario.matrix, given["strategy"], overrides.isolation)
        if cells:
            return run_bakeoff(plan.scenario, cells, sys.argv[1:], given["out"])
    # Only now: a second of imports that a faulty option or a dry run need not wait for.
    from bench.cli.distributing import make_crew
    from bench.cli.running import run_scenario

    crew = make_crew(given["workers"], given["remote_workers"], given["bind"], target)
    page = _page(given["ui"], alone=crew is None)
    return run_scenario(plan, target, given["out"], ["bench", *sys.argv[1:]], crew, page)


def _page(port: int | None, *, alone: bool) -> Any:
    if port is None:
        return None
    if not alone:
        raise UsageError("--ui shows a run of one process", hint="leave out --ui or the workers")
    from bench.load.web import WebPage

    return WebPage(port)
