"""What a summary needs of a run beyond cells merged over its frames: when things ended, and who was not concerned."""

from collections.abc import Iterator

import numpy as np

from bench.metrics.frame import ATTEMPT
from bench.metrics.histogram import Histogram
from bench.results.read import Run
from bench.stats.blast import Sides
from bench.stats.merge import SESSION_PREFIX
from bench.stats.objectives import Objective
from bench.stats.offer import Executed, PlannedOffer
from bench.stats.outages import Ended
from bench.stats.phases import Phase, measured_names

_HALF_FRAME_S = 0.5
_ROUNDING_S = 1e-6


def planned(run: Run) -> tuple[PlannedOffer, ...]:
    """Return what the phases were to offer; empty for a run of before this was kept."""
    return tuple(PlannedOffer(part.phase, part.session, part.region, part.expected) for part in run.manifest.planned)


def objectives(run: Run) -> tuple[Objective, ...]:
    """Return the objectives of the scenario; empty for a run of before there were any."""
    return tuple(
        Objective(each.text, each.transaction, each.region, each.metric, each.limit) for each in run.manifest.objectives
    )


def executed(run: Run) -> tuple[Executed, ...]:
    """Return when the sessions of each phase fell due, to the frame."""
    query = """
        SELECT phase, min(elapsed_s), max(elapsed_s), sum(offered) FROM arrivals JOIN frames USING (frame)
        WHERE offered > 0 GROUP BY phase
    """
    # A frame is dated by its end, and lasts a second.
    return tuple(Executed(phase, max(0.0, first - 1), last, offered) for phase, first, last, offered in run.rows(query))


def drained(run: Run) -> dict[tuple[str, str, str], int]:
    """Return how much of the measured phases ended after the measured time, by (region, name, kind).

    To the frame: what ended in the second in which measuring ended counts as ended within it if most of that second was.
    """
    names, read = measured_names(run.manifest.phases), run.scan
    middles = (elapsed_s - _HALF_FRAME_S for _, elapsed_s in run.frames)
    outside = np.array([not _is_within(run.manifest.phases, middle, run.end_s) for middle in middles], np.bool_)
    counts = read.ended[outside].sum(axis=0).tolist()
    late: dict[tuple[str, str, str], int] = {}
    for (phase, region, name, _, kind), count in zip(read.keys, counts, strict=True):
        if phase in names and count:
            late[region, name, kind] = late.get((region, name, kind), 0) + count
    return late


def outage_seconds(run: Run) -> tuple[Ended, ...]:
    """Return what ended in each second and region from the first lost connection on; nothing where none was lost."""
    if not run.disconnects:
        return ()
    began_s = run.disconnects[0].began_s
    spans = {number: (from_s, to_s) for number, from_s, to_s in _frame_spans(run) if to_s > began_s}
    answered: dict[tuple[int, str], int] = {}
    query = "SELECT frame, region, sum(count - errors) FROM statements WHERE statement NOT IN (?, ?) GROUP BY 1, 2"
    for frame, region, count in run.rows(query, ATTEMPT, "ROLLBACK"):
        answered[frame, region] = count
    given_up: dict[tuple[int, str], dict[str, int]] = {}
    longest: dict[tuple[int, str], float] = {}
    query = "SELECT frame, region, outcome, kind, count, response FROM transactions WHERE name NOT LIKE 'session:%'"
    for frame, region, outcome, kind, count, response in run.rows(query):
        if frame not in spans:
            continue
        if kind == "failure":
            reasons = given_up.setdefault((frame, region), {})
            reasons[outcome] = reasons.get(outcome, 0) + count
        longest[frame, region] = max(longest.get((frame, region), 0.0), Histogram.from_bytes(response).max_ms or 0.0)
    return tuple(
        Ended(
            region,
            *spans[frame],
            answered.get((frame, region), 0),
            given_up.get((frame, region), {}),
            longest.get((frame, region)),
        )
        for frame, region in sorted({*answered, *given_up, *longest})
        if frame in spans
    )


def _frame_spans(run: Run) -> Iterator[tuple[int, float, float]]:
    before = 0.0
    for frame, elapsed_s in run.rows("SELECT frame, elapsed_s FROM frames ORDER BY frame"):
        yield frame, before, elapsed_s
        before = elapsed_s


def _is_within(phases: tuple[Phase, ...], middle_s: float, end_s: float | None) -> bool:
    end = float("inf") if end_s is None else end_s
    return any(phase.measured and phase.start_s - _ROUNDING_S <= middle_s < min(phase.end_s, end) for phase in phases)


def cold_sides(run: Run) -> Sides:
    """Return the response times of the sessions that do not come for the sale, before its opening and from then on.

    Of measured phases; what was given up on or never started counts with the time that it had waited by then.
    """
    sides, hot, opening = Sides(), run.manifest.hot_sessions, run.manifest.t0_s
    if not hot or opening is None:
        return sides
    measured = [phase for phase in run.manifest.phases if phase.measured]
    before = {phase.name for phase in measured if phase.end_s <= opening + _ROUNDING_S}
    during = {phase.name for phase in measured if phase.start_s >= opening - _ROUNDING_S}
    concerned = {f"{SESSION_PREFIX}{name}" for name in hot}
    query = "SELECT frame, phase, region, name, response FROM transactions WHERE name LIKE 'session:%'"
    for frame, phase, region, name, response in run.rows(query):
        if name not in concerned and phase in before | during:
            sides.add(region, frame, Histogram.from_bytes(response), during=phase in during)
    return sides
