"""Comparisons of simulated runs: words come rarely by chance, and where something was planted."""

from dataclasses import replace

import numpy as np
import pytest

from bench.metrics.histogram import Histogram
from bench.stats.comparison import SHIFT, compare, significant
from bench.stats.comparison_measures import Key, mean_measure, percentile_measure, quick_measure
from tests.stats.simulated import Machine

QUIET = ("no difference", "can't tell")


def clear(comparison):
    return {row.key for row in (*comparison.rows, comparison.shift) if row.word not in QUIET}


@pytest.mark.parametrize("earlier", [1, 5])
def test_two_runs_of_the_same_thing_differ_in_nothing_that_can_be_told(earlier):
    """Words are wrong in at most 1 of 20 comparisons."""
    found = 0
    for seed in range(20):
        machine = Machine(seed)
        found += bool(clear(compare([machine.run() for _ in range(earlier)], machine.run())))
    assert found <= 1


def test_a_slower_statement_is_named_and_nothing_else():
    machine = Machine(3)
    comparison = compare([machine.run() for _ in range(5)], machine.run(slower=4, factor=1.6))
    assert Key("statement", "shop/s4", None, "quick_ms") in clear(comparison)
    assert {key.name for key in clear(comparison)} == {"shop/s4"}
    row = next(row for row in comparison.rows if row.key == Key("statement", "shop/s4", None, "quick_ms"))
    assert (row.word, row.low < 1.6 < row.high, row.worst > row.worsening > 1) == ("slower", True, True)


def test_a_fast_machine_makes_no_statement_faster():
    """All times halved: that is the common shift, and no statement stands out from it."""
    machine = Machine(7)
    comparison = compare([machine.run() for _ in range(3)], machine.run(everything=0.5))
    assert clear(comparison) == {SHIFT}
    assert comparison.shift.word == "faster"
    assert comparison.shift.effect == pytest.approx(0.5, rel=0.15)


def test_counts_are_judged_as_they_are():
    machine = Machine(7)
    comparison = compare([machine.run()], machine.run(slower=2, blocks=3.0, everything=2.0))
    row = next(row for row in comparison.rows if row.key == Key("server", "shop/s2", None, "blocks"))
    assert (row.word, row.effect == pytest.approx(3.0, rel=0.05)) == ("worse", True)


def test_less_trust_says_less():
    machine = Machine(1)
    before, after = [machine.run()], machine.run(slower=2, factor=3.0, everything=1.8, blocks=3.0)
    assert {key.metric for key in clear(compare(before, after))} >= {"quick_ms", "blocks"}
    assert not clear(compare(before, after, trust="none"))
    replanned = machine.run(slower=2, factor=3.0, everything=1.8, blocks=30.0)
    assert {key.metric for key in clear(compare(before, replanned, trust="none"))} == {"blocks"}
    assert SHIFT not in clear(compare(before, after, trust="unsteady"))


def test_a_noisy_machine_is_told_from_a_slow_statement():
    """Where all statements scatter, none is accused; the smallest effect that could be seen grows instead."""
    steady, noisy = (Machine(5, own=own) for own in (0.01, 0.25))
    rows = [compare([machine.run()], machine.run()).rows for machine in (steady, noisy)]
    quiet, loud = (np.median([row.detectable for row in each if row.key.metric == "quick_ms"]) for each in rows)
    assert quiet < 1.4
    assert loud > 1.8


def test_more_runs_of_a_baseline_see_smaller_effects():
    machine = Machine(2)
    runs = [machine.run() for _ in range(6)]
    one, five = compare(runs[:1], runs[5]), compare(runs[:5], runs[5])
    assert np.median([row.detectable for row in five.rows]) < np.median([row.detectable for row in one.rows])


def test_what_only_one_side_has_is_named():
    machine = Machine(2)
    before, after = machine.run(), machine.run()
    lost = Key("statement", "shop/s1", None, "quick_ms")
    del after[lost]
    added = lost._replace(name="shop/new")
    after[added] = before[lost]
    after[lost._replace(name="shop/rare")] = replace(before[lost], count=40)
    comparison = compare([before], after)
    assert (comparison.gone, comparison.new) == ((lost,), (added,))
    nothing = compare([{}], after)
    assert (nothing.rows, nothing.shift) == ((), None)


def test_better_and_worse_of_what_is_better_when_more():
    machine = Machine(2)
    before, after = [machine.run()], machine.run()
    key = Key("transaction", "t0", None, "goodput_per_s")
    after[key] = replace(after[key], value=10.0)
    row = next(row for row in compare(before, after).rows if row.key == key)
    assert (row.word, row.worsening > 1.8) == ("worse", True)


def test_holm_steps_down():
    assert significant([0.001, 0.02, 0.9], 0.05) == [True, True, False]
    assert significant([0.02, 0.02, 0.9], 0.05) == [False, False, False]


def test_quick_times_ignore_what_stalls_them_and_feel_what_makes_each_dearer():
    rng = np.random.default_rng(1)
    values = (1e6 * rng.lognormal(0, 0.3, 1000)).astype(np.int64)
    plain = quick_measure(Histogram.of(values))
    stalled = values.copy()
    stalled[:300] *= 20
    assert quick_measure(Histogram.of(stalled)).value == pytest.approx(plain.value, rel=0.15)
    assert mean_measure(Histogram.of(stalled)).value > 4 * mean_measure(Histogram.of(values)).value
    assert quick_measure(Histogram.of(values * 13 // 10)).value == pytest.approx(1.3 * plain.value, rel=0.01)


@pytest.mark.parametrize(
    ("measure", "within"), [(quick_measure, 0.3), (lambda times: percentile_measure(times, 50), 0.3)]
)
def test_errors_are_those_that_repeats_show(measure, within):
    rng = np.random.default_rng(8)
    found = [measure(Histogram.of((1e6 * rng.lognormal(0, 0.4, 300)).astype(np.int64))) for _ in range(200)]
    shown = np.std(np.log([one.value for one in found]))
    assert np.mean([one.error for one in found]) == pytest.approx(shown, rel=within)


def test_too_few_samples_are_no_figure():
    few = Histogram.of(np.arange(1, 29, dtype=np.int64) * 1_000_000)
    assert (quick_measure(few), mean_measure(few), percentile_measure(few, 50)) == (None, None, None)
    assert percentile_measure(Histogram.of(np.arange(1, 400, dtype=np.int64) * 1_000_000), 99) is None
