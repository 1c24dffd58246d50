"""Reading a run, whole, interrupted or killed, without changing it.

Cells are merged over the frames as they are read, so memory depends on the number of labels and not on the length of the run.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby

from bench.metrics.frame import (
    ATTEMPT,
    ArrivalCell,
    GeneratorCell,
    RetryCell,
    StatementCell,
    TransactionCell,
)
from bench.metrics.histogram import Histogram
from bench.results.files import find_run
from bench.results.pooling import pool_rows
from bench.results.recorded import Recorded
from bench.results.scan import QUERY, Grid, Scan, scan
from bench.stats.merge import Label, Merged, merge_transactions
from bench.stats.phases import Phase, measured_names
from bench.stats.validity import LAST_FRAME_S, Evidence

__all__ = ["Run", "find_run"]


class Run(Recorded):
    """One run, read-only; also a context manager.  Open it with ``Run.open``."""

    @cached_property
    def cells(self) -> tuple[TransactionCell, ...]:
        """Transactions merged over the frames, sessions (``session:NAME``) among them."""
        return self.scan.cells

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
        evidence.ranges.add(self.counters)
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
