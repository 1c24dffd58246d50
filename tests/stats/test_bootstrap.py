"""Intervals over seconds hold what they promise, also where seconds are alike; and none is given where they would not."""

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from bench.metrics.histogram import Histogram
from bench.stats.bootstrap import Interval, block_length, mean_interval, percentile_intervals, ratio_interval


def moods(phi, count, rng):
    """An autoregression of variance one."""
    return lfilter([1], [1, -phi], rng.standard_normal(count + 100))[100:] * np.sqrt(1 - phi**2)


def seconds(phi, count, rng, mood=0.2, samples=50, factor=1.0):
    """Seconds with a mood, each with samples of its own: lognormal as a whole."""
    return [
        Histogram.of(
            (factor * 1e6 * np.exp(3 + mood * m + 0.4 * rng.standard_normal(rng.poisson(samples)))).astype(np.int64)
        )
        for m in moods(phi, count, rng)
    ]


def true_percentile(percent, mood=0.2):
    return float(np.exp(3 + np.hypot(mood, 0.4) * stats.norm.ppf(percent / 100)))


def mean_coverage(phi, count, repeats):
    rng = np.random.default_rng(11)
    held = [mean_interval(moods(phi, count, rng)).holds(0.0) for _ in range(repeats)]
    return sum(held) / repeats


@pytest.mark.parametrize("phi", [0.0, 0.8])
def test_a_minute_of_seconds_gives_an_interval_of_its_mean(phi):
    """200 repeats: at 95 % the share is outside of these bounds about once in a thousand."""
    assert 0.90 <= mean_coverage(phi, 60, 200) <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize("count", [60, 150, 600])
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_the_coverage_of_means(phi, count):
    """93 to 97 %, and 1.2 % for the 2,000 repeats themselves (2.5 standard errors)."""
    assert 0.93 - 0.012 <= mean_coverage(phi, count, 2000) <= 0.97 + 0.012


@pytest.mark.slow
@pytest.mark.parametrize(("phi", "count"), [(0.0, 60), (0.5, 60), (0.8, 60), (0.0, 300), (0.5, 300), (0.8, 300)])
def test_the_coverage_of_percentiles(phi, count):
    """Of those given; a percentile whose tail says too little has none, and these are left out."""
    rng, repeats, percents = np.random.default_rng(5), 400, (50, 95, 99)
    held, given = np.zeros(3), np.zeros(3)
    for _ in range(repeats):
        for place, interval in enumerate(percentile_intervals(seconds(phi, count, rng), percents)):
            if interval is not None:
                given[place] += 1
                held[place] += interval.holds(true_percentile(percents[place]))
    enough = given >= repeats / 2
    assert enough[0]
    error = 2.5 * np.sqrt(0.05 * 0.95 / given[enough])
    assert np.all(held[enough] / given[enough] >= 0.93 - error)
    assert np.all(held[enough] / given[enough] <= 0.97 + error)


def test_seconds_that_are_alike_widen_the_interval():
    """The same samples: shuffled they are worth as many as there are, in their order far fewer."""
    rng = np.random.default_rng(3)
    series = moods(0.9, 300, rng)
    ordered, shuffled = mean_interval(series), mean_interval(rng.permutation(series))
    assert ordered.high - ordered.low > 2 * (shuffled.high - shuffled.low)


def test_a_tail_reaches_further_up_than_down():
    p50, p99 = percentile_intervals(seconds(0.0, 300, np.random.default_rng(1)), (50, 99))
    assert p50.low < p50.high < p99.low < true_percentile(99) < p99.high


def test_where_an_interval_would_be_wrong_there_is_none():
    rng = np.random.default_rng(2)
    assert mean_interval([1.0] * 19) is None
    assert percentile_intervals(seconds(0.0, 19, rng), (50,)) == (None,)
    few = seconds(0.0, 60, rng, samples=5)
    assert [interval is None for interval in percentile_intervals(few, (50, 99, 99.9))] == [False, True, True]
    # The middle drifts, so what is independent in the tail is not believed either.
    drifting = [
        Histogram.of((1e6 * np.append(rng.lognormal(mood, 0.1, 200), rng.lognormal(6, 0.2, 10))).astype(np.int64))
        for mood in np.linspace(3, 3.05, 40)
    ]
    shuffled = [drifting[place] for place in rng.permutation(40)]
    assert [interval is None for interval in percentile_intervals(drifting, (50, 99))] == [False, True]
    assert [interval is None for interval in percentile_intervals(shuffled, (50, 99))] == [False, False]
    assert percentile_intervals([Histogram.empty()] * 60, (50,)) == (None,)


def test_a_ratio_is_that_of_the_sides():
    rng = np.random.default_rng(4)
    before, after = seconds(0.5, 120, rng), seconds(0.5, 120, rng, factor=1.5)
    p50, back = ratio_interval(before, after, 50), ratio_interval(after, before, 50)
    assert p50.low < 1.5 < p50.high < 2
    assert back.low < 1 / 1.5 < back.high < 1
    assert ratio_interval(before[:10], after, 50) is None


def test_what_never_changes_has_an_interval_of_one_value():
    assert mean_interval([2.5] * 60) == Interval(2.5, 2.5)


def test_the_same_run_has_the_same_interval_each_time():
    series = moods(0.5, 60, np.random.default_rng(9))
    assert mean_interval(series) == mean_interval(series)
    assert mean_interval(series, confidence=0.5).high < mean_interval(series).high


def test_blocks_grow_with_dependence():
    rng = np.random.default_rng(6)
    lengths = [np.median([block_length(moods(phi, 600, rng)) for _ in range(20)]) for phi in (0.0, 0.5, 0.9)]
    assert lengths[0] < lengths[1] < lengths[2]
