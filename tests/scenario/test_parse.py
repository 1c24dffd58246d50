"""Scenario files: every fault at once, by path."""

import tomllib
from typing import Any

import pytest

from bench.errors import UsageError
from bench.scenario.model import Scenario
from bench.scenario.parse import build_scenario, parse_scenario

GOOD = """
name = "one"
question = "does it work?"
[workload]
user = "bench.workloads.flash_sale:FlashSaleUser"
[[phases]]
name = "steady"
duration = "10s"
rate = { browse = "900/min", shop = ["1/s", "3/s"] }
"""


def message(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_scenario(text, "one.toml")
    return caught.value.message


def changed(**changes: Any) -> Scenario:
    return build_scenario({**tomllib.loads(GOOD), **changes}, "one.toml")


def test_units_and_defaults() -> None:
    scenario = parse_scenario(GOOD, "one.toml")
    assert scenario.phases[0].rate == {"browse": (15.0, 15.0), "shop": (1.0, 3.0)}
    assert scenario.duration_s == 10.0
    assert scenario.peak_rate == 18.0
    assert scenario.session_names == ("browse", "shop")


def test_every_fault_is_named_with_its_path() -> None:
    text = GOOD.replace('"900/min"', '"900/minn"').replace("duration", "durations")
    assert message(text).splitlines() == [
        "one.toml has 3 faults",
        "  phases[0].duration: is missing",
        "  phases[0].rate.browse: '900/minn' is not a rate (want e.g. '40/s', '900/min')",
        "  phases[0].durations: unknown key (did you mean 'duration'?)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"10s"', '"0s"', "phases[0].duration: '0s' is not longer than zero"),
        ('"10s"', '"10 parsecs"', "phases[0].duration: '10 parsecs' is not a duration"),
        ("FlashSaleUser", "", "workload.user: 'bench.workloads.flash_sale:' is not a user class"),
        ('name = "one"', 'name = "One two"', "name: 'One two' is not a name"),
        ('question = "does it work?"', "question = 1", "question: input should be a valid string, not 1"),
    ],
)
def test_a_fault(old: str, new: str, expected: str) -> None:
    assert expected in message(GOOD.replace(old, new, 1))


def test_not_toml() -> None:
    with pytest.raises(UsageError, match=r"one\.toml is not TOML"):
        parse_scenario("phases = [", "one.toml")


def test_zero_users_is_refused() -> None:
    with pytest.raises(UsageError, match=r"users: input should be greater than or equal to 1, not 0"):
        changed(users=0)


def test_nothing_offered_is_refused() -> None:
    with pytest.raises(UsageError, match="every rate is zero"):
        changed(phases=[{"name": "idle", "duration": "1s", "rate": {"browse": "0/s"}}])
