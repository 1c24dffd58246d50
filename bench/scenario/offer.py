"""What each phase offers: the rate over time of every session in every region, and the sessions due at its first instant."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.scenario import curves
from bench.scenario.curves import Curve
from bench.scenario.model import Phase, Region, Scenario
from bench.scenario.traces import TOTAL
from bench.scenario.values import Ends

_HOURS_A_DAY = 24


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """The rate of one session in one region over one phase."""

    session: str
    region: str
    curve: Curve


def offers(scenario: Scenario, phase: Phase) -> Iterator[Offer]:
    """Yield what a phase offers; each is a Poisson process of its own, and so is any sum of them."""
    total = sum(region.share for region in scenario.regions)
    for region in scenario.regions:
        share = region.share / total
        for session, ends in _rates_of(phase, region.name, share).items():
            curve = _traced(phase, region.name, share, ends) if phase.trace else _curve(phase, ends, region)
            if curve.area > 0:
                yield Offer(session, region.name, curve)


def _rates_of(phase: Phase, region: str, share: float) -> dict[str, Ends]:
    """Return the ends of each session's rate in one region; in a trace, its share of the trace's rate twice."""
    found: dict[str, Ends] = {}
    for session, rate in phase.rate.items():
        if isinstance(rate, dict):
            found[session] = rate.get(region, (0.0, 0.0))
        elif phase.trace:
            found[session] = rate
        else:
            found[session] = (rate[0] * share, rate[1] * share)
    if not phase.trace:
        return found
    whole = sum(weight for weight, _ in found.values()) or 1.0
    return {session: (weight / whole, weight / whole) for session, (weight, _) in found.items()}


def _curve(phase: Phase, ends: Ends, region: Region) -> Curve:
    first, last = ends
    if first == last:
        return curves.ramp(first, last, phase.duration)
    match phase.shape:
        case "step":
            return curves.steps(first, last, phase.duration, phase.steps)
        case "spike":
            return curves.spike(first, last, phase.duration, phase.decay_s)
        case "diurnal":
            peak_s = region.peak_utc / _HOURS_A_DAY * phase.day_s
            return curves.day(first, last, phase.duration, phase.day_s, peak_s)
    return curves.ramp(first, last, phase.duration)


def _traced(phase: Phase, region: str, share: float, ends: Ends) -> Curve:
    trace = phase.trace
    assert trace is not None
    rates = np.array(trace.rates.get(region, (0.0,) * len(trace.seconds)))
    if TOTAL in trace.rates:
        rates = rates + np.array(trace.rates[TOTAL]) * share
    return curves.levels(np.array(trace.seconds), rates, phase.duration).scaled(ends[0])


def bursts(scenario: Scenario, phase: Phase) -> Iterator[tuple[str, str, int]]:
    """Yield (session, region, how many) of what is due at a phase's first instant."""
    shares = {region.name: region.share for region in scenario.regions}
    for session, count in phase.burst.items():
        for region, part in apportion(count, shares).items():
            if part:
                yield session, region, part


def apportion(total: int, weights: Mapping[str, float], least: int = 0) -> dict[str, int]:
    """Return whole numbers in proportion to the weights that add up to ``total``, by the largest remainder.

    Nobody gets fewer than ``least``; where that is more than there is to give, the sum is larger than ``total``.
    """
    if total <= least * len(weights):
        return dict.fromkeys(weights, least)
    names, poor = list(weights), set[str]()
    while True:
        rest = total - least * len(poor)
        whole = sum(weights[name] for name in names if name not in poor)
        quotas = {
            name: rest * (weights[name] / whole if whole else 1 / (len(names) - len(poor)))
            for name in names
            if name not in poor
        }
        below = {name for name, quota in quotas.items() if quota < least}
        if not below:
            return dict.fromkeys(poor, least) | _rounded(rest, quotas)
        poor |= below


def _rounded(total: int, quotas: Mapping[str, float]) -> dict[str, int]:
    floors = {name: int(quota) for name, quota in quotas.items()}
    left = total - sum(floors.values())
    # The sort is stable, so that of equal remainders the first named is rounded up.
    first = sorted(quotas, key=lambda name: floors[name] - quotas[name])[:left]
    return {name: floor + (name in first) for name, floor in floors.items()}


def peak_rate(scenario: Scenario) -> float:
    """Return the highest rate over all sessions and regions, in sessions per second; bursts have none and are left out."""
    return max(_highest(offers(scenario, phase)) for phase in scenario.phases)


def _highest(found: Iterator[Offer]) -> float:
    return curves.highest([offer.curve for offer in found])


def planned_rates(scenario: Scenario, points: int, region: str | None = None) -> Sequence[float]:
    """Return the planned rate over all sessions in the middle of ``points`` equal parts of the run."""
    middles = np.linspace(0.0, scenario.duration_s, 2 * points + 1)[1::2]
    rates, start = np.zeros(points), 0.0
    for phase in scenario.phases:
        inside = (middles >= start) & (middles < start + phase.duration)
        for offer in offers(scenario, phase):
            if region in (None, offer.region):
                rates[inside] += offer.curve.at(middles[inside] - start)
        start += phase.duration
    found: list[float] = rates.tolist()
    return found
