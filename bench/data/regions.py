"""What the data assumes of a region: its share of the users, its clock, its tax, its locales.

May import nothing of the package but ``counter``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.data.counter import Ints


@dataclass(frozen=True, slots=True)
class Profile:
    """One region; ``locales`` are Faker's names with their shares, ``states`` limits en_US to a coast."""

    weight: float
    utc_offset_h: int
    tax_permille: int
    locales: tuple[tuple[str, float], ...]
    states: tuple[str, ...] = ()


_EAST = ("NY", "NJ", "MA", "CT", "PA", "VA", "NC", "GA", "FL", "MD", "OH")
_WEST = ("CA", "WA", "OR", "NV", "AZ", "UT", "CO", "ID")

PROFILES = {
    "us-east": Profile(0.34, -5, 70, (("en_US", 1.0),), _EAST),
    "us-west": Profile(0.24, -8, 85, (("en_US", 1.0),), _WEST),
    "eu-west": Profile(0.26, 1, 200, (("en_GB", 0.4), ("de_DE", 0.35), ("fr_FR", 0.25))),
    "asia-pac": Profile(0.16, 9, 100, (("ja_JP", 0.55), ("en_AU", 0.25), ("en_IN", 0.2))),
}
UNKNOWN = Profile(0.25, 0, 80, (("en_US", 1.0),))


def profile(region: str) -> Profile:
    """Return what is known of a region; one that is not known is taken for an American one in UTC."""
    return PROFILES.get(region, UNKNOWN)


def codes(regions: Sequence[str]) -> tuple[str, ...]:
    """Return a short code for each region, unlike the others.

    >>> codes(("us-east", "asia-pac", "us-east2", "us-east3"))
    ('USE', 'ASP', 'USE2', 'USE3')
    """
    short = [_code(region) for region in regions]
    return tuple(code if short.count(code) == 1 else f"{code[:8]}R{number}" for number, code in enumerate(short, 1))


def _code(region: str) -> str:
    first, *rest = region.upper().replace("_", "-").split("-")
    digits = "".join(c for c in "".join(rest) if c.isdigit())
    return first[:2] + "".join(word[:1] for word in rest if not word.isdigit()) + digits


def shares(total: int, weights: Sequence[float], least: int = 1) -> Ints:
    """Return ``total`` split in proportion to the weights, each part at least ``least``; the parts sum to the total.

    >>> shares(10, (0.5, 0.3, 0.2)).tolist()
    [5, 3, 2]
    """
    free = total - least * len(weights)
    if free < 0:
        raise ValueError(f"{total} cannot be split in {len(weights)} parts of at least {least}")
    ends = np.rint(np.cumsum(weights) / sum(weights) * free).astype(np.int64)
    return np.diff(ends, prepend=0) + least


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers 0…n-1 laid out region after region; ``starts`` has one entry more than there are regions."""

    starts: Ints

    @classmethod
    def of(cls, total: int, weights: Sequence[float], least: int = 1) -> "Split":
        """Return the layout of ``total`` rows."""
        return cls(np.concatenate(([0], np.cumsum(shares(total, weights, least)))).astype(np.int64))

    @property
    def total(self) -> int:
        """How many rows there are."""
        return int(self.starts[-1])

    def size(self, region: int) -> int:
        """Return how many rows a region has."""
        return int(self.starts[region + 1] - self.starts[region])

    def region(self, rows: Ints) -> Ints:
        """Return the number of the region of each row."""
        return np.searchsorted(self.starts, rows, side="right") - 1
