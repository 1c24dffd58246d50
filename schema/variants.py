"""The six variants of the schema, and their rendering."""

from datetime import date

from bench.db.ddl import Ddl, Schema, VariantInfo
from bench.db.model import REGION_TYPE

from . import render
from .layout import Layout
from .model import MODEL

VARIANTS = {
    info.name: info
    for info in (
        VariantInfo("pg", "postgres", "PostgreSQL, plain tables"),
        VariantInfo("pg_partitioned", "postgres", "PostgreSQL, LIST partitions by region, movements also by month"),
        VariantInfo("crdb_single", "cockroach", "CockroachDB, a database without regions"),
        VariantInfo("crdb_rbr", "cockroach", "CockroachDB, REGIONAL BY ROW and GLOBAL tables (recommended)"),
        VariantInfo("crdb_rbr_global_unique", "cockroach", "as crdb_rbr with the seed's keys, to measure their price"),
        VariantInfo("crdb_partition_by", "cockroach", "CockroachDB, PARTITION BY LIST with zone configurations"),
    )
}

# "Partition large tables by region or date" (the seed): users, orders and their children; movements by both.
_PARTITIONED = frozenset({"users", "user_addresses", "orders", "order_items", "coupon_usages", "inventory_movements"})


def _layout(variant: str, regions: tuple[str, ...], as_of: date) -> Layout:
    match variant:
        case "pg":
            return Layout(regions, as_of)
        case "pg_partitioned":
            return Layout(regions, as_of, partitioned=_PARTITIONED, monthly=frozenset({"inventory_movements"}))
        case "crdb_single":
            return Layout(regions, as_of, inline_keys=True)
        case "crdb_rbr":
            return Layout(regions, as_of, inline_keys=True, is_multi_region=True)
        case "crdb_rbr_global_unique":
            return Layout(regions, as_of, inline_keys=True, is_multi_region=True, global_unique=True)
        case "crdb_partition_by":
            return Layout(regions, as_of, inline_keys=True, zone_partitioned=True)
    raise KeyError(variant)


def definition(variant: str, regions: tuple[str, ...], as_of: date) -> Schema:
    """Return a variant rendered for the regions, the first of which is primary; KeyError for an unknown variant."""
    layout = _layout(variant, regions, as_of)
    return Schema(
        variant=variant,
        dialect=VARIANTS[variant].dialect,
        regions=regions,
        model=MODEL,
        statements=_statements(layout),
        drops=_drops(layout),
        database=_database(layout),
        unique_keys=_unique_keys(layout),
        checksums=tuple((table.name, render.checksum(VARIANTS[variant].dialect, table)) for table in MODEL.tables),
    )


def _statements(layout: Layout) -> tuple[Ddl, ...]:
    prepare = [] if layout.is_multi_region else [render.region_type(layout.regions)]
    prepare.append(Ddl("prepare", "sequence", "order_number_seq", None, MODEL.sequence))
    prepare.append(Ddl("prepare", "function", "generate_order_number", None, MODEL.function))
    return (
        *prepare,
        *render.tables(layout, MODEL.tables),
        *render.keys(layout, MODEL.tables),
        *render.indexes(layout, MODEL.indexes),
        *render.foreign_keys(MODEL.tables),
        *render.views(MODEL.views),
    )


def _drops(layout: Layout) -> tuple[str, ...]:
    drops = [f"DROP MATERIALIZED VIEW IF EXISTS {view.name}" for view in MODEL.views]
    drops += [f"DROP TABLE IF EXISTS {table.name} CASCADE" for table in reversed(MODEL.tables)]
    drops += ["DROP FUNCTION IF EXISTS generate_order_number", "DROP SEQUENCE IF EXISTS order_number_seq"]
    if not layout.is_multi_region:
        drops.append(f"DROP TYPE IF EXISTS {REGION_TYPE}")
    return tuple(drops)


def _database(layout: Layout) -> str:
    if not layout.is_multi_region:
        return "CREATE DATABASE {name}"
    primary, *others = layout.regions
    listed = ", ".join(f'"{region}"' for region in others)
    regions = f" REGIONS {listed}" if listed else ""
    return f'CREATE DATABASE {{name}} PRIMARY REGION "{primary}"{regions} SURVIVE ZONE FAILURE'


def _unique_keys(layout: Layout) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    found = []
    for table in MODEL.tables:
        found.append((table.name, f"{table.name}_pkey", render.key_columns(layout, table)))
        found += [(table.name, u.name, render.unique_columns(layout, table, u)) for u in table.uniques]
    return tuple(found)
