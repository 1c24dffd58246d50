"""Writing a run: manifest.json and run.sqlite, safe against SIGKILL at any moment.

One frame is one transaction in WAL mode, so a reader sees whole frames and a killed writer loses at most the last one.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from bench.errors import UsageError
from bench.metrics.frame import Frame
from bench.metrics.outcome import Finding, StockRow
from bench.results.manifest import Manifest
from bench.results.rows import Row, TableRows, frame_rows
from bench.results.sums import StatementSums
from bench.results.tables import DDL, INSERTS, REPLACE_OUTCOME
from bench.results.versions import STORE_VERSION
from bench.stats.validity import Validity

Status = Literal["complete", "interrupted", "target_lost", "crashed"]
"""How a run ended, as its writer saw it; a reader adds ``killed`` for a run that nobody finished."""

STORE_NAME = "run.sqlite"
MANIFEST_NAME = "manifest.json"

_PACKAGES = ("bench", "bench.reports", "bench.scenarios", "bench.schema", "bench.workloads")


class RunWriter:
    """The folder of one run while it takes place; also a context manager that closes it.

    Any thread may call it, one at a time.  Raises UsageError when the folder cannot be written, holds a run already or is
    part of the installed package.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.is_closed = False
        self._sums: StatementSums | None = StatementSums()
        self._has_sums = False
        refuse_package(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if (self.path / STORE_NAME).exists() or (self.path / MANIFEST_NAME).exists():
                raise UsageError(f"'{path}' holds a run already", hint="choose another folder, or move that run away")
            self._db = _create(self.path / STORE_NAME)
        except (OSError, sqlite3.Error) as error:
            raise unwritable(path, error) from None

    def write_manifest(self, manifest: Manifest) -> None:
        """Write manifest.json; a reader sees the old one or the new one, never a part."""
        write_atomically(self.path / MANIFEST_NAME, manifest.model_dump_json(indent=2) + "\n")

    def write_frame(self, frame: Frame) -> None:
        """Store one frame: all of it or, when the process dies in between, nothing of it."""
        self.write_rows(frame.number, frame.elapsed_s, frame.unix_s, frame_rows(frame))

    def write_rows(self, number: int, elapsed_s: float, unix_s: float, parts: Iterable[TableRows]) -> None:
        """Store one frame that other processes have recorded: their rows side by side, which readers add up."""
        with self._transaction() as db:
            db.execute(INSERTS["frames"], (number, elapsed_s, unix_s))
            self._insert(db, number, parts)
            if self._sums and self._sums.end_frame():
                self._write_sums(db, self._sums)

    def write_more(self, number: int, parts: Iterable[TableRows]) -> None:
        """Store rows that belong to a frame that has been stored already."""
        with self._transaction() as db:
            self._insert(db, number, parts)

    def write_workers(self, rows: Iterable[Row]) -> None:
        """Store the worker processes of the run, in place of what was stored before."""
        self._replace("workers", list(rows))

    def write_stock(self, rows: Iterable[StockRow]) -> None:
        """Store the stock of the sale, in place of what was stored before."""
        cells = [
            (r.item, r.product_id, r.region, r.offered, r.sold, r.oversold, r.left, r.sold_out_after_s, r.sku)
            for r in rows
        ]
        self._replace("stock", cells)

    def write_findings(self, findings: Iterable[Finding]) -> None:
        """Store what the audit found, in place of what was stored before."""
        cells = [(f.rule, f.title, f.passed, f.violations, json.dumps(f.witness), f.look, f.detail) for f in findings]
        self._replace("findings", cells)

    def finish(self, status: Status, detail: str, validity: Validity | None) -> None:
        """Store how the run ended; a run without this is read as ``killed``."""
        verdict, reasons = (validity.verdict, validity.reasons) if validity else (None, ())
        with self._transaction() as db:
            if self._sums and self._has_sums:  # a short run is read as fast without
                self._write_sums(db, self._sums)
            db.execute(REPLACE_OUTCOME, (status, detail, verdict, json.dumps(reasons), time.time()))

    def close(self) -> None:
        """Fold the log into run.sqlite, so that the store is one file that a read-only folder can hold; idempotent."""
        with contextlib.suppress(sqlite3.OperationalError, sqlite3.ProgrammingError):
            # A reader that looks on keeps the log alive: then it stays, and the store is as good with it.
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.execute("PRAGMA journal_mode=DELETE")
        self._db.close()
        self.is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _insert(self, db: sqlite3.Connection, number: int, parts: Iterable[TableRows]) -> None:
        for table, given in parts:
            rows = list(given)
            if table == "statements" and self._sums:
                self._sums.add(rows)
            db.executemany(INSERTS[table], ((number, *row) for row in rows))

    def _write_sums(self, db: sqlite3.Connection, sums: StatementSums) -> None:
        ((until_rowid,),) = db.execute("SELECT coalesce(max(rowid), 0) FROM statements")
        db.executemany(INSERTS["statement_sums"], sums.take(until_rowid))
        self._sums, self._has_sums = StatementSums(), True

    def _replace(self, table: str, rows: Sequence[Row]) -> None:
        with self._transaction() as db:
            db.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant of this module
            db.executemany(INSERTS[table], rows)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            self._sums = None  # they hold what is not stored now; readers take the statements themselves from here on
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):  # disk full, read-only, folder gone
                raise unwritable(self.path, error) from None
            raise


def _create(path: Path) -> sqlite3.Connection:
    # Reading an active store never blocks its writer in WAL mode; the timeout is for the moment of closing.
    # Frames are written off the event loop's thread, one after another; SQLite serialises calls by itself.
    db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    # No fsync while the run lasts: next to a database that syncs all the time, one can hold the event loop of the
    # generator for 100 ms.  A killed process loses nothing by it (the pages are the kernel's); only a crash of the
    # machine can.
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=OFF")
    meta = f"INSERT INTO meta VALUES ('format_version', '{STORE_VERSION}');"  # noqa: S608 - a constant
    db.executescript(f"BEGIN; {DDL} {meta} COMMIT;")
    return db


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all; UsageError when its folder cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise unwritable(path, error) from None


def refuse_package(path: Path) -> None:
    """Raise UsageError when a folder for results lies inside the installed package."""
    resolved = path.resolve()
    for name in _PACKAGES:
        spec = find_spec(name)
        for root in (spec.submodule_search_locations or []) if spec else []:
            if resolved.is_relative_to(Path(root).resolve()):
                raise UsageError(
                    f"'{path}' is inside the installed package '{name}'", hint="choose a folder of your own with --out"
                )


def unwritable(path: Path, error: Exception) -> UsageError:
    """Return the error for a folder that cannot be written to."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UsageError(
        f"cannot write to '{path}'",
        cause=reason.lower(),
        hint="choose a folder that you can write to with --out, or free space",
    )
