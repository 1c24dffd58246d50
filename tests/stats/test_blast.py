"""Blast radius: the ratio is found, its interval holds what it should, and covers one where nothing changed."""

import numpy as np
import pytest

from bench.metrics.histogram import Histogram
from bench.stats.blast import Sides, blast_rows


def made(factor, seed, frames=60, per_frame=40, regions=("east",)):
    """Seconds before and during a sale in which everything takes ``factor`` times as long; seconds have a mood."""
    rng = np.random.default_rng(seed)
    sides = Sides()
    for frame in range(2 * frames):
        during = frame >= frames
        for region in regions:
            mood = rng.lognormal(0, 0.1)
            values = rng.lognormal(3, 0.4, per_frame) * mood * (factor if during else 1.0)
            sides.add(region, frame, Histogram.of((values * 1e6).astype(np.int64)), during=during)
    return sides


def test_a_sale_that_triples_everything_is_found():
    east, whole = blast_rows(made(3.0, 1), ("east",))
    assert (east.region, whole.region) == ("east", None)
    assert (east.before_count, east.during_count) == (2400, 2400)
    for ratio in (east.p50_ratio, east.p99_ratio):
        assert ratio.low < 3.0 < ratio.high
        assert ratio.is_clear
    assert east.p50_ratio.value == pytest.approx(east.during_p50_ms / east.before_p50_ms)


def test_where_nothing_changed_the_interval_holds_one():
    """At 95 % fewer than 16 of 20 happen three times in a thousand sound test series."""
    rows = [blast_rows(made(1.0, seed, per_frame=25), ("east",))[0] for seed in range(20)]
    for column in ("p50_ratio", "p99_ratio"):
        assert sum(not getattr(row, column).is_clear for row in rows) >= 16


def test_regions_are_apart_and_together():
    sides = made(1.0, 3, regions=("east", "west"))
    for frame in range(60, 120):
        sides.add("west", frame, Histogram.of(np.full(40, 900_000_000, np.int64)), during=True)
    east, west, whole = blast_rows(sides, ("east", "west"))
    assert west.p99_ratio.low > 5
    assert not east.p99_ratio.is_clear
    assert whole.during_count == east.during_count + west.during_count


def test_too_little_is_said_to_be_too_little():
    assert blast_rows(Sides(), ("east",)) == ()
    few = made(2.0, 1, frames=3, per_frame=20)
    row = blast_rows(few, ("east",))[0]
    assert (row.p99_ratio.low, row.p99_ratio.high, row.p99_ratio.is_clear) == (None, None, False)
    assert blast_rows(made(2.0, 1, frames=3, per_frame=2), ("east",)) == ()
