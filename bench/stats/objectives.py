"""Do the objectives of a scenario hold?  Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.stats.records import Group, Latency, ObjectiveRow
from bench.units import format_ms


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective of a scenario; None is all transactions or regions, ``limit`` is in the unit that ``metric`` names."""

    text: str
    transaction: str | None
    region: str | None
    metric: str
    limit: float


def judge_objectives(objectives: Iterable[Objective], groups: Sequence[Group]) -> tuple[ObjectiveRow, ...]:
    """Return what became of each objective; one on what did not run does not hold."""
    by_place = {(group.region, group.transaction): group for group in groups}
    return tuple(_judged(one, by_place.get((one.region, one.transaction))) for one in objectives)


def _judged(one: Objective, group: Group | None) -> ObjectiveRow:
    value, at_least = _value(one.metric, group) if group else (None, False)
    if value is None:
        return ObjectiveRow(one.text, one.metric, one.limit, None, False, "nothing was recorded")
    is_floor = one.metric == "committed_per_s"
    # A bound from below that is within the limit does not show that the objective holds.
    passed = value > one.limit if is_floor else value < one.limit and not at_least
    return ObjectiveRow(
        one.text, one.metric, one.limit, value, passed, f"{'≥ ' if at_least else ''}{_text(one.metric, value)}"
    )


def _value(metric: str, group: Group) -> tuple[float | None, bool]:
    """Return a figure of a group, and whether it is only known to be at least so much."""
    if metric == "committed_per_s":
        return group.committed_per_s, False
    if metric == "failed_share":
        return (group.failed / group.count if group.count else None), False
    if metric == "retries_per_commit":
        return (None if group.attempts_per_commit is None else group.attempts_per_commit - 1), False
    time, _, figure = metric.partition("_")
    latency: Latency = group.service if time == "service" else group.response
    value: float | None = getattr(latency, figure)
    return value, figure in latency.at_least


def _text(metric: str, value: float) -> str:
    if metric.endswith("_ms"):
        return format_ms(value)
    if metric == "failed_share":
        return f"{100 * value:.3g} %"
    return f"{value:.4g}/s" if metric == "committed_per_s" else f"{value:.3g}"
