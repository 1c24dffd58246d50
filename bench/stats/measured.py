"""A run cut to its measured phases: groups of transactions, sessions and arrivals.  Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from bench.metrics.frame import OutcomeKind, RetryCell, StatementCell, TransactionCell
from bench.metrics.histogram import Histogram
from bench.metrics.recorder import DROPPED
from bench.stats.censoring import Times
from bench.stats.material import Material
from bench.stats.merge import SESSION_PREFIX, is_session
from bench.stats.phases import measured_names, measured_seconds
from bench.stats.records import AbortRow, Arrivals, Group, Latency, OutcomeRow
from bench.units import NS_PER_MS

COMMIT = "COMMIT"


class Measured:
    """The material cut to its measured phases."""

    def __init__(self, material: Material) -> None:
        names = self.names = measured_names(material.phases)
        self.seconds = measured_seconds(material.phases, material.end_s)
        cells = [cell for cell in material.transactions if cell.phase in names]
        self.transactions = [cell for cell in cells if not is_session(cell.name)]
        self.sessions = [cell for cell in cells if is_session(cell.name)]
        self.statements = [cell for cell in material.statements if cell.phase in names]
        self.attempts = [cell for cell in material.attempts if cell.phase in names]
        self.retries = [cell for cell in material.retries if cell.phase in names]
        self.arrivals = [cell for cell in material.arrivals if cell.phase in names]
        self.late = material.drained

    def rate(self, count: int) -> float | None:
        """Return a count per measured second; None when nothing was measured."""
        return count / self.seconds if self.seconds > 0 else None

    def drained(self, names: set[str], region: str | None, kinds: tuple[str, ...]) -> int:
        """How many of these names ended after the measured time."""
        return sum(
            count
            for (place, name, kind), count in self.late.items()
            if name in names and region in (None, place) and kind in kinds
        )

    def group(self, region: str | None, name: str | None) -> Group:
        """Return the transactions of a region and a name, or of all."""
        # A session that was never started would have gone on to transactions: it stands for one of them, of no name.
        dropped = [c for c in self.sessions if c.outcome == DROPPED and region in (None, c.region)] if not name else []
        return self._group(self.transactions, region, name, Histogram.merge(cell.response for cell in dropped))

    def session_groups(self, places: Sequence[str]) -> tuple[Group, ...]:
        """Sessions by name and region, all regions of a name first; named without their prefix."""
        groups = []
        for name in sorted({cell.name for cell in self.sessions}):
            for region in (None, *places):
                group = self._group(self.sessions, region, name, Histogram.empty())
                if group.count:
                    groups.append(replace(group, transaction=name.removeprefix(SESSION_PREFIX)))
        return tuple(groups)

    def arrivals_of(self, region: str | None) -> Arrivals:
        """Return the arrivals of a region, or of all."""
        cells = [cell for cell in self.arrivals if region in (None, cell.region)]
        offered = sum(cell.offered for cell in cells)
        ended = sum(c.count for c in self.sessions if region in (None, c.region) and c.kind != "failure")
        drained = self.drained({cell.name for cell in self.sessions}, region, ("ok", "business"))
        return Arrivals(
            region=region,
            offered=offered,
            started=sum(cell.started for cell in cells),
            dropped=sum(cell.dropped for cell in cells),
            ended=ended,
            drained=drained,
            offered_per_s=self.rate(offered) if cells else None,
            ended_per_s=self.rate(ended - drained) if self.sessions else None,
            lag=Latency.of(Histogram.merge(cell.lag for cell in cells)),
            dispatch=Latency.of(Histogram.merge(cell.dispatch for cell in cells)),
        )

    def _group(
        self, cells: Sequence[TransactionCell], region: str | None, name: str | None, never_begun: Histogram
    ) -> Group:
        mine = [cell for cell in cells if region in (None, cell.region) and name in (None, cell.name)]
        count = sum(cell.count for cell in mine)
        committed = _count(mine, "ok")
        attempts = sum(cell.attempts for cell in mine if cell.kind == "ok")
        retries = [c for c in self.retries if region in (None, c.region) and name in (None, c.transaction)]
        names = {cell.name for cell in mine}
        drained = self.drained(names, region, ("ok", "business", "failure"))
        wasted_ns = sum(cell.wasted_ns for cell in retries)
        served_ns = sum(cell.service.sum_ns for cell in mine)
        return Group(
            region=region,
            transaction=name,
            count=count,
            committed=committed,
            business=_count(mine, "business"),
            failed=_count(mine, "failure"),
            count_per_s=self.rate(count - drained),
            committed_per_s=self.rate(committed - self.drained(names, region, ("ok",))),
            retries=sum(cell.attempts - cell.count for cell in mine if cell.outcome != DROPPED),
            attempts_per_commit=attempts / committed if committed else None,
            response=_latency(mine, "response", never_begun),
            service=_latency([cell for cell in mine if cell.outcome != DROPPED], "service", Histogram.empty()),
            outcomes=_outcomes(mine),
            aborts=_aborts(retries),
            drained=drained,
            wasted_ms=wasted_ns / NS_PER_MS,
            wasted_share=wasted_ns / served_ns if served_ns else None,
            attempt=_statement_latency(self.attempts, region, name),
            commit=_statement_latency([c for c in self.statements if c.statement == COMMIT], region, name),
        )


def times_of(cells: Sequence[TransactionCell], which: Literal["response", "service"]) -> Times:
    """Return the times of transactions; those given up on are known only to be at least so long."""
    answered, censored = (
        Histogram.merge(getattr(cell, which) for cell in cells if (cell.kind == "failure") == is_failure)
        for is_failure in (False, True)
    )
    return Times(answered, censored)


def _latency(
    cells: Sequence[TransactionCell], which: Literal["response", "service"], never_begun: Histogram
) -> Latency:
    times = times_of(cells, which)
    return Latency.of(times.answered, Histogram.merge([times.censored, never_begun]))


def _statement_latency(cells: Iterable[StatementCell], region: str | None, name: str | None) -> Latency:
    return Latency.of(
        Histogram.merge(c.time for c in cells if region in (None, c.region) and name in (None, c.transaction))
    )


def _count(cells: Iterable[TransactionCell], kind: OutcomeKind) -> int:
    return sum(cell.count for cell in cells if cell.kind == kind)


def _outcomes(cells: Iterable[TransactionCell]) -> tuple[OutcomeRow, ...]:
    groups: defaultdict[tuple[OutcomeKind, str], list[TransactionCell]] = defaultdict(list)
    for cell in cells:
        groups[cell.kind, cell.outcome].append(cell)
    rows = [
        OutcomeRow(
            outcome,
            kind,
            sum(cell.count for cell in group),
            Latency.of(Histogram.merge(cell.response for cell in group)),
        )
        for (kind, outcome), group in groups.items()
    ]
    order = ("ok", "business", "failure")
    return tuple(sorted(rows, key=lambda row: (order.index(row.kind), -row.count, row.outcome)))


def _aborts(cells: Iterable[RetryCell]) -> tuple[AbortRow, ...]:
    counts: defaultdict[str, int] = defaultdict(int)
    wasted: defaultdict[str, int] = defaultdict(int)
    for cell in cells:
        counts[cell.reason] += cell.count
        wasted[cell.reason] += cell.wasted_ns
    rows = [AbortRow(reason, count, wasted[reason] / NS_PER_MS) for reason, count in counts.items()]
    return tuple(sorted(rows, key=lambda row: (-row.count, row.reason)))
