"""One second of a run, as the recorder hands it to the run store.

A cell is a count with its histograms for one combination of labels.  Time is attributed twice: a cell belongs to the frame
in which the work *ended* (frames are written as they end and never changed) and to the phase in which it was *intended to
start* (so a stall in the spike counts against the spike).
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

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
    """Attempts that the server ended, by reason; ``wasted_ns`` is their time and the back-off that followed.

    ``key`` is what the transaction contended for, as its workload names it (a SKU); empty where it named nothing.
    """

    phase: str
    region: str
    transaction: str
    statement: str
    reason: str
    key: str
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
    worker: str = ""
    """Which worker process it is the state of; empty where there is one process."""
    starved_ms: float = 0.0
    """Time in which the event loop's thread was ready to run and had no core (Linux; 0 where the system does not say)."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One buyer who came for something scarce: when it should have begun, when it had its answer, and which answer.

    Times are seconds since the start of the run; ``key`` names what was wanted.
    """

    region: str
    key: str
    arrived_s: float
    ended_s: float
    outcome: str
    attempts: int


START = "start"
"""The moment before a run's first phase; every other moment is the end of the phase of that name."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One of the server's cumulative counters at a moment: ``start`` of the run, or the end of the phase of that name.

    ``kind`` says what ``name`` names (``statement``, ``index``, ``table``, ``database``, ``wait``, ``lock``, ``node``);
    ``region`` is that of the node that was asked, empty for a server that stands in one place.  Kinds of what is a level and
    does not count up are in ``bench.metrics.nodes``.
    """

    moment: str
    elapsed_s: float
    region: str
    kind: str
    name: str
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the audit, looked at while the run went on, from one snapshot begun at ``elapsed_s``."""

    elapsed_s: float
    took_ms: float
    rule: str
    passed: bool
    violations: int
    detail: str


LOST_CONNECTION = frozenset(
    {"connection_lost", "connection_refused", "cannot_connect_now", "admin_shutdown", "crash_shutdown"}
)
"""Reasons of an attempt's end that mean: there is no server, or no way to it."""

COMMIT_UNKNOWN = "commit_unknown"
"""Outcome of a transaction that was given up because nobody could say whether its COMMIT had happened."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A region's attempts in this frame that ended because a connection was lost, or was refused.

    Times are seconds since the start of the run: of the first of them, and of the last refusal (None without any).  A lost
    connection may be noticed long after the server is back, by a user that was idle; a refusal says that it is not.
    """

    region: str
    began_s: float
    refused_until_s: float | None
    lost: int
    refused: int


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
    contenders: tuple[Contender, ...] = ()
    counters: tuple[Counter, ...] = ()
    checks: tuple[Check, ...] = ()
    disconnects: tuple[Disconnect, ...] = ()


class Taken(NamedTuple):
    """Units of one item reserved from one warehouse's region for one order."""

    product_id: str
    variant_id: str | None
    warehouse_region: str
    units: int


class JournalEntry(NamedTuple):
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
    """One of the slowest transactions of a frame, with where its time went.

    ``response_ms`` = ``dispatch_ms`` (the generator handed its session out late) + ``wait_ms`` (no user was free) +
    ``service_ms``; the service time is that of its ``statements`` (name, ms, and True behind one that travelled with the one
    before it), of the back-off between attempts, and of the client itself.

    ``reasons`` are those of the attempts that ended without a commit; ``key`` is what it contended for.
    """

    elapsed_s: float
    phase: str
    region: str
    transaction: str
    outcome: str
    response_ms: float
    service_ms: float
    attempts: int
    statements: tuple[tuple[str, float] | tuple[str, float, bool], ...]
    dispatch_ms: float = 0.0
    wait_ms: float = 0.0
    backoff_ms: float = 0.0
    reasons: tuple[str, ...] = ()
    key: str = ""
