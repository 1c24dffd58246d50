"""A database compared with the schema that it should hold; each difference is named."""

from collections.abc import Iterator

from bench.db.admin import Admin
from bench.db.ddl import Schema
from bench.db.model import Column

_TYPES = {
    "VARCHAR": "character varying",
    "DECIMAL": "numeric",
    "TIMESTAMPTZ": "timestamp with time zone",
    "BIGINT": "bigint",
    "BOOLEAN": "boolean",
}


def differences(admin: Admin, schema: Schema) -> list[str]:
    """Return one line for each difference between the database and the schema; none when they agree."""
    return [
        *_column_differences(admin, schema),
        *_index_differences(admin, schema),
        *_constraint_differences(admin, schema),
        *_named("view", _expected(schema, "view"), {name for (name,) in admin.read("check_views")}),
        *_named("sequence", _expected(schema, "sequence"), {name for (name,) in admin.read("check_sequences")}),
        *_named("function", _expected(schema, "function"), {name for (name,) in admin.read("check_functions")}),
    ]


def _expected(schema: Schema, kind: str) -> set[str]:
    return {ddl.name for ddl in schema.statements if ddl.kind == kind}


def _named(kind: str, wanted: set[str], found: set[str]) -> Iterator[str]:
    for name in sorted(wanted - found):
        yield f"{kind} {name} is missing"


def _index_differences(admin: Admin, schema: Schema) -> Iterator[str]:
    found = [(table, name) for table, name, _ in admin.read("check_indexes")]
    wanted = _expected(schema, "index")
    yield from _named("index", wanted, {name for _, name in found})
    known = wanted | {name for _, name, _ in schema.unique_keys}
    tables = {table.name for table in schema.model.tables}
    for table, name in sorted(found):
        if table in tables and name not in known:
            yield f"index {name} on {table} is not in the schema"


def _column_differences(admin: Admin, schema: Schema) -> Iterator[str]:
    found: dict[str, dict[str, tuple[str, bool]]] = {}
    for table, column, nullable, type_name in admin.read("check_columns"):
        found.setdefault(table, {})[column] = (type_name, nullable)
    for table_model in schema.model.tables:
        have = found.get(table_model.name)
        if have is None:
            yield f"table {table_model.name} is missing"
            continue
        for column in table_model.columns:
            yield from _compare(table_model.name, column, have.pop(column.name, None), schema)
        for extra in sorted(have):
            yield f"column {table_model.name}.{extra} is not in the schema"


def _compare(table: str, column: Column, have: tuple[str, bool] | None, schema: Schema) -> Iterator[str]:
    where = f"column {table}.{column.name}"
    if have is None:
        yield f"{where} is missing"
        return
    type_name, nullable = have
    wanted = _normal(column.type)
    # CockroachDB names array and text types in its own way ([D:information-schema]); only PostgreSQL's are compared.
    if schema.dialect == "postgres" and type_name != wanted:
        yield f"{where} is {type_name}, not {wanted}"
    if nullable != column.is_nullable:
        yield f"{where} {'accepts' if nullable else 'refuses'} NULL"


def _normal(written: str) -> str:
    if written.endswith("[]"):
        return "_varchar"
    base, bracket, rest = written.partition("(")
    return (_TYPES.get(base, base.lower()) + bracket + rest).lower()


def _constraint_differences(admin: Admin, schema: Schema) -> Iterator[str]:
    found = {(table, name) for table, name, _ in admin.read("check_constraints")}
    indexes = {(table, name) for table, name, _ in admin.read("check_indexes")}
    for table, name, _ in schema.unique_keys:
        if (table, name) not in found | indexes:
            yield f"key {name} on {table} is missing"
    for ddl in schema.stage("foreign_keys"):
        if (ddl.table, ddl.name) not in found:
            yield f"foreign key {ddl.name} on {ddl.table} is missing"
    for table_model in schema.model.tables:
        for check in table_model.checks:
            if (table_model.name, check.name) not in found:
                yield f"check {check.name} on {table_model.name} is missing"
