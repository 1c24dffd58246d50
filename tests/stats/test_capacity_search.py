"""The search for capacity, against simulated servers whose limit is known."""

import numpy as np
import pytest
from queueing import MOST, Server, departures, search

from bench.stats.knee import Knee, Trial, find_knee
from bench.stats.probing import Counts, Objective, bounds, design_effect, judge_counts, looks
from bench.stats.search import Search, grid_probes, next_rate

ALLOWED = 0.01
FAST = Server(servers=8, service_s=0.02, limit_s=0.05)


def plan(start: float) -> Search:
    return Search(start, start / 1000, start * 1000, ALLOWED)


def test_the_simulated_server_is_lindleys_with_one_worker_and_the_textbooks():
    """Mean wait of M/D/1 is rho D / (2 (1 - rho)) (Pollaczek and Khinchine)."""
    rng = np.random.default_rng(1)
    arrivals = np.cumsum(rng.exponential(1.0, 400_000))
    left = departures(arrivals, 1, 0.7)
    waits = [0.0]
    for gap in np.diff(arrivals[:2000]):
        waits.append(max(0.0, waits[-1] + 0.7 - gap))
    assert np.allclose((left - arrivals - 0.7)[:2000], waits)
    assert float((left - arrivals).mean()) == pytest.approx(0.7 + 0.7 * 0.7 / (2 * 0.3), rel=0.03)


def inside(server: Server, seeds: range, longest_s: int) -> tuple[int, list[int], list[float]]:
    truth = server.true_limit()
    found, probes, widths = 0, [], []
    for seed in seeds:
        start = truth / (13 + seed % 5)
        trials = search(server, plan(start), seed, 3, longest_s)
        knee = find_knee(trials, ALLOWED)
        found += (knee.low or 0.0) <= truth <= (knee.high or np.inf)
        probes.append(len(trials))
        widths.append(knee.width)
        assert len(trials) < grid_probes(start, truth)
    return found, probes, widths


def test_the_limit_of_a_known_server_is_in_the_interval():
    found, probes, widths = inside(FAST, range(5), 30)
    assert found >= 4
    assert max(probes) <= MOST
    assert np.median(widths) < 1.2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("server", "longest_s"),
    [
        (FAST, 30),
        (Server(4, 0.05, 0.15), 60),
        (Server(2, 0.02, 0.1), 60),
        (Server(1, 0.01, 0.05), 60),
        (Server(16, 0.1, 0.2), 60),
    ],
    ids=lambda value: str(value).replace(" ", "") if isinstance(value, Server) else None,
)
def test_the_limit_is_in_the_interval_in_18_of_20_searches(server: Server, longest_s: int):
    found, _, widths = inside(server, range(20), longest_s)
    assert found >= 18
    assert np.median(widths) < 1.25


def trial(rate: float, share: float, requests: int = 4000) -> Trial:
    return Trial(rate, requests, round(requests * share), 2.0)


def test_a_search_doubles_until_it_breaks_and_halves_until_it_holds():
    search_ = plan(10.0)
    assert next_rate(search_, []) == 10
    assert next_rate(search_, [trial(10, 0)]) == 20
    assert next_rate(search_, [trial(10, 0), trial(20, 0)]) == 40
    assert next_rate(search_, [trial(10, 0.9)]) == 5
    assert next_rate(Search(10, 1, 20, ALLOWED), [trial(10, 0), trial(20, 0)]) is None


def test_probes_go_below_and_above_the_middle_in_turn():
    trials = [trial(10, 0), trial(20, 0.001), trial(40, 0.6)]
    middle = find_knee(trials, ALLOWED).estimate
    first = next_rate(plan(10), trials)
    assert first is not None
    assert middle is not None
    trials.append(trial(first, 0.01))
    second = next_rate(plan(10), trials)
    assert second is not None
    assert (first < middle) != (second < find_knee(trials, ALLOWED).estimate)


def test_a_ceiling_of_the_generator_ends_the_search_below_it():
    trials = [trial(10, 0), trial(20, 0)]
    for _ in range(20):
        rate = next_rate(plan(10), trials, ceiling=40)
        if rate is None:
            break
        assert rate < 40
        trials.append(trial(rate, 0))
    assert rate is None
    assert find_knee(trials, ALLOWED).high is None
    assert max(each.rate for each in trials) > 40 / 1.16


def test_the_interval_lies_between_what_held_and_what_broke():
    knee = find_knee([trial(10, 0), trial(20, 0), trial(40, 1), trial(80, 1)], ALLOWED)
    assert knee.low is not None
    assert knee.high is not None
    assert 15 < knee.low < knee.estimate < knee.high <= 40
    assert find_knee([trial(10, 0), trial(20, 0)], ALLOWED).high is None
    assert find_knee([trial(10, 0.9), trial(20, 1)], ALLOWED) == Knee(None, None, 10), (
        "below the lowest rate nothing is known"
    )
    assert find_knee([], ALLOWED) == Knee(None, None, None)


def test_probes_that_contradict_each_other_widen_the_interval():
    calm = [trial(20, 0.002), trial(24, 0.005), trial(28, 0.015), trial(34, 0.04)]
    wild = [trial(20, 0.02), trial(24, 0.001), trial(28, 0.04), trial(34, 0.008)]
    assert find_knee(wild, ALLOWED).width > 1.5 * find_knee(calm, ALLOWED).width


def counts(requests: list[int], over: list[int], **more: int) -> Counts:
    offered = {"offered": sum(requests), "answered": sum(requests), "before": 3, "after": 3} | more
    return Counts(np.array(requests), np.array(over), np.array(over), **offered)


def test_a_probe_is_clear_only_when_its_bounds_are():
    objective = Objective(100.0)
    assert judge_counts(counts([500] * 12, [0] * 11 + [2]), objective).verdict == "held"
    assert judge_counts(counts([500] * 12, [20] * 12), objective).verdict == "broke"
    assert judge_counts(counts([500] * 12, [5, 4, 6] * 4), objective).verdict == "unclear"
    assert judge_counts(counts([], []), objective).verdict == "unclear"


def test_requests_that_are_slow_together_count_for_fewer():
    even, together = counts([100] * 16, [2] * 16), counts([100] * 16, [32] + [0] * 15)
    assert design_effect(together) > 20 * design_effect(even)
    assert judge_counts(even, Objective(1.0, 95)).verdict == "held"
    assert judge_counts(together, Objective(1.0, 95)).verdict == "unclear"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"dropped": 1}, "dropped"),
        ({"failed": 60}, "failed"),
        ({"answered": 5000, "after": 1000}, "queue grew"),
    ],
)
def test_what_is_lost_breaks_the_objective_however_fast_the_rest_is(more, said):
    judged = judge_counts(counts([500] * 12, [0] * 12, **more), Objective(100.0))
    assert judged.verdict == "broke"
    assert said in judged.reason
    assert judged.trial(5.0, counts([500] * 12, [0] * 12)).share == 1


def test_a_session_more_in_the_system_than_before_is_chance():
    assert (
        judge_counts(counts([500] * 12, [0] * 11 + [2], answered=5870, before=20, after=50), Objective(100.0)).verdict
        == "held"
    )


def test_bounds_are_clopper_and_pearsons():
    """R: binom.test(3, 100)$conf.int is 0.00623 to 0.08518."""
    assert bounds(3, 100, 1.0, 0.025) == pytest.approx((0.00623, 0.08518), abs=1e-5)
    assert bounds(0, 0, 1.0, 0.025) == (0.0, 1.0)


@pytest.mark.parametrize("longest", [1, 3, 5, 20, 60])
def test_the_last_look_is_at_the_end(longest: int):
    assert looks(longest)[-1] == longest
    assert list(looks(longest)) == sorted(set(looks(longest)))


def test_probes_that_contradict_each_other_are_not_followed_upwards():
    """Of a real search, beside which another program began: what held at 94 a second broke at 80."""
    seen = [(15, 0.0), (30, 0.0), (60, 0.0), (120, 1.0), (94.17, 0.0), (97.93, 0.88), (95.66, 0.063), (79.92, 0.77)]
    trials = [Trial(rate, int(rate * 20), round(rate * 20 * share), 1.0) for rate, share in seen]
    assert find_knee(trials, ALLOWED).high is None
    assert next_rate(plan(15.0), trials) == pytest.approx((60 * 79.92) ** 0.5)
    # An edge as sharp as that of a lock: its lower end can be told by lower rates alone.
    seen = [(16, 0.0), (32, 0.13), (22.63, 0.17), (19.03, 0.19), (17.45, 0.004), (18.22, 0.0), (18.62, 0.059)]
    trials = [Trial(rate, int(rate * 120), round(rate * 120 * share), 30.0) for rate, share in seen]
    assert find_knee(trials, ALLOWED).low is None
    assert next_rate(plan(16.0), trials) == 8
