"""``bench capacity``."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bench.cli import console
from bench.cli.options import (
    Duration,
    Rate,
    metrics_option,
    parse_as_of,
    parse_metrics,
    parse_regions,
    parse_settings,
    parse_target,
    target_options,
)


@click.command("capacity")
@click.argument("scenario")
@target_options
@metrics_option
@click.option(
    "--p99", type=Duration(), help="Objective: so long may the slowest hundredth take, at least (e.g. 300ms)."
)
@click.option("--p95", type=Duration(), help="The same for the slowest twentieth, instead of --p99.")
@click.option("--transaction", help="The transaction that it is about (default: all of them).")
@click.option("--in", "region", metavar="REGION", help="The region that it is about (default: all of them together).")
@click.option(
    "--failed",
    type=click.FloatRange(0, 100),
    default=0.1,
    show_default=True,
    help="So many per cent of the transactions may fail.",
)
@click.option("--orders", type=Rate(), help="Answer whether so many orders are met, e.g. 600/min.")
@click.option("--start", type=Rate(), help="Sessions offered by the first probe (default: the scenario's rate).")
@click.option(
    "--max-time", type=Duration(), default=900.0, show_default="15m", help="Budget for probes and replay together."
)
@click.option(
    "--probe", "probe_s", type=Duration(), default=30.0, show_default="30s", help="Longest measured time of a probe."
)
@click.option(
    "--warm-up", type=Duration(), default=5.0, show_default="5s", help="Time before it, at the same rate, not measured."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(1, 100),
    default=15.0,
    show_default=True,
    help="How wide the interval may stay, in per cent.",
)
@click.option("--regions", help="Regions, comma-separated, the primary first (default: the scenario's).")
@click.option("--scale", help="Size of the seeded data (default: the scenario's).")
@click.option(
    "--users", type=click.IntRange(min=1), help="Size of the pool of users (default: by the rate of each probe)."
)
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
@click.option("--workers", type=click.IntRange(min=0), help="Processes that put the load on (default: one alone).")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs.")
def command(scenario: str, **given: Any) -> int:
    """Find the highest arrival rate of SCENARIO that meets an objective, with a 95 % interval and what limits it.

    \b
    bench capacity checkout --p99 300ms
    bench capacity checkout --p99 300ms --orders 600/min
    bench capacity checkout --transaction checkout --in eu-west --p99 500ms --max-time 10m

    Every probe is a run of its own at a constant rate, kept in the store. Without --p99 or --p95 the objective is the first
    of the scenario's that bounds a response time. Ctrl-C gives the answer so far.
    """
    # First of all, because it patches the standard library for gevent before psycopg looks at it.
    import bench.load  # noqa: F401
    from bench.cli.capacity_run import Asked, find_capacity
    from bench.cli.distributing import make_crew
    from bench.cli.planning import Overrides, resolve

    overrides = Overrides(
        regions=parse_regions(given["regions"]),
        scale=given["scale"],
        users=given["users"],
        seed=given["seed"],
        isolation=given["isolation"].replace("-", " ") if given["isolation"] else None,
        settings=parse_settings(given["settings"], given["strategy"]),
        no_distance=given["no_distance"],
    )
    target = parse_target(given["url"], given["gateways"], given["variant"], given["port"], given["target"])
    target = replace(target, metrics=parse_metrics(given["metrics"]) or target.metrics)
    make_crew(given["workers"], 0, None, target)
    as_of = parse_as_of(given["as_of"])
    plan = resolve(scenario, overrides, given["data_seed"], as_of)
    asked = Asked(
        plan=plan,
        target=target,
        p99_s=given["p99"],
        p95_s=given["p95"],
        transaction=given["transaction"],
        region=given["region"],
        failed_share=given["failed"] / 100,
        orders_per_s=given["orders"],
        start=given["start"],
        max_time_s=given["max_time"],
        longest_s=max(1, round(given["probe_s"])),
        warm_up_s=given["warm_up"],
        tolerance=given["tolerance"] / 100,
        workers=given["workers"],
        out=given["out"],
    )
    code = find_capacity(asked)
    console.end_status()
    return code
