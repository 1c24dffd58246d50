"""The scenario of a probe: the busiest mix at a constant rate, as a file that reads back the same."""

import pytest

from bench.cli.scenario_files import built_in, find_scenario
from bench.errors import UsageError
from bench.scenario.parse import parse_scenario
from bench.scenario.probe import busiest_mix, probe_scenario, total_rate
from bench.scenario.schedule import make_schedule
from bench.scenario.writing import to_toml


@pytest.mark.parametrize("name", sorted(built_in()))
def test_every_open_scenario_has_a_probe_that_reads_back(name: str):
    scenario, _ = find_scenario(name)
    if scenario.model == "closed":
        with pytest.raises(UsageError, match="closed"):
            busiest_mix(scenario)
        return
    made = probe_scenario(scenario, 30.0, (2.0, 20.0), seed=5)
    assert parse_scenario(to_toml(made), "probe") == made
    assert [(phase.measured, phase.duration) for phase in made.phases] == [(False, 2.0), (True, 20.0)]
    assert total_rate(busiest_mix(made)) == pytest.approx(30.0)
    mix, before = busiest_mix(made), busiest_mix(scenario)
    for session, by_region in before.items():
        for region, rate in by_region.items():
            assert mix[session][region] / 30 == pytest.approx(rate / total_rate(before))
    assert len(make_schedule(made, made.seed)) == pytest.approx(660, rel=0.2)


def test_texts_survive_the_file():
    scenario, _ = find_scenario("checkout")
    odd = scenario.model_copy(update={"question": 'is "it" \\ back\ttab\x7f, and é?'})
    assert parse_scenario(to_toml(odd), "odd").question == odd.question
