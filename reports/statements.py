"""Which statements take the time: the same statements ranked three ways, then all of them."""

from collections.abc import Callable, Sequence

from bench.stats.records import StatementRow

from .facts import Facts
from .model import Block, Cell, Folded, Row, Text, table
from .numbers import count, ms, rate, share

_SHOWN = 8
_ALL = 60
_ENOUGH = 20
"""A p99 of fewer is one statement's time, and ranks nothing."""
HEAD = (
    "transaction",
    "statement",
    "#sent",
    "#refused",
    "#total time",
    "#share of time",
    "#mean",
    "#p50",
    "#p99",
    "#max",
)


def statements(facts: Facts) -> tuple[Block, ...]:
    """Statements by the time spent in them, by how slow they are, and by how often they are sent."""
    rows = facts.summary.statements
    if not rows:
        return (Text("No statement of a measured phase was recorded.", "caution"),)
    slow = [row for row in rows if row.time.count >= _ENOUGH]
    ranked = [_ranked("Most time in all", rows, _total_ms, facts.distance_note)]
    if slow:
        note = f"Of those sent {_ENOUGH} times or more. {facts.distance_note}".strip()
        ranked.append(_ranked("Slowest, by p99", slow, lambda row: row.time.p99_ms or 0.0, note))
    ranked.append(_ranked("Most frequent", rows, lambda row: row.count, _per_second(facts)))
    shown = [_row(row) for row in rows[:_ALL]]
    note = f"The {len(shown)} with most time of {len(rows)}. " if len(rows) > len(shown) else ""
    caption = "Statements as the client saw them, all regions together, most time first"
    return (
        Text(_lead(rows)),
        *ranked,
        Folded(f"All statements: {len(rows)}", (table(caption, HEAD, shown, f"{note}{facts.distance_note}".strip()),)),
    )


def _lead(rows: Sequence[StatementRow]) -> str:
    first = rows[0]
    return (
        f"{first.transaction}/{first.statement} takes {share(first.share)} of the time spent in statements: "
        f"{ms(_total_ms(first))} in {count(first.count)} calls."
    )


def _ranked(caption: str, rows: Sequence[StatementRow], by: Callable[[StatementRow], float], note: str) -> Block:
    best = sorted(rows, key=lambda row: (-by(row), row.transaction, row.statement))[:_SHOWN]
    return table(caption, HEAD, [_row(row) for row in best], note)


def _row(row: StatementRow) -> Row:
    times = (_total_ms(row), row.time.mean_ms, row.time.p50_ms, row.time.p99_ms, row.time.max_ms)
    total, *others = map(ms, times)
    return (
        row.transaction,
        Cell(row.statement, "code"),
        count(row.count),
        count(row.errors),
        total,
        share(row.share),
        *others,
    )


def _total_ms(row: StatementRow) -> float:
    return (row.time.mean_ms or 0.0) * row.time.count


def _per_second(facts: Facts) -> str:
    sent = sum(row.count for row in facts.summary.statements)
    seconds = facts.summary.measured_s
    return f"{rate(sent / seconds)} statements per measured second in all." if seconds else ""
