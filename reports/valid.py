"""Whether the measurement was valid, and what is missing from the report."""

from collections.abc import Callable, Iterator
from typing import Literal

from bench.stats import validity as limits
from bench.stats.bootstrap import MIN_FRAMES

from .facts import Facts
from .load import workers
from .model import Block, Cell, Row, Text, region_cell, table
from .numbers import MISSING, count, ms, rate, seconds, share

Show = Callable[[float | None], str]

_LEVELS: dict[limits.Verdict, Literal["good", "caution", "bad"]] = {
    "VALID": "good",
    "DEGRADED": "caution",
    "INVALID": "bad",
}


def validity(facts: Facts) -> tuple[Block, ...]:
    """The evidence on the generator, each figure beside its limits."""
    verdict, seen = facts.summary.validity, facts.summary.generator
    if not facts.last_s:
        return (
            Text("Nothing is known about the generator: the run ended before its first second was stored.", "caution"),
            *_gaps(facts),
        )
    lead = f"{verdict.verdict}: {'; '.join(verdict.reasons)}." if verdict.reasons else "VALID: the generator kept up."
    rows: list[Row] = [
        _limit("dispatch lag p99", seen.dispatch_p99_ms, limits.DISPATCH_DEGRADED_MS, limits.DISPATCH_INVALID_MS, ms),
        _limit(
            "longest stall of the event loop", seen.stall_max_ms, limits.STALL_DEGRADED_MS, limits.STALL_INVALID_MS, ms
        ),
        _limit(
            "ready but without a core, p95 of seconds",
            seen.starved_p95_share,
            limits.STARVED_DEGRADED_SHARE,
            limits.STARVED_INVALID_SHARE,
            share,
        ),
        _limit("generator CPU p95, share of a core", seen.cpu_p95_share, limits.CPU_DEGRADED_SHARE, None, share),
        _limit("garbage collector, a second", seen.gc_ms_per_s, limits.GC_DEGRADED_MS_PER_S, None, ms),
        _limit("dropped arrivals, share of offered", seen.dropped_share, None, limits.DROPPED_INVALID_SHARE, share),
        _limit("seconds missing from the run store", seen.missing_s, 0, None, _seconds),
        _limit("largest step of the machine's clock", seen.clock_step_ms, limits.CLOCK_STEP_MS, None, ms),
    ]
    head = ("measure", "#measured", "#degraded above", "#invalid above", "result")
    note = "Of several workers the worst one." if facts.summary.workers else ""
    blocks: list[Block] = [
        Text(lead, _LEVELS[verdict.verdict]),
        table("The generator, in the measured phases", head, rows, note),
        _start_error(facts),
        _arrivals(facts),
    ]
    return (*blocks, *workers(facts), *_gaps(facts))


def _gaps(facts: Facts) -> tuple[Block, ...]:
    """What a reader might look for and not find, and why."""
    found = tuple(_missing(facts))
    if not found:
        return ()
    return (table("What is missing from this report", ("what", "why"), found),)


def _missing(facts: Facts) -> Iterator[Row]:
    summary = facts.summary
    if summary.end_s is not None:
        late = [phase.name for phase in summary.phases if phase.end_s > summary.end_s]
        cut = f"the run ended after {seconds(summary.end_s)}"
        if late:
            yield "the rest of the schedule", f"{cut}; cut short or never begun: {', '.join(late)}"
    if not summary.total.count:
        yield "all figures of transactions", "none of a measured phase was recorded"
    elif not summary.intervals:
        yield "intervals", f"fewer than {MIN_FRAMES} measured seconds, or too few transactions beyond the percentiles"
    if not summary.is_audited:
        yield "the audit", "it did not run, so nothing is known about the data"
    if not summary.served:
        yield (
            "the server's counters by phase",
            "not recorded: switched off, not allowed, or the run ended before a phase did",
        )
    if not facts.server:
        yield "the server's counters over time", "not recorded"


def _seconds(value: float | None) -> str:
    return MISSING if value is None else count(value)


def _start_error(facts: Facts) -> Block:
    """How late sessions began, and how much of it was the generator's."""
    seen = facts.summary.generator
    if seen.lag_p50_ms is None:
        return Text("Nothing was started by a schedule, so there is no start error.")
    rows: list[Row] = [
        ("dispatch lag", *map(ms, (seen.dispatch_p50_ms, seen.dispatch_p99_ms, seen.dispatch_p999_ms))),
        ("schedule lag", *map(ms, (seen.lag_p50_ms, seen.lag_p99_ms, seen.lag_p999_ms))),
    ]
    note = "Dispatch lag is the generator's own lateness; schedule lag adds the wait for a free user."
    return table("Start error of the schedule", ("lateness", "#p50", "#p99", "#p99.9"), rows, note)


def _limit(name: str, value: float | None, degraded: float | None, invalid: float | None, show: Show) -> Row:
    if value is None:
        result = Cell("not recorded")
    elif invalid is not None and value > invalid:
        result = Cell("INVALID", "bad")
    elif degraded is not None and value > degraded:
        result = Cell("DEGRADED", "caution")
    else:
        result = Cell("ok", "good")
    return name, show(value), show(degraded), show(invalid), result


def _arrivals(facts: Facts) -> Block:
    rows: list[Row] = []
    for row in (*facts.summary.arrivals, facts.summary.total_arrivals):
        if row.offered_per_s is not None:
            cells = (row.offered, row.started, row.dropped, row.ended, row.drained)
            rates = (rate(row.offered_per_s), rate(row.ended_per_s), ms(row.lag.p99_ms))
            rows.append((region_cell(row.region), *map(count, cells), *rates))
    if not rows:
        return Text(
            "Closed model: users start their next session when the last one ends, so nothing is offered or dropped."
        )
    head = (
        *("region", "#offered", "#started", "#dropped", "#answered", "#of these in the drain"),
        *("#offered/s", "#answered/s", "#schedule lag p99"),
    )
    note = f"In the drain: answered after the measured time, and not part of the rate. {facts.distance_note}"
    return table("Sessions offered by the schedule, and what became of them", head, rows, note.strip())
