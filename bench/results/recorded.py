"""What a run's store holds once, as it was written: how it ended, its events, findings, counters and the like."""

import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any, cast, get_args

from bench.metrics.frame import (
    Check,
    Contender,
    Counter,
    Disconnect,
    Event,
    JournalEntry,
    SlowSample,
    Taken,
)
from bench.metrics.outcome import Finding, StockRow, WorkerRow
from bench.results.opened import Opened
from bench.stats.records import RunStatus
from bench.stats.validity import ENDINGS, Validity, Verdict


class Recorded(Opened):
    """A run's records that need no merging."""

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
    def frames(self) -> tuple[tuple[int, float], ...]:
        """The frames in order: (number, end in seconds since the start of the run)."""
        return tuple(self.rows("SELECT frame, elapsed_s FROM frames ORDER BY frame"))

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


def _slow_sample(row: Any) -> SlowSample:
    *labels, statements, dispatch_ms, wait_ms, backoff_ms, reasons, key = row
    trail = tuple(map(tuple, json.loads(statements)))
    return SlowSample(*(*labels, trail, dispatch_ms, wait_ms, backoff_ms, tuple(json.loads(reasons)), key))
