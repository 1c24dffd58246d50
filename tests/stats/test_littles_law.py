"""Little's law agrees with honest clocks and trips over corrupt ones."""

import numpy as np
import pytest

from bench.stats.littles_law import little


def played(seed: int, response_s: float, scale: float = 1.0):
    """Sessions of a minute: the sum of their times as recorded (times ``scale``), and a count once a second."""
    rng = np.random.default_rng(seed)
    came = np.sort(rng.random(1200) * 60)
    left = came + rng.exponential(response_s, 1200)
    seconds = np.arange(1, int(left.max()) + 2)
    inside = [(float(at), int(((came < at) & (left >= at)).sum())) for at in seconds]
    return little(float((left - came).sum()) * scale, inside)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("response_s", [0.3, 2.0])
def test_both_sides_agree(seed: int, response_s: float):
    row = played(seed, response_s)
    assert row.passed
    assert row.by_counts == pytest.approx(row.by_times, rel=row.allowed)
    assert row.by_times == pytest.approx(1200 / 60 * response_s, rel=0.3)


@pytest.mark.parametrize("scale", [0.6, 0.8, 1.25, 1000.0])
def test_corrupt_times_trip_it(scale: float):
    assert played(1, 2.0, scale).passed is False


def test_what_was_not_recorded_is_not_judged():
    assert little(1.0, []).passed is None
    assert little(0.0, [(1.0, 0)]).passed is None
