"""From options to a database that is ready to be loaded: started, seeded, checked."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import date

from bench.cli.embedded_seed import ensure_run_database
from bench.cli.opening import RUN_DATABASE, SERVER_LIBRARIES, SERVER_SETTINGS
from bench.cli.options import TargetOptions
from bench.cli.seeding import SeedRequest
from bench.data.spec import SeedSpec
from bench.db.admin import Admin, require_schema
from bench.db.connection import connect, open_or_explain, place_of
from bench.db.ddl import Schema, load_schema
from bench.db.dialects import dialect_of
from bench.errors import TargetError, UsageError
from bench.target.base import Target
from bench.target.embedded import EMBEDDED_DIALECT, EmbeddedServer, ServerOptions
from bench.target.home import bench_home

RECORDED_SETTINGS = (
    *SERVER_SETTINGS,
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "deadlock_timeout",
    "shared_preload_libraries",
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A target that holds the schema and the data, and what is known of both."""

    target: Target
    schema: Schema
    meta: Mapping[str, str]
    settings: Mapping[str, str]
    isolation: str
    reused: bool = False

    @property
    def rows(self) -> dict[str, int]:
        """Rows by table when the data was loaded."""
        found: dict[str, int] = json.loads(self.meta.get("rows", "{}"))
        return found


@contextmanager
def embedded(
    options: TargetOptions, request: SeedRequest, distance_ms: Mapping[str, float] | None = None
) -> Iterator[Prepared]:
    """Start the embedded server, seed it where needed, and hand out a fresh copy of the seed; stop it afterwards."""
    spec = request.spec
    schema = embedded_schema(options, spec)
    with EmbeddedServer.start(bench_home(), _server_options(options)) as server:
        reused = ensure_run_database(server, schema, request)
        url = server.url(RUN_DATABASE)
        with closing(connect(url)) as connection:
            admin = Admin.of(connection, "postgres")
            admin.install_statement_statistics()
            meta, settings, isolation = admin.meta(), admin.settings(RECORDED_SETTINGS), admin.isolation()
        target = Target(
            kind="embedded",
            dialect="postgres",
            server_version=server.binaries.version,
            variant=schema.variant,
            gateways=dict.fromkeys(spec.regions, (url,)),
            distance_ms=distance_ms or {},
            is_alive=server.is_running,
        )
        yield Prepared(target, schema, meta, settings, isolation, reused)


def _server_options(options: TargetOptions) -> ServerOptions:
    return ServerOptions(SERVER_SETTINGS, options.port, libraries=SERVER_LIBRARIES)


def embedded_schema(options: TargetOptions, spec: SeedSpec) -> Schema:
    """Return the schema for the embedded server; UsageError for a variant that is not PostgreSQL's."""
    schema = load_schema(options.variant or "pg", spec.regions, spec.as_of)
    if schema.dialect != EMBEDDED_DIALECT:
        raise UsageError(
            f"variant '{schema.variant}' is for CockroachDB, the embedded server is PostgreSQL",
            hint="pass --url of a CockroachDB cluster, or --variant pg",
        )
    return schema


@contextmanager
def remote(
    options: TargetOptions, regions: tuple[str, ...] | None, distance_ms: Mapping[str, float]
) -> Iterator[Prepared]:
    """Check a database that the user named, and hand it out as it is."""
    gateways = options.by_region
    first = options.url or next(iter(gateways.values()))[0]
    place = place_of(first)
    with closing(open_or_explain(first)) as connection:
        dialect = dialect_of(connection)
        version = dialect.version(connection)
        admin = Admin.of(connection, dialect.name)
        meta, settings, isolation = admin.meta(), admin.settings(RECORDED_SETTINGS), admin.isolation()
    schema = _held_schema(meta, place, options.variant)
    require_schema(meta, schema, place)
    if meta.get("damaged_by"):
        raise TargetError(
            f"{place} was left with wrong data by run {meta['damaged_by']}",
            hint="run `bench seed --fresh --url …` to load it anew",
        )
    wanted = regions or tuple(gateways) or schema.regions
    _require_regions(wanted, schema.regions, place)
    _require_gateways(wanted, gateways, options.url)
    is_far = not gateways and not dialect.has_regions
    target = Target(
        kind="cluster" if options.is_cluster else "url",
        dialect=dialect.name,
        server_version=version,
        variant=schema.variant,
        gateways={region: gateways.get(region, (first,)) for region in wanted},
        distance_ms={name: distance_ms[name] for name in wanted if name in distance_ms} if is_far else {},
        checks_gateway=bool(gateways) and dialect.has_regions,
    )
    yield Prepared(target, schema, meta, settings, isolation, reused=True)


def _held_schema(meta: Mapping[str, str], place: str, wanted: str | None) -> Schema:
    if not meta:
        raise TargetError(f"{place} does not hold our schema", hint="run `bench seed --url …` first")
    held = meta.get("variant", "")
    if wanted and wanted != held:
        raise TargetError(f"{place} holds variant {held}, not {wanted}", hint=f"leave out --variant, or pass {held}")
    regions = tuple(meta.get("regions", "").split(","))
    return load_schema(held, regions, date.fromisoformat(meta.get("as_of", "2000-01-01")))


def _require_regions(wanted: tuple[str, ...], held: tuple[str, ...], place: str) -> None:
    missing = [region for region in wanted if region not in held]
    if missing:
        raise TargetError(
            f"region '{missing[0]}' is not in {place} (it has: {', '.join(held)})",
            hint=f"pass --regions {','.join(held)}, or seed the database for your regions",
        )


def _require_gateways(wanted: tuple[str, ...], gateways: Mapping[str, tuple[str, ...]], url: str | None) -> None:
    without = [region for region in wanted if gateways and region not in gateways]
    if without and not url:
        raise UsageError(f"no gateway for region '{without[0]}'", hint=f"pass --gateway {without[0]}=URL")


def open_target(
    options: TargetOptions, spec: SeedSpec, regions: tuple[str, ...] | None, distance_ms: Mapping[str, float]
) -> AbstractContextManager[Prepared]:
    """Return a context manager of the target that the options name."""
    if options.url or options.gateways:
        return remote(options, regions, distance_ms)
    return embedded(options, SeedRequest(spec), distance_ms)
