"""Reading many packed histograms at once.  One after another, an hour of them would take a minute."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.metrics.histogram import HEADER, STORED, Ints, bucket_indices

_FIELDS = np.dtype([("size", "<u4"), ("sum_ns", "<i8"), ("count", "<u8"), ("min_ns", "<i8"), ("max_ns", "<i8")])
_BUCKET = 8
"""Bytes of a bucket: the difference to the index before it, and its count."""
_SUM = 4
_AROUND = len(STORED) + 2 * 2 + _SUM
"""What a stored block has beside its content: how it begins, its length twice, and the sum at its end."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Histograms side by side: the first five have an entry for each, ``indices`` and ``counts`` one for each bucket."""

    sizes: Ints
    totals: Ints
    sums_ns: Ints
    mins_ns: Ints
    maxs_ns: Ints
    indices: Ints
    counts: Ints

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Unpacked":
        """Return some of them: those at which ``chosen`` is true."""
        buckets = np.repeat(chosen, self.sizes)
        return Unpacked(
            sizes=self.sizes[chosen],
            totals=self.totals[chosen],
            sums_ns=self.sums_ns[chosen],
            mins_ns=self.mins_ns[chosen],
            maxs_ns=self.maxs_ns[chosen],
            indices=self.indices[buckets],
            counts=self.counts[buckets],
        )


def unpack(packed: Sequence[bytes]) -> Unpacked:
    """Return what ``Histogram.to_bytes`` made of each; ValueError when one of them is not such a histogram.

    >>> from bench.metrics.histogram import Histogram
    >>> found = unpack([Histogram.of(np.array([5, 5, 9])).to_bytes(), Histogram.empty().to_bytes()])
    >>> found.sizes.tolist(), found.totals.tolist(), found.counts.tolist()
    ([2, 0], [3, 0], [2, 1])
    """
    lengths = np.fromiter(map(len, packed), np.int64, len(packed))
    if lengths.size and int(lengths.min()) <= HEADER.size + _SUM:
        raise ValueError("not a histogram: too short")
    joined = b"".join(packed)
    starts = np.cumsum(lengths) - lengths
    headers = _at(joined, _FIELDS, starts)
    sizes = headers["size"].astype(np.int64)
    words = _words(packed, joined, starts, sizes).view("<u4")
    places = _places(2 * (np.cumsum(sizes) - sizes), sizes)
    deltas = words[places].view("<i4").astype(np.int64)
    counts = words[places + np.repeat(sizes, sizes)].astype(np.int64)
    found = Unpacked(
        sizes=sizes,
        totals=headers["count"].astype(np.int64),
        sums_ns=headers["sum_ns"].astype(np.int64),
        mins_ns=headers["min_ns"].astype(np.int64),
        maxs_ns=headers["max_ns"].astype(np.int64),
        indices=_restarted_sums(deltas, sizes),
        counts=counts,
    )
    _check(found)
    return found


def _at(joined: bytes, kind: npt.DTypeLike, places: Ints) -> npt.NDArray[Any]:
    """Return the items of a kind that begin at these bytes, wherever they lie."""
    size = np.dtype(kind).itemsize
    found: npt.NDArray[Any] = np.ndarray((max(0, len(joined) - size + 1),), kind, joined, strides=(1,))[places]
    return found


def _words(packed: Sequence[bytes], joined: bytes, starts: Ints, sizes: Ints) -> npt.NDArray[np.uint64]:
    """Return the content of all, 8 bytes for each bucket; what was stored without compression needs no call for each."""
    begins = starts + HEADER.size
    is_stored = _at(joined, "<u4", begins) & 0xFFFFFF == int.from_bytes(STORED, "little")
    is_stored &= np.diff(starts, append=len(joined)) == HEADER.size + _AROUND + _BUCKET * sizes
    words = np.empty(int(sizes.sum()), "<u8")
    to = np.cumsum(sizes) - sizes
    for chosen, source, froms in (
        (is_stored, joined, begins[is_stored] + _AROUND - _SUM),
        (~is_stored, *_decompressed(packed, ~is_stored, sizes)),
    ):
        mine = sizes[chosen]
        offsets = _places(np.zeros_like(mine), mine)
        words[np.repeat(to[chosen], mine) + offsets] = _at(source, "<u8", np.repeat(froms, mine) + _BUCKET * offsets)
    return words


def _decompressed(packed: Sequence[bytes], chosen: npt.NDArray[np.bool_], sizes: Ints) -> tuple[bytes, Ints]:
    """Return the content of those chosen, one after another, and where each begins."""
    try:
        data = [zlib.decompress(blob[HEADER.size :]) for blob in compress(packed, chosen.tolist())]
    except zlib.error as error:
        raise ValueError(f"not a histogram: {error}") from None
    lengths = np.fromiter(map(len, data), np.int64, len(data))
    if (lengths != _BUCKET * sizes[chosen]).any():
        raise ValueError("not a histogram: more or fewer buckets than it says")
    return b"".join(data), np.cumsum(lengths) - lengths


def _places(starts: Ints, sizes: Ints) -> Ints:
    """Return start, start + 1, … of each run, one run after another."""
    ends = np.cumsum(sizes)
    found: Ints = np.repeat(starts - (ends - sizes), sizes) + np.arange(int(ends[-1]) if ends.size else 0)
    return found


def _restarted_sums(values: Ints, sizes: Ints) -> Ints:
    """Return the running sums of each run."""
    sums = np.concatenate([[0], np.cumsum(values)])
    ends = np.cumsum(sizes)
    found: Ints = sums[1:] - np.repeat(sums[ends - sizes], sizes)
    return found


def _check(found: Unpacked) -> None:
    """Hold the buckets to the header: a byte that was turned over moves the last bucket, or the number of values."""
    full = found.sizes > 0
    ends = np.cumsum(found.sizes)
    first, last = (ends - found.sizes)[full], ends[full] - 1
    sums = np.concatenate([[0], np.cumsum(found.counts)])
    if (sums[ends] - sums[ends - found.sizes] != found.totals).any():
        raise ValueError("not a histogram: the counts do not add up")
    for places, bounds in ((first, found.mins_ns), (last, found.maxs_ns)):
        if (found.indices[places] != bucket_indices(bounds[full])).any():
            raise ValueError("not a histogram: its buckets are not between its least and its greatest value")
