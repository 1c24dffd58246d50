"""Was the generator fit to measure?  Pure: numpy and the metrics only, no I/O.

The verdict is about the instrument, never about the target: a slow database is a result, a late generator is not.  One
thing of the target counts: a cluster whose ranges lack replicas is not the one that was to be measured.
``Evidence`` takes one frame after another and does not grow with the run; ``judge`` turns it into a ``Validity``.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from bench.metrics.frame import ArrivalCell, Frame, GeneratorCell
from bench.metrics.histogram import Histogram
from bench.stats.node_health import RangeHealth
from bench.stats.phases import Phase, is_measured, measured_names
from bench.stats.waits import FrameClock, PoolWaits
from bench.units import format_ms

ENDINGS = frozenset({"interrupted", "target_lost", "crashed"})
"""Kinds of the event that tells that a run stopped short of its schedule."""

LAST_FRAME_S = 1.1
"""The frame in which a run was interrupted ends within this time of it; its arrivals fell due before, later ones after."""

_HALF_FRAME_S = 0.5
"""A frame is dated by its end, which is a little late; its middle tells its phase."""

Verdict = Literal["VALID", "DEGRADED", "INVALID"]

LATE, DROPPED = "arrivals were handed out late", "of arrivals were dropped"
"""What tells these reasons from the others."""
DISPATCH_DEGRADED_MS = 10.0
"""Ten milliseconds late is a round trip inside one continent: it starts to show in response times."""
DISPATCH_INVALID_MS = 100.0
"""At 100 ms the generator's own lag is of the size of an objective; the figures are about us, not about the target."""
STALL_DEGRADED_MS = 250.0
"""While the event loop stands still no answer is read, so every service time in flight grows by the stall."""
STALL_INVALID_MS = 1000.0
"""A whole frame without a clock: the schedule was not the one that the scenario asked for."""
CPU_DEGRADED_SHARE = 0.9
"""One process runs on one core; beyond 90 % of it in one second of twenty, queueing in the generator is certain."""
STARVED_DEGRADED_SHARE = 0.2
"""Ready to run and without a core for a fifth of a second: answers lay unread for as long, and the server is blamed for it.

An embedded server on the same cores takes its part of this; driven to its limit it is a burner like any other."""
STARVED_INVALID_SHARE = 0.5
"""Half of the time without a core: other programs decided what was measured."""
GC_DEGRADED_MS_PER_S = 50.0
"""A twentieth of the time in the garbage collector stops everything else for as long."""
DROPPED_INVALID_SHARE = 0.005
"""Dropped arrivals are the slowest ones, missing: more than 0.5 % of them makes a p99 a guess."""
MISSING_INVALID_SHARE = 0.005
"""Seconds that did not reach the run store are missing from every figure; up to 0.5 % of them only degrade it."""
CLOCK_STEP_MS = 500.0
"""Times are taken with a clock that never steps, but what carries the time of day (the server's own, a cloud's) no longer
matches; a clock that is only slewed moves by half a millisecond a second."""


@dataclass(frozen=True, slots=True)
class Validity:
    """The verdict on the measurement, and why it is not better than that (most serious first; empty when VALID)."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()


_PARTS = 10_000


@dataclass(slots=True)
class Process:
    """What one process of the generator has shown of itself; of constant size."""

    cpu: Counter[int] = field(default_factory=Counter)
    """Seconds by their CPU share, in ten-thousandths; likewise ``starved``."""
    starved: Counter[int] = field(default_factory=Counter)
    stall_ms: float = 0.0
    stall_at_s: float | None = None
    gc_ms: float = 0.0
    seconds: int = 0

    def add(self, elapsed_s: float, cell: GeneratorCell) -> None:
        """Add the state in the frame that ended at ``elapsed_s``."""
        self.seconds += 1
        self.gc_ms += cell.gc_ms
        self.cpu[round(cell.cpu_share * _PARTS)] += 1
        self.starved[round(cell.starved_ms / 1000 * _PARTS)] += 1
        if cell.stall_ms > self.stall_ms:
            self.stall_ms, self.stall_at_s = cell.stall_ms, elapsed_s


def _p95(shares: Counter[int]) -> float | None:
    """Return the 95th percentile (nearest rank) of the shares."""
    rank, seen = math.ceil(0.95 * shares.total()), 0
    for share in sorted(shares):
        seen += shares[share]
        if seen >= rank:
            return share / _PARTS
    return None


@dataclass(slots=True)
class Evidence:
    """What the verdict rests on, added frame by frame; of constant size.

    With ``phases`` only measured ones count: what the generator does while it opens connections spoils no figure.
    What is dropped after ``interrupted_at_s`` does not count: the interruption dropped it, not the load.  ``faults`` are
    sentences on what the frames do not show, such as a lost worker: each makes the measurement INVALID.
    """

    phases: tuple[Phase, ...] = ()
    interrupted_at_s: float | None = None
    offered: int = 0
    started: int = 0
    dropped: int = 0
    dispatch: Histogram = field(default_factory=Histogram.empty)
    lag: Histogram = field(default_factory=Histogram.empty)
    processes: dict[str, Process] = field(default_factory=dict)
    """By worker; under an empty name where there is one process."""
    frames: FrameClock = field(default_factory=FrameClock)
    pools: PoolWaits = field(default_factory=PoolWaits)
    ranges: RangeHealth = field(default_factory=RangeHealth)
    faults: list[str] = field(default_factory=list)

    def add_frame(self, frame: Frame) -> None:
        """Add what one frame says about the generator; its events tell whether the run was interrupted."""
        for event in frame.events:
            if event.kind in ENDINGS and self.interrupted_at_s is None:
                self.interrupted_at_s = event.elapsed_s
        self.frames.add(frame.number, frame.elapsed_s, frame.unix_s)
        self.add_arrivals(frame.elapsed_s, frame.arrivals)
        self.pools.add(frame.arrivals, frame.transactions, measured_names(self.phases))
        self.ranges.add(frame.counters)
        if frame.generator is not None:
            self.add_generator(frame.elapsed_s, frame.generator)

    def add_arrivals(self, elapsed_s: float, cells: Iterable[ArrivalCell]) -> None:
        """Add the arrivals of the frame that ended at ``elapsed_s``."""
        after_s = elapsed_s - self.interrupted_at_s if self.interrupted_at_s is not None else 0.0
        if after_s > LAST_FRAME_S:
            return
        names = measured_names(self.phases)
        counted = [cell for cell in cells if not self.phases or cell.phase in names]
        if not counted:
            return
        self.offered += sum(cell.offered for cell in counted)
        self.started += sum(cell.started for cell in counted)
        self.dropped += sum(cell.dropped for cell in counted) if after_s <= 0 else 0
        self.dispatch = Histogram.merge([self.dispatch, *(cell.dispatch for cell in counted)])
        self.lag = Histogram.merge([self.lag, *(cell.lag for cell in counted)])

    def add_generator(self, elapsed_s: float, cell: GeneratorCell) -> None:
        """Add the state of one process of the generator in the frame that ended at ``elapsed_s``."""
        if self.interrupted_at_s is not None and elapsed_s > self.interrupted_at_s + LAST_FRAME_S:
            return
        if self.phases and not is_measured(self.phases, elapsed_s - _HALF_FRAME_S):
            return
        self.processes.setdefault(cell.worker, Process()).add(elapsed_s, cell)

    @property
    def seconds(self) -> int:
        """Frames with a state of the generator; of several workers, of the one with most."""
        return max((process.seconds for process in self.processes.values()), default=0)

    @property
    def dropped_share(self) -> float | None:
        """Dropped arrivals as a share of those offered; None when nothing was offered."""
        return self.dropped / self.offered if self.offered else None

    @property
    def stall_ms(self) -> float:
        """The longest stall of an event loop; 0 without frames."""
        return max((process.stall_ms for process in self.processes.values()), default=0.0)

    @property
    def cpu_p95(self) -> float | None:
        """The 95th percentile of the CPU share over the frames, of the worst process; None without frames."""
        return max((_p95(process.cpu) or 0.0 for process in self.processes.values()), default=None)

    @property
    def starved_p95(self) -> float | None:
        """The same of the share of a second in which the event loop was ready and had no core."""
        return max((_p95(process.starved) or 0.0 for process in self.processes.values()), default=None)

    @property
    def gc_ms_per_s(self) -> float | None:
        """Milliseconds a second in the garbage collector, of the worst process; None without frames."""
        return max((process.gc_ms / process.seconds for process in self.processes.values()), default=None)


def judge(evidence: Evidence) -> Validity:
    """Return the verdict on the evidence: the worst of its faults decides, and so does the worst of several workers."""
    faults: list[Fault] = [("INVALID", fault) for fault in evidence.faults]
    faults += [*_lateness(evidence), *_loss(evidence)]
    for worker, process in sorted(evidence.processes.items()):
        faults += ((verdict, f"{f'worker {worker}: ' if worker else ''}{text}") for verdict, text in _process(process))
    faults += [*_clock(evidence.frames), *(("DEGRADED", text) for text in evidence.pools.faults())]
    faults += [("DEGRADED", text) for text in evidence.ranges.faults(evidence.phases)]
    faults.sort(key=lambda fault: fault[0] != "INVALID")
    reasons = tuple(reason for _, reason in faults)
    return Validity(faults[0][0] if faults else "VALID", reasons)


Fault = tuple[Literal["DEGRADED", "INVALID"], str]


def _lateness(evidence: Evidence) -> Iterable[Fault]:
    p99 = evidence.dispatch.percentile_ms(99)
    if p99 is not None and p99 > DISPATCH_DEGRADED_MS:
        invalid = p99 > DISPATCH_INVALID_MS
        limit = DISPATCH_INVALID_MS if invalid else DISPATCH_DEGRADED_MS
        text = f"{LATE}: dispatch lag p99 {format_ms(p99)} (limit {format_ms(limit)})"
        yield ("INVALID" if invalid else "DEGRADED"), text


def _loss(evidence: Evidence) -> Iterable[Fault]:
    share = evidence.dropped_share
    if share is not None and share > DROPPED_INVALID_SHARE:
        counts = f"{evidence.dropped:,} of {evidence.offered:,}"
        limit = f"{DROPPED_INVALID_SHARE:.1%}".replace("%", " %")
        percent = f"{100 * share:.2g}" if share < 0.1 else f"{100 * share:.0f}"
        yield "INVALID", f"{percent} % {DROPPED} ({counts}; limit {limit})"


def _process(process: Process) -> Iterable[Fault]:
    if process.stall_ms > STALL_DEGRADED_MS:
        invalid = process.stall_ms > STALL_INVALID_MS
        limit = STALL_INVALID_MS if invalid else STALL_DEGRADED_MS
        text = (
            f"the generator's event loop stood still for {format_ms(process.stall_ms)} "
            f"at {process.stall_at_s:.0f} s (limit {format_ms(limit)})"
        )
        yield ("INVALID" if invalid else "DEGRADED"), text
    starved = _p95(process.starved)
    if starved is not None and starved > STARVED_DEGRADED_SHARE:
        invalid = starved > STARVED_INVALID_SHARE
        limit = STARVED_INVALID_SHARE if invalid else STARVED_DEGRADED_SHARE
        text = f"the generator waited for a core {100 * starved:.0f} % of the time, p95 (limit {100 * limit:.0f} %)"
        yield ("INVALID" if invalid else "DEGRADED"), text
    cpu = _p95(process.cpu)
    if cpu is not None and cpu > CPU_DEGRADED_SHARE:
        yield "DEGRADED", f"generator CPU p95 was {100 * cpu:.0f} % of a core (limit {100 * CPU_DEGRADED_SHARE:.0f} %)"
    collecting = process.gc_ms / process.seconds
    if collecting > GC_DEGRADED_MS_PER_S:
        text = f"{format_ms(collecting)} a second went into the garbage collector"
        yield "DEGRADED", f"{text} (limit {format_ms(GC_DEGRADED_MS_PER_S)})"


def _clock(frames: FrameClock) -> Iterable[Fault]:
    if frames.missing:
        invalid = frames.missing > MISSING_INVALID_SHARE * frames.expected
        text = f"{frames.missing} of {frames.expected} seconds did not reach the run store"
        yield ("INVALID" if invalid else "DEGRADED"), text
    if frames.step_ms > CLOCK_STEP_MS:
        yield (
            "DEGRADED",
            f"the clock of this machine was set, or the machine slept: {format_ms(frames.step_ms)} at "
            f"{frames.step_at_s:.0f} s (limit {format_ms(CLOCK_STEP_MS)})",
        )
