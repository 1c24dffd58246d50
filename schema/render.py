"""From a table of the model to the DDL of a variant."""

from collections.abc import Iterator

from bench.db.ddl import Ddl, Dialect
from bench.db.model import REGION, REGION_TYPE, ForeignKey, Index, Table, Unique, View

from .layout import Layout


def key_columns(layout: Layout, table: Table) -> tuple[str, ...]:
    """Return the primary key's columns in this layout."""
    key = _with_region(layout, table, table.key)
    # PostgreSQL wants every partitioning column in the key.
    return (*key, "created_at") if table.name in layout.monthly else key


def unique_columns(layout: Layout, table: Table, unique: Unique) -> tuple[str, ...]:
    """Return a unique constraint's columns in this layout."""
    if unique.is_arbiter:
        return (REGION, *unique.columns)
    globally = table.name == "users" and table.name not in layout.partitioned
    return unique.columns if globally else _with_region(layout, table, unique.columns)


def _with_region(layout: Layout, table: Table, columns: tuple[str, ...]) -> tuple[str, ...]:
    if not table.is_regional or layout.global_unique or REGION in columns:
        return columns
    return (REGION, *columns)


def tables(layout: Layout, model_tables: tuple[Table, ...]) -> Iterator[Ddl]:
    """Yield CREATE TABLE for each table, and its partitions where the layout has them."""
    for table in model_tables:
        lines = [_column_line(layout, table, column.name, column.definition) for column in table.columns]
        lines += [f"CONSTRAINT {check.name} CHECK ({check.condition})" for check in table.checks]
        if layout.inline_keys:
            lines += [clause for _, clause in _key_clauses(layout, table)]
        body = ",\n  ".join(lines)
        sql = f"CREATE TABLE {table.name} (\n  {body}\n){layout.table_suffix(table)}"
        yield Ddl("tables", "table", table.name, table.name, sql)
        for name, partition in layout.partitions(table):
            yield Ddl("tables", "partition", name, table.name, partition)


def _column_line(layout: Layout, table: Table, name: str, definition: str) -> str:
    if name == REGION and table.is_regional and layout.region_default:
        definition = f"{definition} DEFAULT {layout.region_default}"
    return f"{name} {definition}"


def _key_clauses(layout: Layout, table: Table) -> Iterator[tuple[str, str]]:
    name = f"{table.name}_pkey"
    yield name, f"CONSTRAINT {name} PRIMARY KEY ({', '.join(key_columns(layout, table))})"
    for unique in table.uniques:
        columns = ", ".join(unique_columns(layout, table, unique))
        yield unique.name, f"CONSTRAINT {unique.name} UNIQUE ({columns})"


def keys(layout: Layout, model_tables: tuple[Table, ...]) -> Iterator[Ddl]:
    """Yield the keys that CREATE TABLE left out, then partitioning that needs the keys."""
    for table in model_tables:
        if not layout.inline_keys:
            for name, clause in _key_clauses(layout, table):
                yield Ddl("keys", "key", name, table.name, f"ALTER TABLE {table.name} ADD {clause}")
        for name, sql in layout.partition_by(table):
            yield Ddl("keys", "partitioning", name, table.name, sql)


def indexes(layout: Layout, model_indexes: tuple[Index, ...]) -> Iterator[Ddl]:
    """Yield CREATE INDEX for each secondary index."""
    for index in model_indexes:
        using = f" USING {index.method}" if index.method else ""
        sharded = layout.hash_suffix if index.is_time_ordered else ""
        where = f" WHERE {index.where}" if index.where else ""
        sql = f"CREATE INDEX {index.name} ON {index.table}{using} ({index.columns}){sharded}{where}"
        yield Ddl("indexes", "index", index.name, index.table, sql)


def foreign_keys(model_tables: tuple[Table, ...]) -> Iterator[Ddl]:
    """Yield ALTER TABLE … ADD CONSTRAINT for each reference."""
    for table in model_tables:
        for key in table.foreign_keys:
            sql = f"ALTER TABLE {table.name} ADD CONSTRAINT {key.name} {_reference(key)}"
            yield Ddl("foreign_keys", "foreign key", key.name, table.name, sql)


def _reference(key: ForeignKey) -> str:
    own = (key.region_column, *key.columns) if key.region_column else key.columns
    target = (REGION, *key.target_columns) if key.region_column else key.target_columns
    action = f" ON DELETE {key.on_delete}" if key.on_delete != "NO ACTION" else ""
    return f"FOREIGN KEY ({', '.join(own)}) REFERENCES {key.target} ({', '.join(target)}){action}"


def views(model_views: tuple[View, ...]) -> Iterator[Ddl]:
    """Yield each materialized view and its unique index."""
    for view in model_views:
        yield Ddl("views", "view", view.name, None, f"CREATE MATERIALIZED VIEW {view.name} AS{view.query.rstrip()}")
        name = f"{view.name}_key"
        sql = f"CREATE UNIQUE INDEX {name} ON {view.name} ({', '.join(view.key)})"
        yield Ddl("views", "index", name, view.name, sql)


def region_type(regions: tuple[str, ...]) -> Ddl:
    """Return the CREATE TYPE of the region enum."""
    values = ", ".join(f"'{region}'" for region in regions)
    sql = f"CREATE TYPE {REGION_TYPE} AS ENUM ({values})"
    return Ddl("prepare", "type", REGION_TYPE, None, sql)


def checksum(dialect: Dialect, table: Table) -> str:
    """Return the SELECT of a table's number of rows and the sum of their hashes, over what a COPY fills.

    An enum hashes by its number in the catalogue, which differs between databases: as text it does not.  CockroachDB has no
    hash of a record; ``fnv64a`` over the columns as text stands in ([D:functions-and-operators]).
    """
    if dialect == "postgres":
        columns = (
            f"{column.name}::TEXT" if column.type == REGION_TYPE else column.name for column in table.writable_columns
        )
        hashed = f"hash_record_extended(ROW({', '.join(columns)}), 0)"
    else:
        texts = (f"COALESCE({column.name}::STRING, '~')" for column in table.writable_columns)
        joined = " || '|' || ".join(texts)
        hashed = f"fnv64a({joined})"
    return f"SELECT count(*), COALESCE(sum({hashed}), 0)::TEXT FROM {table.name}"  # noqa: S608
