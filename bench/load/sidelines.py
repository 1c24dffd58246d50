"""What is done once a run, however many processes play it: marks on the timeline, observing the server, companions.

An engine that plays the whole run has the sidelines; with workers the coordinator has them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import gevent

from bench.load.beside import Companion
from bench.metrics.frame import Event
from bench.metrics.recorder import Recorder

OBSERVE_EVERY_S = 1.0


class ServerObserver(Protocol):
    """Reads the server's own counters, once a frame."""

    def collect(self) -> dict[str, float]:
        """Return counters by name; empty when the server does not answer."""
        ...


@dataclass(slots=True)
class Sidelines:
    """Greenlets beside the load: ``begin`` and ``start`` before the first arrival, ``stop`` and ``end`` after the last."""

    observer: ServerObserver
    companions: Sequence[Companion]
    recorder: Recorder
    _server: dict[str, float] = field(default_factory=dict)
    _greenlets: list[gevent.Greenlet] = field(default_factory=list)

    def begin(self, marks: Iterable[Event]) -> None:
        """Put the marks on the timeline, and let the companions prepare."""
        for mark in marks:
            self.recorder.event(mark)
        for companion in self.companions:
            companion.begin(self.recorder)

    def start(self, origin_ns: int) -> None:
        """Observe from now on; ``origin_ns`` is when the first phase begins (``perf_counter_ns``)."""
        # Apart from the frames: a server that does not answer must not hold them up.
        self._greenlets = [gevent.spawn(self._observe)]
        self._greenlets += [gevent.spawn(companion.run, origin_ns) for companion in self.companions]

    def take(self) -> dict[str, float]:
        """Return the server's counters last read, once."""
        taken, self._server = self._server, {}
        return taken

    def stop(self) -> None:
        """End the greenlets."""
        gevent.killall(self._greenlets)

    def end(self, elapsed_s: float) -> None:
        """Let the companions finish; what they record belongs to the last frame."""
        for companion in self.companions:
            companion.end(elapsed_s)

    def _observe(self) -> None:
        while True:
            self._server = self.observer.collect()
            gevent.sleep(OBSERVE_EVERY_S)
