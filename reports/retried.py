"""Where retries come from and what they cost: by reason, region, transaction, statement and key, and over time."""

from collections import Counter
from collections.abc import Callable, Sequence

from bench.stats.records import AbortDetail

from . import figures
from . import over_time as charts
from .facts import Facts
from .ledger import hot_keys, places
from .model import Block, Cell, Figure, Row, Text, table
from .numbers import count, ms, ratio, share
from .ran import frame_of, points
from .transactions import NO_TRANSACTIONS

_STATEMENTS = 10


def retries(facts: Facts) -> tuple[Block, ...]:
    """Aborted attempts: how many, when, why, where, over what, and what the server counted."""
    total, details = facts.summary.total, facts.summary.aborts
    if not total.count:
        return (NO_TRANSACTIONS,)
    if not details:
        text = "No attempt was aborted in the measured phases: every transaction went through at its first attempt."
        return (Text(text), *_cross_checks(facts))
    aborted = sum(row.count for row in total.aborts)
    lead = (
        f"{count(aborted)} attempts were aborted, {share(aborted / total.attempt.count) if total.attempt.count else 'some'} "
        f"of all, and cost {ms(total.wasted_ms)} of work and back-off, {share(total.wasted_share)} of all service time; a "
        f"committed transaction took {ratio(total.attempts_per_commit)} attempts."
    )
    alt = "Aborted attempts by reason and region: how many, and the seconds that they cost; the tables hold the values."
    svg = figures.retries(details, facts.look, alt)
    caption = f"n = {count(aborted)} aborted attempts. {facts.distance_note}".strip()
    reasons: list[Row] = [(r.reason, count(r.count), ms(r.wasted_ms), ms(r.wasted_ms / r.count)) for r in total.aborts]
    return (
        Text(lead),
        Figure("retries", "Where do retries come from, and what do they cost?", svg, alt, caption),
        table("By reason", ("reason", "#aborted attempts", "#cost", "#cost each"), reasons, facts.distance_note),
        *_over_time(facts),
        _regions(facts),
        *places(facts),
        _statements(facts, details),
        *hot_keys(facts),
        *_cross_checks(facts),
    )


def _over_time(facts: Facts) -> tuple[Block, ...]:
    title = "When did commits take more than one attempt?"
    alt = "Attempts per committed transaction over time by region; the tables hold the totals."
    svg = charts.attempts(facts.timeline, facts.look, frame_of(facts), alt)
    caption = f"{points(facts)} n = {count(facts.summary.total.committed)} commits; 1 means no retry."
    return (Figure("attempts", title, svg, alt, caption),)


def _regions(facts: Facts) -> Block:
    rows: list[Row] = [
        (
            Cell(group.region or "", "region"),
            count(sum(row.count for row in group.aborts)),
            ratio(group.attempts_per_commit),
            ms(group.wasted_ms),
            share(group.wasted_share),
        )
        for group in facts.summary.regions
    ]
    head = ("region", "#aborted attempts", "#attempts per commit", "#cost", "#cost, share of service time")
    return table("By region", head, rows, facts.distance_note)


def _statements(facts: Facts, details: Sequence[AbortDetail]) -> Block:
    """The statements at which attempts were refused."""
    counts, wasted = (_summed(details, value) for value in (lambda row: row.count, lambda row: row.wasted_ms))
    found = sorted(counts, key=lambda label: (-wasted[label], label))
    rows: list[Row] = [
        (
            transaction,
            Cell(statement, "code"),
            count(counts[transaction, statement]),
            ms(wasted[transaction, statement]),
        )
        for transaction, statement in found[:_STATEMENTS]
    ]
    note = f"The {len(rows)} costliest of {len(found)}. " if len(found) > len(rows) else ""
    head = ("transaction", "statement", "#aborted attempts", "#cost")
    return table("By the statement that was refused", head, rows, f"{note}{facts.distance_note}".strip())


def _summed(details: Sequence[AbortDetail], value: Callable[[AbortDetail], float]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for row in details:
        found[row.transaction, row.statement] += value(row)  # type: ignore[assignment]  # a sum of milliseconds
    return found


def _cross_checks(facts: Facts) -> tuple[Block, ...]:
    """What the server counted beside what the client saw."""
    found = facts.summary.cross_checks
    if not found:
        return (Text("The server's deadlocks, rollbacks and calls were not recorded."),)
    rows: list[Row] = [(row.what, count(row.server), count(row.client), row.note) for row in found]
    note = (
        "Over the whole run, warm-up included. The server counts for every client of its database, the audit and its own "
        "readings among them. Calls by statement: section 'What did the server count?'"
    )
    return (
        table("What the server counted beside what the client saw", ("what", "#server", "#client", "note"), rows, note),
    )
