"""The generator watches itself: CPU, event-loop stalls, garbage collection."""

import gc
import time
from dataclasses import dataclass, field

import gevent

from bench.metrics.frame import GeneratorCell
from bench.units import NS_PER_MS, NS_PER_S

PROBE_EVERY_S = 0.02


@dataclass(slots=True)
class Health:
    """Running maxima and sums since the last ``cell``."""

    _stall_ns: int = 0
    _gc_ns: int = 0
    _gc_started: int = 0
    _cpu_ns: int = field(default_factory=time.process_time_ns)
    _wall_ns: int = field(default_factory=time.perf_counter_ns)
    _probe: gevent.Greenlet | None = None

    def start(self) -> None:
        """Begin to watch; what was allocated so far is left out of later collections."""
        gc.collect()
        gc.freeze()
        gc.callbacks.append(self._collecting)
        self._cpu_ns, self._wall_ns = time.process_time_ns(), time.perf_counter_ns()
        self._probe = gevent.spawn(self._watch)

    def stop(self) -> None:
        """Stop watching."""
        if self._collecting in gc.callbacks:
            gc.callbacks.remove(self._collecting)
            gc.unfreeze()
        if self._probe is not None:
            self._probe.kill()

    def cell(self, users: int, busy: int, queued: int) -> GeneratorCell:
        """Return the state since the last call, and start anew."""
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        share = (cpu - self._cpu_ns) / max(1, wall - self._wall_ns)
        made = GeneratorCell(share, self._stall_ns / NS_PER_MS, self._gc_ns / NS_PER_MS, users, busy, queued)
        self._cpu_ns, self._wall_ns, self._stall_ns, self._gc_ns = cpu, wall, 0, 0
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
