"""A database for each variant of a comparison: a copy of its seed on the embedded server, else one made for it by its URL."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlsplit

from bench.cli.options import TargetOptions, default_processes, load_arguments
from bench.cli.room import require_dialect
from bench.cli.seeding import SeedRequest
from bench.data.loader import LoadOptions
from bench.data.spec import SeedSpec
from bench.db.admin import Admin
from bench.db.cluster import follow_goal
from bench.db.connection import database_of, open_or_explain, place_of, with_database
from bench.db.ddl import Schema, load_schema
from bench.db.dialects import dialect_of
from bench.errors import TargetError, UsageError
from bench.target.embedded import EMBEDDED_DIALECT


@dataclass(frozen=True, slots=True)
class Place:
    """Where one variant runs: what it is called, how it is seeded (None: the run does it), and how the run finds it."""

    variant: str
    database: str
    options: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    seed: tuple[str, ...] | None = None


def places(variants: Sequence[str], spec: SeedSpec, options: TargetOptions, *, yes: bool) -> tuple[Place, ...]:
    """Return a place for each variant, with its database made where there was none.

    TargetError where a database of that name is there already, unless ``yes``: then what is in it is replaced.
    """
    schemas = [load_schema(variant, spec.regions, spec.as_of) for variant in variants]
    if not (options.url or options.gateways):
        return tuple(_embedded(schema, options) for schema in schemas)
    first = options.url or options.gateways[0][1]
    names = {schema.variant: f"{database_of(first)}_{schema.variant}" for schema in schemas}
    with closing(open_or_explain(first)) as connection:
        dialect = dialect_of(connection)
        dialect.version(connection)
        admin = Admin.of(connection, dialect.name)
        for schema in schemas:
            require_dialect(schema, dialect.name)
        there = [name for name in names.values() if admin.has_database(name)]
        if there and not yes:
            raise TargetError(
                f"{place_of(with_database(first, there[0]))} is there already",
                hint="pass --yes to remove what bench or anybody else keeps in it, or drop it",
            )
        for schema in schemas:
            if names[schema.variant] not in there:
                admin.create_for(schema, names[schema.variant])
                follow_goal(admin, schema, names[schema.variant])
    return tuple(
        _by_url(schema, spec, options, names[schema.variant], names[schema.variant] in there) for schema in schemas
    )


def _embedded(schema: Schema, options: TargetOptions) -> Place:
    if schema.dialect != EMBEDDED_DIALECT:
        raise UsageError(
            f"variant '{schema.variant}' is for CockroachDB, the embedded server is PostgreSQL",
            hint="pass --url of a CockroachDB cluster, or --variants pg,pg_partitioned",
        )
    return Place(schema.variant, "a copy of its seed", ("--variant", schema.variant, *options.metrics_arguments))


def _by_url(schema: Schema, spec: SeedSpec, options: TargetOptions, name: str, is_there: bool) -> Place:
    there = replace(
        options,
        url=_in(options.url, name) if options.url else None,
        gateways=tuple((region, _in(url, name)) for region, url in options.gateways),
    )
    processes = default_processes()
    request = SeedRequest(spec, LoadOptions(processes, 2 * processes))
    seed = load_arguments(request, schema.variant)
    if is_there:
        seed = [word for word in seed if word != "--resume"] + ["--fresh", "--yes"]
    return Place(
        schema.variant,
        f"database '{name}'",
        ("--variant", schema.variant, *options.metrics_arguments),
        there.environment,
        tuple(seed),
    )


def _in(url: str, name: str) -> str:
    """Return the URL with another database, as a URL: a gateway is told from a name by its ``://``."""
    parts = urlsplit(url)
    return parts._replace(path=f"/{quote(name, safe='')}").geturl() if parts.scheme else with_database(url, name)
