"""A run over time: rates and percentiles by region in bins of whole seconds, for charts and comparisons."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.metrics.histogram import Ints
from bench.results.read import Run
from bench.results.scan import Scan
from bench.stats.censoring import Times
from bench.stats.merge import is_session

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Series:
    """One region over time, an entry for each bin; NaN where nothing was recorded.

    ``offered`` and ``dropped`` are sessions of the schedule, ``ended`` sessions with an answer, ``committed`` transactions,
    ``failed`` those given up on, ``retries`` aborted attempts: all per second.  ``p50_ms`` and ``p99_ms`` are response times
    of transactions; what was given up on is in them as at least so long.  ``attempts_per_commit`` is of those committed.
    """

    offered: Floats
    dropped: Floats
    ended: Floats
    committed: Floats
    failed: Floats
    retries: Floats
    p50_ms: Floats
    p99_ms: Floats
    attempts_per_commit: Floats


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bins of ``bin_s`` seconds by region and, under ``None``, for all of them; ``ends_s`` is the end of each bin."""

    bin_s: int
    ends_s: Floats
    series: dict[str | None, Series]
    has_arrivals: bool
    has_sessions: bool


def read_timeline(run: Run, bin_s: int | None = None) -> Timeline:
    """Return the run over time in bins of ``bin_s`` seconds (default: as fine as a chart can show)."""
    return _Builder(run, run.scan if bin_s is None else run.scan_by(bin_s)).build()


class _Builder:
    def __init__(self, run: Run, read: Scan) -> None:
        self.run, self.read, self.grid = run, read, read.grid
        self.size = int(self.grid.bins.max(initial=-1)) + 1
        self.covered = self._by_bin(self.grid.bins, self.grid.ends_s - self.grid.begins_s)
        self.counts: defaultdict[tuple[str, str | None], Floats] = defaultdict(lambda: np.zeros(self.size))
        self.seen: set[str] = set()

    def build(self) -> Timeline:
        """Return the run over time."""
        self._count_transactions()
        self._count("SELECT frame, region, sum(count) FROM retries GROUP BY 1, 2", "retries")
        self._count(
            "SELECT frame, region, sum(offered), sum(dropped) FROM arrivals GROUP BY 1, 2", "offered", "dropped"
        )
        percentiles = self._percentiles()
        regions = [*self.run.manifest.regions]
        regions += sorted({region for _, region in self.counts if region} - set(regions))
        with np.errstate(invalid="ignore", divide="ignore"):
            series = {region: self._series(region, percentiles) for region in (None, *regions)}
        ends = np.arange(1, self.size + 1, dtype=np.float64) * self.grid.bin_s
        return Timeline(self.grid.bin_s, ends, series, "offered" in self.seen, "ended" in self.seen)

    def _add(self, what: str, region: str, values: Floats) -> None:
        self.seen.add(what)
        self.counts[what, region] += values
        self.counts[what, None] += values

    def _by_bin(self, bins: Ints, values: Floats) -> Floats:
        return np.bincount(bins, weights=values, minlength=self.size).astype(np.float64)

    def _count_transactions(self) -> None:
        for number, (_, region, name, _, kind) in enumerate(self.read.keys):
            values = self._by_bin(self.grid.bins, self.read.ended[:, number].astype(np.float64))
            if is_session(name):
                if kind != "failure":
                    self._add("ended", region, values)
            elif kind != "business":
                self._add("committed" if kind == "ok" else "failed", region, values)
                if kind == "ok":
                    self._add(
                        "attempts", region, self._by_bin(self.grid.bins, self.read.attempts[:, number].astype(float))
                    )

    def _count(self, query: str, *what: str) -> None:
        """Add up the rows (frame, region, counts) of a query."""
        rows = list(self.run.rows(query))
        places, known = self.grid.places(np.array([row[0] for row in rows], np.int64))
        for region in sorted({row[1] for row in rows}):
            mine = known & np.array([row[1] == region for row in rows])
            for column, name in enumerate(what, 2):
                weights = np.array([row[column] for row in rows], np.float64)[mine]
                self._add(name, region, self._by_bin(self.grid.bins[places[mine]], weights))

    def _percentiles(self) -> dict[str | None, Floats]:
        """Response p50 and p99 by region: an array of two columns, one row for each bin."""
        result: defaultdict[str | None, Floats] = defaultdict(lambda: np.full((self.size, 2), np.nan))
        groups: defaultdict[int, dict[str | None, list[Times]]] = defaultdict(lambda: defaultdict(list))
        for (place, region, failed), response in self.read.by_bin.items():
            times = Times(censored=response) if failed else Times(response)
            groups[place][region].append(times)
            groups[place][None].append(times)
        for place, regions in groups.items():
            for where, parts in regions.items():
                pooled = Times.pool(parts)
                readings = [pooled.percentile(percent) for percent in (50, 99)]
                result[where][place] = [reading.ms if reading else np.nan for reading in readings]
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
            attempts_per_commit=self.counts["attempts", region] / self.counts["committed", region],
        )
