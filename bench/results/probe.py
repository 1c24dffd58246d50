"""From the store of a probe, finished or still being written, to what the search takes of it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bench.metrics.frame import START
from bench.metrics.histogram import Histogram
from bench.metrics.recorder import DROPPED
from bench.results.read import Run
from bench.stats.littles_law import LittleRow, little
from bench.stats.merge import SESSION_PREFIX
from bench.stats.node_cpu import NodeCpu, node_cpu
from bench.stats.probing import Counts, Objective, judge_counts
from bench.stats.served import served_rows
from bench.stats.validity import DROPPED as DROPPED_ARRIVALS
from bench.stats.validity import LATE

Timed = tuple[int, Histogram]
"""(which second, times of what ended in it)."""
_SLOW_PERCENT = 90.0
_HALF_FRAME_S = 0.5


@dataclass(frozen=True, slots=True)
class Window:
    """The measured part of a probe that is looked at, in seconds since the start of the run, and its phase."""

    phase: str
    start_s: float
    end_s: float

    @property
    def seconds(self) -> int:
        """Whole seconds of it."""
        return max(0, int(self.end_s - self.start_s + _HALF_FRAME_S))


def window(run: Run) -> Window:
    """Return the measured part so far: up to the last frame, or to where the run was ended, or to the end of the phase."""
    phase = next(phase for phase in run.manifest.phases if phase.measured)
    end_s = min(phase.end_s, run.last_s if run.end_s is None else run.end_s)
    return Window(phase.name, phase.start_s, max(phase.start_s, end_s))


@dataclass(frozen=True, slots=True)
class Answers:
    """Transactions of one window and region: counts for the test, and figures for people."""

    counts: Counts
    p50_ms: float | None
    p99_ms: float | None
    goodput_per_s: float | None


def read_answers(run: Run, part: Window, objective: Objective, region: str | None = None) -> Answers:
    """Return what became of the requests that were to start in the window, as far as the store holds it.

    Of a run that went on to its end all of them; what was answered in the drain counts for the last second.  Of one that was
    ended early, those that had ended by then.
    """
    size = part.seconds
    answered: list[Timed] = []
    failed: list[Timed] = []
    dropped: list[Timed] = []
    query = """
        SELECT elapsed_s, region, name, outcome, kind, response FROM transactions JOIN frames USING (frame)
        WHERE phase = ? AND elapsed_s <= ?
    """
    is_cut = run.end_s is not None
    for elapsed_s, place, name, outcome, kind, response in run.rows(
        query, part.phase, part.end_s + _HALF_FRAME_S if is_cut else float("inf")
    ):
        if region not in (None, place) or not size:
            continue
        second = min(max(0, int(elapsed_s - part.start_s - _HALF_FRAME_S)), size - 1)
        if outcome == DROPPED:
            if name.startswith(SESSION_PREFIX):
                dropped.append((second, Histogram.from_bytes(response)))
        elif not name.startswith(SESSION_PREFIX) and objective.transaction in (None, name):
            (failed if kind == "failure" else answered).append((second, Histogram.from_bytes(response)))
    times = Histogram.merge(part for _, part in answered)
    slow_ms = max(times.percentile_ms(_SLOW_PERCENT) or 0.0, objective.limit_ms / 2)
    lost = _by_second([*failed, *dropped], size, -1.0)
    over = _by_second(answered, size, objective.limit_ms) + lost
    requests = _by_second(answered, size, -1.0) + lost
    good = int(requests.sum() - over.sum())
    counts = Counts(
        requests,
        over,
        _by_second(answered, size, slow_ms) + lost,
        *_sessions(run, part, region),
        dropped=sum(part.count for _, part in dropped),
        failed=sum(part.count for _, part in failed),
    )
    return Answers(counts, times.percentile_ms(50), times.percentile_ms(99), good / size if size else None)


def generators_faults(
    run: Run, part: Window, objective: Objective, looked: int, reasons: Iterable[str]
) -> tuple[str, ...]:
    """Return which reasons against the measurement may have decided the probe.

    Drops are no fault at a rate that the server does not bear.  An arrival that was handed out late is answered later by as
    much; where the objective breaks even with its limit raised by the greatest such lag, the server broke it.
    """
    faults = tuple(reason for reason in reasons if DROPPED_ARRIVALS not in reason)
    if not faults or not all(reason.startswith(LATE) for reason in faults):
        return faults
    late_ms = Histogram.merge(cell.dispatch for cell in run.arrivals if cell.phase == part.phase).max_ms or 0.0
    patient = replace(objective, limit_ms=objective.limit_ms + late_ms)
    counts = read_answers(run, part, patient, patient.region).counts
    return () if judge_counts(counts, patient, looked).verdict == "broke" else faults


def _by_second(parts: Iterable[Timed], size: int, above_ms: float) -> npt.NDArray[np.int64]:
    found = np.zeros(size, np.int64)
    for second, histogram in parts:
        values, _ = histogram.cumulative()
        found[second] += int(histogram.counts[values > above_ms].sum())
    return found


def _sessions(run: Run, part: Window, region: str | None) -> tuple[int, int, int, int]:
    """Return sessions offered and answered within the window, and in the system at its start and its end."""
    came = [0, 0]
    went = [0, 0]
    query = "SELECT elapsed_s, region, offered FROM arrivals JOIN frames USING (frame)"
    for elapsed_s, place, count in run.rows(query):
        _add(came, elapsed_s, count if region in (None, place) else 0, part)
    query = """
        SELECT elapsed_s, region, kind, sum(count) FROM transactions JOIN frames USING (frame)
        WHERE name LIKE 'session:%' GROUP BY 1, 2, 3
    """
    for elapsed_s, place, kind, count in run.rows(query):
        _add(went, elapsed_s, count if kind != "failure" and region in (None, place) else 0, part)
    before = max(0, came[0] - went[0])
    return came[1], went[1], before, max(0, before + came[1] - went[1])


def _add(sums: list[int], elapsed_s: float, count: int, part: Window) -> None:
    middle = elapsed_s - _HALF_FRAME_S
    if middle < part.start_s:
        sums[0] += count
    elif middle < part.end_s:
        sums[1] += count


def read_little(run: Run) -> LittleRow:
    """Return Little's law over the whole of a run, from its empty beginning to its empty end."""
    query = "SELECT response FROM transactions WHERE name LIKE 'session:%'"
    times = [Histogram.from_bytes(packed) for (packed,) in run.rows(query)]
    inside: dict[float, int] = {}
    for elapsed_s, cell in run.generator:
        inside[elapsed_s] = inside.get(elapsed_s, 0) + cell.busy + cell.queued
    total_ns, sessions = sum(part.sum_ns for part in times), sum(part.count for part in times)
    return little(total_ns / 1e9, sessions, sorted(inside.items()))


@dataclass(frozen=True, slots=True)
class Work:
    """What kept users at work in a window: how often all of them were, how long a session took, and what it waited for."""

    full_share: float | None
    users: int
    service_ms: float | None
    wasted_share: float | None
    waits: dict[str, float]


def read_work(run: Run, part: Window) -> Work:
    """Return what kept the users at work."""
    seconds: dict[float, list[int]] = {}
    for elapsed_s, cell in run.generator:
        if part.start_s < elapsed_s <= part.end_s + _HALF_FRAME_S:
            row = seconds.setdefault(elapsed_s, [0, 0])
            row[0] += cell.busy
            row[1] += cell.users
    full = [row[0] >= row[1] for row in seconds.values()]
    cells = [cell for cell in run.cells if cell.phase == part.phase and cell.outcome != DROPPED]
    sessions = Histogram.merge(cell.service for cell in cells if cell.name.startswith(SESSION_PREFIX))
    served_ns = sum(cell.service.sum_ns for cell in cells if not cell.name.startswith(SESSION_PREFIX))
    wasted_ns = sum(cell.wasted_ns for cell in run.retries if cell.phase == part.phase)
    waits: dict[str, float] = {}
    for served in served_rows(run.counters, [phase.name for phase in run.manifest.phases]):
        if served.kind == "wait" and served.phase == part.phase:
            waits[served.name] = waits.get(served.name, 0.0) + served.values.get("samples", 0.0)
    return Work(
        sum(full) / len(full) if full else None,
        max((row[1] for row in seconds.values()), default=0),
        sessions.mean_ms,
        wasted_ns / served_ns if served_ns else None,
        waits,
    )


def busiest_node(run: Run, part: Window) -> NodeCpu | None:
    """Return the node of a cluster that used most of its cores in the window's phase; None where no node was read."""
    moments = (START, *(phase.name for phase in run.manifest.phases))
    before = moments[moments.index(part.phase) - 1]
    return next(iter(node_cpu(run.counters, before, part.phase)), None)


def count_orders(run: Run) -> tuple[int, int]:
    """Return (acknowledged orders that were not cancelled, sessions answered) over the whole run."""
    orders = sum(1 for entry in run.journal() if entry.status != "cancelled")
    ended = sum(c.count for c in run.cells if c.name.startswith(SESSION_PREFIX) and c.kind != "failure")
    return orders, ended
