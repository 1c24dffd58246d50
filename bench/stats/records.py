"""The records of a run's summary: frozen, in milliseconds and per measured second.  Pure."""

from dataclasses import dataclass
from typing import Literal, Self

from bench.metrics.frame import OutcomeKind
from bench.metrics.histogram import Histogram
from bench.metrics.outcome import Finding, StockRow
from bench.stats.phases import Phase
from bench.stats.validity import Validity

RunStatus = Literal["complete", "interrupted", "target_lost", "crashed", "killed"]
"""How a run ended; ``killed`` means that nobody was left to say."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of times in milliseconds; every figure is None when ``count`` is 0."""

    count: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    max_ms: float | None

    @classmethod
    def of(cls, histogram: Histogram) -> Self:
        """Return the figures of a histogram (nearest rank, within 0.05 %; mean and maximum exact)."""
        read = histogram.percentile_ms
        return cls(histogram.count, histogram.mean_ms, read(50), read(95), read(99), read(99.9), histogram.max_ms)


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """How often transactions ended in one way, and how long these took."""

    outcome: str
    kind: OutcomeKind
    count: int
    response: Latency


@dataclass(frozen=True, slots=True)
class AbortRow:
    """Attempts that the server ended for one reason, and the time that they and their back-off cost."""

    reason: str
    count: int
    wasted_ms: float


@dataclass(frozen=True, slots=True)
class AbortDetail:
    """The same by where they happened."""

    reason: str
    region: str
    transaction: str
    statement: str
    count: int
    wasted_ms: float


@dataclass(frozen=True, slots=True)
class Group:
    """Transactions of one region and one name; None stands for all of them.

    ``attempts_per_commit`` is executions of the body per committed transaction, None when nothing was committed;
    ``retries`` is attempts after the first, whatever the outcome.
    """

    region: str | None
    transaction: str | None
    count: int
    committed: int
    business: int
    failed: int
    count_per_s: float | None
    committed_per_s: float | None
    retries: int
    attempts_per_commit: float | None
    response: Latency
    service: Latency
    outcomes: tuple[OutcomeRow, ...]
    aborts: tuple[AbortRow, ...]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Sessions of the schedule of one region (None: all), and what became of them; rates are per measured second.

    ``ended`` counts sessions with an answer (a business no is one), so ``ended_per_s`` compares with ``offered_per_s``.
    In a closed model nothing is offered: counts are 0 and rates None.
    """

    region: str | None
    offered: int
    started: int
    dropped: int
    ended: int
    offered_per_s: float | None
    ended_per_s: float | None
    lag: Latency
    dispatch: Latency


@dataclass(frozen=True, slots=True)
class WinRow:
    """What the shoppers of one region got of the sale: acknowledged orders, their units, their share of all units."""

    region: str
    orders: int
    units: int
    share: float | None


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One statement of one transaction, all regions together; ``share`` is its part of the time spent in statements."""

    transaction: str
    statement: str
    count: int
    errors: int
    share: float
    time: Latency


@dataclass(frozen=True, slots=True)
class GeneratorFacts:
    """The figures that the validity verdict rests on; None where nothing was recorded."""

    dispatch_p99_ms: float | None
    lag_p99_ms: float | None
    stall_max_ms: float | None
    cpu_p95_share: float | None
    gc_ms_per_s: float | None
    dropped_share: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run measured.  ``regions`` are in the order of the scenario; ``total`` is all of them together."""

    status: RunStatus
    detail: str
    validity: Validity
    generator: GeneratorFacts
    phases: tuple[Phase, ...]
    t0_s: float | None
    end_s: float | None
    measured_s: float
    distance_ms: dict[str, float]
    total: Group
    regions: tuple[Group, ...]
    transactions: tuple[Group, ...]
    region_transactions: tuple[Group, ...]
    sessions: tuple[Group, ...]
    total_arrivals: Arrivals
    arrivals: tuple[Arrivals, ...]
    aborts: tuple[AbortDetail, ...]
    statements: tuple[StatementRow, ...]
    stock: tuple[StockRow, ...]
    wins: tuple[WinRow, ...]
    findings: tuple[Finding, ...]

    @property
    def is_audited(self) -> bool:
        """Whether the audit ran."""
        return bool(self.findings)

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The rules of the audit that do not hold."""
        return tuple(finding for finding in self.findings if not finding.passed)

    @property
    def oversold(self) -> int:
        """Units sold beyond those offered."""
        return sum(row.oversold for row in self.stock)
