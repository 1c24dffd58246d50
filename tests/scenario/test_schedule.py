"""The schedule is the Poisson process that the scenario asks for."""

import numpy as np
import pytest
from scipy import stats

from bench.scenario.parse import build_scenario
from bench.scenario.schedule import make_schedule, scaled


def scenario(rate: object, duration: str = "200s", **more: object):
    phases = [{"name": "p", "duration": duration, "rate": {"browse": rate}}]
    data = {"name": "s", "question": "?", "workload": {"user": "m:C"}, "phases": phases, **more}
    return build_scenario(data, "s.toml")


def test_a_constant_rate_has_exponential_gaps() -> None:
    schedule = make_schedule(scenario("100/s"), seed=3)
    gaps = np.diff(schedule.due_ns) / 1e9
    assert len(schedule) == pytest.approx(20_000, abs=4 * 20_000**0.5)
    assert stats.kstest(gaps, "expon", args=(0, 1 / 100)).pvalue > 0.001


def test_a_ramp_has_the_density_of_its_rate() -> None:
    schedule = make_schedule(scenario(["20/s", "180/s"]), seed=4)
    times = schedule.due_ns / 1e9 / 200
    # F(t) = (0.2 t + 0.8 t²) over the unit interval: rates 20 → 180 with mean 100.
    assert stats.kstest(times, lambda t: 0.2 * t + 0.8 * t * t).pvalue > 0.001


def test_shares_of_regions() -> None:
    regions = [{"name": "a", "share": 3}, {"name": "b", "share": 1}]
    schedule = make_schedule(scenario("100/s", regions=regions), seed=5)
    counts = np.bincount(schedule.region)
    assert stats.chisquare(counts, np.array([0.75, 0.25]) * counts.sum()).pvalue > 0.001


def test_the_seed_decides() -> None:
    one, same, other = (make_schedule(scenario("50/s"), seed).due_ns for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one[:100], other[:100])


def test_scaling_keeps_the_shape() -> None:
    changed = scaled(scenario(["20/s", "180/s"]), duration_s=20.0, peak_rate=90.0)
    assert changed.duration_s == 20.0
    assert changed.phases[0].rate == {"browse": (10.0, 90.0)}
