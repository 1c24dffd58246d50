"""Blast radius: what a sale does to those who do not touch what is on sale.  Pure.

The response times of the other sessions during the sale are compared with those before it, from one run: the ratio of the
medians and of the 99th percentiles.  Seconds that follow each other are alike, so the interval is of a block bootstrap
(Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics 17, 1989): consecutive
frames are put together into blocks, and blocks are drawn with replacement from either side.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bench.metrics.histogram import Histogram
from bench.stats.merge import Pool

BLOCKS = 30
"""Blocks a side at most; of a side with fewer frames each is a block."""
MIN_BLOCKS = 4
"""With fewer seconds on a side an interval means nothing, and none is given."""
MIN_SAMPLES = 20
DRAWS = 1000
CONFIDENCE = 0.95

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of during to before, with a 95 % interval; None where there were too few seconds for one."""

    value: float
    low: float | None
    high: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves one out: a difference that chance does not explain."""
        return self.low is not None and self.high is not None and not self.low <= 1.0 <= self.high


@dataclass(frozen=True, slots=True)
class BlastRow:
    """Response times of the sessions of one region (None: all) that do not touch what is on sale, before and during it."""

    region: str | None
    before_count: int
    during_count: int
    before_p50_ms: float
    during_p50_ms: float
    before_p99_ms: float
    during_p99_ms: float
    p50_ratio: Ratio
    p99_ratio: Ratio


@dataclass(slots=True)
class Sides:
    """The response times of the unconcerned, frame by frame, by region and side."""

    frames: dict[tuple[str, bool], dict[int, Pool]] = field(default_factory=dict)

    def add(self, region: str, frame: int, part: Histogram, *, during: bool) -> None:
        """Add what ended in one frame."""
        self.frames.setdefault((region, during), {}).setdefault(frame, Pool()).add(part)

    def blocks(self, regions: Iterable[str], *, during: bool) -> list[Histogram]:
        """Return consecutive frames of some regions put together into at most ``BLOCKS`` blocks."""
        by_frame: dict[int, list[Histogram]] = {}
        for region in regions:
            for frame, pool in self.frames.get((region, during), {}).items():
                by_frame.setdefault(frame, []).append(pool.histogram())
        order = sorted(by_frame)
        size = max(1, -(-len(order) // BLOCKS))
        cuts = [order[start : start + size] for start in range(0, len(order), size)]
        return [Histogram.merge(part for frame in cut for part in by_frame[frame]) for cut in cuts]


def blast_rows(sides: Sides, regions: Sequence[str]) -> tuple[BlastRow, ...]:
    """Return a row for each region with enough of both sides, and one for all; empty when there is nothing to compare."""
    groups: list[tuple[str | None, Sequence[str]]] = [*((region, (region,)) for region in regions), (None, regions)]
    rows = (_row(sides, region, members) for region, members in groups)
    return tuple(row for row in rows if row)


def _row(sides: Sides, region: str | None, members: Sequence[str]) -> BlastRow | None:
    before, during = (sides.blocks(members, during=side) for side in (False, True))
    whole = Histogram.merge(before), Histogram.merge(during)
    if min(side.count for side in whole) < MIN_SAMPLES:
        return None
    (before_p50, during_p50), (before_p99, during_p99) = (
        tuple(side.percentile_ms(percent) or 0.0 for side in whole) for percent in (50, 99)
    )
    draws = _draws(before, 1), _draws(during, 2)
    return BlastRow(
        region,
        whole[0].count,
        whole[1].count,
        before_p50,
        during_p50,
        before_p99,
        during_p99,
        _ratio(before_p50, during_p50, draws, 0),
        _ratio(before_p99, during_p99, draws, 1),
    )


def _ratio(before: float, during: float, draws: tuple[Ints | None, Ints | None], column: int) -> Ratio:
    value = during / before if before else 1.0
    if draws[0] is None or draws[1] is None:
        return Ratio(value, None, None)
    ratios = draws[1][:, column] / np.maximum(draws[0][:, column], 1)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(ratios, [tail, 100 - tail])
    return Ratio(value, float(low), float(high))


def _draws(blocks: Sequence[Histogram], seed: int) -> Ints | None:
    """Return the p50 and p99 (ns) of ``DRAWS`` resamples of the blocks; None when there are too few of these."""
    if len(blocks) < MIN_BLOCKS:
        return None
    places = np.unique(np.concatenate([block.indices for block in blocks]))
    counts = np.zeros((len(blocks), len(places)))
    for row, block in enumerate(blocks):
        counts[row, np.searchsorted(places, block.indices)] = block.counts
    rng = np.random.default_rng(seed)  # a fixed seed: the same run has the same interval each time
    weights = rng.multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), DRAWS)
    sums = np.cumsum(weights @ counts, axis=1)
    totals = sums[:, -1:]
    values, _ = Histogram(places, np.ones(len(places), np.int64), 0, 0, 0).cumulative()
    found = [np.argmax(sums >= np.ceil(percent / 100 * totals), axis=1) for percent in (50, 99)]
    drawn: Ints = np.column_stack([(values[place] * 1e6).astype(np.int64) for place in found])
    return drawn
