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
from bench.db.observe import TIMEOUT_S, CounterReader, Reading
from bench.metrics.frame import Counter, Event
from bench.metrics.recorder import Recorder
from bench.units import NS_PER_S

START = "start"
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


@dataclass(slots=True)
class CounterWatch:
    """Reads the server's counters at the start and at the end of each phase.

    The last reading comes after the drain, when the run's sessions are closed, so that the differences of all phases are
    the whole run's.  ``phases`` are names and ends in seconds; ``sampled`` returns what was sampled once a second.
    """

    reader: CounterReader
    phases: Sequence[tuple[str, float]]
    sampled: Callable[[], Iterable[Reading]] = lambda: ()
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
        name = next((name for name, ends_s in self.phases if elapsed_s < ends_s), self.phases[-1][0])
        self._read(name)
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
        readings: list[Reading] = []
        gap = ""
        try:
            with gevent.Timeout(TIMEOUT_S):
                readings = self.reader.read()
        except gevent.Timeout:
            gap = f"no answer within {TIMEOUT_S:g} s"
        except DriverError as error:
            gap = (str(error).splitlines() or [type(error).__name__])[0]
        elapsed_s = self._elapsed_s()
        for note in self.reader.notes:
            self.recorder.event(Event(elapsed_s, "counters", note))
        self.reader.notes.clear()
        if gap:
            self.reader.close()
            at = "at the start" if moment == START else f"at the end of {moment}"
            self.recorder.event(Event(elapsed_s, "counters_missing", f"the server's counters {at}: {gap}"))
            return
        readings += self.sampled()
        self.recorder.counters(Counter(moment, elapsed_s, *reading) for reading in readings)
