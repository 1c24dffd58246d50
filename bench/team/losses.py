"""What is known of a worker that was lost: which of its arrivals never had an answer, so that none vanishes.  Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from bench.metrics.recorder import DROPPED, UNFINISHED, ArrivalLabel, Recorder, TransactionLabel
from bench.scenario.model import Scenario
from bench.scenario.schedule import Schedule
from bench.team.framebook import Rows

_SESSION = "session:"


@dataclass(slots=True)
class _Count:
    offered: int = 0
    started: int = 0
    dropped: int = 0
    ended: int = 0


@dataclass(slots=True)
class Ledger:
    """Sessions of one worker by phase, region and name, counted from the frames that it sent."""

    counts: dict[tuple[str, str, str], _Count] = field(default_factory=lambda: defaultdict(_Count))

    def add(self, rows: Rows) -> None:
        """Add a frame's rows."""
        for table, records in rows:
            if table == "arrivals":
                for phase, region, session, offered, started, dropped, *_ in records:
                    count = self.counts[phase, region, session]
                    count.offered += offered
                    count.started += started
                    count.dropped += dropped
            elif table == "transactions":
                for phase, region, name, outcome, _, ended, *_ in records:
                    if name.startswith(_SESSION) and outcome != DROPPED:
                        self.counts[phase, region, name.removeprefix(_SESSION)].ended += ended


@dataclass(frozen=True, slots=True)
class Loss:
    """Sessions that were lost with a worker."""

    dropped: int
    """Never started, as far as its frames say."""
    unfinished: int
    """Started, without an answer that was handed on."""


@dataclass(frozen=True, slots=True)
class Book:
    """Where losses are recorded; ``missed`` takes each arrival that was dropped."""

    recorder: Recorder
    missed: Callable[[ArrivalLabel, int, int, int], None] = lambda *_: None


def write_off(
    ledger: Ledger, parts: Iterable[Schedule], scenario: Scenario, book: Book, until_ns: int, silent_ns: int
) -> Loss:
    """Record what a lost worker owed: its arrivals due before ``until_ns`` that it did not start, and those unanswered.

    Each counts as having waited at least as long as is known: from when it was due; for those in flight, at least
    ``silent_ns``, since the worker's last frame.
    """
    dropped = sum(_drop(ledger, part, scenario, book, until_ns) for part in parts)
    return Loss(dropped, _cut_off(ledger, scenario, book.recorder, silent_ns))


def _drop(ledger: Ledger, part: Schedule, scenario: Scenario, book: Book, until_ns: int) -> int:
    phases = [phase.name for phase in scenario.phases]
    regions = [region.name for region in scenario.regions]
    due = np.flatnonzero(part.due_ns < until_ns)
    keys = np.stack([part.phase[due], part.region[due], part.session[due]], axis=1)
    total = 0
    for key in np.unique(keys, axis=0):
        phase, region, session = (int(number) for number in key)
        label = ArrivalLabel(regions[region], scenario.session_names[session])
        places = due[(keys == key).all(axis=1)]
        times = part.due_ns[places]
        count = ledger.counts[phases[phase], *label]
        # A worker may hold several parts with the same labels: what it reported is set off against each in turn.
        offered, answered = min(count.offered, len(times)), min(count.started + count.dropped, len(times))
        count.offered -= offered
        taken = min(count.dropped, answered)
        count.dropped -= taken
        count.started -= answered - taken
        for _ in range(len(times) - offered):
            book.recorder.offered(label, phase)
        for place in places[answered:]:
            at = int(part.due_ns[place])
            book.recorder.dropped(label, phase, max(0, until_ns - at))
            book.missed(label, int(part.seed[place]), at, until_ns)
        total += len(times) - answered
        count.ended -= answered - taken
    return total


def _cut_off(ledger: Ledger, scenario: Scenario, recorder: Recorder, silent_ns: int) -> int:
    numbers = {phase.name: number for number, phase in enumerate(scenario.phases)}
    total = 0
    for (phase, region, session), count in ledger.counts.items():
        # In an open model what was started has been taken off both sides; in a closed one nothing has.
        missing = count.started - count.ended
        label = TransactionLabel(region, f"{_SESSION}{session}", UNFINISHED, "failure")
        for _ in range(max(0, missing)):
            recorder.transaction(label, numbers[phase], silent_ns, silent_ns, 0)
        total += max(0, missing)
    return total
