"""Random cells without state: a hash of (seed, table, column) and the row number, vectorised over rows.

May import nothing of the package.  The hash is the output function of splitmix64 (Steele, Lea, Flood: "Fast splittable
pseudorandom number generators", 2014) at position ``row`` of the sequence that starts at a key.
"""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

Args = ParamSpec("Args")
Result = TypeVar("Result")

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
        bits = self.bits(rows)
        # Enough for the second half: it only has to look random, and to differ where version 4 takes bits from the first.
        more = bits * _MIX_1
        more ^= more >> np.uint64(29)
        out[:, 0] = bits & _VERSION_4[0] | _VERSION_4[1]
        out[:, 1] = more & _VARIANT_1[0] | _VARIANT_1[1]
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


def remembered(function: Callable[Args, Result]) -> Callable[Args, Result]:
    """Return a function that remembers its last result in each thread, for calls with the same objects or equal arrays.

    Several parts are made from the same orders one after the other; a result is shared, so nobody may change it.
    """
    held = threading.local()

    @wraps(function)
    def call(*args: Args.args, **named: Args.kwargs) -> Result:
        known = getattr(held, "known", None)
        if known is None or named or not (len(known[0]) == len(args) and all(map(_is_same, known[0], args))):
            known = held.known = (args, function(*args, **named))
        result: Result = known[1]
        return result

    return call


def _is_same(one: object, other: object) -> bool:
    if one is other:
        return True
    return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and np.array_equal(one, other)


@dataclass(frozen=True, slots=True)
class Alias:
    """A choice among many weighted outcomes in one look-up (Walker 1977, "alias method").

    Each of n equal columns holds at most two outcomes: its own below ``share``, the other above.
    """

    share: Floats = field(repr=False)
    outcome: NDArray[np.int32] = field(repr=False)
    """(2n,): the own and the other outcome of each column."""

    @classmethod
    def of(cls, weights: Floats) -> "Alias":
        """Return the choice in proportion to the weights.

        Columns that are too full give to those that are not, in order: the gap at ``gaps[i]`` is filled by the column whose
        surplus reaches it, and what a column gave beyond its surplus is filled by the next one.
        """
        filled = weights / weights.sum() * len(weights)
        small, large = np.flatnonzero(filled < 1), np.flatnonzero(filled >= 1)
        gaps, surplus = np.cumsum(1 - filled[small]), np.cumsum(filled[large] - 1)
        share, other = filled.copy(), np.arange(len(weights))
        giver = np.searchsorted(surplus, gaps - (1 - filled[small]), side="right")
        other[small] = large[np.minimum(giver, len(large) - 1)]
        last = np.searchsorted(gaps, surplus)
        given = np.append(gaps, np.inf)[last] - surplus
        # No gap reaches beyond the last surplus but by rounding.
        share[large] = np.where(np.isinf(given) | (np.arange(len(large)) == len(large) - 1), 1, 1 - given)
        other[large[:-1]] = large[1:]
        return cls(share, np.stack([np.arange(len(weights)), other], axis=1).ravel().astype(np.int32))

    def pick(self, draws: Floats) -> Ints:
        """Return the outcome of each uniform number in [0, 1)."""
        at = draws * len(self.share)
        column = at.astype(np.int64)
        return self.outcome[2 * column + (at - column >= self.share[column])].astype(np.int64)
