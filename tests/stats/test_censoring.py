"""Percentiles with times that are only known to be at least so long."""

import math

import numpy as np
import pytest

from bench.metrics.histogram import Histogram
from bench.stats.censoring import Reading, Times
from bench.stats.records import Latency

PERCENTS = (0, 0.1, 10, 50, 75, 90, 95, 99, 99.9, 99.99, 100)


def times(*ms):
    return Histogram.of(np.array([round(value * 1e6) for value in ms], np.int64))


def kaplan_meier(answered, censored, percent):
    """The definition, one sample after another; None where so many are never seen to be answered."""
    order = sorted([(value, 0) for value in answered] + [(value, 1) for value in censored])
    waiting = 1.0
    for place, (value, is_censored) in enumerate(order):
        waiting *= 1.0 if is_censored else 1 - 1 / (len(order) - place)
        if not is_censored and waiting <= 1 - percent / 100 + 1e-9:
            return value
    return None


@pytest.mark.parametrize("thousands", [1, 2, 3, 7, 20])
def test_a_percentile_that_falls_on_a_whole_rank_is_that_rank(thousands):
    """99.9 / 100 * 1000 is a little more than 999 in floating point."""
    slow = thousands
    histogram = times(*[1.0] * (1000 * thousands - slow), *[5000.0] * slow)
    assert histogram.percentile_ms(99.9) == pytest.approx(1.0, rel=1e-3)
    assert histogram.percentile_ms(99.95) == 5000.0


@pytest.mark.parametrize("seed", range(20))
def test_without_anything_censored_it_is_the_nearest_rank_to_the_bit(seed):
    rng = np.random.default_rng(seed)
    values = (rng.lognormal(2, 1, rng.integers(1, 3000)) * 1e6).astype(np.int64)
    histogram = Histogram.of(values)
    ranked = np.sort(values)
    for percent in PERCENTS:
        found = Times(histogram).percentile(percent)
        assert found == Reading(histogram.percentile_ms(percent))
        exact = ranked[max(1, math.ceil(round(percent * len(ranked) / 100, 6))) - 1] / 1e6
        assert found.ms == pytest.approx(exact, rel=0.0006)
    latency = Latency.of(histogram)
    assert (latency.censored, latency.at_least) == (0, ())
    assert latency.max_ms == histogram.max_ms


@pytest.mark.parametrize("seed", range(30))
def test_it_is_the_estimate_of_kaplan_and_meier(seed):
    rng = np.random.default_rng(seed)
    # Whole milliseconds, each in a bucket of its own: what is compared is the estimate, not the buckets.
    answered = np.ceil(rng.lognormal(2, 1, 300).clip(1, 400)).astype(np.int64) * 1_000_000
    censored = np.ceil(rng.lognormal(1 + seed % 3, 1, rng.integers(1, 100)).clip(1, 400)).astype(np.int64) * 1_000_000
    both = Times(Histogram.of(answered), Histogram.of(censored))
    everything = np.sort(np.concatenate([answered, censored]))
    for percent in PERCENTS[1:]:
        exact = kaplan_meier(answered.tolist(), censored.tolist(), percent)
        found = both.percentile(percent)
        assert found.at_least == (exact is None)
        if exact is None:
            exact = everything[max(1, math.ceil(percent / 100 * len(everything))) - 1]
        assert found.ms == pytest.approx(exact / 1e6, rel=0.003)


def test_by_hand():
    """Ten, twenty and thirty milliseconds were seen; one was given up after fifteen: a third each of 3/4 is left above."""
    both = Times(times(10, 20, 30), times(15))
    assert [both.percentile(p).ms for p in (25, 50, 62.5, 63, 100)] == pytest.approx([10, 20, 20, 30, 30], rel=0.001)
    values, waiting = both.waiting()
    assert values == pytest.approx([10, 20, 30], rel=0.001)
    assert waiting == pytest.approx([3 / 4, 3 / 8, 0])


def test_a_bound_is_never_above_what_the_censored_could_have_been():
    """One that waited very long does not speak for the others: each is taken at its own word."""
    both = Times(times(*[10] * 100), times(*[2000] * 99, 100_000))
    assert both.percentile(50) == Reading(pytest.approx(10, rel=0.001))
    assert both.percentile(99) == Reading(pytest.approx(2000, rel=0.001), at_least=True)
    assert both.longest == Reading(100_000, at_least=True)


def test_what_was_given_up_before_anything_was_answered_tells_nothing_of_the_rest():
    assert Times(times(10, 20, 30), times(1, 1, 1)).percentile(50).ms == pytest.approx(20, rel=0.001)
    assert Times(censored=times(5, 6)).percentile(50) == Reading(pytest.approx(5, rel=0.001), at_least=True)
    assert Times().percentile(50) is None


def test_a_tie_is_answered_first():
    assert Times(times(10), times(10)).percentile(50) == Reading(10.0)


def test_a_server_frozen_at_the_end_shows():
    """Twenty seconds at 100/s, frozen for the last two: those who came then are cut off after what was left of it."""
    rate, run_s, freeze_s = 100, 20.0, 2.0
    rng = np.random.default_rng(1)
    arrived = np.arange(0, run_s, 1 / rate)
    answered = Histogram.of((rng.lognormal(2, 0.3, int((run_s - freeze_s) * rate)) * 1e6).astype(np.int64))
    cut_off = Histogram.of(((run_s - arrived[arrived >= run_s - freeze_s]) * 1e9).astype(np.int64))
    naive, honest = Latency.of(answered), Latency.of(answered, cut_off)
    assert naive.p99_ms < 30
    # One in a hundred came in the first fifth of a second of the freeze, and saw the rest of it.
    remaining_ms = (freeze_s - 0.01 * run_s) * 1000
    assert honest.p99_ms >= remaining_ms * 0.9995
    assert honest.p99_ms <= freeze_s * 1000
    assert honest.at_least == ("p95_ms", "p99_ms", "p999_ms", "max_ms")
    assert honest.p50_ms == pytest.approx(naive.p50_ms, rel=0.1)
