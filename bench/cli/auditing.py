"""The audit's view of a database: one snapshot, statements by name."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.audit.audit import Execute
from bench.audit.journal import RunWindow
from bench.cli import console
from bench.db.admin import Admin
from bench.db.catalogue import Catalogue
from bench.db.connection import Connection, DriverError
from bench.db.ddl import Dialect
from bench.errors import UsageError
from bench.metrics.frame import COMMIT_UNKNOWN, JournalEntry
from bench.metrics.recorder import UNFINISHED
from bench.results.files import find_run
from bench.results.read import Run

RUN_NOTE = "run"
"""Under which a run notes itself in the database that it uses."""


@contextmanager
def snapshot_executor(connection: Connection, catalogue: Catalogue, begin: str = "begin_snapshot") -> Iterator[Execute]:
    """Hand out a function that runs catalogue statements inside one consistent snapshot of the database.

    ``begin`` names the statement that begins it.
    """

    def execute(name: str, params: Mapping[str, object]) -> tuple[list[str], list[tuple[object, ...]]]:
        cursor = connection.execute(catalogue[name].sql, params)
        return [column.name for column in cursor.description or ()], list(cursor.fetchall())

    connection.execute(catalogue[begin].sql)
    try:
        yield execute
    except BaseException:
        # The connection may be lost, or in the middle of a statement, which must not hide why.
        with suppress(DriverError):
            connection.execute(catalogue["end_snapshot"].sql)
        raise
    connection.execute(catalogue["end_snapshot"].sql)


def journal_of(runs: Path, reference: str) -> tuple[tuple[JournalEntry, ...], RunWindow]:
    """Return the journal of a stored run, and which orders are that run's."""
    with Run.open(find_run(runs, reference)) as run:
        began = datetime.fromisoformat(run.manifest.created_utc)
        # A run that was cut off may have orders that the server took and nobody wrote down any more.
        until = _last_frame(run) if run.status in ("killed", "target_lost", "crashed", "interrupted") else None
        window = RunWindow(since=began, tag=run_tag(run.manifest.run_id), journalled_until=until)
        return tuple(run.journal()), with_unknown(window, run)


def with_unknown(window: RunWindow, run: Run) -> RunWindow:
    """Return a window that allows for orders of which nobody could be told whether their COMMIT had happened.

    That is when a transaction was given up in an outage, or was still in flight when the drain was over.
    """
    last = _last_frame(run)
    if last is None:
        return window
    times = [last - timedelta(seconds=run.last_s - e.elapsed_s) for e in run.events if e.kind == COMMIT_UNKNOWN]
    if any(cell.outcome == UNFINISHED for cell in run.cells):
        times.append(last)
    if not times:
        return window
    scenario: Any = run.manifest.scenario
    lasting_s = scenario["retry"]["budget"] + scenario["statement_timeout"] + scenario["drain"]
    in_flight = max(window.in_flight, timedelta(seconds=lasting_s))
    return replace(window, lost=(*window.lost, *times), in_flight=in_flight)


def _last_frame(run: Run) -> datetime | None:
    last = next(run.rows("SELECT max(unix_s) FROM frames"))[0]
    return datetime.fromtimestamp(last, UTC) if last is not None else None


def run_tag(run_id: str) -> str:
    """Return the twelve hex digits that end every idempotency key of a run."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:12]


def require_last_run(connection: Connection, dialect: Dialect, window: RunWindow, *, is_embedded: bool) -> None:
    """UsageError when the embedded database is another run's; elsewhere, where runs follow each other in it, a note."""
    last = Admin.of(connection, dialect).meta().get(RUN_NOTE)
    if last is None or run_tag(last) == window.tag:
        return
    if is_embedded:
        raise UsageError(
            f"the embedded database is that of run {last} by now",
            cause="every run begins with a fresh copy of the seed",
            hint=f"pass --run {last}, or leave out --run to check the rules alone",
        )
    console.note(f"note: run {last} has used this database since; its orders are not compared")
