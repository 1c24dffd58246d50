"""From options to a database that is ready to be loaded: started, seeded, checked."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

from bench.cli import console
from bench.cli.options import TargetOptions
from bench.data.loader import LoadReport, Progress, load
from bench.data.spec import SeedSpec
from bench.db.admin import Admin, require_schema
from bench.db.connection import connect, open_or_explain, place_of
from bench.db.ddl import Schema, load_schema
from bench.db.dialects import dialect_of
from bench.errors import TargetError, UsageError
from bench.target.base import Target
from bench.target.embedded import EmbeddedServer, ServerOptions
from bench.target.home import bench_home
from bench.units import format_bytes, format_duration

RUN_DATABASE = "shop"
SEEDS_KEPT = 3

# Durable as a shop's database is; memory and connections as a laptop has them.
SERVER_SETTINGS = {
    "max_connections": "400",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_locks_per_transaction": "256",
    "jit": "off",
}
RECORDED_SETTINGS = (*SERVER_SETTINGS, "fsync", "synchronous_commit", "full_page_writes", "deadlock_timeout")


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
    options: TargetOptions, spec: SeedSpec, distance_ms: Mapping[str, float], *, fresh: bool = False
) -> Iterator[Prepared]:
    """Start the embedded server, seed it where needed, and hand out a fresh copy of the seed; stop it afterwards.

    Every run begins with the same rows: the seed is kept as a database of its own and copied for the run.
    """
    schema = load_schema(options.variant or "pg", spec.regions, spec.as_of)
    if schema.dialect != "postgres":
        raise UsageError(
            f"variant '{schema.variant}' is for CockroachDB, the embedded server is PostgreSQL",
            hint="pass --url of a CockroachDB cluster, or --variant pg",
        )
    with EmbeddedServer.start(bench_home(), ServerOptions(SERVER_SETTINGS, options.port)) as server:
        reused = _ensure_run_database(server, schema, spec, fresh=fresh)
        url = server.url(RUN_DATABASE)
        with closing(connect(url)) as connection:
            admin = Admin.of(connection, "postgres")
            meta, settings, isolation = admin.meta(), admin.settings(RECORDED_SETTINGS), admin.isolation()
        target = Target(
            kind="embedded",
            dialect="postgres",
            server_version=server.binaries.version,
            variant=schema.variant,
            gateways=dict.fromkeys(spec.regions, (url,)),
            distance_ms=distance_ms,
            is_alive=server.is_running,
        )
        yield Prepared(target, schema, meta, settings, isolation, reused)


def _ensure_run_database(server: EmbeddedServer, schema: Schema, spec: SeedSpec, *, fresh: bool) -> bool:
    seed = "seed_" + hashlib.sha256(f"{schema.fingerprint}/{spec.fingerprint}".encode()).hexdigest()[:12]
    with closing(connect(server.url())) as connection:
        admin = Admin.of(connection, "postgres")
        reused = admin.has_database(seed) and not fresh
        if not reused:
            admin.drop_database(seed)
            _seed_database(server, admin, seed, schema, spec)
        admin.drop_database(RUN_DATABASE)
        admin.create_database(RUN_DATABASE, template=seed)
    return reused


def _seed_database(server: EmbeddedServer, admin: Admin, seed: str, schema: Schema, spec: SeedSpec) -> None:
    """Load under another name and rename at the end: a seed that is there by its name is whole."""
    loading = f"loading_{seed}"
    for (leftover,) in admin.read("databases_like", prefix="loading_"):
        admin.drop_database(leftover)
    for (old,) in admin.read("databases_like", prefix="seed_")[: -SEEDS_KEPT + 1 or None]:
        admin.drop_database(old)
    admin.create_database(loading)
    _seed_in_child(server.url(loading), schema, spec)
    admin.rename_database(loading, seed)


def _seed_in_child(url: str, schema: Schema, spec: SeedSpec) -> None:
    """Run `bench seed` in a process of its own: in ours gevent has made all threads share one core."""
    arguments = ["seed", "--scale", spec.scale, "--seed", str(spec.seed), "--as-of", spec.as_of.isoformat()]
    arguments += ["--regions", ",".join(spec.regions), "--variant", schema.variant]
    done = subprocess.run(
        # -P: with the current folder on the path, a checkout's ./bench would hide the installed package.
        [sys.executable, "-P", "-c", "from bench.cli import main; main()", *arguments],
        # In the environment, because a command line is for everyone to read.
        env={**os.environ, "BENCH_URL": url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise TargetError("the data could not be loaded", hint="see the error above")


def seed_into(url: str, schema: Schema, spec: SeedSpec, connections: int = 2) -> LoadReport:
    """Apply the schema and load the data into an empty database, and mark it as ours."""
    with closing(connect(url)) as connection:
        admin = Admin.of(connection, schema.dialect)
        admin.note(
            {
                "created_by": "bench",
                "state": "loading",
                "variant": schema.variant,
                "schema_version": str(schema.model.version),
                "schema_fingerprint": schema.fingerprint,
                "regions": ",".join(schema.regions),
                "scale": spec.scale,
                "data_seed": str(spec.seed),
                "as_of": spec.as_of.isoformat(),
                "data_fingerprint": spec.fingerprint,
            }
        )
        report = load(lambda: connect(url), schema, spec, connections=connections, progress=_show_progress)
        console.end_status()
        admin.note(
            {
                "state": "ready",
                "rows": json.dumps(dict(report.rows)),
                "facts": json.dumps(dict(report.facts)),
                "loaded_at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
    console.note(f"seeded    {spec.scale}: {report.total_rows:,} rows in {format_duration(report.seconds['total'])}")
    return report


def _show_progress(progress: Progress) -> None:
    share = min(1.0, progress.done / max(1, progress.expected))
    sent = f", {format_bytes(progress.bytes)} sent" if progress.phase == "copy" else ""
    console.status(f"seeding   {progress.phase} {progress.name} {share:4.0%}{sent}, {progress.seconds:.1f} s")


@contextmanager
def remote(
    options: TargetOptions, regions: tuple[str, ...] | None, distance_ms: Mapping[str, float]
) -> Iterator[Prepared]:
    """Check a database that the user named, and hand it out as it is."""
    gateways = dict(options.gateways)
    first = options.url or next(iter(gateways.values()))
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
    target = Target(
        kind="url",
        dialect=dialect.name,
        server_version=version,
        variant=schema.variant,
        gateways={region: (gateways.get(region, first),) for region in wanted},
        distance_ms={} if gateways or dialect.name == "cockroach" else distance_ms,
        checks_gateway=bool(gateways) and dialect.name == "cockroach",
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


def _require_gateways(wanted: tuple[str, ...], gateways: Mapping[str, str], url: str | None) -> None:
    without = [region for region in wanted if gateways and region not in gateways]
    if without and not url:
        raise UsageError(f"no gateway for region '{without[0]}'", hint=f"pass --gateway {without[0]}=URL")


def open_target(
    options: TargetOptions, spec: SeedSpec, regions: tuple[str, ...] | None, distance_ms: Mapping[str, float]
) -> AbstractContextManager[Prepared]:
    """Return a context manager of the target that the options name."""
    if options.url or options.gateways:
        return remote(options, regions, distance_ms)
    return embedded(options, spec, distance_ms)
