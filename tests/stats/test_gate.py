"""The decision of a gate: each verdict and its exit code, how often it errs, and what it says of itself."""

from collections import Counter

import pytest

from bench.errors import ExitCode
from bench.stats.comparison import compare
from bench.stats.gate import Fitness, Limits, decide
from bench.stats.records import ObjectiveRow
from tests.stats.simulated import Machine

FIT = Fitness("complete", "VALID")
HELD = ObjectiveRow("shop response p99 < 300ms", "response_p99_ms", 300.0, 120.0, True, "120 ms")
MISSED = ObjectiveRow("shop response p99 < 100ms", "response_p99_ms", 100.0, 120.0, False, "120 ms")


def gates(count, earlier=5, own=0.015, **planted):
    found = Counter()
    for seed in range(count):
        machine = Machine(seed, own=own)
        if "slower" in planted:
            # One that takes some time, another with each machine.
            wanted = [place for place, time in enumerate(machine.times) if 0.3 < time < 3]
            planted["slower"] = wanted[seed % len(wanted)]
        comparison = compare([machine.run() for _ in range(earlier)], machine.run(**planted))
        found[decide(FIT, (), comparison, Limits()).verdict] += 1
    return found


def test_equal_runs_pass_and_hardly_ever_fail():
    found = gates(40)
    assert found["FAIL"] <= 1
    assert found["PASS"] >= 32


def test_a_statement_dearer_by_a_third_fails():
    found = gates(30, slower=0, factor=1.3)
    assert found["FAIL"] >= 27
    assert found["PASS"] <= 1


def test_a_plan_that_reads_more_fails():
    assert gates(10, slower=0, blocks=4.0) == {"FAIL": 10}
    assert gates(10, earlier=1, own=0.1, slower=0, blocks=4.0) == {"FAIL": 10}


def test_a_noisy_machine_is_inconclusive():
    found = gates(20, own=0.08)
    assert found["FAIL"] <= 1
    assert found["INCONCLUSIVE"] >= 18


def comparison_of(**planted):
    machine = Machine(2, own=0.01, speed=0.02)
    return compare([machine.run() for _ in range(5)], machine.run(**planted))


@pytest.mark.parametrize(
    ("fitness", "objectives", "planted", "verdict", "code"),
    [
        (FIT, (HELD,), {}, "PASS", 0),
        (FIT, (HELD, MISSED), {}, "FAIL", 1),
        (FIT, (), {"slower": 1, "factor": 2.0}, "FAIL", 1),
        (FIT, (), {"everything": 1.2}, "INCONCLUSIVE", 7),
        (Fitness("complete", "INVALID", ("dropped",)), (), {}, "INVALID", 4),
        (Fitness("killed", "VALID"), (), {}, "INVALID", 4),
        (Fitness("interrupted", "VALID"), (HELD,), {}, "INVALID", 4),
        (Fitness("complete", "VALID", audited=False), (), {}, "INVALID", 4),
        (Fitness("complete", "VALID", broken=("stock",)), (HELD,), {}, "DATA WRONG", 6),
        (Fitness("killed", "INVALID", broken=("stock",)), (MISSED,), {"slower": 1, "factor": 2.0}, "DATA WRONG", 6),
    ],
)
def test_each_end_has_its_code(fitness, objectives, planted, verdict, code):
    gate = decide(fitness, objectives, comparison_of(**planted), Limits())
    assert (gate.verdict, int(gate.exit_code)) == (verdict, code)
    assert bool(gate.reasons) == (verdict != "PASS")
    assert isinstance(gate.exit_code, ExitCode)


def test_it_says_what_is_worse_and_what_it_could_have_seen():
    gate = decide(FIT, (), comparison_of(slower=1, factor=2.0), Limits())
    assert gate.reasons[0].startswith("statement shop/s1: quick: +")
    assert {sight.metric for sight in gate.sights} >= {"quick", "blocks/call", "all statements together"}
    quick = next(sight for sight in gate.sights if sight.metric == "quick")
    assert 0 < quick.typical <= quick.worst < 1


def test_a_tolerance_lets_small_things_pass_and_a_finer_eye_asks_for_more():
    comparison = comparison_of(slower=1, factor=1.5)
    assert decide(FIT, (), comparison, Limits(tolerance=1.0, detect=2.0)).verdict == "PASS"
    assert decide(FIT, (), comparison_of(), Limits(detect=0.02)).verdict == "INCONCLUSIVE"


def test_a_statement_that_is_gone_is_no_pass():
    machine = Machine(2, own=0.01, speed=0.02)
    before, after = [machine.run() for _ in range(5)], machine.run()
    after = {key: measure for key, measure in after.items() if key.name != "shop/s1"}
    gate = decide(FIT, (), compare(before, after), Limits())
    assert gate.verdict == "INCONCLUSIVE"
    assert "statement shop/s1: quick: is not in this run" in gate.reasons


def test_nothing_to_judge_is_no_pass():
    assert decide(FIT, (HELD,), compare([{}], {}), Limits()).verdict == "INCONCLUSIVE"


def test_a_run_that_is_not_fit_can_fail_by_what_it_read_and_never_passes():
    invalid = Fitness("complete", "INVALID", ("no core was free",))
    gate = decide(invalid, (), comparison_of(slower=1, blocks=50.0), Limits())
    assert (gate.verdict, gate.reasons[0].startswith("server shop/s1: blocks/call: 50 x")) == ("FAIL", True)
    assert "no core was free" in gate.reasons
    assert decide(invalid, (), comparison_of(slower=1, factor=5.0), Limits()).verdict == "INVALID"
    # On a machine without a free core that much comes of versions that cannot be pruned.
    assert decide(invalid, (), comparison_of(slower=1, blocks=3.0), Limits()).verdict == "INVALID"
    killed = Fitness("killed", "INVALID")
    assert decide(killed, (), comparison_of(slower=1, blocks=50.0), Limits()).verdict == "INVALID"
