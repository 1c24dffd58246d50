"""What a run measured, in numbers: the one model behind the terminal, the page, the Markdown and the JSON.  Pure.

Only measured phases count; a rate is a count divided by the measured seconds.  Latencies are those of transactions that got
an answer (committed, or a business no such as sold out); failures are counted and never averaged in.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.metrics.frame import ArrivalCell, OutcomeKind, RetryCell, StatementCell, TransactionCell
from bench.metrics.histogram import Histogram
from bench.metrics.outcome import Finding, StockRow
from bench.stats.merge import SESSION_PREFIX, is_session
from bench.stats.phases import Phase, measured_names, measured_seconds
from bench.stats.records import (
    AbortDetail,
    AbortRow,
    Arrivals,
    GeneratorFacts,
    Group,
    Latency,
    OutcomeRow,
    RunStatus,
    StatementRow,
    Summary,
    WinRow,
)
from bench.stats.validity import Evidence, Validity
from bench.units import NS_PER_MS

__all__ = ["Material", "Summary", "summarise"]


@dataclass(frozen=True, slots=True)
class Material:
    """What a run holds, merged over its frames: the input of ``summarise``.

    ``wins`` is (acknowledged orders, units) of the sale by the region of the shopper.  ``end_s`` is when the run stopped
    short of its schedule, None when it went through all of it.
    """

    status: RunStatus
    detail: str
    validity: Validity
    evidence: Evidence
    regions: tuple[str, ...]
    distance_ms: dict[str, float]
    phases: tuple[Phase, ...]
    t0_s: float | None
    end_s: float | None
    transactions: Sequence[TransactionCell] = ()
    statements: Sequence[StatementCell] = ()
    retries: Sequence[RetryCell] = ()
    arrivals: Sequence[ArrivalCell] = ()
    stock: tuple[StockRow, ...] = ()
    wins: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def summarise(material: Material) -> Summary:
    """Return the summary of what a run holds."""
    measured = _Measured(material)
    tx, regions = measured.transactions, material.regions
    names = sorted({cell.name for cell in tx})
    seen = sorted({cell.region for cell in tx} - set(regions))
    places = (*regions, *seen)
    return Summary(
        status=material.status,
        detail=material.detail,
        validity=material.validity,
        generator=_facts(material.evidence),
        phases=material.phases,
        t0_s=material.t0_s,
        end_s=material.end_s,
        measured_s=measured.seconds,
        distance_ms=material.distance_ms,
        total=measured.group(None, None),
        regions=tuple(measured.group(region, None) for region in places),
        transactions=tuple(measured.group(None, name) for name in names),
        region_transactions=tuple(
            measured.group(region, name)
            for name in names
            for region in places
            if any(cell.name == name and cell.region == region for cell in tx)
        ),
        sessions=measured.session_groups(places),
        total_arrivals=measured.arrivals_of(None),
        arrivals=tuple(measured.arrivals_of(region) for region in places),
        aborts=_abort_details(measured.retries),
        statements=_statement_rows(measured.statements),
        stock=material.stock,
        wins=_win_rows(material.wins, places),
        findings=material.findings,
    )


class _Measured:
    """The material cut to its measured phases."""

    def __init__(self, material: Material) -> None:
        names = measured_names(material.phases)
        self.seconds = measured_seconds(material.phases, material.end_s)
        cells = [cell for cell in material.transactions if cell.phase in names]
        self.transactions = [cell for cell in cells if not is_session(cell.name)]
        self.sessions = [cell for cell in cells if is_session(cell.name)]
        self.statements = [cell for cell in material.statements if cell.phase in names]
        self.retries = [cell for cell in material.retries if cell.phase in names]
        self.arrivals = [cell for cell in material.arrivals if cell.phase in names]

    def rate(self, count: int) -> float | None:
        return count / self.seconds if self.seconds > 0 else None

    def group(self, region: str | None, name: str | None) -> Group:
        return self._group(self.transactions, region, name)

    def session_groups(self, places: Sequence[str]) -> tuple[Group, ...]:
        """Sessions by name and region, all regions of a name first; named without their prefix."""
        groups = []
        for name in sorted({cell.name for cell in self.sessions}):
            for region in (None, *places):
                group = self._group(self.sessions, region, name)
                if group.count:
                    groups.append(replace(group, transaction=name.removeprefix(SESSION_PREFIX)))
        return tuple(groups)

    def arrivals_of(self, region: str | None) -> Arrivals:
        cells = [cell for cell in self.arrivals if region in (None, cell.region)]
        offered = sum(cell.offered for cell in cells)
        ended = sum(c.count for c in self.sessions if region in (None, c.region) and c.kind != "failure")
        return Arrivals(
            region=region,
            offered=offered,
            started=sum(cell.started for cell in cells),
            dropped=sum(cell.dropped for cell in cells),
            ended=ended,
            offered_per_s=self.rate(offered) if cells else None,
            ended_per_s=self.rate(ended) if self.sessions else None,
            lag=Latency.of(Histogram.merge(cell.lag for cell in cells)),
            dispatch=Latency.of(Histogram.merge(cell.dispatch for cell in cells)),
        )

    def _group(self, cells: Sequence[TransactionCell], region: str | None, name: str | None) -> Group:
        mine = [cell for cell in cells if region in (None, cell.region) and name in (None, cell.name)]
        answered = [cell for cell in mine if cell.kind != "failure"]
        count = sum(cell.count for cell in mine)
        committed = _count(mine, "ok")
        attempts = sum(cell.attempts for cell in mine if cell.kind == "ok")
        retries = [c for c in self.retries if region in (None, c.region) and name in (None, c.transaction)]
        return Group(
            region=region,
            transaction=name,
            count=count,
            committed=committed,
            business=_count(mine, "business"),
            failed=_count(mine, "failure"),
            count_per_s=self.rate(count),
            committed_per_s=self.rate(committed),
            retries=sum(cell.attempts for cell in mine) - count,
            attempts_per_commit=attempts / committed if committed else None,
            response=Latency.of(Histogram.merge(cell.response for cell in answered)),
            service=Latency.of(Histogram.merge(cell.service for cell in answered)),
            outcomes=_outcomes(mine),
            aborts=_aborts(retries),
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


def _abort_details(cells: Iterable[RetryCell]) -> tuple[AbortDetail, ...]:
    counts: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    wasted: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    for cell in cells:
        key = (cell.reason, cell.region, cell.transaction, cell.statement)
        counts[key] += cell.count
        wasted[key] += cell.wasted_ns
    rows = [AbortDetail(*key, count, wasted[key] / NS_PER_MS) for key, count in counts.items()]
    return tuple(sorted(rows, key=lambda row: (-row.wasted_ms, row.reason, row.region, row.transaction, row.statement)))


def _statement_rows(cells: Iterable[StatementCell]) -> tuple[StatementRow, ...]:
    groups: defaultdict[tuple[str, str], list[StatementCell]] = defaultdict(list)
    for cell in cells:
        groups[cell.transaction, cell.statement].append(cell)
    spent = {key: sum(cell.time.sum_ns for cell in group) for key, group in groups.items()}
    total = sum(spent.values()) or 1
    rows = [
        StatementRow(
            *key,
            sum(cell.count for cell in group),
            sum(cell.errors for cell in group),
            spent[key] / total,
            Latency.of(Histogram.merge(cell.time for cell in group)),
        )
        for key, group in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.share, row.transaction, row.statement)))


def _win_rows(wins: Mapping[str, tuple[int, int]], places: Sequence[str]) -> tuple[WinRow, ...]:
    total = sum(units for _, units in wins.values())
    order = (*places, *sorted(set(wins) - set(places)))
    rows = [(region, *wins.get(region, (0, 0))) for region in order]
    return tuple(WinRow(*row, row[2] / total) for row in rows) if total else ()


def _facts(evidence: Evidence) -> GeneratorFacts:
    has_frames = evidence.seconds > 0
    return GeneratorFacts(
        dispatch_p99_ms=evidence.dispatch.percentile_ms(99),
        lag_p99_ms=evidence.lag.percentile_ms(99),
        stall_max_ms=evidence.stall_ms if has_frames else None,
        cpu_p95_share=evidence.cpu_p95,
        gc_ms_per_s=evidence.gc_ms / evidence.seconds if has_frames else None,
        dropped_share=evidence.dropped_share,
    )
