"""What an index is worth, from paired times with known answers."""

import math

import numpy as np
import pytest
import scipy.stats

from bench.stats.indexing import Case, Effect, Observation, balance, effect, verdict


def seen(with_ms, without_ms, n: int = 12, noise: float = 0.01) -> list[Observation]:
    """Observations around two means; the noise is a share of them."""
    # By what they are of, not by their turn: tests come in any order.
    draws = np.random.default_rng([11, round(with_ms * 1e6), round(without_ms * 1e6)]).normal(1, noise, (n, 2))
    return [Observation("s", "us-east", with_ms * a, without_ms * b) for a, b in draws]


def read(with_ms=0.1, without_ms=0.1, calls=1.0, **more) -> Effect:
    return effect("reader", "reads", calls, seen(with_ms, without_ms, **more))


def write(with_ms=0.1, without_ms=0.1, calls=1.0, **more) -> Effect:
    return effect("writer", "writes", calls, seen(with_ms, without_ms, **more))


def case(*effects: Effect, **changes) -> Case:
    users = tuple(each.statement for each in effects if each.role != "writes")
    given = {
        **{"is_constraint": False, "duplicate_of": None, "is_same": False, "users": users, "could": (), "unplayed": ()},
        **{"foreign_keys": (), "effects": effects, "costs_measured": True, "has_run": False},
    }
    return Case(**{**given, **changes})


def test_an_effect_is_the_paired_difference_with_students_interval():
    pairs = [(1.0, 1.4), (1.1, 1.7), (0.9, 1.1), (1.0, 1.5)]
    found = effect("s", "reads", 2.0, [Observation("s", "r", *pair) for pair in pairs])
    saved = [b - a for a, b in pairs]
    wanted = scipy.stats.ttest_1samp(saved, 0).confidence_interval(0.95)
    assert found.saved_ms.estimate == pytest.approx(np.mean(saved))
    assert (found.saved_ms.low, found.saved_ms.high) == pytest.approx((wanted.low, wanted.high))
    assert found.factor.estimate == pytest.approx(math.prod(b / a for a, b in pairs) ** 0.25)
    assert found.factor.low < found.factor.estimate < found.factor.high


def test_two_observations_give_no_interval():
    found = effect("s", "reads", 1.0, seen(1, 2, n=2))
    assert found.saved_ms.low is None
    assert found.factor.high is None
    assert balance([found], costs_measured=True).gain.low is None


def test_a_balance_weighs_by_calls_and_counts_costs_as_positive():
    found = balance([read(1, 3, calls=10, noise=0), write(0.5, 0.4, calls=100, noise=0)], costs_measured=True)
    assert found.gain.estimate == pytest.approx(20)
    assert found.cost.estimate == pytest.approx(10)
    assert found.net.estimate == pytest.approx(10)
    assert balance([read()], costs_measured=False).cost is None


def test_what_is_never_called_widens_nothing():
    noisy = write(1, 1, calls=0, n=2)
    found = balance([read(1, 2), noisy], costs_measured=True)
    assert found.net.low is not None
    assert found.cost.estimate == 0


def test_sums_hold_the_truth_as_often_as_they_say():
    hits, rng = 0, np.random.default_rng(11)
    for _ in range(400):
        parts = [
            effect("a", "reads", 3.0, [Observation("a", "r", 5, 5 + x) for x in rng.normal(0.2, 0.1, 8)]),
            effect("b", "reads", 1.0, [Observation("b", "r", 5, 5 + x) for x in rng.normal(0.1, 0.4, 5)]),
        ]
        net = balance(parts, costs_measured=True).net
        hits += net.low <= 0.7 <= net.high
    # 95 % of 400 less or more than three standard deviations.
    assert 367 <= hits <= 393


def test_a_reader_that_takes_twice_as_long_makes_an_index_essential():
    found = verdict(case(read(0.1, 0.5), write(0.11, 0.1)))
    assert found.word == "essential"
    assert "reader takes" in found.reason


def test_a_small_gain_above_the_cost_is_worth_it():
    assert verdict(case(read(0.1, 0.15), write(0.11, 0.1))).word == "worth it"


def test_a_cost_above_the_gain():
    assert verdict(case(read(0.1, 0.5, calls=0.1), write(0.2, 0.1))).word == "costs more than it gives"


def test_what_cannot_be_told_is_not_told():
    assert verdict(case(read(0.1, 0.101, noise=0.2), write(0.1, 0.1, noise=0.2))).word == "can't tell"
    few = verdict(case(read(0.1, 0.5, n=2), write()))
    assert (few.word, few.reason) == ("can't tell", "too few observations of the statements that use it")


def test_a_net_that_is_clear_only_by_a_side_that_is_not_is_left_open():
    # What seems to be a negative cost must not make an index worth having, nor a negative gain make it too dear.
    assert verdict(case(read(0.1, 0.1), write(0.1, 0.13))).word == "can't tell"
    assert verdict(case(read(0.13, 0.1), write(0.1, 0.1))).word == "can't tell"


def test_an_index_without_users_is_unused_whatever_it_costs():
    assert verdict(case(write(0.3, 0.1))).word == "unused"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"could": ("list_page",)}, "list_page: at this scale"),
        ({"unplayed": ("tag_page",)}, "not played may go by it: tag_page"),
        ({"foreign_keys": ("a_fkey",)}, "by a_fkey"),
    ],
)
def test_a_use_that_was_not_seen_is_a_doubt(changes, said):
    found = verdict(case(write(0.2, 0.1), **changes))
    assert found.word == "can't tell"
    assert said in found.reason


def test_a_run_that_never_called_the_users_tells_nothing_of_the_index():
    effects = read(0.1, 0.9, calls=0), write(0.2, 0.1)
    assert verdict(case(*effects, has_run=True)).word == "can't tell"
    assert verdict(case(*effects, has_run=False)).word == "costs more than it gives"


def test_duplicates():
    same = case(read(0.1, 0.1), duplicate_of="other", is_same=True)
    assert verdict(same).word == "duplicate"
    begins = verdict(case(read(0.1, 0.101), duplicate_of="other"))
    assert begins.word == "duplicate"
    assert "lose nothing" in begins.reason
    # The wider index serves it badly: it is no duplicate for its readers.
    assert verdict(case(read(0.1, 0.5), write(0.11, 0.1), duplicate_of="other")).word == "essential"


def test_constraints_are_not_judged():
    assert verdict(case(is_constraint=True)).word == "constraint"


def test_without_the_cost_only_the_essential_is_certain():
    vital = verdict(case(read(0.1, 0.5), costs_measured=False))
    assert vital.word == "essential"
    assert "not measured" in vital.reason
    assert verdict(case(read(0.1, 0.15), costs_measured=False)).word == "can't tell"
