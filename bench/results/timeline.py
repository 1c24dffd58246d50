"""A run over time: rates and percentiles by region in bins of whole seconds, for charts and comparisons."""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.metrics.histogram import Histogram
from bench.results.read import Run
from bench.stats.censoring import Times
from bench.stats.merge import is_session

Floats = npt.NDArray[np.float64]

MAX_BINS = 600
"""More points than a chart of a page's width can show."""
_SHORT_S = 0.5


@dataclass(frozen=True, slots=True)
class Series:
    """One region over time, an entry for each bin; NaN where nothing was recorded.

    ``offered`` and ``dropped`` are sessions of the schedule, ``ended`` sessions with an answer, ``committed`` transactions,
    ``failed`` those given up on, ``retries`` aborted attempts: all per second.  ``p50_ms`` and ``p99_ms`` are response times
    of transactions; what was given up on is in them as at least so long.
    """

    offered: Floats
    dropped: Floats
    ended: Floats
    committed: Floats
    failed: Floats
    retries: Floats
    p50_ms: Floats
    p99_ms: Floats


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bins of ``bin_s`` seconds by region and, under ``None``, for all of them; ``ends_s`` is the end of each bin."""

    bin_s: int
    ends_s: Floats
    series: dict[str | None, Series]
    has_arrivals: bool
    has_sessions: bool


def bin_seconds(last_s: float) -> int:
    """Return a bin that cuts a run of this length into at most ``MAX_BINS`` bins.

    >>> bin_seconds(60.0), bin_seconds(3600.0)
    (1, 6)
    """
    return max(1, math.ceil(last_s / MAX_BINS))


def read_timeline(run: Run, bin_s: int | None = None) -> Timeline:
    """Return the run over time in bins of ``bin_s`` seconds (default: as fine as a chart can show)."""
    return _Builder(run, bin_s or bin_seconds(run.last_s)).build()


class _Builder:
    def __init__(self, run: Run, bin_s: int) -> None:
        self.run, self.bin_s = run, bin_s
        self.frames: dict[int, int] = {}
        spans = self._place_frames()
        self.size = max(spans, default=-1) + 1
        self.covered: Floats = np.array([spans.get(place, 0.0) for place in range(self.size)], np.float64)
        self.counts: defaultdict[tuple[str, str | None], Floats] = defaultdict(lambda: np.zeros(self.size))
        self.seen: set[str] = set()

    def _place_frames(self) -> dict[int, float]:
        """Give each frame the bin of its middle; return the seconds of frames in each bin.

        The short frame at the end of a run goes with the one before: a rate over a hundredth of a second means nothing.
        """
        spans: defaultdict[int, float] = defaultdict(float)
        before, place = 0.0, 0
        for frame, elapsed_s in self.run.rows("SELECT frame, elapsed_s FROM frames ORDER BY frame"):
            if elapsed_s - before >= _SHORT_S or not self.frames:
                place = max(0, int((before + elapsed_s) / 2 // self.bin_s))
            self.frames[frame] = place
            spans[place] += elapsed_s - before
            before = elapsed_s
        return spans

    def build(self) -> Timeline:
        self._count_transactions()
        self._count_retries()
        self._count_arrivals()
        percentiles = self._percentiles()
        regions = [*self.run.manifest.regions]
        regions += sorted({region for _, region in self.counts if region} - set(regions))
        with np.errstate(invalid="ignore", divide="ignore"):
            series = {region: self._series(region, percentiles) for region in (None, *regions)}
        ends = np.arange(1, self.size + 1, dtype=np.float64) * self.bin_s
        return Timeline(self.bin_s, ends, series, "offered" in self.seen, "ended" in self.seen)

    def _add(self, what: str, region: str, frame: int, count: int) -> None:
        place = self.frames.get(frame)
        if place is not None:
            self.seen.add(what)
            self.counts[what, region][place] += count
            self.counts[what, None][place] += count

    def _count_transactions(self) -> None:
        query = "SELECT frame, region, name, kind, sum(count) FROM transactions GROUP BY 1, 2, 3, 4"
        for frame, region, name, kind, count in self.run.rows(query):
            if is_session(name):
                if kind != "failure":
                    self._add("ended", region, frame, count)
            elif kind != "business":
                self._add("committed" if kind == "ok" else "failed", region, frame, count)

    def _count_retries(self) -> None:
        query = "SELECT frame, region, sum(count) FROM retries GROUP BY 1, 2"
        for frame, region, count in self.run.rows(query):
            self._add("retries", region, frame, count)

    def _count_arrivals(self) -> None:
        query = "SELECT frame, region, sum(offered), sum(dropped) FROM arrivals GROUP BY 1, 2"
        for frame, region, offered, dropped in self.run.rows(query):
            self._add("offered", region, frame, offered)
            self._add("dropped", region, frame, dropped)

    def _percentiles(self) -> dict[str | None, Floats]:
        """Response p50 and p99 by region: an array of two columns, one row for each bin."""
        result: defaultdict[str | None, Floats] = defaultdict(lambda: np.full((self.size, 2), np.nan))
        query = "SELECT frame, region, name, kind, response FROM transactions ORDER BY frame"
        place, groups = 0, defaultdict[str, list[Times]](list)

        def flush() -> None:
            pooled: dict[str | None, Times] = {region: Times.pool(parts) for region, parts in groups.items()}
            if pooled:
                pooled[None] = Times.pool(pooled.values())
            for region, times in pooled.items():
                readings = [times.percentile(percent) for percent in (50, 99)]
                result[region][place] = [reading.ms if reading else np.nan for reading in readings]
            groups.clear()

        for frame, region, name, kind, packed in self.run.rows(query):
            if is_session(name) or frame not in self.frames:
                continue
            if self.frames[frame] != place:
                flush()
                place = self.frames[frame]
            response = Histogram.from_bytes(packed)
            groups[region].append(Times(censored=response) if kind == "failure" else Times(response))
        flush()
        return result

    def _series(self, region: str | None, percentiles: dict[str | None, Floats]) -> Series:
        def rate(what: str) -> Floats:
            if what not in self.seen and what in ("offered", "dropped", "ended"):
                return np.full(self.size, np.nan)
            values: Floats = self.counts[what, region] / self.covered
            return values

        columns = percentiles[region]
        return Series(
            offered=rate("offered"),
            dropped=rate("dropped"),
            ended=rate("ended"),
            committed=rate("committed"),
            failed=rate("failed"),
            retries=rate("retries"),
            p50_ms=columns[:, 0],
            p99_ms=columns[:, 1],
        )
