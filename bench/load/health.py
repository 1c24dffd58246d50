"""The generator watches itself: CPU, the wait for a core, event-loop stalls, garbage collection."""

import gc
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field

import gevent

from bench.metrics.frame import GeneratorCell
from bench.units import NS_PER_MS, NS_PER_S

PROBE_EVERY_S = 0.02
GC_THRESHOLD = 10_000
"""Containers made and not yet freed between two collections: a tenth of a second's, at 2,000 orders a second."""


def ready_ns() -> int:
    """Return how long the main thread, the event loop's, has waited for a core so far; 0 where the system does not say.

    The second number of Linux's ``/proc/self/schedstat``: time spent waiting on a run queue (kernel documentation,
    scheduler/sched-stats.rst).
    """
    with suppress(OSError, ValueError, IndexError):
        descriptor = os.open("/proc/self/schedstat", os.O_RDONLY)
        try:
            return int(os.read(descriptor, 128).split()[1])
        finally:
            os.close(descriptor)
    return 0


@dataclass(slots=True)
class Health:
    """Running maxima and sums since the last ``cell``."""

    _stall_ns: int = 0
    _gc_ns: int = 0
    _gc_started: int = 0
    _cpu_ns: int = field(default_factory=time.process_time_ns)
    _wall_ns: int = field(default_factory=time.perf_counter_ns)
    _ready_ns: int = field(default_factory=ready_ns)
    _probe: gevent.Greenlet | None = None
    _gc_threshold: tuple[int, int, int] = (700, 10, 10)

    def start(self) -> None:
        """Begin to watch; what was allocated so far is left out of later collections."""
        gc.collect()
        gc.freeze()
        # Hardly anything that a run makes is garbage in a circle, so the usual 700 objects between collections are too few.
        self._gc_threshold = gc.get_threshold()
        gc.set_threshold(GC_THRESHOLD, *self._gc_threshold[1:])
        gc.callbacks.append(self._collecting)
        self._cpu_ns, self._wall_ns = time.process_time_ns(), time.perf_counter_ns()
        self._ready_ns = ready_ns()
        self._probe = gevent.spawn(self._watch)

    def stop(self) -> None:
        """Stop watching."""
        if self._collecting in gc.callbacks:
            gc.callbacks.remove(self._collecting)
            gc.unfreeze()
            gc.set_threshold(*self._gc_threshold)
        if self._probe is not None:
            self._probe.kill()

    def cell(self, users: int, busy: int, queued: int) -> GeneratorCell:
        """Return the state since the last call, and start anew."""
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        share = (cpu - self._cpu_ns) / max(1, wall - self._wall_ns)
        ready = ready_ns()
        made = GeneratorCell(
            share,
            self._stall_ns / NS_PER_MS,
            self._gc_ns / NS_PER_MS,
            users,
            busy,
            queued,
            starved_ms=(ready - self._ready_ns) / NS_PER_MS,
        )
        self._cpu_ns, self._wall_ns, self._stall_ns, self._gc_ns = cpu, wall, 0, 0
        self._ready_ns = ready
        return made

    def _watch(self) -> None:
        while True:
            due = time.perf_counter_ns() + int(PROBE_EVERY_S * NS_PER_S)
            gevent.sleep(PROBE_EVERY_S)
            self._stall_ns = max(self._stall_ns, time.perf_counter_ns() - due)

    def _collecting(self, phase: str, _info: dict[str, int]) -> None:
        now = time.perf_counter_ns()
        if phase == "start":
            self._gc_started = now
        else:
            self._gc_ns += now - self._gc_started
