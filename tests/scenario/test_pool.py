"""The pool of users is what Little's law asks for, up to a stated cap."""

import subprocess
import sys
from collections.abc import Callable
from math import ceil

import pytest
from tests_support import HANG_S

from bench.scenario.model import Scenario
from bench.scenario.pool import HEADROOM, LEAST, SERVER_S, size_pool

Make = Callable[..., Scenario]
FAR = {"us-east": 0, "us-west": 64, "eu-west": 86, "asia-pac": 160}


def test_the_peak_times_the_length_of_a_session(phased: Make) -> None:
    scenario = phased('duration = "9s"\nrate = { a = ["4/s", "40/s"], b = "8/s" }', distance_ms=FAR, max_users=1000)
    pool = size_pool(scenario, {"a": 10})
    # A session of a region takes its statements times the round trip and the server's time; 12 statements where unsaid.
    for region, distance in FAR.items():
        one = distance / 1000 + SERVER_S
        load = HEADROOM * (10 * 10 * one + 2 * 12 * one)
        assert pool.users[region] == max(LEAST, ceil(load - 1e-9))
    assert pool.note == ""


def test_the_busiest_moment_of_all_sessions_together_counts(phased: Make) -> None:
    """Two sessions whose peaks do not meet need fewer users than the sum of their peaks."""
    one, two = 'rate = { a = ["40/s", 0], b = [0, "40/s"] }', 'rate = { a = "40/s", b = "40/s" }'
    meet, part = (
        size_pool(phased(f'duration = "9s"\n{text}', session_time={"a": "1s", "b": "1s"}, max_users=999), {})
        for text in (two, one)
    )
    assert (meet.total, part.total) == (120, 60)


def test_a_burst_needs_a_user_each(phased: Make) -> None:
    pool = size_pool(phased('duration = "9s"\nburst = { buy = 80 }'), {})
    assert pool.users == dict.fromkeys(FAR, 20)


def test_a_session_time_overrides_the_estimate(phased: Make) -> None:
    pool = size_pool(phased('duration = "9s"\nrate = { a = "40/s" }', session_time={"a": "2s"}), {"a": 1})
    assert pool.users == dict.fromkeys(FAR, 30)


def test_the_cap_takes_from_all_in_proportion_and_is_said(phased: Make) -> None:
    scenario = phased('duration = "9s"\nrate = { a = "400/s" }', distance_ms=FAR, max_users=100)
    pool = size_pool(scenario, {"a": 10})
    assert pool.total == 100
    assert sum(pool.needed.values()) > 400
    assert pool.users["us-east"] == LEAST
    assert pool.users["asia-pac"] / pool.users["us-west"] == pytest.approx(163 / 67, rel=0.05)
    assert pool.note == (
        f"the pool is capped at 100 users (max_users); the planned load needs about {sum(pool.needed.values())}"
    )


def test_a_number_of_users_is_kept_and_split_by_need_and_share(phased: Make) -> None:
    pool = size_pool(phased('duration = "9s"\nrate = { a = "40/s" }', distance_ms=FAR, users=100, max_users=10), {})
    assert pool.total == 100
    assert list(pool.users.values()) == sorted(pool.users.values())
    assert pool.users["us-east"] >= 100 / 8
    assert pool.note == ""


def test_a_closed_model_splits_its_users_by_share(phased: Make) -> None:
    regions = [{"name": "a", "share": 3}, {"name": "b", "share": 1}]
    scenario = phased('duration = "9s"\nrate = { x = 1 }', model="closed", users=10, regions=regions)
    assert size_pool(scenario, {}).users == {"a": 8, "b": 2}


FITTED = """
import bench.load
from datetime import date
from types import SimpleNamespace
from bench.cli.planning import Overrides, resolve
from bench.cli.running import _fitted

def users(distance_ms):
    target = SimpleNamespace(regions=tuple(region.name for region in plan.scenario.regions), distance_ms=distance_ms)
    fitted = _fitted(plan, SimpleNamespace(target=target))
    assert (fitted.schedule.seed == plan.schedule.seed).all()
    return dict(fitted.pool.users), fitted.scenario.distance_ms

plan = resolve("steady", Overrides(duration_s=5), 1, date(2026, 1, 1))
near = resolve("steady", Overrides(duration_s=5, no_distance=True), 1, date(2026, 1, 1))
assert users(plan.scenario.distance_ms) == (dict(plan.pool.users), plan.scenario.distance_ms)
assert users({}) == (dict(near.pool.users), {})
assert near.pool.total < plan.pool.total / 2, (near.pool.total, plan.pool.total)
print("well")
"""


@pytest.mark.slow
def test_where_no_distance_is_emulated_nobody_is_hired_for_it():
    """As on a real cluster, which a plan only learns of when the target has been opened."""
    done = subprocess.run([sys.executable, "-c", FITTED], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.stdout == "well\n", done.stderr
