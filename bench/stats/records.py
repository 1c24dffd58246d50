"""The records of a run's summary: frozen, in milliseconds and per measured second.  Pure."""

from dataclasses import dataclass
from typing import Literal, Self

from bench.metrics.frame import Check, OutcomeKind
from bench.metrics.histogram import Histogram
from bench.metrics.outcome import Finding, StockRow, WorkerRow
from bench.stats.blast import BlastRow
from bench.stats.censoring import Reading, Times
from bench.stats.distance import DistanceRow
from bench.stats.fairness import Fairness
from bench.stats.ledger import HotKey, LedgerRow
from bench.stats.offer import Mix, PhaseRow
from bench.stats.outages import Outage
from bench.stats.phases import Phase
from bench.stats.served import ServedRow
from bench.stats.serverside import CrossCheck
from bench.stats.tail import Tail
from bench.stats.validity import Validity

RunStatus = Literal["complete", "interrupted", "target_lost", "crashed", "killed"]
"""How a run ended; ``killed`` means that nobody was left to say."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of times in milliseconds; every figure is None where nothing was recorded.

    ``count`` is of answers.  ``censored`` are those known only to be at least so long (given up, timed out, in flight at the
    end, never started); percentiles and the maximum count them in (``bench.stats.censoring``), the mean leaves them out.
    ``at_least`` names the figures that are therefore bounds from below, such as ``p99_ms``.
    """

    count: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    max_ms: float | None
    censored: int = 0
    at_least: tuple[str, ...] = ()

    @classmethod
    def of(cls, answered: Histogram, censored: Histogram | None = None) -> Self:
        """Return the figures of a distribution (nearest rank, within 0.05 %; mean and maximum exact)."""
        times = Times(answered, censored or Histogram.empty())
        found: dict[str, Reading | None] = {name: times.percentile(percent) for name, percent in _PERCENTILES}
        found["max_ms"] = times.longest
        return cls(
            count=answered.count,
            mean_ms=answered.mean_ms,
            **{name: reading.ms if reading else None for name, reading in found.items()},
            censored=times.censored.count,
            at_least=tuple(name for name, reading in found.items() if reading and reading.at_least),
        )


_PERCENTILES = (("p50_ms", 50.0), ("p95_ms", 95.0), ("p99_ms", 99.0), ("p999_ms", 99.9))


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
    ``retries`` is attempts after the first, whatever the outcome.  ``drained`` of ``count`` ended after the measured time:
    they are in the times and not in the rates.  ``wasted_share`` is the time of aborted attempts and of the back-off after
    them as a share of all service time.  ``attempt`` times one execution of the body, ``commit`` its COMMIT alone.
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
    drained: int
    wasted_ms: float
    wasted_share: float | None
    attempt: Latency
    commit: Latency


Which = Literal["response", "service"]


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """The 95 % interval of one figure of a group's times; None stands for all regions or all transactions."""

    region: str | None
    transaction: str | None
    time: Which
    figure: str
    low_ms: float
    high_ms: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Sessions of the schedule of one region (None: all), and what became of them; rates are per measured second.

    ``ended`` counts sessions with an answer (a business no is one), ``drained`` those of them whose answer came after the
    measured time; ``ended_per_s`` leaves these out and compares with ``offered_per_s``.
    In a closed model nothing is offered: counts are 0 and rates None.
    """

    region: str | None
    offered: int
    started: int
    dropped: int
    ended: int
    drained: int
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
    """The figures that the validity verdict rests on; None where nothing was recorded.

    Dispatch lag is the generator's own lateness, the lag all of it, waiting for a free user included.  Of several workers the
    worst one counts.  ``starved_p95_share`` is the share of a second in which the event loop was ready and had no core.
    """

    dispatch_p50_ms: float | None
    dispatch_p99_ms: float | None
    dispatch_p999_ms: float | None
    lag_p50_ms: float | None
    lag_p99_ms: float | None
    lag_p999_ms: float | None
    stall_max_ms: float | None
    cpu_p95_share: float | None
    starved_p95_share: float | None
    gc_ms_per_s: float | None
    dropped_share: float | None
    clock_step_ms: float | None
    missing_s: int | None


@dataclass(frozen=True, slots=True)
class ObjectiveRow:
    """One objective of the scenario, as it is written there, and what was measured; ``value`` None is nothing.

    ``metric`` names the unit of ``limit`` and ``value``; ``text`` is the value for people.
    """

    objective: str
    metric: str
    limit: float
    value: float | None
    passed: bool
    text: str


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
    intervals: tuple[IntervalRow, ...]
    distance: tuple[DistanceRow, ...]
    total_arrivals: Arrivals
    arrivals: tuple[Arrivals, ...]
    aborts: tuple[AbortDetail, ...]
    hot_keys: tuple[HotKey, ...]
    ledger: tuple[LedgerRow, ...]
    statements: tuple[StatementRow, ...]
    mix: Mix | None
    executed: tuple[PhaseRow, ...]
    tail: Tail | None
    blast: tuple[BlastRow, ...]
    fairness: Fairness | None
    served: tuple[ServedRow, ...]
    cross_checks: tuple[CrossCheck, ...]
    checks: tuple[Check, ...]
    outages: tuple[Outage, ...]
    workers: tuple[WorkerRow, ...]
    stock: tuple[StockRow, ...]
    wins: tuple[WinRow, ...]
    findings: tuple[Finding, ...]
    objectives: tuple[ObjectiveRow, ...]

    @property
    def region_names(self) -> tuple[str, ...]:
        """The names of the regions."""
        return tuple(group.region for group in self.regions if group.region)

    @property
    def is_audited(self) -> bool:
        """Whether the audit ran."""
        return bool(self.findings)

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The rules of the audit that do not hold."""
        return tuple(finding for finding in self.findings if not finding.passed)

    @property
    def missed(self) -> tuple[ObjectiveRow, ...]:
        """The objectives that do not hold."""
        return tuple(row for row in self.objectives if not row.passed)

    @property
    def oversold(self) -> int:
        """Units sold beyond those offered."""
        return sum(row.oversold for row in self.stock)
