"""How fast transactions were: by transaction, by region, by both; the tail; and how much of it is distance."""

from collections import Counter
from collections.abc import Sequence

from bench.stats.distance import DistanceRow
from bench.stats.records import Group, Latency, Which

from . import figures
from .facts import Facts
from .model import Block, Cell, Figure, Folded, Row, Text, region_cell, table
from .numbers import LATENCY, MISSING, count, latencies, latency, ms, rate, ratio, share

NO_TRANSACTIONS = Text("No transaction of a measured phase was recorded, so there is nothing to show here.", "caution")
INTERVAL_NOTE = "In brackets: 95 % interval, bootstrap over blocks of seconds."

_LATENCY = ("#p50", "#p95", "#p99", "#p99.9", "#max")
_FEW = ("p50_ms", "p99_ms", "max_ms")
_DRAWN = 12
_ROWS_OPEN = 20
"""A table with more rows is closed until asked for, where a figure shows the same."""


def per_transaction(facts: Facts) -> tuple[Block, ...]:
    """Response beside service time for each transaction, then each way in which it ended."""
    groups = facts.summary.transactions
    if not groups:
        return (NO_TRANSACTIONS,)
    rows: list[Row] = [_transaction_row(facts, group) for group in (*groups, facts.summary.total)]
    head = (
        *("transaction", "#answered", "#committed/s", "#failed"),
        *(f"#response {name[1:]}" for name in ("#p50", "#p99", "#max")),
        *(f"#service {name[1:]}" for name in ("#p50", "#p99", "#max")),
        "#attempts per commit",
    )
    bounds = f" {INTERVAL_NOTE}" if facts.intervals else ""
    note = f"Response runs from the intended start, service from the first attempt.{bounds} {facts.distance_note}"
    blocks: list[Block] = [table("Transactions, all regions together", head, rows, note.strip())]
    if facts.summary.total.response.censored:
        blocks.append(Text(_censored(facts.summary.total)))
    blocks += [_clocks(facts), _outcomes(groups)]
    sessions = facts.summary.sessions
    if sessions:
        cells: list[Row] = [
            (
                g.transaction or "",
                region_cell(g.region),
                count(g.response.count),
                count(g.failed),
                *latencies(g.response),
            )
            for g in sessions
        ]
        blocks.append(
            table(
                "Sessions: all that one shopper did, from the intended start to the last answer",
                ("session", "region", "#answered", "#failed", *_LATENCY),
                cells,
                facts.distance_note,
            )
        )
    return tuple(blocks)


def _censored(total: Group) -> str:
    return (
        f"{count(total.response.censored)} transactions had no answer: given up, timed out, still in flight at the end, or "
        "never begun because their session was dropped. They count in the percentiles as at least as long as they had "
        "waited; a figure with ≥ is a bound that the true one does not fall below."
    )


def _clocks(facts: Facts) -> Block:
    """The three clocks side by side, and COMMIT apart."""
    rows: list[Row] = [
        (
            group.transaction or "all transactions",
            count(group.attempt.count),
            *latencies(group.commit, _FEW[:2]),
            *latencies(group.attempt, _FEW[:2]),
            *latencies(group.service, _FEW[:2]),
            *latencies(group.response, _FEW[:2]),
        )
        for group in (*facts.summary.transactions, facts.summary.total)
    ]
    clocks = ("COMMIT", "attempt", "service", "response")
    head = ("transaction", "#attempts", *(f"#{clock} {figure}" for clock in clocks for figure in ("p50", "p99")))
    note = f"From the inside out: what each clock adds is retries and back-off, then waiting. {facts.distance_note}"
    return table("Three clocks, and COMMIT apart", head, rows, note.strip())


def _transaction_row(facts: Facts, group: Group) -> Row:
    return (
        group.transaction or "all transactions",
        count(group.response.count),
        rate(group.committed_per_s),
        count(group.failed),
        *facts.times(group, "response", _FEW),
        *facts.times(group, "service", _FEW),
        ratio(group.attempts_per_commit),
    )


def _outcomes(groups: tuple[Group, ...]) -> Block:
    names = {"ok": "committed", "business": "business no", "failure": "failure"}
    rows: list[Row] = [
        (
            group.transaction or "",
            row.outcome,
            Cell(names[row.kind], "bad" if row.kind == "failure" else "text"),
            count(row.count),
            share(row.count / group.count),
            *latencies(row.response),
        )
        for group in groups
        for row in group.outcomes
    ]
    head = ("transaction", "outcome", "kind", "#count", "#share", *_LATENCY)
    return Folded("How did they end?", (table("Outcomes, with the response time of each", head, rows),))


def tail(facts: Facts) -> tuple[Block, ...]:
    """The tail spectrum and its figures by region."""
    if not facts.summary.total.response.count:
        return (NO_TRANSACTIONS,)
    alt = "Response time (solid) and service time (dashed) by percentile for each region; the table holds the values."
    svg = figures.tail(facts.tails, facts.look, alt)
    caption = (
        "Solid: response time; dashed: service time; where they part, transactions waited to be started. A line ends at "
        f"its number of samples, n = {count(facts.ended)} transactions in all. {facts.distance_note}"
    )
    groups = [g for g in (*facts.summary.regions, facts.summary.total) if g.response.count or g.response.censored]
    rows: list[Row] = []
    clocks: tuple[Which, ...] = ("response", "service")
    for group in groups:
        for clock in clocks:
            times: Latency = getattr(group, clock)
            counts = (count(times.count), count(times.censored))
            rows.append((region_cell(group.region), clock, *counts, *facts.times(group, clock, LATENCY)))
    return (
        Figure("tail", "How long is the tail in each region?", svg, alt, caption),
        table(
            "Response and service time by region",
            ("region", "time", "#answered", "#without an answer", *_LATENCY),
            rows,
            f"{INTERVAL_NOTE} {facts.distance_note}".strip() if facts.intervals else facts.distance_note,
        ),
    )


def region_grid(facts: Facts) -> tuple[Block, ...]:
    """Every transaction in every region, on one scale."""
    groups = facts.summary.region_transactions
    if not groups:
        return (NO_TRANSACTIONS,)
    drawn = _most_time(groups)
    alt = "Response p50, p95 and p99 of each transaction in each region on one scale; the table holds the values."
    few = f"The {_DRAWN} transactions with most time are drawn. " if len(drawn) < len(groups) else ""
    figure = Figure(
        "grid",
        "How do regions and transactions compare?",
        figures.region_grid(drawn, facts.look, alt),
        alt,
        f"{few}All rows share one scale. n is the number of answers. {facts.distance_note}".strip(),
    )
    rows: list[Row] = [
        (
            *(group.transaction or "", region_cell(group.region), count(group.response.count)),
            *(rate(group.committed_per_s), count(group.failed)),
            *facts.times(group, "response", LATENCY),
            latency(group.service, "p99_ms"),
            *(ratio(group.attempts_per_commit), count(group.retries)),
        )
        for group in groups
    ]
    head = (
        *("transaction", "region", "#answered", "#committed/s", "#failed"),
        *(*_LATENCY, "#service p99", "#attempts per commit", "#retries"),
    )
    values = table("Response time by transaction and region", head, rows, facts.distance_note)
    return figure, values if len(rows) <= _ROWS_OPEN else Folded(f"The figures: {len(rows)} rows", (values,))


def _most_time(groups: Sequence[Group]) -> list[Group]:
    """Return the groups of the transactions that a chart has room for: those in which most time was spent."""
    spent: Counter[str] = Counter()
    for group in groups:
        spent[group.transaction or ""] += round(group.service.count * (group.service.mean_ms or 0.0))
    shown = {name for name, _ in spent.most_common(_DRAWN)}
    return [group for group in groups if group.transaction in shown]


def distance(facts: Facts) -> tuple[Block, ...]:
    """The part of each region's service time that was round trips to the server."""
    rows = facts.summary.distance
    if not rows:
        text = (
            "No distance was emulated, and on a network of its own no statement says how much of its time was the way."
        )
        return (Text(text),)
    alt = "The share of each region's service time that was round trips; the table holds the values."
    whole = [row for row in rows if row.transaction is None]
    near = [name for name in facts.summary.region_names if name not in {row.region for row in whole}]
    caption = (
        f"Exchanges × emulated distance, of the service time of all transactions, n = {count(facts.ended)}. What travelled "
        "with the statement before it (a pipeline) is no exchange of its own."
    )
    caption += f" Without a distance: {', '.join(near)}." if near else ""
    figure = Figure(
        "distance", "How much of the time is distance?", figures.distance(rows, facts.look, alt), alt, caption
    )
    head = (
        "region",
        "transaction",
        "#round trip",
        "#exchanges",
        "#each",
        "#distance in all",
        "#service time",
        "#share",
    )
    each = {(g.region, g.transaction): g.count for g in (*facts.summary.regions, *facts.summary.region_transactions)}
    cells = {row: _distance_row(row, each.get((row.region, row.transaction), 0)) for row in rows}
    by_name = [cells[row] for row in rows if row.transaction is not None]
    return (
        figure,
        table("Distance by region", head, [cells[row] for row in whole], "Each: exchanges of the average transaction."),
        Folded(f"By transaction: {len(by_name)} rows", (table("Distance by region and transaction", head, by_name),)),
    )


def _distance_row(row: DistanceRow, ended: int) -> Row:
    return (
        Cell(row.region, "region"),
        row.transaction or "all transactions",
        ms(row.round_trip_ms),
        count(row.exchanges),
        f"{row.exchanges / ended:.3g}" if ended else MISSING,
        ms(row.distance_ms),
        ms(row.service_ms),
        share(row.share),
    )
