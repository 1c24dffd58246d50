"""What a run holds, merged over its frames: the input of the summary.  Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.metrics.frame import (
    ArrivalCell,
    Check,
    Contender,
    Counter,
    RetryCell,
    SlowSample,
    StatementCell,
    TransactionCell,
)
from bench.metrics.histogram import Histogram
from bench.metrics.outcome import Finding, StockRow, WorkerRow
from bench.stats.blast import Sides
from bench.stats.objectives import Objective
from bench.stats.offer import Executed, PlannedOffer
from bench.stats.outages import Outage
from bench.stats.phases import Phase
from bench.stats.records import RunStatus
from bench.stats.validity import Evidence, Validity

Blocks = Mapping[tuple[str, str], tuple[Sequence[Histogram], Sequence[Histogram]]]
"""Response and service times by (region, transaction): one histogram for each block of measured seconds, in order."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a run holds, merged over its frames: the input of ``summarise``.

    ``wins`` is (acknowledged orders, units) of the sale by the region of the shopper.  ``end_s`` is when the run stopped
    short of its schedule, None when it went through all of it.  ``drained`` counts what ended after the measured time, by
    (region, name, kind).
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
    attempts: Sequence[StatementCell] = ()
    retries: Sequence[RetryCell] = ()
    arrivals: Sequence[ArrivalCell] = ()
    drained: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    is_open: bool = True
    planned: Sequence[PlannedOffer] = ()
    executed: Sequence[Executed] = ()
    slow: Sequence[SlowSample] = ()
    contenders: Sequence[Contender] = ()
    blocks: Blocks = field(default_factory=dict)
    cold: Sides = field(default_factory=Sides)
    counters: Sequence[Counter] = ()
    checks: tuple[Check, ...] = ()
    outages: tuple[Outage, ...] = ()
    workers: tuple[WorkerRow, ...] = ()
    stock: tuple[StockRow, ...] = ()
    wins: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    objectives: Sequence[Objective] = ()
