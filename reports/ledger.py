"""Retries by what they were about: hot keys, and every place by reason, transaction, statement, region and key."""

from .facts import Facts
from .model import Block, Cell, Folded, Row, table
from .numbers import MISSING, count, ms, ratio, share

_KEYS_SHOWN = 10
_PLACES_SHOWN = 60


def hot_keys(facts: Facts) -> tuple[Block, ...]:
    """What was contended for, costliest first."""
    found = facts.summary.hot_keys
    if not found:
        return ()
    rows: list[Row] = [
        (Cell(row.key, "code"), count(row.count), ms(row.wasted_ms), share(row.share), row.main_reason, row.main_place)
        for row in found[:_KEYS_SHOWN]
    ]
    head = ("key", "#aborted attempts", "#cost", "#share of all cost", "mostly", "mostly at")
    note = f"The {len(rows)} costliest keys of {len(found)} or more." if len(found) > len(rows) else ""
    return (table("What was contended for", head, rows, note),)


def places(facts: Facts) -> tuple[Block, ...]:
    """By transaction, and then every place."""
    groups: list[Row] = [
        (
            group.transaction or "all transactions",
            count(sum(row.count for row in group.aborts)),
            ratio(group.attempts_per_commit),
            ms(group.wasted_ms),
            share(group.wasted_share),
        )
        for group in (*facts.summary.transactions, facts.summary.total)
    ]
    head = ("transaction", "#aborted attempts", "#attempts per commit", "#cost", "#cost, share of service time")
    found = facts.summary.ledger
    rows: list[Row] = [
        (
            *(row.reason, Cell(row.region, "region"), row.transaction, row.statement),
            *(Cell(row.key, "code") if row.key else MISSING, count(row.count), ms(row.wasted_ms)),
        )
        for row in found[:_PLACES_SHOWN]
    ]
    shown = f"The {len(rows)} costliest of {len(found)} or more places." if len(found) > len(rows) else ""
    columns = ("reason", "region", "transaction", "statement", "key", "#aborted attempts", "#cost")
    caption = "By reason, region, transaction, the statement that was refused, and key"
    return (
        table("By transaction", head, groups, facts.distance_note),
        Folded("Where exactly?", (table(caption, columns, rows, f"{shown} {facts.distance_note}".strip()),)),
    )
