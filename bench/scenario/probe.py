"""A scenario made constant: the mix of its busiest measured phase at one rate, for a probe of capacity.  Pure."""

from bench.errors import UsageError
from bench.scenario.model import Phase, Scenario
from bench.scenario.offer import offers

WARM_UP, PROBE = "warm-up", "probe"
DRAIN_S = 5.0
"""What is still waiting then was over any limit long before."""

Mix = dict[str, dict[str, float]]
"""Sessions per second by session name and region."""


def busiest_mix(scenario: Scenario) -> Mix:
    """Return the mean rates of the measured phase that offers most; UsageError where no rate is offered at all."""
    if scenario.model != "open":
        raise UsageError(
            f"scenario '{scenario.name}' is a closed model, which has no arrival rate", hint="choose an open one"
        )
    mixes = [_mix(scenario, phase) for phase in scenario.phases if phase.measured]
    best = max(mixes, key=total_rate)
    if total_rate(best) <= 0:
        raise UsageError(f"scenario '{scenario.name}' offers bursts only, so there is no rate to search")
    return best


def total_rate(mix: Mix) -> float:
    """Return the sessions per second of a mix."""
    return sum(rate for by_region in mix.values() for rate in by_region.values())


def _mix(scenario: Scenario, phase: Phase) -> Mix:
    found: Mix = {}
    for offer in offers(scenario, phase):
        by_region = found.setdefault(offer.session, {})
        by_region[offer.region] = by_region.get(offer.region, 0.0) + offer.curve.area / phase.duration
    return found


def probe_scenario(scenario: Scenario, rate: float, seconds: tuple[float, float], seed: int) -> Scenario:
    """Return the scenario at a constant total rate; ``seconds`` are those of the warm-up and of the measured part."""
    mix = busiest_mix(scenario)
    factor = rate / total_rate(mix)
    rates = {
        session: {region: (each * factor, each * factor) for region, each in by_region.items()}
        for session, by_region in mix.items()
    }
    sells = any(phase.opens_sale for phase in scenario.phases)
    phases = (
        Phase(name=WARM_UP, duration=seconds[0], measured=False, rate=rates),
        Phase(name=PROBE, duration=seconds[1], rate=rates, opens_sale=sells),
    )
    session_time = {name: held for name, held in scenario.session_time.items() if name in mix}
    return scenario.model_copy(
        update={
            "phases": phases,
            "seed": seed,
            "matrix": None,
            "objectives": (),
            "audit_every": None,
            "session_time": session_time,
            "drain": min(scenario.drain, DRAIN_S),
        }
    )
