"""Making room in a database, and clearing it, without ever touching what is not ours."""

from datetime import date

from bench.cli import console
from bench.cli.options import TargetOptions
from bench.db.admin import Admin
from bench.db.cluster import VARIANT
from bench.db.connection import Connection, place_of
from bench.db.ddl import Dialect, Schema, load_schema
from bench.errors import TargetError

DEFAULT_VARIANT: dict[Dialect, str] = {"postgres": "pg", "cockroach": "crdb_single"}


def variant_for(options: TargetOptions, dialect: Dialect) -> str:
    """Return the variant that was asked for, or the one that fits: the compose cluster's database has regions."""
    return options.variant or (VARIANT if options.is_cluster else DEFAULT_VARIANT[dialect])


def require_dialect(schema: Schema, dialect: Dialect) -> None:
    """TargetError when a variant is for the other database."""
    if schema.dialect != dialect:
        fitting = DEFAULT_VARIANT[dialect]
        raise TargetError(
            f"variant '{schema.variant}' is for {schema.dialect}, the server is {dialect}",
            hint=f"pass --variant {fitting}",
        )


def make_room(admin: Admin, schema: Schema, place: str, *, fresh: bool, yes: bool) -> None:
    """Remove our own tables where asked; TargetError when there are tables that we may not touch."""
    statements = ("tables_present", "check_views", "check_sequences", "check_functions")
    present = {str(row[0]) for statement in statements for row in admin.read(statement)}
    ours = {ddl.name for ddl in schema.statements if ddl.kind in ("table", "view", "sequence", "function")}
    in_the_way = sorted(present & ours)
    # An empty mark is that of a load that was killed before it said what it is.
    if not in_the_way and not admin.meta():
        return
    if not admin.is_marked() and not yes:
        raise TargetError(
            f"{place} already has '{in_the_way[0]}', which bench did not make",
            hint="name an empty database, or pass --fresh --yes to have it dropped",
        )
    if not fresh:
        raise TargetError(f"{place} is already seeded", hint="pass --fresh to remove it and load anew")
    console.note(f"removing  the schema in {place}")
    held = admin.meta().get("variant", schema.variant)
    # What a variant drops does not depend on the day.
    admin.drop(load_schema(held, schema.regions, date(2000, 1, 1)))


def apply_empty(connection: Connection, dialect: Dialect, options: TargetOptions, schema: Schema) -> int:
    """Apply a schema without data to an empty database and return the number of statements."""
    require_dialect(schema, dialect)
    admin = Admin.of(connection, dialect)
    make_room(admin, schema, place_of(options.first or ""), fresh=False, yes=False)
    admin.note(
        {
            "created_by": "bench",
            "state": "empty",
            "variant": schema.variant,
            "schema_version": str(schema.model.version),
            "schema_fingerprint": schema.fingerprint,
            "regions": ",".join(schema.regions),
        }
    )
    admin.apply(schema)
    return len(schema.statements)


def drop_schema(
    connection: Connection, dialect: Dialect, options: TargetOptions, regions: tuple[str, ...] | None, *, yes: bool
) -> None:
    """Remove the schema that bench made, or with ``yes`` any tables of its names."""
    admin = Admin.of(connection, dialect)
    meta = admin.meta()
    if not meta and not yes:
        raise TargetError(
            "bench did not make what is in this database", hint="pass --yes to drop tables of these names all the same"
        )
    variant = options.variant or meta.get("variant") or DEFAULT_VARIANT[dialect]
    held = regions or tuple(meta.get("regions", "us-east").split(","))
    admin.drop(load_schema(variant, held, date(2000, 1, 1)))
