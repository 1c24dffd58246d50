"""Recording on the hot path: array appends, folded into a frame once a second.

A sample is a label (a small integer for its names) and nanoseconds; appending costs about 0.1 µs, where a histogram library
costs 0.9 µs and Locust's own event 3 µs a sample.  One recorder serves all users of a process, which is safe because gevent
switches only where a greenlet waits.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from bench.metrics.frame import (
    ArrivalCell,
    Check,
    Contender,
    Counter,
    Disconnect,
    Event,
    Frame,
    GeneratorCell,
    JournalEntry,
    OutcomeKind,
    RetryCell,
    SlowSample,
    StatementCell,
    TransactionCell,
)
from bench.metrics.histogram import Histogram

SLOWEST_KEPT = 5
KEYS_KEPT = 100
"""Keys of retries told apart in one frame: hot ones repeat, and the rest must not fill the store."""
OTHER_KEYS = "(other)"
CONTENDERS_KEPT = 20_000
DROPPED = "dropped"
"""The outcome of a session that was never started."""
UNFINISHED = "unfinished"
"""The outcome of a session or a transaction that was going on when its user was told to end."""

Ints = npt.NDArray[np.int64]
Label = TypeVar("Label", bound=tuple[str, ...])


class TransactionLabel(NamedTuple):
    """What a transaction sample is counted under, but for its phase."""

    region: str
    name: str
    outcome: str
    kind: OutcomeKind


class StatementLabel(NamedTuple):
    """What a statement sample is counted under, but for its phase."""

    region: str
    transaction: str
    statement: str


class RetryLabel(NamedTuple):
    """What an ended attempt is counted under."""

    phase: int
    region: str
    transaction: str
    statement: str
    reason: str
    key: str


class ArrivalLabel(NamedTuple):
    """What an arrival is counted under, but for its phase."""

    region: str
    session: str


@dataclass(slots=True)
class _Samples(Generic[Label]):
    """Parallel arrays: a label's number, the phase, and columns of values."""

    width: int
    labels: list[Label] = field(default_factory=list)
    numbers: dict[Label, int] = field(default_factory=dict)
    keys: "array[int]" = field(default_factory=lambda: array("q"))
    columns: tuple["array[int]", ...] = ()

    def __post_init__(self) -> None:
        self.columns = tuple(array("q") for _ in range(self.width))

    def number(self, label: Label) -> int:
        """Return the label's number, the same for equal labels."""
        found = self.numbers.get(label)
        if found is None:
            found = self.numbers[label] = len(self.labels)
            self.labels.append(label)
        return found

    def take(self) -> "_Samples[Label]":
        """Return what was recorded so far as samples of their own, and start anew."""
        taken = _Samples(self.width, self.labels, self.numbers, self.keys)
        taken.columns = self.columns
        self.keys = array("q")
        self.columns = tuple(array("q") for _ in range(self.width))
        return taken

    def groups(self) -> Iterator[tuple[Label, int, list[Ints]]]:
        """Yield (label, phase, values by column) of all samples."""
        keys = np.array(self.keys, np.int64)
        columns = [np.array(column, np.int64) for column in self.columns]
        if not len(keys):
            return
        order = np.argsort(keys, kind="stable")
        found, starts = np.unique(keys[order], return_index=True)
        for key, rows in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
            label, phase = divmod(key, _PHASES)
            yield self.labels[label], phase, [column[rows] for column in columns]


_PHASES = 1 << 12
"""Room for the phase in a key; a scenario has far fewer phases."""


@dataclass(slots=True)
class _Count:
    offered: int = 0
    dropped: int = 0


@dataclass(slots=True)
class _Notes:
    """What is kept as it comes: one record each, not a sample of many."""

    journal: list[JournalEntry] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    slow: list[tuple[float, int, SlowSample]] = field(default_factory=list)
    contenders: list[Contender] = field(default_factory=list)
    counters: list[Counter] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    disconnects: dict[str, Disconnect] = field(default_factory=dict)


class Recorder:
    """Takes samples from users and hands out a frame a second.  ``phases`` are the phases' names by number."""

    def __init__(self, phases: tuple[str, ...]) -> None:
        self._phases = phases
        self._transactions: _Samples[TransactionLabel] = _Samples(3)
        self._statements: _Samples[StatementLabel] = _Samples(2)
        self._arrivals: _Samples[ArrivalLabel] = _Samples(2)
        self._counts: dict[tuple[ArrivalLabel, int], _Count] = {}
        self._retries: dict[RetryLabel, list[int]] = {}
        self._notes = _Notes()
        self._keys: set[str] = set()
        self._serial = 0
        self.statement_label = self._statements.number

    def transaction(
        self, label: TransactionLabel, phase: int, response_ns: int, service_ns: int, attempts: int
    ) -> None:
        """Record a transaction's final answer."""
        samples = self._transactions
        samples.keys.append(samples.number(label) * _PHASES + phase)
        response, service, tries = samples.columns
        response.append(response_ns)
        service.append(service_ns)
        tries.append(attempts)

    def statement(self, label: int, phase: int, duration_ns: int, ok: bool) -> None:
        """Record one statement; ``label`` is a number of ``statement_label``."""
        samples = self._statements
        samples.keys.append(label * _PHASES + phase)
        durations, oks = samples.columns
        durations.append(duration_ns)
        oks.append(ok)

    def retry(self, label: RetryLabel, wasted_ns: int) -> None:
        """Record an attempt that ended without a commit; of many keys in one frame only the first are told apart."""
        if label.key and label.key not in self._keys:
            if len(self._keys) < KEYS_KEPT:
                self._keys.add(label.key)
            else:
                label = label._replace(key=OTHER_KEYS)
        cell = self._retries.setdefault(label, [0, 0])
        cell[0] += 1
        cell[1] += wasted_ns

    def offered(self, label: ArrivalLabel, phase: int) -> None:
        """Record that an arrival fell due."""
        self._count(label, phase).offered += 1

    def started(self, label: ArrivalLabel, phase: int, lag_ns: int, dispatch_ns: int) -> None:
        """Record that an arrival was started, so late after its time, of which so much was the dispatcher's."""
        samples = self._arrivals
        samples.keys.append(samples.number(label) * _PHASES + phase)
        lags, dispatches = samples.columns
        lags.append(lag_ns)
        dispatches.append(dispatch_ns)

    def dropped(self, label: ArrivalLabel, phase: int, waited_ns: int) -> None:
        """Record an arrival that will never be started; it has waited so long, and would have gone on to wait."""
        self._count(label, phase).dropped += 1
        outcome = TransactionLabel(label.region, f"session:{label.session}", DROPPED, "failure")
        self.transaction(outcome, phase, waited_ns, 0, 0)

    def _count(self, label: ArrivalLabel, phase: int) -> _Count:
        found = self._counts.get((label, phase))
        if found is None:
            found = self._counts[label, phase] = _Count()
        return found

    def order(self, entry: JournalEntry) -> None:
        """Record an order that the server acknowledged."""
        self._notes.journal.append(entry)

    def event(self, event: Event) -> None:
        """Record a mark on the timeline."""
        self._notes.events.append(event)

    def contender(self, contender: Contender) -> None:
        """Record what became of a buyer of something scarce; beyond ``CONTENDERS_KEPT`` in one frame they are left out."""
        if len(self._notes.contenders) < CONTENDERS_KEPT:
            self._notes.contenders.append(contender)

    def counters(self, counters: Iterable[Counter]) -> None:
        """Record counters of the server."""
        self._notes.counters.extend(counters)

    def checks(self, checks: Iterable[Check]) -> None:
        """Record what an audit during the run found."""
        self._notes.checks.extend(checks)

    def disconnected(self, region: str, at_s: float, *, refused: bool) -> None:
        """Record that an attempt ended because its connection was lost, or ``refused``."""
        seen = self._notes.disconnects.get(region) or Disconnect(region, at_s, None, 0, 0)
        self._notes.disconnects[region] = Disconnect(
            region,
            seen.began_s,
            at_s if refused else seen.refused_until_s,
            seen.lost + (not refused),
            seen.refused + refused,
        )

    def is_slow(self, response_ms: float) -> bool:
        """Whether a sample is among the slowest of the frame so far, and worth describing."""
        return len(self._notes.slow) < SLOWEST_KEPT or response_ms > self._notes.slow[0][0]

    def slow(self, sample: SlowSample) -> None:
        """Keep one of the slowest samples of the frame."""
        self._serial += 1
        item = (sample.response_ms, self._serial, sample)
        if len(self._notes.slow) < SLOWEST_KEPT:
            heappush(self._notes.slow, item)
        else:
            heappushpop(self._notes.slow, item)

    def take(self, number: int, elapsed_s: float, unix_s: float) -> "Batch":
        """Return everything recorded since the last time, and forget it; costs microseconds, whatever was recorded."""
        batch = Batch(
            number,
            elapsed_s,
            unix_s,
            self._phases,
            self._transactions.take(),
            self._statements.take(),
            self._arrivals.take(),
            self._counts,
            self._retries,
            self._notes,
        )
        self._counts, self._retries = {}, {}
        self._notes, self._keys = _Notes(), set()
        return batch


@dataclass(frozen=True, slots=True)
class Batch:
    """One second's raw samples.  ``fold`` makes the frame; it is pure, so it may run on another thread."""

    number: int
    elapsed_s: float
    unix_s: float
    phases: tuple[str, ...]
    transactions: _Samples[TransactionLabel]
    statements: _Samples[StatementLabel]
    arrivals: _Samples[ArrivalLabel]
    counts: dict[tuple[ArrivalLabel, int], _Count]
    retries: dict[RetryLabel, list[int]]
    notes: _Notes

    def fold(self, generator: GeneratorCell | None, server: dict[str, float]) -> Frame:
        """Return the frame of these samples."""
        notes = self.notes
        return Frame(
            number=self.number,
            elapsed_s=self.elapsed_s,
            unix_s=self.unix_s,
            transactions=tuple(self._transaction_cells()),
            statements=tuple(self._statement_cells()),
            retries=tuple(self._retry_cells()),
            arrivals=tuple(self._arrival_cells()),
            generator=generator,
            server=server,
            journal=tuple(notes.journal),
            events=tuple(notes.events),
            slow=tuple(sample for _, _, sample in sorted(notes.slow, reverse=True)),
            contenders=tuple(notes.contenders),
            counters=tuple(notes.counters),
            checks=tuple(notes.checks),
            disconnects=tuple(notes.disconnects.values()),
        )

    def _transaction_cells(self) -> Iterator[TransactionCell]:
        for label, phase, (response, service, attempts) in self.transactions.groups():
            yield TransactionCell(
                self.phases[phase],
                label.region,
                label.name,
                label.outcome,
                label.kind,
                len(response),
                int(attempts.sum()),
                Histogram.of(response),
                Histogram.of(service),
            )

    def _statement_cells(self) -> Iterator[StatementCell]:
        for label, phase, (durations, oks) in self.statements.groups():
            errors = len(oks) - int(oks.sum())
            yield StatementCell(self.phases[phase], *label, len(durations), errors, Histogram.of(durations))

    def _retry_cells(self) -> Iterator[RetryCell]:
        for label, (count, wasted) in self.retries.items():
            phase, region, transaction, statement, reason, key = label
            yield RetryCell(self.phases[phase], region, transaction, statement, reason, key, count, wasted)

    def _arrival_cells(self) -> Iterator[ArrivalCell]:
        counts = dict(self.counts)
        for label, phase, (lag, dispatch) in self.arrivals.groups():
            count = counts.pop((label, phase), _Count())
            yield self._arrival_cell(label, phase, count, Histogram.of(lag), Histogram.of(dispatch))
        for (label, phase), count in counts.items():
            yield self._arrival_cell(label, phase, count, Histogram.empty(), Histogram.empty())

    def _arrival_cell(
        self, label: ArrivalLabel, phase: int, count: _Count, lag: Histogram, dispatch: Histogram
    ) -> ArrivalCell:
        return ArrivalCell(
            self.phases[phase],
            label.region,
            label.session,
            count.offered,
            lag.count,
            count.dropped,
            lag,
            dispatch,
        )
