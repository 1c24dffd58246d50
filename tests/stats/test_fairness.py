"""Fairness: queues, lotteries and favourites are told apart."""

import numpy as np
import pytest

from bench.metrics.frame import Contender
from bench.stats.fairness import fairness, inversions


def buyer(arrived, outcome="ok", region="east", key="SKU-1", attempts=1):
    return Contender(region, key, arrived, arrived + 1, outcome, attempts)


def test_a_queue_has_no_inversions_and_a_stack_has_nothing_else():
    queue = [buyer(n, "ok" if n < 5 else "sold_out") for n in range(10)]
    stack = [buyer(n, "sold_out" if n < 5 else "ok") for n in range(10)]
    assert (inversions(queue), inversions(stack)) == (0.0, 1.0)


def test_by_hand():
    """Refused at 1 and 4, served at 2 and 3: of four pairs two are inverted; a tie is half of one."""
    group = [buyer(1, "sold_out"), buyer(2), buyer(3), buyer(4, "sold_out")]
    assert inversions(group) == 0.5
    assert inversions([buyer(1, "sold_out"), buyer(1)]) == 0.5
    assert inversions([buyer(1), buyer(2)]) is None


def test_only_buyers_of_the_same_thing_are_compared():
    assert inversions([buyer(1, "sold_out", key="A"), buyer(2, key="B")]) is None
    both = [buyer(1, "sold_out", key="A"), buyer(2, key="A"), buyer(1, key="B"), buyer(2, "sold_out", key="B")]
    assert inversions(both) == 0.5


def test_whose_payment_was_declined_was_served_and_who_gave_up_was_not():
    assert inversions([buyer(1, "payment_declined"), buyer(2, "gave_up")]) == 0.0


def test_who_was_dropped_wanted_something_and_got_nothing():
    found = fairness([buyer(1, attempts=3), buyer(0, "dropped", attempts=0)], ("east",))
    assert [(row.wanted, row.served, row.inversions, row.attempts_p99) for row in found.rows] == [(2, 1, 1.0, 3)] * 2
    assert fairness([buyer(0, "dropped", attempts=0)], ("east",)).rows[0].attempts_p99 == 0


def lottery(seed, chances, count=600):
    rng = np.random.default_rng(seed)
    regions = list(chances)
    return [
        buyer(at, "ok" if rng.random() < chances[region] else "sold_out", region)
        for at, region in ((float(at), regions[at % len(regions)]) for at in range(count))
    ]


def test_a_lottery_is_even_and_its_p_value_is_uniform():
    found = [fairness(lottery(seed, {"east": 0.5, "west": 0.5}), ("east", "west")) for seed in range(60)]
    assert np.mean([one.rows[-1].inversions for one in found]) == pytest.approx(0.5, abs=0.02)
    # With a chance of 5 % each, more than nine of sixty happen once in five hundred sound test series.
    assert sum(one.p_value < 0.05 for one in found) <= 9
    assert sum(one.p_value < 0.5 for one in found) >= 15


def test_a_favoured_region_is_found():
    found = fairness(lottery(1, {"east": 0.7, "west": 0.4}), ("west", "east", "none"))
    assert [row.region for row in found.rows] == ["west", "east", None]
    assert found.p_value < 0.001
    west, east, whole = found.rows
    assert (west.wanted, west.wanted_share) == (300, 0.5)
    assert west.served + east.served == whole.served
    assert west.served_share < 0.45
    assert east.served_share > 0.55


def test_the_p_value_is_that_of_scipy():
    from scipy.stats import chi2_contingency

    found = fairness(lottery(2, {"a": 0.5, "b": 0.4, "c": 0.6}), ("a", "b", "c"))
    table = [[row.served, row.wanted - row.served] for row in found.rows[:-1]]
    exact = chi2_contingency(table, correction=False)
    assert (found.chi_square, found.p_value) == pytest.approx((exact.statistic, exact.pvalue))


def test_too_few_are_not_tested_and_starvation_shows():
    found = fairness([buyer(1), buyer(2, "sold_out", "west", attempts=12)], ("east", "west"))
    assert (found.chi_square, found.p_value) == (None, None)
    assert [row.attempts_p99 for row in found.rows] == [1, 12, 12]
    assert fairness([], ("east",)) is None
