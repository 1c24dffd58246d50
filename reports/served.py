"""What the server counted in each phase, beside what the client counted."""

from collections import Counter
from collections.abc import Sequence

from bench.metrics.nodes import NODE
from bench.stats.served import ServedRow

from .facts import Facts
from .model import Block, Cell, Folded, Row, Text, table
from .numbers import MISSING, count, ms, share, signed

_TITLES = {
    "index": "Indexes",
    "table": "Tables",
    "database": "Database: commits, rollbacks, deadlocks and the like",
    "wait": "What its sessions waited for (samples)",
    "lock": "Locks that were waited for (samples)",
    "contention": "Contention events and the time waited in them (ms)",
}
_COUNTERS_SHOWN = 8


def served(facts: Facts) -> tuple[Block, ...]:
    """A table of statements over all phases beside the client's counts, then each phase, folded."""
    # What nodes of a cluster count is shown by region, in a table of its own.
    rows = [row for row in facts.summary.served if row.kind != NODE]
    if not rows:
        return ()
    phases = list(dict.fromkeys(row.phase for row in rows))
    blocks = [_against_client(facts, [row for row in facts.served if row.kind == "statement"])]
    for phase in phases:
        mine = [row for row in rows if row.phase == phase]
        blocks.append(Folded(f"What the server counted in '{phase}'", tuple(_phase(phase, mine))))
    return tuple(blocks)


def _against_client(facts: Facts, rows: Sequence[ServedRow]) -> Block:
    if not rows:
        return Text("The server kept no counters by statement.")
    calls: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    for row in rows:
        calls[row.name] += round(row.values.get("calls", 0))
        spent[row.name] += row.values.get("exec_ms", 0.0)  # type: ignore[assignment]
    sent = facts.sent
    shown = [name for name, _ in spent.most_common(20)]
    cells: list[Row] = [
        (
            Cell(name, "code"),
            _counted(calls[name] or None),
            count(sent[name]) if name in sent else MISSING,
            ms(spent[name]),
            ms(spent[name] / calls[name]) if calls[name] else MISSING,
            share(spent[name] / spent.total()) if spent.total() else MISSING,
        )
        for name in shown
    ]
    head = ("statement", "#calls, server", "#sent, client", "#time in the server", "#mean", "#share")
    note = (
        "Over all phases, warm-up included. The server counts what it carried out, the client what it sent: statements that "
        "were refused or cut off are in the second only. Left out is a phase in which the server's counters of a statement "
        "fell (a restart, a reset)."
    )
    return table("Statements as the server counted them, most time first", head, cells, note)


def _phase(phase: str, rows: Sequence[ServedRow]) -> list[Block]:
    blocks: list[Block] = []
    statements = [row for row in rows if row.kind == "statement"]
    if statements:
        blocks.append(_statements(phase, statements))
    for kind in dict.fromkeys(row.kind for row in rows):
        if kind != "statement":
            mine = [row for row in rows if row.kind == kind]
            blocks.append(_others(f"{_title(kind, mine)}, in '{phase}'", mine))
    return blocks


def _title(kind: str, rows: Sequence[ServedRow]) -> str:
    """CockroachDB has events with their time where PostgreSQL has samples of who waits; not each event is a wait."""
    is_events = kind == "lock" and any("events" in row.values for row in rows)
    return _TITLES.get("contention" if is_events else kind, kind)


def _statements(phase: str, rows: Sequence[ServedRow]) -> Block:
    cells: list[Row] = []
    for row in rows:
        calls, spent, rows_ = (row.values.get(metric) for metric in ("calls", "exec_ms", "rows"))
        mean = ms(spent / calls) if calls and spent is not None else MISSING
        place = (row.region,) if any(each.region for each in rows) else ()
        cells.append((Cell(row.name, "code"), *place, _counted(calls), ms(spent), mean, _counted(rows_)))
    place_head = ("region",) if any(row.region for row in rows) else ()
    head = ("statement", *place_head, "#calls", "#total time", "#mean", "#rows")
    return table(f"Statements, in '{phase}'", head, cells)


def _counted(value: float | None) -> str:
    return MISSING if value is None else count(value)


def _others(title: str, rows: Sequence[ServedRow]) -> Block:
    metrics: Counter[str] = Counter()
    for row in rows:
        metrics.update(row.values.keys())
    shown = [metric for metric, _ in metrics.most_common(_COUNTERS_SHOWN)]
    has_region = any(row.region for row in rows)
    cells: list[Row] = [
        (
            Cell(row.name, "code"),
            *((row.region or MISSING,) if has_region else ()),
            *(signed(row.values[metric]) if metric in row.values else MISSING for metric in shown),
        )
        for row in rows
    ]
    head = ("name", *(("region",) if has_region else ()), *(f"#{metric.replace('_', ' ')}" for metric in shown))
    return table(title, head, cells)
