"""Little's law agrees with honest clocks and trips over corrupt ones."""

import numpy as np
import pytest

from bench.stats.littles_law import TOLERANCE, little


def played(seed: int, response_s: float, scale: float = 1.0, *, is_fixed: bool = False):
    """Sessions of a minute: the sum of their times as recorded (times ``scale``), and a count once a second."""
    rng = np.random.default_rng(seed)
    came = np.sort(rng.random(1200) * 60)
    left = came + (response_s if is_fixed else rng.exponential(response_s, 1200))
    seconds = np.arange(1, int(left.max()) + 2)
    inside = [(float(at), int(((came < at) & (left >= at)).sum())) for at in seconds]
    return little(float((left - came).sum()) * scale, 1200, inside)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("response_s", [0.3, 2.0])
def test_both_sides_agree(seed: int, response_s: float):
    row = played(seed, response_s)
    assert row.passed
    assert row.by_counts == pytest.approx(row.by_times, rel=row.allowed)
    assert row.by_times == pytest.approx(1200 / 60 * response_s, rel=0.3)


@pytest.mark.parametrize("is_fixed", [False, True])
@pytest.mark.parametrize("response_s", [0.005, 0.02, 0.1, 0.5, 1.5, 5.0])
def test_no_false_alarm_however_short_the_sessions(response_s: float, is_fixed: bool):
    """Counted once a second, a session of 20 ms is seldom seen at all: what that may miss is allowed, and not much more."""
    rows = [played(seed, response_s, is_fixed=is_fixed) for seed in range(200)]
    assert sum(row.passed is False for row in rows) <= 2
    seen = [row for row in rows if row.by_counts]
    errors = [abs(row.by_times - row.by_counts) for row in seen]
    allowed = [row.allowed * row.by_counts for row in seen]
    usual = TOLERANCE * np.median([row.by_counts for row in seen])
    assert np.quantile(errors, 0.95) + usual < np.median(allowed) < 4 * np.quantile(errors, 0.95) + 2 * usual


@pytest.mark.parametrize("scale", [0.6, 0.8, 1.25, 1000.0])
def test_corrupt_times_trip_it(scale: float):
    assert played(1, 2.0, scale).passed is False


def test_what_was_not_recorded_is_not_judged():
    assert little(1.0, 5, []).passed is None
    assert little(0.0, 0, [(1.0, 0)]).passed is None
