"""What ran, and what happened over time."""

from bench.stats.outages import outage_line
from bench.units import format_duration

from . import over_time as charts
from .facts import Facts
from .load import offer
from .model import Block, Cell, Figure, Row, Text, table
from .numbers import clock, count


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
    svg = charts.timeline(data, facts.look, frame_of(facts), alt)
    caption = (
        f"{points(facts)} n = {count(facts.ended)} transactions. In the drain only what took long still ends. "
        f"{facts.distance_note}"
    )
    blocks: list[Block] = [Text(outage_line(o, facts.summary.region_names), "caution") for o in facts.summary.outages]
    blocks.append(Figure("timeline", "What happened over time?", svg, alt, caption))
    # Phases have a table of their own; what was announced for later did not come in a run cut short.
    marks = [event for event in facts.events if event.kind != "phase" and event.elapsed_s <= facts.last_s]
    if marks:
        rows: list[Row] = [(clock(e.elapsed_s), e.kind.replace("_", " "), e.region or "all", e.detail) for e in marks]
        blocks.append(table("Events", ("#at", "event", "region", "detail"), rows))
    return tuple(blocks)


def frame_of(facts: Facts) -> charts.Frame:
    """Return what stands behind every chart over time."""
    return charts.Frame(facts.summary.phases, facts.summary.t0_s, facts.events)


def points(facts: Facts) -> str:
    """Return what a point of a chart over time is, in words."""
    bins = "second" if facts.timeline.bin_s == 1 else f"{facts.timeline.bin_s} seconds"
    return f"One point per {bins}. Shaded: phases; the darkest are not measured."
