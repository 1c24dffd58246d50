"""The schedule is the Poisson process that the scenario asks for, whatever the shape."""

import hashlib
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from bench.errors import UsageError
from bench.scenario.model import Scenario
from bench.scenario.offer import apportion, offers, peak_rate, planned_rates
from bench.scenario.schedule import Schedule, make_schedule, scaled, turns_of

Make = Callable[..., Scenario]
ONE = [{"name": "us-east"}]
LIKELY = 0.001
"""Seeds are fixed, so a test passes always or never; this says only how surprising the draw may be."""


def times(schedule: Schedule) -> np.ndarray:
    return schedule.due_ns / 1e9


def chi_square(seconds: np.ndarray, rate: Callable[[float], float], edges: np.ndarray) -> float:
    """How likely counts in bins are, if they are Poisson with the integral of the rate as their mean."""
    expected = np.array([integrate.quad(rate, a, b, limit=200)[0] for a, b in pairwise(edges)])
    counts, _ = np.histogram(seconds, edges)
    statistic = ((counts - expected) ** 2 / expected).sum()
    return min(stats.chi2.sf(statistic, len(expected)), stats.chi2.cdf(statistic, len(expected)))


def gaps_are_exponential(seconds: np.ndarray, area: Callable[[float], float]) -> float:
    """By the time change that makes any Poisson process one of rate 1: the gaps of the areas are exponential."""
    return stats.kstest(np.diff([area(t) for t in seconds]), "expon").pvalue


HOUR = 3600.0
SHAPES = {
    "constant": ('rate = { a = "50/s" }', lambda t: 50.0),
    "ramp": ('rate = { a = ["20/s", "180/s"] }', lambda t: 20 + 160 * t / 60),
    "down": ('rate = { a = ["90/s", 0] }', lambda t: 90 - 90 * t / 60),
    "step": ('shape = "step"\nsteps = 4\nrate = { a = ["20/s", "110/s"] }', lambda t: 20 + 30 * (t // 15)),
    "spike": (
        'shape = "spike"\nhalf_life = "5s"\nrate = { a = ["10/s", "300/s"] }',
        lambda t: 10 + 290 * 2 ** (-t / 5),
    ),
    "diurnal": (
        # A day of 30 s: the peak is at 18:00 in a region two hours ahead, so at 16/24 of the day.
        'shape = "diurnal"\nperiod = "30s"\nrate = { a = ["20/s", "200/s"] }',
        lambda t: 20 + 180 * (1 + np.cos(2 * np.pi * (t - 20) / 30)) / 2,
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_a_poisson_process_of_its_rate(phased: Make, shape: str) -> None:
    text, rate = SHAPES[shape]
    regions = [{"name": "x", "utc_offset": 2, "peak_at": "18:00"}]
    seconds = times(make_schedule(phased(f'duration = "60s"\n{text}', regions=regions), 3))
    assert chi_square(seconds, rate, np.arange(0, 61, 1.5)) > LIKELY
    grid = np.linspace(0, 60, 24_001)
    area = integrate.cumulative_trapezoid([rate(t) for t in grid], grid, initial=0)
    assert gaps_are_exponential(seconds, lambda t: float(np.interp(t, grid, area))) > LIKELY


def test_the_check_of_a_shape_can_fail(phased: Make) -> None:
    seconds = times(make_schedule(phased('duration = "60s"\nrate = { a = "50/s" }', regions=ONE), 3))
    assert chi_square(seconds, lambda t: 60.0, np.arange(0, 61, 1.5)) < LIKELY
    assert gaps_are_exponential(np.arange(0, 60, 0.02), lambda t: 50 * t) < LIKELY


def test_counts_of_many_seeds_are_poisson(phased: Make) -> None:
    scenario = phased('duration = "10s"\nrate = { a = "2/s" }', regions=ONE)
    counts = [len(make_schedule(scenario, seed)) for seed in range(400)]
    assert np.var(counts) / np.mean(counts) == pytest.approx(1, abs=4 * (2 / 400) ** 0.5)
    assert np.mean(counts) == pytest.approx(20, abs=4 * (20 / 400) ** 0.5)


def test_the_area_is_inverted_exactly(phased: Make) -> None:
    """The time at which a share of the area is reached has that share of the area before it."""
    for text, _ in SHAPES.values():
        scenario = phased(f'duration = "60s"\n{text}', regions=ONE)
        curve = next(offers(scenario, scenario.phases[0])).curve
        shares = np.linspace(0, 1, 2001)[:-1]
        found = curve.times(shares * curve.area)
        assert (np.diff(found) >= 0).all()
        assert 0 <= found[0] <= found[-1] <= 60
        knots = np.concatenate([curve.starts, [60.0]])
        for share, time in list(zip(shares, found))[::97]:
            inside = np.unique(np.append(knots[knots < time], time))
            pieces = pairwise(inside)
            area = sum((curve.at(a) + curve.at(b, before=True)) / 2 * (b - a) for a, b in pieces)
            assert area == pytest.approx(share * curve.area, rel=1e-9, abs=1e-9)


def test_regions_peak_one_after_another(phased: Make) -> None:
    """A day over the phase: at 20:00 local time, so 20:00, 01:00, 04:00 and 12:00 UTC."""
    scenario = phased('duration = "24s"\nshape = "diurnal"\nrate = { a = ["4/s", "400/s"] }')
    peaks = {
        region.name: int(np.argmax(planned_rates(scenario, 24 * 4, region.name))) / 4 for region in scenario.regions
    }
    assert peaks == {
        "us-east": pytest.approx(1, abs=0.3),
        "us-west": pytest.approx(4, abs=0.3),
        "eu-west": pytest.approx(20, abs=0.3),
        "asia-pac": pytest.approx(12, abs=0.3),
    }
    # A quarter of the sum each; their peaks do not coincide, so that of all together is lower.
    assert max(planned_rates(scenario, 96, "eu-west")) == pytest.approx(100, rel=0.01)
    assert peak_rate(scenario) < 300


def test_a_trace_is_played_by_second_and_by_weight(phased: Make) -> None:
    text = 'duration = "30s"\nshape = "trace"\ntrace = "t.csv"\nrate = { a = 3, b = 1 }'
    # The last row holds for ten seconds, as the one before it did.
    schedule = make_schedule(phased(text, read=lambda _: "second,rate\n0,100\n10,0\n20,400\n"), 5)
    counts = np.histogram(times(schedule), [0, 10, 20, 30])[0]
    assert counts[1] == 0
    assert [counts[0], counts[2]] == pytest.approx([1000, 4000], rel=0.1)
    assert np.bincount(schedule.session) / len(schedule) == pytest.approx([0.75, 0.25], abs=0.03)
    assert np.bincount(schedule.region) / len(schedule) == pytest.approx([0.25] * 4, abs=0.03)


def test_a_trace_of_each_region(phased: Make) -> None:
    text = 'duration = "30s"\nshape = "trace"\ntrace = "t.csv"\nrate = { a = 3, b = { us-west = 1 } }'
    csv = "second,us-east,us-west\n0,100,0\n10,0,40\n20,0,0\n"
    schedule = make_schedule(phased(text, read=lambda _: csv), 5)
    tens = (times(schedule) // 10).astype(int)
    assert set(zip(schedule.region.tolist(), tens.tolist())) == {(0, 0), (1, 1)}
    east, west = schedule.session[schedule.region == 0], schedule.session[schedule.region == 1]
    assert (east == 0).all()
    assert len(east) == pytest.approx(1000, abs=4 * 1000**0.5)
    assert (west == 1).sum() == pytest.approx(100, abs=4 * 100**0.5)
    assert (west == 0).sum() == pytest.approx(300, abs=4 * 300**0.5)


def test_rates_of_regions(phased: Make) -> None:
    text = 'duration = "100s"\nrate = { a = { us-east = "20/s", asia-pac = ["5/s", "35/s"] }, b = "8/s" }'
    schedule = make_schedule(phased(text), 5)
    counts = {(s, r): int(((schedule.session == s) & (schedule.region == r)).sum()) for s in range(2) for r in range(4)}
    expected = {(0, 0): 2000, (0, 3): 2000, (0, 1): 0, (0, 2): 0} | {(1, r): 200 for r in range(4)}
    assert {key: abs(counts[key] - n) <= 4 * n**0.5 for key, n in expected.items()} == dict.fromkeys(expected, True)


def test_shares_of_regions(phased: Make) -> None:
    regions = [{"name": "a", "share": 3}, {"name": "b", "share": 1}]
    schedule = make_schedule(phased('duration = "200s"\nrate = { browse = "100/s" }', regions=regions), 5)
    counts = np.bincount(schedule.region)
    assert stats.chisquare(counts, np.array([0.75, 0.25]) * counts.sum()).pvalue > LIKELY


def test_a_burst_is_due_at_once_and_split_exactly(phased: Make) -> None:
    regions = [{"name": "a", "share": 3}, {"name": "b", "share": 2}, {"name": "c", "share": 2}]
    scenario = phased('duration = "5s"\nrate = { x = "9/s" }', 'duration = "5s"\nburst = { buy = 80 }', regions=regions)
    schedule = make_schedule(scenario, 1)
    burst = schedule.session == 1
    assert set(schedule.due_ns[burst].tolist()) == {5_000_000_000}
    assert set(schedule.phase[burst].tolist()) == {1}
    # 80 · 3/7 = 34.29, 80 · 2/7 = 22.86: the largest remainders are rounded up.
    assert np.bincount(schedule.region[burst]).tolist() == [34, 23, 23]
    assert len(set(schedule.seed[burst].tolist())) == 80


# -- from the seed, each by its name


PLAIN = 'duration = "50s"\nrate = { browse = "40/s", shop = { us-east = "20/s" } }\nburst = { shop = 4 }'


def key(schedule: Schedule, scenario: Scenario) -> dict[tuple[str, str, str], list[tuple[int, int]]]:
    """Every stream's arrivals with their seeds, by name."""
    found: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for due, session, region, phase, seed in zip(
        schedule.due_ns.tolist(), schedule.session, schedule.region, schedule.phase, schedule.seed.tolist()
    ):
        names = (scenario.phases[phase].name, scenario.session_names[session], scenario.regions[region].name)
        found.setdefault(names, []).append((due, seed))
    return found


def test_the_seed_decides(phased: Make) -> None:
    scenario = phased(PLAIN)
    one, same, other = (make_schedule(scenario, seed) for seed in (1, 1, 2))
    for column in ("due_ns", "session", "region", "phase", "seed", "number"):
        assert np.array_equal(getattr(one, column), getattr(same, column))
    assert not np.array_equal(one.due_ns[4:100], other.due_ns[4:100])
    assert not set(one.seed.tolist()) & set(other.seed.tolist())


def test_what_is_added_leaves_the_others_alone(phased: Make) -> None:
    plain = phased(PLAIN, regions=[{"name": "us-east"}, {"name": "eu-west"}])
    before = key(make_schedule(plain, 7), plain)
    # Another session before the others; another region before the others, with the shares of the old kept by hand.
    wider = phased(
        PLAIN.replace("{ browse", '{ early = "9/s", browse').replace('browse = "40/s"', 'browse = "60/s"'),
        regions=[{"name": "asia-pac"}, {"name": "us-east"}, {"name": "eu-west"}],
    )
    after = key(make_schedule(wider, 7), wider)
    for names in before:
        if names[1] == "browse" or names[1:] == ("shop", "us-east"):
            # The burst apart, which is a fixed number of sessions that regions share.
            assert {pair for pair in before[names] if pair[0]} == {pair for pair in after[names] if pair[0]}
    assert ("p0", "early", "asia-pac") in after


def test_streams_are_independent(phased: Make) -> None:
    """Sessions and regions of equal rates have nothing in common: counts by second do not correlate."""
    scenario = phased(
        'duration = "400s"\nrate = { a = "40/s", b = "40/s" }', 'duration = "400s"\nrate = { a = "40/s" }'
    )
    streams = key(make_schedule(scenario, 3), scenario)
    counts = {
        names: np.histogram([due / 1e9 % 400 for due, _ in pairs], 400, (0, 400))[0] for names, pairs in streams.items()
    }
    names = list(counts)
    assert len(names) == 12
    worst = max(abs(np.corrcoef(counts[a], counts[b])[0, 1]) for i, a in enumerate(names) for b in names[:i])
    assert worst < 4 / 400**0.5


def test_seeds_never_repeat(phased: Make) -> None:
    schedule = make_schedule(phased('duration = "100s"\nrate = { a = "2000/s" }'), 3)
    assert len(set(schedule.seed.tolist())) == len(schedule)


def test_a_schedule_stays_what_it_is(phased: Make) -> None:
    """The arrivals of a seed are the same on another day and another machine; a change here changes every old run's load."""
    scenario = phased(*(f'duration = "3s"\n{text}' for text, _ in SHAPES.values()), PLAIN)
    schedule = make_schedule(scenario, 42)
    columns = (schedule.due_ns, schedule.session, schedule.region, schedule.phase, schedule.seed, schedule.number)
    digest = hashlib.sha256(b"".join(column.astype("<i8").tobytes() for column in columns)).hexdigest()
    assert (len(schedule), digest[:16]) == GOLDEN


GOLDEN = (4847, "33baae0269a15c49")


# -- scaling


def test_scaling_keeps_the_shape(phased: Make) -> None:
    changed = scaled(
        phased('duration = "200s"\nrate = { browse = ["20/s", "180/s"] }'), duration_s=20.0, peak_rate=90.0
    )
    assert changed.duration_s == 20.0
    assert changed.phases[0].rate == {"browse": (10.0, 90.0)}


@pytest.mark.parametrize("shape", [*SHAPES, "trace", "regions"])
def test_every_shape_is_scaled(phased: Make, shape: str) -> None:
    texts = {
        "trace": 'shape = "trace"\ntrace = "t.csv"\nrate = { a = 1 }',
        "regions": 'rate = { a = { us-east = ["1/s", "7/s"], us-west = "9/s" } }',
    }
    text = texts.get(shape) or SHAPES[shape][0]
    scenario = phased(f'duration = "60s"\n{text}\nburst = {{ b = 10 }}', read=lambda _: "second,rate\n0,5\n20,9\n50,3")
    changed = scaled(scenario, duration_s=30.0, peak_rate=3 * peak_rate(scenario))
    assert peak_rate(changed) == pytest.approx(3 * peak_rate(scenario))
    assert planned_rates(changed, 40) == pytest.approx([3 * rate for rate in planned_rates(scenario, 40)])
    assert changed.phases[0].burst == {"b": 30}
    same = scaled(scenario, duration_s=None, peak_rate=None)
    assert np.array_equal(make_schedule(same, 1).due_ns, make_schedule(scenario, 1).due_ns)


def test_a_burst_alone_has_no_rate_to_scale(phased: Make) -> None:
    with pytest.raises(UsageError, match="offers bursts only"):
        scaled(phased('duration = "5s"\nburst = { buy = 3 }'), duration_s=None, peak_rate=9.0)


# -- parts for several workers


@pytest.mark.parametrize(
    "serving",
    [
        [None],
        [None, None, None],
        [frozenset({"us-east"}), None, frozenset({"us-west", "asia-pac", "eu-west"})],
        [frozenset({"us-east", "us-west"}), frozenset({"eu-west", "asia-pac"})],
    ],
)
def test_parts_are_disjoint_and_together_the_whole(phased: Make, serving: list[frozenset[str] | None]) -> None:
    scenario = phased(PLAIN.replace("us-east", "us-west"))
    whole = make_schedule(scenario, 1)
    regions = [region.name for region in scenario.regions]
    parts = [whole.part(turns) for turns in turns_of(serving, regions)]
    assert sum(len(part) for part in parts) == len(whole)
    assert sorted(np.concatenate([part.number for part in parts]).tolist()) == list(range(len(whole)))
    for part, served in zip(parts, serving):
        assert (np.diff(part.due_ns) >= 0).all()
        assert np.array_equal(part.seed, whole.seed[part.number])
        assert np.array_equal(part.due_ns, whole.due_ns[part.number])
        if served is not None:
            assert {regions[number] for number in part.region.tolist()} == served


def test_the_rest_of_a_lost_worker_is_shared_by_the_others(phased: Make) -> None:
    scenario = phased(PLAIN)
    whole, regions = make_schedule(scenario, 1), [region.name for region in scenario.regions]
    parts = [whole.part(turns) for turns in turns_of([None] * 3, regions)]
    rest = parts[1].since(20_000_000_000)
    taken = [rest.part(turns) for turns in turns_of([None] * 2, regions)]
    assert min(part.due_ns.min() for part in taken) >= 20_000_000_000
    assert sorted(np.concatenate([part.number for part in taken]).tolist()) == rest.number.tolist()
    # Numbers of one worker of three have both parities, so the two others share the rest about evenly.
    assert abs(len(taken[0]) - len(taken[1])) < 6 * len(rest) ** 0.5


def test_a_region_that_nobody_serves_is_refused() -> None:
    with pytest.raises(UsageError, match="no worker serves the region 'eu-west'"):
        turns_of([frozenset({"us-east"})], ["us-east", "eu-west"])


def test_a_turn_that_does_not_exist_is_refused(phased: Make) -> None:
    with pytest.raises(ValueError, match="turn 2 of 2"):
        make_schedule(phased(PLAIN), 1).part({0: (2, 2)})


# -- whole numbers in proportion


@pytest.mark.parametrize(
    ("total", "weights", "least", "expected"),
    [
        (10, {"a": 1, "b": 1, "c": 1}, 0, {"a": 4, "b": 3, "c": 3}),
        (100, {"a": 1, "b": 0}, 4, {"a": 96, "b": 4}),
        (12, {"a": 100, "b": 1, "c": 10}, 2, {"a": 8, "b": 2, "c": 2}),
        (2, {"a": 5, "b": 1, "c": 1}, 1, {"a": 1, "b": 1, "c": 1}),
        (9, {"a": 0, "b": 0}, 0, {"a": 5, "b": 4}),
    ],
)
def test_apportioning(total: int, weights: dict[str, float], least: int, expected: dict[str, int]) -> None:
    assert apportion(total, weights, least) == expected
