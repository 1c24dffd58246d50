"""One second of a run, as the recorder hands it to the run store.

A cell is a count with its histograms for one combination of labels.  Time is attributed twice: a cell belongs to the frame
in which the work *ended* (frames are written as they end and never changed) and to the phase in which it was *intended to
start* (so a stall in the spike counts against the spike).
"""

from dataclasses import dataclass, field
from typing import Literal

from bench.metrics.histogram import Histogram

OutcomeKind = Literal["ok", "business", "failure"]
"""``ok`` committed as asked; ``business`` a legitimate no (sold out, declined); ``failure`` given up on."""


@dataclass(frozen=True, slots=True)
class TransactionCell:
    """Transactions that ended in this frame; ``name`` is the transaction's, or ``session:NAME`` for a whole session.

    ``response`` runs from the intended start, ``service`` from the first attempt; both to the final answer.
    ``attempts`` counts executions of the body, so ``attempts - count`` is the number of retries.
    """

    phase: str
    region: str
    name: str
    outcome: str
    kind: OutcomeKind
    count: int
    attempts: int
    response: Histogram
    service: Histogram


ATTEMPT = "(attempt)"
"""Attempts are kept as statements of this name: one execution of a transaction's body, from its start to COMMIT or error."""


@dataclass(frozen=True, slots=True)
class StatementCell:
    """Statements that ended in this frame, BEGIN and COMMIT among them; ``errors`` of them were refused by the server."""

    phase: str
    region: str
    transaction: str
    statement: str
    count: int
    errors: int
    time: Histogram


@dataclass(frozen=True, slots=True)
class RetryCell:
    """Attempts that the server ended, by reason; ``wasted_ns`` is their time and the back-off that followed."""

    phase: str
    region: str
    transaction: str
    statement: str
    reason: str
    count: int
    wasted_ns: int


@dataclass(frozen=True, slots=True)
class ArrivalCell:
    """Sessions of the schedule that fell due in this frame (open model), and those started or dropped in it.

    ``lag`` is intended start to real start of those started; ``dispatch`` is its part before the arrival was handed to
    the pool of users, which is the generator's own fault.
    """

    phase: str
    region: str
    session: str
    offered: int
    started: int
    dropped: int
    lag: Histogram
    dispatch: Histogram


@dataclass(frozen=True, slots=True)
class GeneratorCell:
    """The state of the generator in this frame: evidence for the validity verdict."""

    cpu_share: float
    """CPU seconds used by this process per second of wall time; 1.0 is one saturated core."""
    stall_ms: float
    """Longest time that the event loop was late to wake a timer."""
    gc_ms: float
    """Time in the garbage collector."""
    users: int
    busy: int
    queued: int


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything recorded in one second of a run; ``elapsed_s`` (since its start) and ``unix_s`` date the frame's end."""

    number: int
    elapsed_s: float
    unix_s: float
    transactions: tuple[TransactionCell, ...] = ()
    statements: tuple[StatementCell, ...] = ()
    retries: tuple[RetryCell, ...] = ()
    arrivals: tuple[ArrivalCell, ...] = ()
    generator: GeneratorCell | None = None
    server: dict[str, float] = field(default_factory=dict)
    """Server-side counters, cumulative since the server started (readers take differences)."""
    journal: tuple["JournalEntry", ...] = ()
    events: tuple["Event", ...] = ()
    slow: tuple["SlowSample", ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """Units of one item reserved from one warehouse's region for one order."""

    product_id: str
    variant_id: str | None
    warehouse_region: str
    units: int


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An order that the server acknowledged, as the client knows it."""

    region: str
    order_id: str
    order_number: str
    idempotency_key: str
    total_amount: str
    status: str
    attempts: int
    elapsed_s: float
    taken: tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a mark on the timeline: a phase began, the sale opened, the server was lost."""

    elapsed_s: float
    kind: str
    detail: str
    region: str | None = None


@dataclass(frozen=True, slots=True)
class SlowSample:
    """One of the slowest transactions of a frame, with where its time went (statement name, ms)."""

    elapsed_s: float
    phase: str
    region: str
    transaction: str
    outcome: str
    response_ms: float
    service_ms: float
    attempts: int
    statements: tuple[tuple[str, float], ...]
