"""``bench seed``."""

from typing import Any

import click

from bench.cli import console
from bench.cli.options import parse_as_of, parse_regions, parse_target, target_options


@click.command("seed")
@target_options
@click.option(
    "--scale", default="small", show_default=True, help="tiny, small, medium, large, xl, or a multiple of medium."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the data.")
@click.option("--as-of", help="Day that the data ends before (default: the first of this month).")
@click.option("--regions", help="Regions, comma-separated, the primary first.")
@click.option(
    "--connections", type=click.IntRange(1, 64), default=2, show_default=True, help="Connections to load over."
)
@click.option("--fresh", is_flag=True, help="Remove what bench loaded before, and load anew.")
@click.option("--yes", is_flag=True, help="Also where the tables in the way were not made by bench.")
def command(fresh: bool, yes: bool, connections: int, **given: Any) -> None:
    """Fill a database with the shop's schema and data.

    Without --url it prepares the embedded server for `bench run`.
    """
    from bench.cli.preparing import embedded
    from bench.cli.seeding import seed_remote
    from bench.data.spec import SeedSpec
    from bench.scenario.model import DEFAULT_REGIONS

    options = parse_target(given["url"], given["gateways"], given["variant"], given["port"])
    regions = parse_regions(given["regions"]) or DEFAULT_REGIONS
    spec = SeedSpec(given["scale"], given["seed"], parse_as_of(given["as_of"]), regions)
    if options.url or options.gateways:
        rows = seed_remote(options, spec, connections, fresh=fresh, yes=yes)
    else:
        with embedded(options, spec, {}, fresh=fresh) as prepared:
            rows = prepared.rows
    for table, count in rows.items():
        console.out(f"{table:<22} {count:>12,}")
    console.out(f"{'total':<22} {sum(rows.values()):>12,}")
