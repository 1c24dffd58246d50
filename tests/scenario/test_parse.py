"""Scenario files: every fault at once, by path."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from bench.scenario.model import Scenario
from bench.scenario.offer import peak_rate
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
    assert peak_rate(scenario) == 18.0
    assert (scenario.users, scenario.max_users, scenario.think) == ("auto", 200, "exponential")
    assert (scenario.audit_every, scenario.counters, scenario.on_lost_worker) == (None, True, "rebalance")
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


EVERY_NEW_FAULT = """
name = "one"
question = "does it work?"
users = "many"
max_users = 0
session_time = { browse = "soon" }
think = "gaussian"
think_time = "-1s"
audit_every = "0s"
counters = "perhaps"
on_lost_worker = "weep"
seed = -1
[workload]
user = "m:C"
[matrix]
strategi = ["naive"]
isolation = ["chaos"]
[[regions]]
name = "us-east"
utc_offset = 15
peak_at = "25:00"
[[phases]]
name = "a"
duration = "10s"
shape = "soak"
steps = 1
half_life = "0s"
period = "-1h"
trace = "none.csv"
burst = { buy = -1 }
rate = { browse = { us-east = ["1/s", "2/s", "3/s"], mars = "x" } }
[[phases]]
name = "b"
duration = "10s"
shape = "stepp"
rate = { browse = {} }
"""


def test_every_new_key_is_checked_and_all_faults_are_said_at_once() -> None:
    assert message(EVERY_NEW_FAULT).splitlines() == [
        "one.toml has 23 faults",
        "  phases[0].rate.browse.us-east: ['1/s', '2/s', '3/s'] is not a rate or a pair [from, to]",
        "  phases[0].rate.browse.mars: 'x' is not a rate (want e.g. '40/s', '900/min')",
        "  phases[0].shape: 'soak' needs no shape: give one rate and a long duration",
        "  phases[0].steps: input should be greater than or equal to 2, not 1",
        "  phases[0].half_life: '0s' is not longer than zero",
        "  phases[0].period: '-1h' is not a duration (want e.g. '40s', '1m30s')",
        "  phases[0].trace: 'none.csv' cannot be read from here",
        "  phases[0].burst.buy: input should be greater than or equal to 0, not -1",
        "  phases[1].rate.browse: names no region",
        "  phases[1].shape: 'stepp' is not a shape (did you mean 'step'?); there are ramp, step, spike, diurnal, trace",
        "  users: 'many' is not a number of users (want e.g. 100, or 'auto')",
        "  max_users: input should be greater than or equal to 1, not 0",
        "  session_time.browse: 'soon' is not a duration (want e.g. '40s', '1m30s')",
        "  think_time: '-1s' is not a duration (want e.g. '40s', '1m30s')",
        "  think: input should be 'exponential', 'lognormal' or 'constant', not 'gaussian'",
        "  regions[0].utc_offset: input should be less than or equal to 14, not 15",
        "  regions[0].peak_at: '25:00' is not a time of day (want e.g. '20:00')",
        "  audit_every: '0s' is not longer than zero",
        "  counters: input should be a valid boolean, unable to interpret input, not 'perhaps'",
        "  on_lost_worker: input should be 'rebalance' or 'stop', not 'weep'",
        "  matrix.isolation[0]: input should be 'serializable', 'repeatable read' or 'read committed', not 'chaos'",
        "  matrix.strategi: unknown key (did you mean 'strategy'?)",
        "  seed: input should be greater than or equal to 0, not -1",
    ]


def faults(make: Callable[..., Scenario], *phases: str, **more: Any) -> list[str]:
    with pytest.raises(UsageError) as caught:
        make(*phases, **more)
    return [line.strip() for line in caught.value.message.splitlines()[1:]]


def test_keys_go_with_their_shape(phased: Callable[..., Scenario]) -> None:
    found = faults(phased, 'duration = "9s"\nsteps = 3\nhalf_life = "1s"\nrate = { a = "1/s" }')
    assert found == [
        'phases[0].steps: goes with shape = "step" only, not "ramp"',
        'phases[0].half_life: goes with shape = "spike" only, not "ramp"',
    ]


def test_regions_are_known_and_told_once(phased: Callable[..., Scenario]) -> None:
    regions = [{"name": "us-east"}, {"name": "us-east"}]
    found = faults(phased, 'duration = "9s"\nrate = { a = { us-eats = "1/s" } }', regions=regions)
    assert found == [
        "regions: names repeat (us-east, us-east)",
        "phases[0].rate.a: no region 'us-eats' (did you mean 'us-east'?)",
    ]


def test_a_closed_model_has_users_and_no_shape(phased: Callable[..., Scenario]) -> None:
    phase = 'duration = "9s"\nshape = "spike"\nburst = { a = 3 }\nrate = { a = ["1/s", "2/s"] }'
    assert faults(phased, phase, model="closed") == [
        "users: a closed model needs their number",
        "phases[0].shape: means nothing in a closed model, where users set the pace",
        "phases[0].burst: means nothing in a closed model, where users set the pace",
    ]


def test_a_session_time_is_of_a_session(phased: Callable[..., Scenario]) -> None:
    phase = 'duration = "9s"\nrate = { browse = "1/s" }'
    assert faults(phased, phase, session_time={"brows": "2s"}) == [
        "session_time.brows: no phase offers it (did you mean 'browse'?)"
    ]


def test_a_matrix_crosses_different_things(phased: Callable[..., Scenario]) -> None:
    phase = 'duration = "9s"\nrate = { browse = "1/s" }'
    found = faults(phased, phase, matrix={"strategy": ["a", "a"], "isolation": ["serializable"] * 2})
    assert found == [
        "matrix.strategy: values repeat (a, a)",
        "matrix.isolation: values repeat (serializable, serializable)",
    ]
    made = phased(phase, matrix={"strategy": ["a", "b"], "isolation": ["serializable", "read committed"]}).matrix
    assert made is not None
    assert (made.strategy, made.isolation) == (("a", "b"), ("serializable", "read committed"))


def test_a_burst_alone_is_an_offer(phased: Callable[..., Scenario]) -> None:
    assert phased('duration = "9s"\nburst = { buy = 3 }').session_names == ("buy",)
    assert faults(phased, 'duration = "9s"\nburst = { buy = 0 }') == ["phases: every rate is zero"]


TRACED = 'duration = "4s"\nshape = "trace"\ntrace = "day.csv"\nrate = { browse = 3, buy = 1 }'


@pytest.mark.parametrize(
    ("csv", "expected"),
    [
        ("", ["phases[0].trace: 'day.csv' is empty"]),
        (
            "time,rate\n0,1",
            ["phases[0].trace: 'day.csv' line 1: the header is not 'second,rate', nor 'second' and regions: time,rate"],
        ),
        (
            "second,rate\n1,5\n1,-2\n\n2,x\n3\n4,nan",
            [
                "phases[0].trace: 'day.csv' line 2: the first second is 1, not 0",
                "phases[0].trace: 'day.csv' line 3: second 1 does not come after 1",
                "phases[0].trace: 'day.csv' line 3: a rate is below zero",
                "phases[0].trace: 'day.csv' line 5: 'x' is not a number",
                "phases[0].trace: 'day.csv' line 6: has 1 values, the header 2",
                "phases[0].trace: 'day.csv' and 1 more faults",
            ],
        ),
        ("second,rate\n0,1\n1,2", ["phases[0].duration: 4 s, but 'day.csv' ends after 2 s"]),
        ("second,rate", ["phases[0].trace: 'day.csv' has no rows below its header"]),
        (
            "second,us-eats\n0,1\n4,2",
            ["phases[0].trace: no region 'us-eats' (did you mean 'us-east'?)"],
        ),
    ],
)
def test_the_faults_of_a_trace(phased: Callable[..., Scenario], csv: str, expected: list[str]) -> None:
    assert faults(phased, TRACED, read=lambda _: csv) == expected


def test_a_trace_that_is_not_there(phased: Callable[..., Scenario], tmp_path: Path) -> None:
    def read(name: str) -> str:
        return (tmp_path / name).read_text()

    assert faults(phased, TRACED, read=read) == ["phases[0].trace: cannot read 'day.csv': No such file or directory"]


def test_a_trace_needs_its_file_and_weights(phased: Callable[..., Scenario]) -> None:
    assert faults(phased, 'duration = "4s"\nshape = "trace"\nburst = { buy = 1 }') == [
        "phases[0].trace: is missing",
        "phases[0].rate: is missing (the weight of each session in the trace's rate)",
    ]
    pair = TRACED.replace("buy = 1", "buy = [1, 2]")
    assert faults(phased, pair, read=lambda _: "second,rate\n0,1\n4,2") == [
        "phases[0].rate.buy: is a weight in a trace, so one number and not a pair"
    ]
