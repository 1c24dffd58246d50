"""The sections of a page, in the order in which a reader needs them: first whether to believe it, then what it says."""

from collections.abc import Callable
from typing import Literal

from bench.stats import validity as limits
from bench.stats.outages import outage_line
from bench.stats.records import Group
from bench.units import format_duration

from . import figures
from .details import audit, definitions, environment, server, slow_samples, statements, stock
from .facts import Facts
from .ledger import hot_keys, places
from .load import offer, workers
from .model import Block, Cell, Figure, Folded, Row, Section, Text, region_cell, table
from .numbers import MISSING, clock, count, latencies, latency, ms, rate, ratio, share
from .sale import blast_radius, fairness
from .served import served

Show = Callable[[float | None], str]

NO_TRANSACTIONS = Text("No transaction of a measured phase was recorded, so there is nothing to show here.", "caution")


def sections(facts: Facts) -> tuple[Section, ...]:
    """Return the sections of the page of a run."""
    return (
        Section("validity", "Was the measurement valid?", validity(facts)),
        Section("what", "What ran?", what_ran(facts)),
        Section("timeline", "What happened over time?", over_time(facts)),
        Section("transactions", "How fast was each transaction?", per_transaction(facts)),
        Section("tail", "How long is the tail in each region?", tail(facts)),
        Section("regions", "How do regions and transactions compare?", region_grid(facts)),
        Section("retries", "Where do retries come from, and what do they cost?", retries(facts)),
        Section("stock", "Did the sale sell exactly what it had?", stock(facts)),
        *blast_radius(facts),
        *fairness(facts),
        Section("slow", "What are the slowest transactions made of?", slow_samples(facts)),
        Section("statements", "Which statements take the time?", statements(facts)),
        Section("audit", "Is the data right?", audit(facts)),
        Section("server", "What did the server count?", (*served(facts), *server(facts))),
        Section("environment", "Where did it run?", environment(facts)),
        Section("definitions", "What do the words mean?", definitions(facts)),
    )


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
    return (*blocks, *workers(facts))


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


def what_ran(facts: Facts) -> tuple[Block, ...]:
    """Scenario, target, data and phases."""
    run, target, data = facts.manifest, facts.manifest.target, facts.manifest.data
    question = run.scenario.get("question") or run.scenario.get("description")
    rows: list[Row] = [
        ("command", Cell(run.command, "code")),
        ("workload", Cell(run.workload, "code")),
        ("contention strategy", run.strategy or "the workload's own"),
        ("target", f"{target.kind}, {facts.server_name}"),
        ("address", Cell(target.safe_url, "code")),
        ("schema variant", target.variant),
        ("isolation", target.isolation),
        ("regions", ", ".join(run.regions)),
        ("gateways", Cell(_gateways(facts), "code")),
        ("data", f"scale {data.scale}, seed {data.seed}: {', '.join(f'{count(n)} {t}' for t, n in data.rows.items())}"),
        ("seed of the load", str(run.seed)),
        ("started", facts.started),
    ]
    if facts.distances:
        rows.insert(9, ("emulated distance", f"{facts.distances} (a round trip for each exchange with the server)"))
    blocks: list[Block] = [Text(str(question))] if question else []
    blocks.append(table("The run", ("what", "value"), rows))
    return (*blocks, *offer(facts))


def _gateways(facts: Facts) -> str:
    gateways = facts.manifest.target.gateways
    if len(set(gateways.values())) == 1 and len(gateways) == len(facts.manifest.regions):
        return f"all regions via {next(iter(gateways.values()))}"
    return ", ".join(f"{region} via {address}" for region, address in gateways.items()) or "not recorded"


def over_time(facts: Facts) -> tuple[Block, ...]:
    """The timeline and its marks."""
    data = facts.timeline
    if not data.ends_s.size:
        return (Text("No second of the run was stored, so there is no timeline.", "caution"),)
    alt = (
        f"Four charts over {format_duration(facts.last_s)}: sessions offered and answered per second, response p50 and p99 "
        "by region, aborted attempts per second by region. The figures are in the tables below and in run.sqlite."
    )
    svg = figures.timeline(data, facts.look, facts.summary.phases, facts.summary.t0_s, facts.events, alt)
    bins = "second" if data.bin_s == 1 else f"{data.bin_s} seconds"
    caption = f"One point per {bins}. Shaded: phases; the darkest are not measured. {facts.distance_note}"
    blocks: list[Block] = [Text(outage_line(o, facts.summary.region_names), "caution") for o in facts.summary.outages]
    blocks.append(Figure("timeline", "What happened over time?", svg, alt, caption))
    # Phases have a table of their own; what was announced for later did not come in a run cut short.
    marks = [event for event in facts.events if event.kind != "phase" and event.elapsed_s <= facts.last_s]
    if marks:
        rows: list[Row] = [(clock(e.elapsed_s), e.kind.replace("_", " "), e.region or "all", e.detail) for e in marks]
        blocks.append(table("Events", ("#at", "event", "region", "detail"), rows))
    return tuple(blocks)


_LATENCY = ("#p50", "#p95", "#p99", "#p99.9", "#max")
_FEW = ("p50_ms", "p99_ms", "max_ms")
_ROWS_OPEN = 20
"""A table with more rows is closed until asked for, where a figure shows the same."""


def per_transaction(facts: Facts) -> tuple[Block, ...]:
    """Response beside service time for each transaction, then each way in which it ended."""
    groups = facts.summary.transactions
    if not groups:
        return (NO_TRANSACTIONS,)
    rows: list[Row] = [_transaction_row(group) for group in (*groups, facts.summary.total)]
    head = (
        *("transaction", "#answered", "#committed/s", "#failed"),
        *(f"#response {name[1:]}" for name in ("#p50", "#p99", "#max")),
        *(f"#service {name[1:]}" for name in ("#p50", "#p99", "#max")),
        "#attempts per commit",
    )
    note = f"Response runs from the intended start, service from the first attempt. {facts.distance_note}"
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


def _transaction_row(group: Group) -> tuple[str, ...]:
    response, service = group.response, group.service
    return (
        group.transaction or "all transactions",
        count(response.count),
        rate(group.committed_per_s),
        count(group.failed),
        *latencies(response, _FEW),
        *latencies(service, _FEW),
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
        f"its number of samples. {facts.distance_note}"
    )
    groups = [g for g in (*facts.summary.regions, facts.summary.total) if g.response.count or g.response.censored]
    rows: list[Row] = []
    for group in groups:
        for name, times in (("response", group.response), ("service", group.service)):
            rows.append((region_cell(group.region), name, count(times.count), count(times.censored), *latencies(times)))
    return (
        Figure("tail", "How long is the tail in each region?", svg, alt, caption),
        table(
            "Response and service time by region",
            ("region", "time", "#answered", "#without an answer", *_LATENCY),
            rows,
            facts.distance_note,
        ),
    )


def region_grid(facts: Facts) -> tuple[Block, ...]:
    """Every transaction in every region, on one scale."""
    groups = facts.summary.region_transactions
    if not groups:
        return (NO_TRANSACTIONS,)
    alt = "Response p50, p95 and p99 of each transaction in each region on one scale; the table holds the values."
    figure = Figure(
        "grid",
        "How do regions and transactions compare?",
        figures.region_grid(groups, facts.look, alt),
        alt,
        f"All rows share one scale. n is the number of answers. {facts.distance_note}",
    )
    rows: list[Row] = [
        (
            *(group.transaction or "", region_cell(group.region), count(group.response.count)),
            *(
                rate(group.committed_per_s),
                count(group.failed),
                *latencies(group.response),
                latency(group.service, "p99_ms"),
            ),
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


def retries(facts: Facts) -> tuple[Block, ...]:
    """Aborted attempts by reason, then where they happened."""
    total, details = facts.summary.total, facts.summary.aborts
    if not total.count:
        return (NO_TRANSACTIONS,)
    if not details:
        return (
            Text("No attempt was aborted in the measured phases: every transaction went through at its first attempt."),
        )
    wasted = sum(row.wasted_ms for row in total.aborts)
    lead = (
        f"{count(sum(row.count for row in total.aborts))} attempts were aborted and cost {ms(wasted)} of work and back-off, "
        f"{share(total.wasted_share)} of all service time; a committed transaction took "
        f"{ratio(total.attempts_per_commit)} attempts."
    )
    alt = "Aborted attempts by reason and region: how many, and the seconds that they cost; the tables hold the values."
    svg = figures.retries(details, facts.look, alt)
    reasons: list[Row] = [(r.reason, count(r.count), ms(r.wasted_ms), ms(r.wasted_ms / r.count)) for r in total.aborts]
    return (
        Text(lead),
        Figure("retries", "Where do retries come from, and what do they cost?", svg, alt, facts.distance_note),
        table("By reason", ("reason", "#aborted attempts", "#cost", "#cost each"), reasons, facts.distance_note),
        *hot_keys(facts),
        *places(facts),
    )
