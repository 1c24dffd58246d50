"""What goes on beside the load, in greenlets and on connections of their own: reading the server's counters, auditing.

May import ``bench.db`` and ``metrics``.  Nothing here may hold up a frame or an arrival: a server that does not answer
leaves a gap, and the gap is an event of the run.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import gevent

from bench.db.connection import DriverError
from bench.db.observe import TIMEOUT_S, Reading
from bench.metrics.frame import START, Counter, Event
from bench.metrics.recorder import Recorder
from bench.units import NS_PER_S

_CLOSED_WITHIN_S = 2.0
_POLL_S = 0.05


class Companion(Protocol):
    """Works beside the load.  The engine calls ``begin``, then ``run`` in a greenlet, which it kills, then ``end``."""

    def begin(self, recorder: Recorder) -> None:
        """Prepare before the first arrival; what is recorded belongs to the first frame."""
        ...

    def run(self, origin_ns: int) -> None:
        """Work until killed; ``origin_ns`` is when the first phase begins (``perf_counter_ns``)."""
        ...

    def end(self, elapsed_s: float) -> None:
        """Finish after the last user has gone; what is recorded belongs to the last frame."""
        ...


class Reader(Protocol):
    """Reads counters; ``notes`` is what there is to say about what could not be read, and is emptied by who tells it."""

    notes: list[str]

    def read(self) -> list[Reading]:
        """Return what is counted now."""
        ...

    def has_open_sessions(self) -> bool:
        """Whether sessions are open that have not handed in their counters yet."""
        ...

    def close(self) -> None:
        """Close what is open; the next reading opens it anew."""
        ...


@dataclass(slots=True)
class CounterWatch:
    """Reads the server's counters at the start and at the end of each phase.

    The last reading comes after the drain, when the run's sessions are closed, so that the differences of all phases are
    the whole run's.  ``phases`` are names and ends in seconds; ``sampled`` returns what was sampled once a second.
    """

    reader: Reader
    phases: Sequence[tuple[str, float]]
    sampled: Callable[[], Iterable[Reading]] = lambda: ()
    timeout_s: float = TIMEOUT_S
    recorder: Recorder | None = None
    _origin_ns: int = 0

    def begin(self, recorder: Recorder) -> None:
        """Read the counters that the run starts from."""
        self.recorder = recorder
        self._read(START)

    def run(self, origin_ns: int) -> None:
        """Read at the end of each phase but the last."""
        self._origin_ns = origin_ns
        for name, ends_s in self.phases[:-1]:
            gevent.sleep(max(0.0, ends_s - self._elapsed_s()))
            self._read(name)

    def end(self, elapsed_s: float) -> None:
        """Read for the phase that the run ended in, once the sessions have handed in what they counted."""
        with gevent.Timeout(_CLOSED_WITHIN_S, False):
            self._await_closed()
        self._read(_phase_at(self.phases, elapsed_s))
        self.reader.close()

    def _await_closed(self) -> None:
        try:
            while self.reader.has_open_sessions():
                gevent.sleep(_POLL_S)
        except DriverError:
            self.reader.close()

    def _elapsed_s(self) -> float:
        return (time.perf_counter_ns() - self._origin_ns) / NS_PER_S if self._origin_ns else 0.0

    def _read(self, moment: str) -> None:
        assert self.recorder is not None
        readings = _read_within(self.reader, self.timeout_s)
        elapsed_s = self._elapsed_s()
        _tell_notes(self.reader, self.recorder, elapsed_s)
        if isinstance(readings, str):
            self.reader.close()
            at = "at the start" if moment == START else f"at the end of {moment}"
            self.recorder.event(Event(elapsed_s, "counters_missing", f"the server's counters {at}: {readings}"))
            return
        readings += self.sampled()
        self.recorder.counters(Counter(moment, elapsed_s, *reading) for reading in readings)


@dataclass(slots=True)
class LastLook:
    """Reads once, when the last user has gone: what is too expensive while the load goes on."""

    reader: Reader
    phases: Sequence[tuple[str, float]]
    timeout_s: float
    recorder: Recorder | None = None

    def begin(self, recorder: Recorder) -> None:
        """Take note of where to record."""
        self.recorder = recorder

    def run(self, origin_ns: int) -> None:
        """Nothing is done while the load goes on."""

    def end(self, elapsed_s: float) -> None:
        """Read; a server that does not answer leaves an event."""
        assert self.recorder is not None
        readings = _read_within(self.reader, self.timeout_s)
        self.reader.close()
        _tell_notes(self.reader, self.recorder, elapsed_s)
        if isinstance(readings, str):
            self.recorder.event(Event(elapsed_s, "counters_missing", f"where the data is: {readings}"))
            return
        moment = _phase_at(self.phases, elapsed_s)
        self.recorder.counters(Counter(moment, elapsed_s, *reading) for reading in readings)


def _phase_at(phases: Sequence[tuple[str, float]], elapsed_s: float) -> str:
    return next((name for name, ends_s in phases if elapsed_s < ends_s), phases[-1][0])


def _read_within(reader: Reader, timeout_s: float) -> list[Reading] | str:
    """Return the readings, or why there are none."""
    try:
        with gevent.Timeout(timeout_s):
            return reader.read()
    except gevent.Timeout:
        return f"no answer within {timeout_s:g} s"
    except DriverError as error:
        return (str(error).splitlines() or [type(error).__name__])[0]


def _tell_notes(reader: Reader, recorder: Recorder, elapsed_s: float) -> None:
    for note in reader.notes:
        recorder.event(Event(elapsed_s, "counters", note))
    reader.notes.clear()
