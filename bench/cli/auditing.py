"""The audit's view of a database: one snapshot, statements by name."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from bench.audit.audit import Execute
from bench.audit.journal import RunWindow
from bench.db.catalogue import Catalogue
from bench.db.connection import Connection
from bench.metrics.frame import JournalEntry
from bench.results.files import find_run
from bench.results.read import Run


@contextmanager
def snapshot_executor(connection: Connection, catalogue: Catalogue) -> Iterator[Execute]:
    """Hand out a function that runs catalogue statements inside one consistent snapshot of the database."""

    def execute(name: str, params: Mapping[str, object]) -> tuple[list[str], list[tuple[object, ...]]]:
        cursor = connection.execute(catalogue[name].sql, params or None)
        return [column.name for column in cursor.description or ()], list(cursor.fetchall())

    connection.execute(catalogue["begin_snapshot"].sql)
    try:
        yield execute
    finally:
        connection.execute(catalogue["end_snapshot"].sql)


def journal_of(runs: Path, reference: str) -> tuple[tuple[JournalEntry, ...], RunWindow]:
    """Return the journal of a stored run, and which orders are that run's."""
    with Run.open(find_run(runs, reference)) as run:
        began = datetime.fromisoformat(run.manifest.created_utc)
        killed = run.status == "killed"
        last = began + timedelta(seconds=_last_elapsed(run)) if killed else None
        window = RunWindow(since=began, tag=run_tag(run.manifest.run_id), journalled_until=last)
        return tuple(run.journal()), window


def _last_elapsed(run: Run) -> float:
    return max((entry.elapsed_s for entry in run.journal()), default=0.0)


def run_tag(run_id: str) -> str:
    """Return the twelve hex digits that end every idempotency key of a run."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:12]
