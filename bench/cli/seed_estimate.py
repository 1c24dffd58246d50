"""``bench seed --estimate``, and the check that there is disk enough before a load begins."""

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bench.cli import console
from bench.cli.opening import SERVER_SETTINGS
from bench.cli.options import TargetOptions
from bench.cli.room import require_dialect, variant_for
from bench.data.cost import Estimate, TableEstimate, disk_needed, require_disk, upper_bound_bytes
from bench.data.estimate import estimate
from bench.data.files import JOURNAL, MANIFEST
from bench.data.spec import SeedSpec
from bench.db.connection import Connection, connect, open_or_explain
from bench.db.ddl import Schema, load_schema
from bench.db.dialects import dialect_of
from bench.errors import TargetError
from bench.target.embedded import EmbeddedServer, ServerOptions
from bench.target.home import bench_home
from bench.units import format_bytes, format_duration

COPIES = 2
"""Of a seed on the embedded server's disk: itself, and the copy that a run writes to."""


def show_estimate(options: TargetOptions, spec: SeedSpec, connections: int) -> None:
    """Print what a load would be, and leave nothing behind."""
    if options.url or options.gateways:
        url = options.url or options.gateways[0][1]
        with closing(open_or_explain(url)) as connection:
            dialect = dialect_of(connection).name
        schema = load_schema(variant_for(options, dialect), spec.regions, spec.as_of)
        require_dialect(schema, dialect)
        _print(estimate(lambda: connect(url), schema, spec, connections=connections))
        return
    from bench.cli.preparing import embedded_schema

    schema = embedded_schema(options, spec)
    with EmbeddedServer.start(bench_home(), ServerOptions(SERVER_SETTINGS, options.port)) as server:
        found = estimate(lambda: connect(server.url()), schema, spec, connections=connections)
    _print(found)
    home, needed = bench_home(), disk_needed(found, COPIES)
    free = shutil.disk_usage(home).free
    enough = "" if free >= needed else "  (too little)"
    console.out(
        f"disk      {format_bytes(needed)} with the copy for a run, {format_bytes(free)} free in {home}{enough}"
    )


def require_embedded_disk(
    connecting: Callable[[], Connection], schema: Schema, spec: SeedSpec, connections: int
) -> None:
    """TargetError when the data would not fit in the home; probed only where that is not plain to see."""
    home = bench_home()
    free = shutil.disk_usage(home).free
    if free < upper_bound_bytes(spec, COPIES):
        found = estimate(connecting, schema, spec, connections=connections)
        require_disk(free, disk_needed(found, COPIES), str(home), spec.scale)


def require_file_disk(folder: Path, schema: Schema, spec: SeedSpec) -> None:
    """TargetError when the files would not fit; ``schema`` is CockroachDB's, whose format is as long as theirs.

    A folder that an export has begun in is not asked: it holds a part of them.
    """
    if any((folder / name).exists() for name in (JOURNAL, MANIFEST)):
        return
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < upper_bound_bytes(spec):
        needed = estimate(_no_server, schema, spec, connections=1).wire_bytes
        if free < needed:
            raise TargetError(
                f"scale {spec.scale} needs about {format_bytes(needed)} as files, {there} has {format_bytes(free)} free",
                hint="pass a smaller --scale, or a folder on another disk",
            )


def _no_server() -> Connection:
    raise AssertionError("an estimate for CockroachDB asks no server")


def _print(found: Estimate) -> None:
    console.out(
        f"{'table':<22} {'rows':>13} {'sent':>9} {'on disk':>9} {'make':>8} {'copy':>8} {'indexes':>8} {'finish':>8}"
    )
    for table in found.tables:
        console.out(_line(table))
    on_disk = "" if found.disk_bytes is None else format_bytes(found.disk_bytes)
    console.out(f"{'total':<22} {found.rows:>13,} {format_bytes(found.wire_bytes):>9} {on_disk:>9}")
    took = format_duration(round(found.probe_seconds, 1))
    console.note(f"measured  a sample of {found.probe_rows:,} rows in {took}; seconds by table are of one connection")
    console.out(f"time      about {format_duration(round(found.seconds(), 1))} over {found.connections} connections")
    if found.note:
        console.note(f"the server's side was {found.note}")


def _line(table: TableEstimate) -> str:
    seconds = table.seconds
    parts = (seconds.generate, seconds.copy, seconds.build, seconds.finish)
    took = " ".join(f"{'' if part is None else f'{part:.1f} s':>8}" for part in parts)
    disk = "" if table.disk_bytes is None else format_bytes(table.disk_bytes)
    return f"{table.table:<22} {table.rows:>13,} {format_bytes(table.wire_bytes):>9} {disk:>9} {took}"
