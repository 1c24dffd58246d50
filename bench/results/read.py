"""Reading a run, whole, interrupted or killed, without changing it.

Cells are merged over the frames as they are read, so memory depends on the number of labels and not on the length of the run.
"""

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast, get_args

from bench.errors import UsageError
from bench.metrics.frame import (
    ATTEMPT,
    ArrivalCell,
    Check,
    Contender,
    Counter,
    Disconnect,
    Event,
    GeneratorCell,
    JournalEntry,
    RetryCell,
    SlowSample,
    StatementCell,
    Taken,
    TransactionCell,
)
from bench.metrics.histogram import Histogram
from bench.metrics.outcome import Finding, StockRow, WorkerRow
from bench.results import files
from bench.results.files import find_run, read_manifest
from bench.results.manifest import Manifest
from bench.results.pooling import pool_rows
from bench.results.scan import QUERY, Grid, Scan, scan
from bench.stats.merge import Label, Merged, merge_transactions
from bench.stats.phases import Phase, measured_names
from bench.stats.records import RunStatus
from bench.stats.validity import ENDINGS, LAST_FRAME_S, Evidence, Validity, Verdict

__all__ = ["Run", "find_run"]

T = TypeVar("T")

_PART = 20_000


class Run:
    """One run, read-only; also a context manager.  Open it with ``Run.open``."""

    def __init__(self, path: Path, manifest: Manifest, db: sqlite3.Connection, resources: contextlib.ExitStack) -> None:
        self.path = path
        self.manifest = manifest
        self.db = db
        self._resources = resources

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the run in a folder; UsageError when it is missing, damaged or newer than this version of bench."""
        db, copy = files.connect(path)
        with contextlib.ExitStack() as resources:
            if copy is not None:
                resources.callback(copy.cleanup)
            resources.callback(db.close)
            return cls(path, read_manifest(path), db, resources.pop_all())

    def close(self) -> None:
        """Let the store go; idempotent."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @cached_property
    def _outcome(self) -> tuple[RunStatus, str, Validity | None]:
        row = self._one("SELECT status, detail, verdict, reasons FROM outcome")
        if row is None:
            return "killed", "", None
        status, detail, verdict, reasons = row
        validity = (
            Validity(cast(Verdict, verdict), tuple(json.loads(reasons))) if verdict in get_args(Verdict) else None
        )
        return cast(RunStatus, status), detail, validity

    @property
    def status(self) -> RunStatus:
        """How the run ended; ``killed`` when its writer did not live to say."""
        return self._outcome[0]

    @property
    def detail(self) -> str:
        """What the writer said about the end, possibly nothing."""
        return self._outcome[1]

    @property
    def validity(self) -> Validity | None:
        """The verdict of the writer; None when it did not live to give one (``summarise`` then judges)."""
        return self._outcome[2]

    @cached_property
    def last_s(self) -> float:
        """The end of the last frame, in seconds since the start of the run; 0 without frames."""
        row = self._one("SELECT max(elapsed_s) FROM frames")
        return float(row[0]) if row and row[0] is not None else 0.0

    @cached_property
    def end_s(self) -> float | None:
        """When the run stopped short of its schedule; None when it went through all of it."""
        if self.status == "complete":
            return None
        return next((event.elapsed_s for event in self.events if event.kind in ENDINGS), self.last_s)

    @cached_property
    def cells(self) -> tuple[TransactionCell, ...]:
        """Transactions merged over the frames, sessions (``session:NAME``) among them."""
        return self.scan.cells

    @cached_property
    def frames(self) -> tuple[tuple[int, float], ...]:
        """The frames in order: (number, end in seconds since the start of the run)."""
        return tuple(self.rows("SELECT frame, elapsed_s FROM frames ORDER BY frame"))

    @cached_property
    def scan(self) -> Scan:
        """The transactions, read once for every use."""
        return self.scan_by(None)

    def scan_by(self, bin_s: int | None) -> Scan:
        """Read the transactions for a timeline of bins of so many seconds (None: as fine as a chart can show)."""
        return self._checked(
            lambda: scan(self.parts(QUERY), Grid.of(self.frames, bin_s), self.manifest.phases, self.end_s)
        )

    def transactions(self, by: Sequence[Label] = ("phase", "region", "name")) -> dict[tuple[str, ...], Merged]:
        """Return transactions merged by some labels: counts added, histograms pooled."""
        return merge_transactions(self.cells, by)

    @cached_property
    def statements(self) -> tuple[StatementCell, ...]:
        """Statements merged over the frames."""
        return tuple(cell for cell in self._statement_cells if cell.statement != ATTEMPT)

    @cached_property
    def attempts(self) -> tuple[StatementCell, ...]:
        """The times of attempts by transaction, merged over the frames; ``errors`` of them did not commit."""
        return tuple(cell for cell in self._statement_cells if cell.statement == ATTEMPT)

    @cached_property
    def _statement_cells(self) -> tuple[StatementCell, ...]:
        columns = "phase, region, transaction_name, statement, count, errors, time"
        query = f"""
            SELECT {columns} FROM statement_sums UNION ALL SELECT {columns} FROM statements
            WHERE rowid > (SELECT coalesce(max(until_rowid), 0) FROM statement_sums)
        """  # noqa: S608 - constants of this function
        return self._checked(
            lambda: tuple(StatementCell(*row) for row in pool_rows(self.parts(query), labels=4, counts=2))
        )

    @cached_property
    def retries(self) -> tuple[RetryCell, ...]:
        """Aborted attempts merged over the frames."""
        query = """
            SELECT phase, region, transaction_name, statement, reason, key, sum(count), sum(wasted_ns) FROM retries
            GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
        """
        return tuple(RetryCell(*row) for row in self.rows(query))

    @cached_property
    def arrivals(self) -> tuple[ArrivalCell, ...]:
        """Arrivals merged over the frames; what was dropped because the run stopped short does not count."""
        query = """
            SELECT phase, region, session, offered, started, iif(elapsed_s <= ?1, dropped, 0), lag, dispatch
            FROM arrivals JOIN frames USING (frame) WHERE elapsed_s <= ?1 + ?2
        """
        until = float("inf") if self.end_s is None else self.end_s
        return self._checked(
            lambda: tuple(
                ArrivalCell(*row) for row in pool_rows(self.parts(query, until, LAST_FRAME_S), labels=3, counts=3)
            )
        )

    @cached_property
    def generator(self) -> tuple[tuple[float, GeneratorCell], ...]:
        """The state of the generator: (end of the frame in s, cell) in order of time."""
        query = """
            SELECT elapsed_s, cpu_share, stall_ms, gc_ms, users, busy, queued, worker, starved_ms
            FROM generator JOIN frames USING (frame) ORDER BY frame, worker
        """
        return tuple((elapsed_s, GeneratorCell(*cell)) for elapsed_s, *cell in self.rows(query))

    def evidence(self, phases: tuple[Phase, ...] | None = None) -> Evidence:
        """Return what the validity verdict rests on, for the measured ones of ``phases`` (default: the manifest's)."""
        evidence = Evidence(self.manifest.phases if phases is None else phases, self.end_s)
        evidence.faults += [event.detail for event in self.events if event.kind == "worker_lost"]
        evidence.add_arrivals(0.0, self.arrivals)
        for elapsed_s, cell in self.generator:
            evidence.add_generator(elapsed_s, cell)
        for row in self.rows("SELECT frame, elapsed_s, unix_s FROM frames ORDER BY frame"):
            evidence.frames.add(*row)
        evidence.faults += [f"worker {row.worker} was lost" for row in self.workers if row.lost_s is not None]
        if self.validity is None:
            self._add_pool_waits(evidence)
        return evidence

    def _add_pool_waits(self, evidence: Evidence) -> None:
        """Read each second again for the judgement that the writer did not live to give."""
        arrivals = groupby(
            self.rows("SELECT frame, phase, region, session, offered, started, dropped, lag, dispatch FROM arrivals"),
            lambda row: row[0],
        )
        due = {
            frame: [ArrivalCell(*row[1:-2], *map(Histogram.from_bytes, row[-2:])) for row in rows]
            for frame, rows in arrivals
        }
        query = """
            SELECT frame, phase, region, name, outcome, kind, count, attempts, response, service FROM transactions
            WHERE name LIKE 'session:%'
        """
        names = measured_names(evidence.phases)
        for frame, rows in groupby(self.rows(query), lambda row: row[0]):
            cells = [TransactionCell(*row[1:-2], *map(Histogram.from_bytes, row[-2:])) for row in rows]
            evidence.pools.add(due.get(frame, ()), cells, names)

    @cached_property
    def workers(self) -> tuple[WorkerRow, ...]:
        """The worker processes that took part; empty for a run of one process."""
        query = "SELECT worker, place, regions, offset_ns, rtt_ns, users, lost_s, detail FROM workers ORDER BY worker"
        return tuple(WorkerRow(*row) for row in self.rows(query))

    def journal(self) -> Iterator[JournalEntry]:
        """Yield the acknowledged orders in the order in which they were recorded."""
        query = """
            SELECT region, order_id, order_number, idempotency_key, total_amount, status, attempts, elapsed_s, taken
            FROM journal ORDER BY frame, rowid
        """
        for row in self.rows(query):
            yield JournalEntry(*(*row[:-1], tuple(Taken(*item) for item in json.loads(row[-1]))))

    @cached_property
    def wins(self) -> dict[str, tuple[int, int]]:
        """(orders, units) of the sale's products by region of the shopper, cancelled orders aside; empty without a sale."""
        query = """
            SELECT region, count(DISTINCT order_id), sum(json_extract(value, '$[3]'))
            FROM journal, json_each(journal.taken)
            WHERE status <> 'cancelled' AND json_extract(value, '$[0]') IN (SELECT product_id FROM stock)
            GROUP BY region
        """
        return {region: (orders, units) for region, orders, units in self.rows(query)}

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The marks on the timeline, in order."""
        query = "SELECT elapsed_s, kind, detail, region FROM events ORDER BY elapsed_s, rowid"
        return tuple(Event(*row) for row in self.rows(query))

    def slow(self, limit: int = 20) -> tuple[SlowSample, ...]:
        """Return the slowest transactions of the run, slowest first."""
        query = """
            SELECT elapsed_s, phase, region, transaction_name, outcome, response_ms, service_ms, attempts, statements,
                   dispatch_ms, wait_ms, backoff_ms, reasons, key
            FROM slow ORDER BY response_ms DESC LIMIT ?
        """
        return tuple(_slow_sample(row) for row in self.rows(query, limit))

    @cached_property
    def contenders(self) -> tuple[Contender, ...]:
        """The buyers of something scarce, in the order in which they should have begun."""
        query = "SELECT region, key, arrived_s, ended_s, outcome, attempts FROM contenders ORDER BY arrived_s"
        return tuple(Contender(*row) for row in self.rows(query))

    @cached_property
    def counters(self) -> tuple[Counter, ...]:
        """The server's cumulative counters at the start and at the end of each phase, in order of time."""
        query = "SELECT moment, elapsed_s, region, kind, name, metric, value FROM counters ORDER BY elapsed_s, rowid"
        return tuple(Counter(*row) for row in self.rows(query))

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """What the audit found while the run went on, in order of time."""
        query = "SELECT elapsed_s, took_ms, rule, passed, violations, detail FROM checks ORDER BY elapsed_s, rowid"
        return tuple(Check(at, took, rule, bool(ok), *rest) for at, took, rule, ok, *rest in self.rows(query))

    @cached_property
    def disconnects(self) -> tuple[Disconnect, ...]:
        """The seconds in which attempts lost their connection or were refused one, by region, in order of time."""
        query = "SELECT region, began_s, refused_until_s, lost, refused FROM disconnects ORDER BY began_s, rowid"
        return tuple(Disconnect(*row) for row in self.rows(query))

    @cached_property
    def server(self) -> dict[str, tuple[tuple[float, float], ...]]:
        """The server's counters: name to (end of the frame in s, cumulative value) in order of time."""
        series: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        query = "SELECT name, elapsed_s, value FROM server JOIN frames USING (frame) ORDER BY name, frame"
        for name, elapsed_s, value in self.rows(query):
            series[name].append((elapsed_s, value))
        return {name: tuple(points) for name, points in series.items()}

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the audit found; empty when it did not run."""
        query = "SELECT rule, title, passed, violations, witness, look, detail FROM findings ORDER BY rowid"
        return tuple(
            Finding(rule, title, bool(passed), violations, tuple(json.loads(witness)), look, detail)
            for rule, title, passed, violations, witness, look, detail in self.rows(query)
        )

    @cached_property
    def stock(self) -> tuple[StockRow, ...]:
        """The stock of the sale; empty without a sale."""
        query = """
            SELECT item, product_id, region, offered, sold, oversold, left, sold_out_after_s, sku FROM stock ORDER BY rowid
        """
        return tuple(StockRow(*row) for row in self.rows(query))

    def rows(self, query: str, *values: object) -> Iterator[Any]:
        """Yield the rows of a query on the store; UsageError when the store turns out to be damaged."""
        try:
            yield from self.db.execute(query, values)
        except (sqlite3.DatabaseError, ValueError) as error:
            raise self._damaged(error) from None

    def parts(self, query: str, *values: object) -> Iterator[list[Any]]:
        """Yield the rows of a query in lists of at most ``_PART``; UsageError as ``rows``."""
        try:
            cursor = self.db.execute(query, values)
            while part := cursor.fetchmany(_PART):
                yield part
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from None

    def _checked(self, read: Callable[[], T]) -> T:
        """Return what was read; UsageError when what the store holds turns out to be damaged."""
        try:
            return read()
        except (ValueError, TypeError, OverflowError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> UsageError:
        return UsageError(
            f"'{self.path}' is damaged", cause=str(error), hint="choose another run; this one cannot be read whole"
        )

    def _one(self, query: str) -> Any:
        return next(self.rows(query), None)


def _slow_sample(row: Any) -> SlowSample:
    *labels, statements, dispatch_ms, wait_ms, backoff_ms, reasons, key = row
    trail = tuple(map(tuple, json.loads(statements)))
    return SlowSample(*(*labels, trail, dispatch_ms, wait_ms, backoff_ms, tuple(json.loads(reasons)), key))
