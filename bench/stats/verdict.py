"""The first thing that a reader of a run is told: the verdict and its reasons.  Pure."""

from dataclasses import dataclass
from typing import Literal

from bench.stats.records import Latency, Summary
from bench.units import format_duration, format_ms

Level = Literal["good", "caution", "bad"]


@dataclass(frozen=True, slots=True)
class Headline:
    """``title`` in a few words, most serious first; ``reasons`` in whole sentences; ``result`` the figures in one."""

    level: Level
    title: str
    reasons: tuple[str, ...]
    result: str


_ENDINGS = {
    "interrupted": "INTERRUPTED",
    "target_lost": "TARGET LOST",
    "crashed": "CRASHED",
    "killed": "KILLED",
}


def headline(summary: Summary) -> Headline:
    """Return the verdict on a run: is the measurement valid, is the data right, was it whole."""
    found = (
        _validity(summary),
        _data(summary),
        _objectives(summary),
        _ending(summary),
        _nothing(summary),
        _mix(summary),
    )
    parts = [part for part in found if part]
    if not parts:
        parts = [("good", "VALID", ())]
    levels = [level for level, _, _ in parts]
    level: Level = "bad" if "bad" in levels else "caution" if "caution" in levels else "good"
    reasons = tuple(reason for _, _, lines in parts for reason in lines)
    return Headline(level, " · ".join(title for _, title, _ in parts), reasons, result_sentence(summary))


Part = tuple[Level, str, tuple[str, ...]]


def _validity(summary: Summary) -> Part | None:
    verdict, reasons = summary.validity.verdict, summary.validity.reasons
    if verdict == "VALID":
        return None
    return ("bad" if verdict == "INVALID" else "caution"), verdict, reasons


def _data(summary: Summary) -> Part | None:
    broken = summary.broken
    oversold = f"{plural(summary.oversold, 'unit')} sold beyond the stock" if summary.oversold else ""
    if not broken and not oversold:
        return None
    lines = tuple(f"{finding.title}: {plural(finding.violations, 'violation')}" for finding in broken)
    return "bad", "DATA WRONG", (*lines, *([oversold] if oversold else []))


def _objectives(summary: Summary) -> Part | None:
    missed = summary.missed
    if not missed:
        return None
    title = "OBJECTIVE MISSED" if len(missed) == 1 else "OBJECTIVES MISSED"
    return "bad", title, tuple(f"{row.objective}: it was {row.text}" for row in missed)


def _ending(summary: Summary) -> Part | None:
    if summary.status == "complete":
        return None
    when = f" after {format_duration(summary.end_s)}" if summary.end_s else ""
    text = {
        "interrupted": f"the run was interrupted{when}",
        "target_lost": f"the target was lost{when}",
        "crashed": f"bench crashed{when}",
        "killed": f"the run was killed{when}; at most its last second is missing",
    }[summary.status]
    level: Level = "caution" if summary.status == "interrupted" else "bad"
    return level, _ENDINGS[summary.status], (f"{text}: {summary.detail}" if summary.detail else text,)


def _nothing(summary: Summary) -> Part | None:
    if summary.total.count:
        return None
    return "bad", "NOTHING MEASURED", ("no transaction of a measured phase was recorded",)


def _mix(summary: Summary) -> Part | None:
    if summary.mix is None or not summary.mix.is_doubtful:
        return None
    return "caution", "NOT THE MIX PLANNED", ("the sessions offered are not the mix that the scenario asks for",)


def result_sentence(summary: Summary) -> str:
    """Return the figures of a run in one sentence."""
    total, arrivals = summary.total, summary.total_arrivals
    if not total.count:
        return "No figures: no transaction of a measured phase was recorded."
    parts = []
    if arrivals.offered_per_s is not None:
        ended = f", {arrivals.ended_per_s:.4g}/s answered" if arrivals.ended_per_s is not None else ""
        ended += f" and {arrivals.drained:,} in the drain" if arrivals.drained else ""
        parts.append(f"{arrivals.offered_per_s:.4g} sessions/s offered{ended}")
    if total.committed_per_s is not None:
        parts.append(f"{total.committed_per_s:.4g} transactions/s committed")
    parts.append(f"response p50 {_time(total.response, 'p50_ms')}, p99 {_time(total.response, 'p99_ms')}")
    parts.append(f"service p99 {_time(total.service, 'p99_ms')}")
    return "; ".join([*parts, *_sale(summary)]) + "."


def _time(times: Latency, name: str) -> str:
    return f"{'≥ ' if name in times.at_least else ''}{format_ms(getattr(times, name))}"


def _sale(summary: Summary) -> list[str]:
    parts = []
    if summary.stock:
        sold, offered = (sum(getattr(row, name) for row in summary.stock) for name in ("sold", "offered"))
        over = f"{summary.oversold:,} oversold" if summary.oversold else "none oversold"
        parts.append(f"{sold:,} of {offered:,} units sold, {over}")
    if summary.is_audited and not summary.broken:
        parts.append(
            f"all {plural(len(summary.findings), 'audit rule')} hold" if len(summary.findings) > 1 else "audit clean"
        )
    return parts


def plural(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "violation"), plural(0, "unit")
    ('1 violation', '0 units')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
