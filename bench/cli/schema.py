"""``bench schema``."""

from contextlib import closing
from typing import Any

import click

from bench.cli import console
from bench.cli.options import parse_as_of, parse_regions, parse_target, target_options
from bench.errors import ExitCode


@click.group("schema")
def command() -> None:
    """Show, apply, check or drop the schema."""


def _schema(variant: str, regions: str | None, as_of: str | None) -> Any:
    from bench.db.ddl import load_schema
    from bench.scenario.model import DEFAULT_REGIONS

    return load_schema(variant, parse_regions(regions) or DEFAULT_REGIONS, parse_as_of(as_of))


_REGIONS = click.option("--regions", help="Regions, comma-separated, the primary first.")
_AS_OF = click.option("--as-of", help="Day around which monthly partitions lie (default: the first of this month).")


@command.command("show")
@click.option("--variant", default="pg", show_default=True, help="Schema variant, or `list`.")
@_REGIONS
@_AS_OF
def show(variant: str, regions: str | None, as_of: str | None) -> None:
    """Print the DDL of a variant."""
    from bench.db.ddl import source

    if variant == "list":
        for info in source().VARIANTS.values():
            console.plain(f"{info.name:<24} {info.purpose}")
        return
    schema = _schema(variant, regions, as_of)
    console.plain("\n\n".join(f"{ddl.sql};" for ddl in schema.statements))


@command.command("apply")
@target_options
@_REGIONS
@_AS_OF
def apply(regions: str | None, as_of: str | None, **given: Any) -> None:
    """Make the tables, indexes and views in an empty database, without data."""
    from bench.cli.opening import opened_database
    from bench.cli.room import apply_empty, variant_for

    options = parse_target(given["url"], given["gateways"], given["variant"], given["port"], given["target"])
    with opened_database(options) as (connection, dialect), closing(connection):
        schema = _schema(variant_for(options, dialect), regions, as_of)
        count = apply_empty(connection, dialect, options, schema)
    console.out(f"applied {count} statements of variant {schema.variant}")


@command.command("check")
@target_options
@_REGIONS
@_AS_OF
def check(regions: str | None, as_of: str | None, **given: Any) -> int:
    """Compare a database with the schema that it should hold; exit code 1 names each difference."""
    from bench.cli.opening import opened_database
    from bench.cli.room import variant_for
    from bench.db.admin import Admin
    from bench.db.check import differences

    options = parse_target(given["url"], given["gateways"], given["variant"], given["port"], given["target"])
    with opened_database(options) as (connection, dialect), closing(connection):
        admin = Admin.of(connection, dialect)
        meta = admin.meta()
        variant = options.variant or meta.get("variant") or variant_for(options, dialect)
        schema = _schema(variant, regions or meta.get("regions"), as_of or meta.get("as_of"))
        found = differences(admin, schema)
    for line in found:
        console.out(line)
    console.out(f"{variant}: {len(found)} differences" if found else f"{variant}: the database agrees with the schema")
    return ExitCode.OBJECTIVE_FAILED if found else ExitCode.OK


@command.command("drop")
@target_options
@_REGIONS
@click.option("--yes", is_flag=True, help="Also where the tables were not made by bench.")
def drop(regions: str | None, yes: bool, **given: Any) -> None:
    """Remove the schema with its data; only what bench made, unless --yes."""
    from bench.cli.opening import opened_database
    from bench.cli.room import drop_schema

    options = parse_target(given["url"], given["gateways"], given["variant"], given["port"], given["target"])
    with opened_database(options) as (connection, dialect), closing(connection):
        drop_schema(connection, dialect, options, parse_regions(regions), yes=yes)
    console.out("dropped")
