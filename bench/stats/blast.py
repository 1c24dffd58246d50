"""Blast radius: what a sale does to those who do not touch what is on sale.  Pure.

The response times of the other sessions during the sale are compared with those before it, from one run: the ratio of the
medians and of the 99th percentiles, with intervals over the seconds of either side (``bench.stats.bootstrap``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.metrics.histogram import Histogram
from bench.stats.bootstrap import Interval, ratio_interval
from bench.stats.merge import Pool

MIN_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of during to before, with a 95 % interval; None where there was too little for one."""

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

    def seconds(self, regions: Iterable[str], *, during: bool) -> list[Histogram]:
        """Return what ended in each second in some regions, in order of time."""
        by_frame: dict[int, list[Histogram]] = {}
        for region in regions:
            for frame, pool in self.frames.get((region, during), {}).items():
                by_frame.setdefault(frame, []).append(pool.histogram())
        return [Histogram.merge(by_frame[frame]) for frame in sorted(by_frame)]


def blast_rows(sides: Sides, regions: Sequence[str]) -> tuple[BlastRow, ...]:
    """Return a row for each region with enough of both sides, and one for all; empty when there is nothing to compare."""
    groups: list[tuple[str | None, Sequence[str]]] = [*((region, (region,)) for region in regions), (None, regions)]
    rows = (_row(sides, region, members) for region, members in groups)
    return tuple(row for row in rows if row)


def _row(sides: Sides, region: str | None, members: Sequence[str]) -> BlastRow | None:
    before, during = (sides.seconds(members, during=side) for side in (False, True))
    whole = Histogram.merge(before), Histogram.merge(during)
    if min(side.count for side in whole) < MIN_SAMPLES:
        return None
    (before_p50, during_p50), (before_p99, during_p99) = (
        tuple(side.percentile_ms(percent) or 0.0 for side in whole) for percent in (50, 99)
    )
    p50, p99 = (ratio_interval(before, during, percent) for percent in (50, 99))
    return BlastRow(
        region,
        whole[0].count,
        whole[1].count,
        before_p50,
        during_p50,
        before_p99,
        during_p99,
        _ratio(before_p50, during_p50, p50),
        _ratio(before_p99, during_p99, p99),
    )


def _ratio(before: float, during: float, interval: Interval | None) -> Ratio:
    value = during / before if before else 1.0
    return Ratio(value, interval.low, interval.high) if interval else Ratio(value, None, None)
