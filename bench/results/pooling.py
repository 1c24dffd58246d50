"""Merging rows of the store that have the same labels: counts are added, histograms pooled, thousands of rows at a time."""

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from bench.metrics.histogram import Histogram, Ints
from bench.metrics.packed import Unpacked, unpack

Row = tuple[Any, ...]

_INDEX_BITS = 17
"""A bucket's index has no more: 64 octaves of 1024 buckets."""
_FOLD_AT = 500_000
_NONE = np.empty(0, np.int64)
_NEVER = np.iinfo(np.int64)


class Pools:
    """Histograms by the number of their label, pooled in little memory: what is equal is folded as it doubles."""

    def __init__(self) -> None:
        self._keys: list[Ints] = []
        self._counts: list[Ints] = []
        self._pending = self._folded = 0
        self._sums_ns = self._mins_ns = self._maxs_ns = _NONE

    def add(self, labels: Ints, found: Unpacked) -> None:
        """Add histograms, one for each of the labels."""
        full = found.totals > 0
        self._grow(int(labels.max(initial=-1)) + 1)
        np.add.at(self._sums_ns, labels[full], found.sums_ns[full])
        np.minimum.at(self._mins_ns, labels[full], found.mins_ns[full])
        np.maximum.at(self._maxs_ns, labels[full], found.maxs_ns[full])
        self._keys.append(np.repeat(labels << _INDEX_BITS, found.sizes) + found.indices)
        self._counts.append(found.counts)
        self._pending += len(found.indices)
        if self._pending > max(_FOLD_AT, self._folded):
            self._fold()

    def histograms(self) -> dict[int, Histogram]:
        """Return the pooled histogram of each label that has one."""
        self._fold()
        keys, counts = (self._keys or [_NONE])[0], (self._counts or [_NONE])[0]
        labels = keys >> _INDEX_BITS
        starts = np.flatnonzero(np.diff(labels, prepend=-1))
        ends = np.append(starts, len(keys))[1:]
        indices = keys & ((1 << _INDEX_BITS) - 1)
        return {
            label: Histogram(
                indices[start:end],
                counts[start:end],
                int(self._sums_ns[label]),
                int(self._mins_ns[label]),
                int(self._maxs_ns[label]),
            )
            for label, start, end in zip(labels[starts].tolist(), starts.tolist(), ends.tolist(), strict=True)
        }

    def _grow(self, size: int) -> None:
        more = max(0, size - len(self._sums_ns))
        self._sums_ns = np.pad(self._sums_ns, (0, more))
        self._mins_ns = np.pad(self._mins_ns, (0, more), constant_values=_NEVER.max)
        self._maxs_ns = np.pad(self._maxs_ns, (0, more), constant_values=_NEVER.min)

    def _fold(self) -> None:
        if not self._pending:
            return
        keys, counts = np.concatenate(self._keys), np.concatenate(self._counts)
        order = np.argsort(keys)
        keys, counts = keys[order], counts[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        self._keys, self._counts = [keys[starts]], [np.add.reduceat(counts, starts)]
        self._folded, self._pending = len(starts), 0


class Labels(dict[Row, int]):
    """Numbers for labels, in the order in which they come; a label that is new has the next one."""

    def __missing__(self, label: Row) -> int:
        self[label] = number = len(self)
        return number

    def of(self, rows: Sequence[Row], columns: int) -> Ints:
        """Return the number of the label that each row begins with."""
        labels = map(itemgetter(slice(columns)), rows)
        return np.fromiter(map(self.__getitem__, labels), np.int64, len(rows))


def column(rows: Sequence[Row], place: int) -> Ints:
    """Return one column of whole numbers."""
    return np.fromiter(map(itemgetter(place), rows), np.int64, len(rows))


def histograms(rows: Sequence[Row], place: int) -> Unpacked:
    """Return one column of packed histograms."""
    return unpack(list(map(itemgetter(place), rows)))


class RowPools:
    """Rows by their first ``labels`` columns: the next ``counts`` columns are summed, the rest are packed histograms."""

    def __init__(self, labels: int, counts: int) -> None:
        self._labels = labels
        self._known, self._pools = Labels(), list[Pools]()
        self._sums = np.zeros((0, counts), np.int64)

    def add(self, part: Sequence[Row]) -> None:
        """Add some rows."""
        if not part:
            return
        numbers = self._known.of(part, self._labels)
        counts = self._sums.shape[1]
        self._sums = np.pad(self._sums, ((0, len(self._known) - len(self._sums)), (0, 0)))
        for place in range(counts):
            np.add.at(self._sums[:, place], numbers, column(part, self._labels + place))
        self._pools = self._pools or [Pools() for _ in part[0][self._labels + counts :]]
        for place, pool in enumerate(self._pools, self._labels + counts):
            pool.add(numbers, histograms(part, place))

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield one row for each combination of labels, sorted by them; histograms come out as one ``Histogram`` each."""
        made = [pool.histograms() for pool in self._pools]
        for label, number in sorted(self._known.items()):
            yield (*label, *self._sums[number].tolist(), *(found.get(number) or Histogram.empty() for found in made))


def pool_rows(parts: Iterable[Sequence[Row]], labels: int, counts: int) -> Iterator[tuple[Any, ...]]:
    """Yield the pooled rows of rows that come in parts, as ``RowPools``."""
    pools = RowPools(labels, counts)
    for part in parts:
        pools.add(part)
    yield from pools.rows()
