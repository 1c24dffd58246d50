"""The sections of a page, in the order in which a reader needs them: first whether to believe it, then what it says."""

from collections.abc import Callable
from typing import Literal

from bench.stats import validity as limits
from bench.stats.records import Group, Latency
from bench.units import format_duration

from . import figures
from .details import audit, definitions, environment, server, slow_samples, statements, stock
from .facts import Facts
from .model import Block, Cell, Figure, Folded, Row, Section, Text, region_cell, table
from .numbers import clock, count, ms, rate, ratio, seconds, share

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
        Section("statements", "Which statements take the time?", statements(facts)),
        Section("slow", "Where did the slowest transactions spend their time?", slow_samples(facts)),
        Section("audit", "Is the data right?", audit(facts)),
        Section("server", "What did the server count?", server(facts)),
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
        _limit("generator CPU p95, share of a core", seen.cpu_p95_share, limits.CPU_DEGRADED_SHARE, None, share),
        _limit("dropped arrivals, share of offered", seen.dropped_share, None, limits.DROPPED_INVALID_SHARE, share),
    ]
    head = ("measure", "#measured", "#degraded above", "#invalid above", "result")
    return (
        Text(lead, _LEVELS[verdict.verdict]),
        table("The generator, in the measured phases", head, rows),
        _arrivals(facts),
    )


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
            cells = (row.offered, row.started, row.dropped, row.ended)
            rates = (rate(row.offered_per_s), rate(row.ended_per_s), ms(row.lag.p99_ms))
            rows.append((region_cell(row.region), *map(count, cells), *rates))
    if not rows:
        return Text(
            "Closed model: users start their next session when the last one ends, so nothing is offered or dropped."
        )
    head = ("region", "#offered", "#started", "#dropped", "#answered", "#offered/s", "#answered/s", "#schedule lag p99")
    return table("Sessions offered by the schedule, and what became of them", head, rows, facts.distance_note)


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
    phases: list[Row] = [
        (p.name, clock(p.start_s), seconds(p.duration_s), "yes" if p.measured else "no") for p in facts.summary.phases
    ]
    blocks: list[Block] = [Text(str(question))] if question else []
    blocks.append(table("The run", ("what", "value"), rows))
    blocks.append(table("Phases", ("phase", "#starts at", "#lasts", "measured"), phases))
    return tuple(blocks)


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
    blocks: list[Block] = [Figure("timeline", "What happened over time?", svg, alt, caption)]
    # Phases have a table of their own; what was announced for later did not come in a run cut short.
    marks = [event for event in facts.events if event.kind != "phase" and event.elapsed_s <= facts.last_s]
    if marks:
        rows: list[Row] = [(clock(e.elapsed_s), e.kind.replace("_", " "), e.region or "all", e.detail) for e in marks]
        blocks.append(table("Events", ("#at", "event", "region", "detail"), rows))
    return tuple(blocks)


_LATENCY = ("#p50", "#p95", "#p99", "#p99.9", "#max")


def _latency(latency: Latency) -> tuple[str, ...]:
    return tuple(map(ms, (latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.p999_ms, latency.max_ms)))


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
    blocks: list[Block] = [table("Transactions, all regions together", head, rows, note), _outcomes(groups)]
    sessions = facts.summary.sessions
    if sessions:
        cells: list[Row] = [
            (
                g.transaction or "",
                region_cell(g.region),
                count(g.response.count),
                count(g.failed),
                *_latency(g.response),
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


def _transaction_row(group: Group) -> tuple[str, ...]:
    response, service = group.response, group.service
    return (
        group.transaction or "all transactions",
        count(response.count),
        rate(group.committed_per_s),
        count(group.failed),
        *map(ms, (response.p50_ms, response.p99_ms, response.max_ms)),
        *map(ms, (service.p50_ms, service.p99_ms, service.max_ms)),
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
            *_latency(row.response),
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
    groups = [group for group in (*facts.summary.regions, facts.summary.total) if group.response.count]
    rows: list[Row] = []
    for group in groups:
        for name, latency in (("response", group.response), ("service", group.service)):
            rows.append((region_cell(group.region), name, count(latency.count), *_latency(latency)))
    return (
        Figure("tail", "How long is the tail in each region?", svg, alt, caption),
        table("Response and service time by region", ("region", "time", "#n", *_LATENCY), rows, facts.distance_note),
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
            *(rate(group.committed_per_s), count(group.failed), *_latency(group.response), ms(group.service.p99_ms)),
            *(ratio(group.attempts_per_commit), count(group.retries)),
        )
        for group in groups
    ]
    head = (
        *("transaction", "region", "#answered", "#committed/s", "#failed"),
        *(*_LATENCY, "#service p99", "#attempts per commit", "#retries"),
    )
    values = table("Response time by transaction and region", head, rows, facts.distance_note)
    return figure, values


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
        f"{count(sum(row.count for row in total.aborts))} attempts were aborted and cost {ms(wasted)} of work and back-off; "
        f"a committed transaction took {ratio(total.attempts_per_commit)} attempts."
    )
    alt = "Aborted attempts by reason and region: how many, and the seconds that they cost; the tables hold the values."
    svg = figures.retries(details, facts.look, alt)
    reasons: list[Row] = [(r.reason, count(r.count), ms(r.wasted_ms), ms(r.wasted_ms / r.count)) for r in total.aborts]
    places: list[Row] = [
        (d.reason, Cell(d.region, "region"), d.transaction, d.statement, count(d.count), ms(d.wasted_ms))
        for d in details[:40]
    ]
    note = f"The {len(places)} costliest of {len(details)} places." if len(details) > len(places) else ""
    return (
        Text(lead),
        Figure("retries", "Where do retries come from, and what do they cost?", svg, alt, facts.distance_note),
        table("By reason", ("reason", "#aborted attempts", "#cost", "#cost each"), reasons, facts.distance_note),
        Folded(
            "Where exactly?",
            (
                table(
                    "By reason, region, transaction and the statement that was refused",
                    ("reason", "region", "transaction", "statement", "#aborted attempts", "#cost"),
                    places,
                    f"{note} {facts.distance_note}".strip(),
                ),
            ),
        ),
    )
