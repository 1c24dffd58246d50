"""``bench seed``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import console
from bench.cli.options import TargetOptions, default_processes, parse_as_of, parse_regions, parse_target, target_options

if TYPE_CHECKING:
    from bench.cli.seeding import SeedRequest


@click.command("seed")
@target_options
@click.option(
    "--scale", default="small", show_default=True, help="tiny, small, medium, large, xl, or a multiple of medium."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the data.")
@click.option("--zipf", type=float, default=1.0, show_default=True, help="Exponent of the products' popularity.")
@click.option("--as-of", help="Day that the data ends before (default: the first of this month).")
@click.option("--regions", help="Regions, comma-separated, the primary first.")
@click.option(
    "--only", metavar="TABLES", help="Rows of these tables alone, comma-separated, and of what they refer to."
)
@click.option(
    "--processes", type=click.IntRange(1, 64), help="Processes that make rows (default: one for two cores, at most 4)."
)
@click.option(
    "--connections", type=click.IntRange(1, 256), help="Connections to load over (default: two for each process)."
)
@click.option("--resume", is_flag=True, help="Go on with a load that did not finish; does nothing where it did.")
@click.option("--fresh", is_flag=True, help="Remove what bench loaded before, and load anew.")
@click.option("--yes", is_flag=True, help="Also where the tables in the way were not made by bench.")
@click.option(
    "--estimate", is_flag=True, help="Only say how many rows, bytes and seconds it would be, by a short probe."
)
@click.option(
    "--to-files",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write CSV files and the scripts that load them, instead of loading.",
)
@click.option("--base-url", metavar="URL", help="Where CockroachDB will find DIR (default: nodelocal://1/DIR).")
def command(**given: Any) -> None:
    """Fill a database with the shop's schema and data.

    Without --url it prepares the embedded server for `bench run`.
    """
    options = parse_target(given["url"], given["gateways"], given["variant"], given["port"], given["target"])
    if given["estimate"]:
        _show_estimate(options, given)
    elif given["to_files"]:
        _write_files(options, given)
    else:
        _show(_load(options, given))


def _load(options: TargetOptions, given: Mapping[str, Any]) -> Mapping[str, str]:
    from bench.cli.preparing import embedded
    from bench.cli.seeding import seed_url

    request = _request(given)
    if options.url or options.gateways:
        return seed_url(options, request)
    with embedded(options, request) as prepared:
        return prepared.meta


def _request(given: Mapping[str, Any]) -> "SeedRequest":
    from bench.cli.seeding import SeedRequest, chosen_tables
    from bench.data.loader import LoadOptions
    from bench.data.spec import SeedSpec
    from bench.db.ddl import source
    from bench.scenario.model import DEFAULT_REGIONS

    regions = parse_regions(given["regions"]) or DEFAULT_REGIONS
    spec = SeedSpec(given["scale"], given["seed"], parse_as_of(given["as_of"]), regions, given["zipf"])
    tables = chosen_tables(given["only"], source().MODEL)
    processes = given["processes"] or default_processes()
    how = LoadOptions(processes, given["connections"] or 2 * processes, tables)
    return SeedRequest(spec, how, given["resume"], given["fresh"], given["yes"])


def _show(meta: Mapping[str, str]) -> None:
    rows: dict[str, int] = json.loads(meta["rows"])
    checksums: dict[str, str] = json.loads(meta.get("checksums", "{}"))
    console.out(f"{'table':<22} {'rows':>13}  checksum")
    for table, count in rows.items():
        console.out(f"{table:<22} {count:>13,}  {checksums.get(table, '')}")
    console.out(f"{'total':<22} {sum(rows.values()):>13,}")


def _show_estimate(options: TargetOptions, given: Mapping[str, Any]) -> None:
    from bench.cli.seed_estimate import show_estimate

    request = _request(given)
    show_estimate(options, request.spec, request.how.connections)


def _write_files(options: TargetOptions, given: Mapping[str, Any]) -> None:
    from bench.cli.seed_files import to_files

    to_files(given["to_files"], _request(given), options.variant, given["base_url"])
