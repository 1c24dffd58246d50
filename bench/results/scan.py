"""One pass over the transactions of a run, for everything that a report needs of them.

An hour of four regions and 25 transactions is some 700,000 packed histograms, so they are read once, thousands at a time, and
pooled as they are read: by label, by region and bin of the timeline, and by transaction and block of seconds.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from bench.metrics.frame import OutcomeKind, TransactionCell
from bench.metrics.histogram import Histogram, Ints
from bench.metrics.packed import Unpacked
from bench.results.pooling import Labels, Pools, Row, column, histograms
from bench.stats.merge import is_session
from bench.stats.phases import Phase, is_measured, measured_names

Floats = npt.NDArray[np.float64]

QUERY = "SELECT phase, region, name, outcome, kind, frame, count, attempts, response, service FROM transactions"
_LABELS = 5
MAX_BLOCKS = 60
"""Blocks of seconds kept apart for the intervals: a second of one minute, one minute of an hour."""

Key = tuple[str, str, str, str, OutcomeKind]
"""Phase, region, name, outcome, kind."""


MAX_BINS = 600
"""More points than a chart of a page's width can show."""
_SHORT_S = _HALF_FRAME_S = 0.5


def bin_seconds(last_s: float) -> int:
    """Return a bin that cuts a run of this length into at most ``MAX_BINS`` bins.

    >>> bin_seconds(60.0), bin_seconds(3600.0)
    (1, 6)
    """
    return max(1, math.ceil(last_s / MAX_BINS))


@dataclass(frozen=True, slots=True)
class Grid:
    """The frames of a run in order: their numbers, where each begins and ends, and the bin of the timeline that it is in."""

    bin_s: int
    frames: Ints
    begins_s: Floats
    ends_s: Floats
    bins: Ints

    @classmethod
    def of(cls, frames: Sequence[tuple[int, float]], bin_s: int | None = None) -> Self:
        """Return the grid of (frame, end in s), in order; bins are as fine as a chart can show where nothing is said.

        A frame is in the bin of its middle.  The short frame at the end of a run goes with the one before: a rate over a
        hundredth of a second means nothing.
        """
        numbers = np.array([frame for frame, _ in frames], np.int64)
        ends = np.array([end_s for _, end_s in frames], np.float64)
        begins = np.concatenate([[0.0], ends])[: len(ends)]
        size = bin_s or bin_seconds(float(ends[-1]) if len(ends) else 0.0)
        bins = np.maximum(0, (begins + ends) / 2 // size).astype(np.int64)
        whole = (ends - begins >= _SHORT_S) | (np.arange(len(ends)) == 0)
        return cls(size, numbers, begins, ends, bins[np.maximum.accumulate(np.where(whole, np.arange(len(ends)), 0))])

    def blocks(self, phases: Sequence[Phase], end_s: float | None) -> Ints:
        """Return the block of measured seconds of each frame, -1 before the first.

        What is later than they are is in the last one, as in ``frames``.
        """
        middles = self.ends_s - _HALF_FRAME_S
        measured = np.array([is_measured(phases, middle) for middle in middles.tolist()], np.bool_)
        seconds = np.cumsum(measured & (middles < (np.inf if end_s is None else end_s))) - 1
        each = -(-(int(seconds.max(initial=-1)) + 1) // MAX_BLOCKS) or 1
        found: Ints = np.where(seconds < 0, -1, seconds // each)
        return found

    def places(self, frames: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Return the place of each frame in the grid, and whether it has one."""
        if not len(self.frames):
            return np.zeros_like(frames), np.zeros(len(frames), np.bool_)
        places = np.searchsorted(self.frames, frames).clip(0, len(self.frames) - 1)
        return places, self.frames[places] == frames


@dataclass(frozen=True, slots=True)
class Scan:
    """The transactions of a run.

    ``ended`` and ``attempts`` have a row for each frame and a column for each of ``keys``: how many ended, and after how many
    attempts.  ``by_bin`` is the response time by (bin, region, whether it was given up on), without sessions; ``blocks`` the
    response and service times by (region, name), of measured phases, without sessions: one histogram for each block of
    seconds, in order, as far as times are known.
    """

    grid: Grid
    keys: tuple[Key, ...]
    cells: tuple[TransactionCell, ...]
    ended: Ints
    attempts: Ints
    by_bin: dict[tuple[int, str, bool], Histogram]
    blocks: dict[tuple[str, str], tuple[tuple[Histogram, ...], tuple[Histogram, ...]]]


def scan(parts: Iterable[Sequence[Row]], grid: Grid, phases: Sequence[Phase], end_s: float | None) -> Scan:
    """Read the rows of ``QUERY`` of a run of these phases that ended at ``end_s``; ValueError when a row is damaged."""
    reader = _Reader(grid, measured_names(phases), grid.blocks(phases, end_s))
    for part in parts:
        reader.add(part)
    return reader.result()


class _Reader:
    def __init__(self, grid: Grid, measured: frozenset[str], blocks: Ints) -> None:
        self.grid, self.measured, self.block_of = grid, measured, blocks
        self.labels = Labels()
        self.sums = np.zeros((0, 2), np.int64)
        self.ended = self.attempts = np.zeros((len(grid.frames), 0), np.int64)
        self.response, self.service, self.binned = Pools(), Pools(), Pools()
        self.blocks = (Pools(), Pools())
        self.regions, self.groups = Labels(), Labels()

    def add(self, part: Sequence[Row]) -> None:
        """Add rows to every pool that they belong to."""
        numbers = self.labels.of(part, _LABELS)
        columns = np.stack([column(part, _LABELS + place) for place in range(3)], axis=1)
        response, service = (histograms(part, place) for place in (-2, -1))
        keys = list(self.labels)
        more = len(keys) - len(self.sums)
        self.sums = np.pad(self.sums, ((0, more), (0, 0)))
        self.ended, self.attempts = (np.pad(each, ((0, 0), (0, more))) for each in (self.ended, self.attempts))
        np.add.at(self.sums, numbers, columns[:, 1:])
        self.response.add(numbers, response)
        self.service.add(numbers, service)
        self._add_over_time(keys, numbers, columns, (response, service))

    def _add_over_time(
        self, keys: Sequence[Key], numbers: Ints, columns: Ints, times: tuple[Unpacked, Unpacked]
    ) -> None:
        places, known = self.grid.places(columns[:, 0])
        if not known.any():
            return
        np.add.at(self.ended, (places[known], numbers[known]), columns[known, 1])
        np.add.at(self.attempts, (places[known], numbers[known]), columns[known, 2])
        region = self._of_keys(keys, lambda key: None if is_session(key[2]) else (key[1],), self.regions)[numbers]
        failed = np.array([key[4] == "failure" for key in keys])[numbers]
        chosen = known & (region >= 0)
        binned = (self.grid.bins[places] * _REGIONS + region) * 2 + failed
        self.binned.add(binned[chosen], times[0].where(chosen))
        group = self._of_keys(keys, self._group, self.groups)[numbers]
        chosen = known & (group >= 0) & (self.block_of[places] >= 0)
        block = group * MAX_BLOCKS + self.block_of[places]
        for pool, found in zip(self.blocks, times, strict=True):
            pool.add(block[chosen], found.where(chosen))

    def _group(self, key: Key) -> tuple[str, str] | None:
        phase, region, name, *_ = key
        return None if is_session(name) or phase not in self.measured else (region, name)

    @staticmethod
    def _of_keys(keys: Sequence[Key], label: Callable[[Key], tuple[str, ...] | None], known: Labels) -> Ints:
        """Return the number of each key's label, -1 for a key without one."""
        found = (label(key) for key in keys)
        return np.array([-1 if each is None else known[each] for each in found])

    def result(self) -> Scan:
        keys: tuple[Key, ...] = tuple(self.labels)
        response, service = self.response.histograms(), self.service.histograms()
        none = Histogram.empty()
        sums = self.sums.tolist()
        cells = [
            TransactionCell(*key, count, attempts, response.get(number, none), service.get(number, none))
            for number, (key, (count, attempts)) in enumerate(zip(keys, sums, strict=True))
        ]
        return Scan(
            self.grid,
            keys,
            tuple(sorted(cells, key=_order)),
            self.ended,
            self.attempts,
            self._by_bin(),
            self._by_block(),
        )

    def _by_bin(self) -> dict[tuple[int, str, bool], Histogram]:
        names = [name for (name,) in self.regions]
        return {
            (number // 2 // _REGIONS, names[number // 2 % _REGIONS], bool(number % 2)): histogram
            for number, histogram in self.binned.histograms().items()
        }

    def _by_block(self) -> dict[tuple[str, str], tuple[tuple[Histogram, ...], tuple[Histogram, ...]]]:
        count = int(self.block_of.max(initial=-1)) + 1
        response, service = (pool.histograms() for pool in self.blocks)
        none = Histogram.empty()

        def series(found: dict[int, Histogram], number: int) -> tuple[Histogram, ...]:
            return tuple(found.get(number * MAX_BLOCKS + block, none) for block in range(count))

        return {
            (region, name): (series(response, number), series(service, number))
            for (region, name), number in self.groups.items()
        }


_REGIONS = 1 << 10


def _order(cell: TransactionCell) -> Key:
    return cell.phase, cell.region, cell.name, cell.outcome, cell.kind
