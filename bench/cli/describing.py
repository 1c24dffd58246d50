"""A plan as text, for ``--dry-run``: what will be asked of which database, and when."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.scenario.model import Phase, Scenario
from bench.scenario.offer import peak_rate, planned_rates
from bench.scenario.values import Ends
from bench.units import format_duration

if TYPE_CHECKING:
    from bench.cli.planning import ResolvedPlan

PLOT_WIDTH = 60
LINE_WIDTH = 120
_BARS = " ▁▂▃▄▅▆▇█"


def describe(plan: "ResolvedPlan", url: str | None) -> str:
    """Return the plan as text; ``url`` is that of the database, None for the embedded server."""
    from bench.db.connection import redact

    scenario = plan.scenario
    lines = [
        f"scenario  {scenario.name}: {scenario.question}",
        f"workload  {scenario.workload.user}",
        f"settings  {', '.join(f'{key}={value}' for key, value in plan.settings.items()) or 'none'}",
        f"target    {redact(url) if url else 'embedded PostgreSQL'}",
        f"data      scale {plan.spec.scale}, seed {plan.spec.seed}, as of {plan.spec.as_of}",
        f"regions   {_regions(scenario)}",
        f"model     {scenario.model}, seed {scenario.seed}, isolation {scenario.isolation or 'as the server has it'}",
        f"users     {_users(plan)}",
    ]
    if scenario.model == "open":
        lines.append(f"arrivals  {len(plan.schedule):,} in {format_duration(scenario.duration_s)}")
        lines += _plot(scenario)
    return "\n".join([*lines, "phases", *_phases(scenario)])


def _regions(scenario: Scenario) -> str:
    distance = scenario.distance_ms
    return ", ".join(
        f"{region.name} (emulated distance {distance[region.name]:g} ms)" if distance.get(region.name) else region.name
        for region in scenario.regions
    )


def _users(plan: "ResolvedPlan") -> str:
    scenario, pool = plan.scenario, plan.pool
    text = f"{pool.total}: {', '.join(f'{count} {region}' for region, count in pool.users.items())}"
    if scenario.model == "closed":
        pause = f"{scenario.think}, mean {format_duration(scenario.think_time)}" if scenario.think_time else "none"
        return f"{text}; think time {pause}"
    return f"{text}; {pool.note}" if pool.note else text


# -- the rate over time


def _plot(scenario: Scenario) -> list[str]:
    """Return the planned rate as bars, over all regions and, where regions differ in shape, in each."""
    whole = planned_rates(scenario, PLOT_WIDTH)
    if not max(whole):
        return []
    names = [f"  {region.name}" for region in scenario.regions] if _regions_differ(scenario) else []
    width = max(9, *(len(name) for name in names)) if names else 9
    lines = [f"{'rate':<{width}} {_bars(whole, max(whole))} peak {peak_rate(scenario):.3g}/s"]
    if names:
        each = {region.name: planned_rates(scenario, PLOT_WIDTH, region.name) for region in scenario.regions}
        top = max(max(rates) for rates in each.values())
        lines += [f"{'  ' + name:<{width}} {_bars(rates, top)} to {max(rates):.3g}/s" for name, rates in each.items()]
    return lines


def _bars(rates: Sequence[float], top: float) -> str:
    """Return one character for each rate; only a rate of zero is blank.

    >>> _bars([0, 0.1, 4, 8], 8)
    ' ▁▄█'
    """
    last = len(_BARS) - 1
    return "".join(_BARS[max(1, round(rate / top * last))] if rate > 0 else _BARS[0] for rate in rates)


def _regions_differ(scenario: Scenario) -> bool:
    return any(
        phase.shape in ("diurnal", "trace") or any(isinstance(rate, dict) for rate in phase.rate.values())
        for phase in scenario.phases
    )


# -- phases


def _phases(scenario: Scenario) -> Iterator[str]:
    width = max(10, *(len(phase.name) for phase in scenario.phases))
    regions = {region.name for region in scenario.regions}
    for phase in scenario.phases:
        marks = ("" if phase.measured else "  not measured") + ("  the sale opens" if phase.opens_sale else "")
        offered = ", ".join([*_offered(phase, regions), *_shape_notes(phase)]) or "nothing"
        begin = f"  {phase.name:<{width}} {format_duration(phase.duration):>8}  "
        yield textwrap.fill(
            offered + marks,
            LINE_WIDTH,
            initial_indent=begin,
            subsequent_indent=" " * len(begin),
            break_on_hyphens=False,
        )


def _offered(phase: Phase, regions: set[str]) -> Iterator[str]:
    yield from (f"{count} {session} at once" for session, count in phase.burst.items() if count)
    for session, rate in phase.rate.items():
        if not isinstance(rate, dict):
            yield f"{session} {_ends(phase, rate)}"
            continue
        for ends in dict.fromkeys(rate.values()):
            named = [region for region in rate if rate[region] == ends]
            where = "every region" if set(named) >= regions else " and ".join(named)
            yield f"{session} {_ends(phase, ends)} in {where}"


def _ends(phase: Phase, ends: Ends) -> str:
    first, last = (f"{end:.3g}" for end in ends)
    if phase.trace:
        return f"weight {first}"
    if ends[0] == ends[1]:
        return f"{first}/s"
    match phase.shape:
        case "spike":
            return f"{last}/s decaying to {first}/s"
        case "diurnal":
            return f"{first} to {last}/s"
    return f"{first}→{last}/s"


def _shape_notes(phase: Phase) -> Iterator[str]:
    match phase.shape:
        case "step":
            yield f"in {phase.steps} steps"
        case "spike":
            yield f"half-life {format_duration(phase.decay_s)}"
        case "diurnal":
            yield f"a day of {format_duration(phase.day_s)}"
        case "trace" if phase.trace:
            yield f"by {phase.trace.file}"
