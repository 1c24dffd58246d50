"""Planned against realised, and who generated the load."""

from bench.stats.offer import Mix, PhaseRow

from .facts import Facts
from .model import Block, Cell, Folded, Row, Text, table
from .numbers import MISSING, chance, clock, count, ms, rate, seconds, share

_WORKERS_SHOWN = 8


def offer(facts: Facts) -> tuple[Block, ...]:
    """The phases and the mix of sessions, as planned and as they came out."""
    blocks: list[Block] = [_phases(facts)]
    if facts.summary.mix:
        blocks.append(_mix(facts.summary.mix, is_open=facts.manifest.is_open))
    return tuple(blocks)


def _phases(facts: Facts) -> Block:
    head = (
        *("phase", "#starts at", "#lasts", "measured", "#sessions planned", "#sessions offered"),
        *("#offered from", "#offered until"),
    )
    note = "Offered from and until: when the phase's sessions fell due, to the second."
    return table("Phases, as planned and as executed", head, [_phase(row) for row in facts.summary.executed], note)


def _phase(row: PhaseRow) -> Row:
    lasts = seconds(row.planned_to_s - row.planned_from_s)
    ran = (
        (MISSING, MISSING)
        if row.from_s is None or row.to_s is None
        else (clock(round(row.from_s)), clock(round(row.to_s)))
    )
    planned = MISSING if row.planned is None else count(row.planned)
    measured = "yes" if row.measured else "no"
    return row.phase, clock(row.planned_from_s), lasts, measured, planned, count(row.offered), *ran


def _mix(mix: Mix, *, is_open: bool) -> Block:
    rows: list[Row] = [
        (
            row.session,
            rate(row.planned),
            count(row.offered),
            count(row.answered),
            *map(share, (row.planned_share, row.offered_share, row.answered_share)),
            MISSING if row.deviation is None else f"{row.deviation:+.1f} σ",
        )
        for row in mix.rows
    ]
    head = (
        *("session", "#planned", "#offered", "#answered"),
        *("#share planned", "#share offered", "#share answered", "#offered − planned"),
    )
    plan = "the scenario's rates" if is_open else "the scenario's weights and all sessions offered"
    tested = ""
    if mix.p_value is not None:
        doubt = ": NOT the mix that was asked for" if mix.is_doubtful else ""
        tested = f" A sound generator is as far from its plan with a chance of {chance(mix.p_value)}{doubt}."
    return table("Mix of sessions, planned and realised", head, rows, f"Planned: from {plan}.{tested}")


def workers(facts: Facts) -> tuple[Block, ...]:
    """The worker processes, where there were several."""
    found = facts.summary.workers
    if not found:
        return ()
    rows: list[Row] = [
        (
            row.worker,
            row.place,
            row.regions,
            count(row.users),
            ms(row.offset_ns / 1e6) if row.offset_ns >= 0 else f"−{ms(-row.offset_ns / 1e6)}",
            ms(row.rtt_ns / 1e6),
            Cell("stayed", "good") if row.lost_s is None else Cell(f"lost at {clock(row.lost_s)}", "bad"),
            row.detail,
        )
        for row in found
    ]
    head = ("worker", "where", "regions", "#users", "#clock offset", "#round trip", "fate", "detail")
    note = "The offset of its clock was taken from its times; it is known to half of the round trip."
    made = table("Workers", head, rows, note)
    lost = [row.worker for row in found if row.lost_s is not None]
    blocks: list[Block] = [Text(f"Lost: {', '.join(lost)}.", "bad")] if lost else []
    return (*blocks, made if len(rows) <= _WORKERS_SHOWN else Folded(f"{len(rows)} workers", (made,)))
