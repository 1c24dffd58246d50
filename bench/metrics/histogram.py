"""A mergeable log-linear histogram of durations.

Each octave is cut into 1024 equal buckets, so a value read back (the middle of its bucket) is within 1/2048 = 0.05 % of the
value recorded.  Minimum, maximum, count and sum are exact.  Merging histograms and then reading a percentile equals reading
it from the pooled samples within that error, which no averaging of percentiles does.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

SUB_BUCKETS = 1024
RELATIVE_ERROR = 1 / (2 * SUB_BUCKETS)
ROUNDING = 1e-12
HEADER = struct.Struct("<IqQqq")
STORED = b"\x78\x01\x01"
"""How the zlib form of what is stored without compression begins."""
_SMALL = 16
"""Up to so many buckets are stored as they are: compressing them costs more time than it saves room."""

Ints = npt.NDArray[np.int64]


def bucket_indices(values_ns: Ints) -> Ints:
    """Return the bucket of each value."""
    mantissa, exponent = np.frexp(np.maximum(values_ns, 1).astype(np.float64))
    sub = ((mantissa - 0.5) * (2 * SUB_BUCKETS)).astype(np.int64)
    return exponent.astype(np.int64) * SUB_BUCKETS + sub


def bucket_middles(indices: Ints) -> npt.NDArray[np.float64]:
    """Return the middle of each bucket in nanoseconds: what a value in it is read back as."""
    exponent, sub = np.divmod(indices, SUB_BUCKETS)
    mantissa: npt.NDArray[np.float64] = 0.5 + (sub + 0.5) / (2 * SUB_BUCKETS)
    return np.ldexp(mantissa, exponent.astype(np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of nanosecond values by bucket; ``indices`` ascending and unique, ``counts`` of the same length."""

    indices: Ints
    counts: Ints
    sum_ns: int
    min_ns: int
    max_ns: int

    @classmethod
    def empty(cls) -> Self:
        """Return a histogram of nothing; merging with it changes nothing."""
        none = np.empty(0, np.int64)
        return cls(none, none, 0, 0, 0)

    @classmethod
    def of(cls, values_ns: Ints) -> Self:
        """Return the histogram of an int64 array of nanoseconds; values below 1 fall into the lowest bucket."""
        if values_ns.size == 0:
            return cls.empty()
        indices, counts = np.unique(bucket_indices(values_ns), return_counts=True)
        return cls(
            indices,
            counts.astype(np.int64),
            int(values_ns.sum()),
            int(values_ns.min()),
            int(values_ns.max()),
        )

    @classmethod
    def merge(cls, parts: Iterable["Histogram"]) -> Self:
        """Return the histogram of the pooled values of ``parts``."""
        full = [part for part in parts if part.count]
        if not full:
            return cls.empty()
        indices, inverse = np.unique(np.concatenate([part.indices for part in full]), return_inverse=True)
        counts = np.zeros(len(indices), np.int64)
        np.add.at(counts, inverse, np.concatenate([part.counts for part in full]))
        return cls(
            indices,
            counts,
            sum(part.sum_ns for part in full),
            min(part.min_ns for part in full),
            max(part.max_ns for part in full),
        )

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return int(self.counts.sum())

    def percentile_ns(self, percent: float) -> float | None:
        """Return the nearest-rank percentile (0-100) in nanoseconds, within 0.05 %; None for an empty histogram."""
        total = self.count
        if not total:
            return None
        # Less than a sample in a billion: 99.9 / 100 * 1000 is a little more than 999, and its rank is 999 all the same.
        rank = max(1, int(np.ceil(percent / 100 * total - ROUNDING * total)))
        if rank >= total:
            return float(self.max_ns)
        position = int(np.searchsorted(np.cumsum(self.counts), rank))
        middle = float(bucket_middles(self.indices[position : position + 1])[0])
        return min(max(middle, float(self.min_ns)), float(self.max_ns))

    def percentile_ms(self, percent: float) -> float | None:
        """Return the nearest-rank percentile (0-100) in milliseconds; None for an empty histogram."""
        value = self.percentile_ns(percent)
        return None if value is None else value / 1e6

    @property
    def mean_ms(self) -> float | None:
        """The exact mean in milliseconds; None for an empty histogram."""
        return self.sum_ns / self.count / 1e6 if self.count else None

    @property
    def max_ms(self) -> float | None:
        """The exact maximum in milliseconds; None for an empty histogram."""
        return self.max_ns / 1e6 if self.count else None

    def cumulative(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return (values in ms, share of values at or below), ascending: the shape that a tail chart draws."""
        if not self.count:
            return np.empty(0), np.empty(0)
        return bucket_middles(self.indices) / 1e6, np.cumsum(self.counts) / self.count

    def to_bytes(self) -> bytes:
        """Return a compact form: a header and the zlib-packed differences of indices, and counts."""
        deltas = np.diff(self.indices, prepend=0).astype("<i4").tobytes()
        raw = deltas + self.counts.astype("<u4").tobytes()
        packed = _store(raw) if len(self.indices) <= _SMALL else zlib.compress(raw, 1)
        header = HEADER.pack(len(self.indices), self.sum_ns, self.count, self.min_ns, self.max_ns)
        return header + packed

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what ``to_bytes`` packed; ValueError when the bytes are not such a histogram."""
        try:
            size, sum_ns, count, min_ns, max_ns = HEADER.unpack_from(data)
            raw = zlib.decompress(data[HEADER.size :])
        except (struct.error, zlib.error) as error:
            raise ValueError(f"not a histogram: {error}") from None
        if len(raw) != 8 * size:
            raise ValueError(f"not a histogram: {len(raw)} bytes for {size} buckets")
        indices = np.cumsum(np.frombuffer(raw, "<i4", size)).astype(np.int64)
        counts = np.frombuffer(raw, "<u4", size, 4 * size).astype(np.int64)
        if int(counts.sum()) != count:
            raise ValueError("not a histogram: the counts do not add up")
        return cls(indices, counts, sum_ns, min_ns, max_ns)


def _store(raw: bytes) -> bytes:
    """Return bytes as zlib writes them without compression (RFC 1950 and 1951), for less than zlib takes to set itself up."""
    length = len(raw)
    return b"".join((STORED, _LENGTHS.pack(length, length ^ 0xFFFF), raw, _SUM.pack(zlib.adler32(raw))))


_LENGTHS, _SUM = struct.Struct("<HH"), struct.Struct(">I")
