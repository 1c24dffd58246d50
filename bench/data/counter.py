"""Random cells without state: a hash of (seed, table, column) and the row number, vectorised over rows.

May import nothing of the package.  The hash is the output function of splitmix64 (Steele, Lea, Flood: "Fast splittable
pseudorandom number generators", 2014) at position ``row`` of the sequence that starts at a key.
"""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bits = NDArray[np.uint64]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_VERSION_4 = (np.uint64(0xFFFFFFFFFFFF0FFF), np.uint64(0x4000))
_VARIANT_1 = (np.uint64(0x3FFFFFFFFFFFFFFF), np.uint64(0x8000000000000000))
_LANE = np.uint64(0xFFFF)


@dataclass(frozen=True, slots=True)
class Stream:
    """The random numbers of one column; each method takes row numbers of any order and shape (n,)."""

    key: np.uint64

    def bits(self, rows: Ints) -> Bits:
        """Return 64 random bits a row."""
        x = rows.astype(np.uint64)
        x *= _GOLDEN
        x += self.key
        x ^= x >> np.uint64(30)
        x *= _MIX_1
        x ^= x >> np.uint64(27)
        x *= _MIX_2
        x ^= x >> np.uint64(31)
        return x

    def uniform(self, rows: Ints) -> Floats:
        """Return a number in [0, 1) a row."""
        return np.asarray((self.bits(rows) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)

    def below(self, rows: Ints, limit: int | Ints) -> Ints:
        """Return an integer in [0, limit) a row; ``limit`` < 2**31, one for all or one a row."""
        high = (self.bits(rows) >> np.uint64(33)).astype(np.int64)
        return np.asarray(high * limit >> 31, dtype=np.int64)

    def between(self, rows: Ints, low: int, high: int) -> Ints:
        """Return an integer in [low, high] a row."""
        return self.below(rows, high - low + 1) + low

    def normal(self, rows: Ints) -> Floats:
        """Return a nearly normal number a row, mean 0 and deviation 1: the sum of four uniform 16-bit lanes."""
        bits = self.bits(rows)
        total = sum(lane(bits, number) for number in range(4))
        return np.asarray((total - 2 * 65535) / (65536 / 3**0.5), dtype=np.float64)

    def uuids(self, rows: Ints) -> Bytes:
        """Return (n, 16) bytes of version 4 UUIDs."""
        out = np.empty((len(rows), 2), ">u8")
        even = rows * 2
        out[:, 0] = self.bits(even) & _VERSION_4[0] | _VERSION_4[1]
        out[:, 1] = self.bits(even + 1) & _VARIANT_1[0] | _VARIANT_1[1]
        return out.view(np.uint8)


def lane(bits: Bits, number: int) -> Ints:
    """Return one of the four 16-bit numbers in each hash; cheaper than another hash for small choices."""
    return (bits >> np.uint64(16 * number) & _LANE).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice among a few weighted outcomes by a table of 65,536 entries, so each share is exact to 1/65,536."""

    table: NDArray[np.int8] = field(repr=False)

    @classmethod
    def of(cls, *weights: float) -> "Choice":
        """Return the choice among ``len(weights)`` outcomes in proportion to the weights."""
        ends = np.rint(np.cumsum(weights) / sum(weights) * 65536).astype(np.int64)
        return cls(np.repeat(np.arange(len(weights), dtype=np.int8), np.diff(ends, prepend=0)))

    def pick(self, lanes: Ints) -> Ints:
        """Return the outcome of each 16-bit number."""
        return self.table[lanes].astype(np.int64)


@dataclass(frozen=True, slots=True)
class Streams:
    """The streams of one seed, by table and column."""

    seed: int

    def __call__(self, table: str, column: str) -> Stream:
        """Return the stream of a column."""
        return _stream(self.seed, table, column)


@lru_cache(maxsize=4096)
def _stream(seed: int, table: str, column: str) -> Stream:
    digest = hashlib.blake2b(f"{seed}/{table}/{column}".encode(), digest_size=8).digest()
    return Stream(np.uint64(int.from_bytes(digest, "big")))


def scatter(ranks: Ints, size: int) -> Ints:
    """Return a permutation of [0, size) at ``ranks``, so that neighbours in rank are far apart in number.

    >>> sorted(scatter(np.arange(10), 10).tolist()) == list(range(10))
    True
    """
    step = max(1, int(size * 0.6180339887))
    while np.gcd(step, size) != 1:
        step += 1
    return (ranks * step + size // 3) % size
