"""What is to be seeded: scale, seed, day, regions; how many rows that is; and the fingerprint of the result.

May import ``errors`` and nothing else of the package but ``regions``.
"""

import difflib
import hashlib
import math
from dataclasses import dataclass
from datetime import date

import numpy as np

from bench.data import regions as known_regions
from bench.errors import UsageError

GENERATOR_VERSION = 2
"""Raised with any change of the generator that changes a row or the cut of its blocks; part of the fingerprint, so that old
data is seeded anew and no load is resumed with other blocks."""

SCALES = {"tiny": 0.0004, "small": 0.04, "medium": 1.0, "large": 10.0, "xl": 100.0}
"""Named scales, in multiples of medium (1 M orders)."""
LARGEST = 1000.0
STEEPEST = 2.0
"""The greatest exponent of popularity."""

ORDERS = 1_000_000
USERS = 200_000
PRODUCTS = 10_000
CARTS = 60_000
COUPONS = 400
CATEGORIES = 113

# Means of the distributions below; the tests hold the generator to them.
SKUS_PER_PRODUCT = 2.65
VARIANTS_PER_PRODUCT = 2.2
ADDRESSES_PER_USER = 1.4
ITEMS_PER_ORDER = 2.5
ITEMS_PER_CART = 2.5
OPEN_ORDERS = 0.1
"""Share of the year's orders that are placed in its last ``ledger.OPEN_DAYS`` days."""
MOVEMENTS_PER_OPEN_ITEM = 1.95
DELIVERIES_PER_SKU = 1.017
"""First deliveries and corrections, by SKU and warehouse."""
USAGES_PER_ORDER = 0.044
REVIEWS_PER_ORDER = 0.196
REVIEWS_PER_USER = 0.1
# A catalogue grows slower than its sales: ten times the orders come with 5.6 times the products.
CATALOGUE_GROWTH = 0.75
# Of the lines of settled orders, the share with each of the movements that are carried forward.
_CARRIED = (1.0, 0.95, 0.05, 0.035)
_LIVELY = (0.4, 1.6)
"""Lines of the slower and the livelier half of a product's inventory rows, over their mean: fitted to zipf 0 to 2."""


@dataclass(frozen=True, slots=True)
class SeedSpec:
    """One data set.  ``as_of`` is the day that the data ends before (midnight UTC); the history is the year before it.

    ``zipf`` is the exponent of popularity: 0 sells all products alike, 2 three fifths of the lines with the first one.
    """

    scale: str
    seed: int
    as_of: date
    regions: tuple[str, ...]
    zipf: float = 1.0

    def __post_init__(self) -> None:
        scale_factor(self.scale)
        if not self.regions or len(set(self.regions)) != len(self.regions):
            raise UsageError(
                f"regions '{','.join(self.regions)}' are empty or repeat one", hint="name each region once"
            )
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"seed {self.seed} is out of range", hint="pass a number from 0 to 2^63 - 1")
        if not 0 <= self.zipf <= STEEPEST:
            message = f"zipf {self.zipf} is not between 0 and {STEEPEST:.0f} (exponent of popularity)"
            raise UsageError(message, hint="use e.g. 1.0, the default; 0 sells all products alike")

    @property
    def factor(self) -> float:
        """The size in multiples of medium."""
        return scale_factor(self.scale)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any row of the data."""
        # Adding 0.0 makes one text of 1 and 1.0, and of 0.0 and -0.0.
        parts = (GENERATOR_VERSION, self.factor, self.seed, self.as_of, ",".join(self.regions), self.zipf + 0.0)
        text = "/".join(map(str, parts))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def weights(self) -> tuple[float, ...]:
        """The share of users of each region, not normalised."""
        return tuple(known_regions.profile(region).weight for region in self.regions)


def scale_factor(scale: str) -> float:
    """Return a scale in multiples of medium; UsageError when it is not a name or a number above zero.

    >>> scale_factor("small"), scale_factor("2.5")
    (0.04, 2.5)
    """
    if scale in SCALES:
        return SCALES[scale]
    try:
        factor = float(scale)
    except ValueError:
        close = difflib.get_close_matches(scale, SCALES, 1)
        hint = f"did you mean '{close[0]}'?" if close else f"use {', '.join(SCALES)} or a number, e.g. 2.5"
        raise UsageError(f"no scale named '{scale}'", hint=hint) from None
    if not math.isfinite(factor) or factor <= 0 or factor > LARGEST:
        message = f"scale {scale} is not above 0 and at most {LARGEST:.0f} (multiples of medium)"
        raise UsageError(message, hint=f"use {', '.join(SCALES)} or a number, e.g. 2.5")
    return factor


def sizes(spec: SeedSpec) -> dict[str, int]:
    """Return the exact number of users, products, orders, carts, coupons and warehouses."""
    factor, places = spec.factor, len(spec.regions)
    return {
        "users": max(10 * places, round(USERS * factor)),
        "products": max(24, round(PRODUCTS * factor**CATALOGUE_GROWTH)),
        "orders": max(20 * places, round(ORDERS * factor)),
        "carts": max(25 * places, round(CARTS * factor)),
        "coupons": max(20, round(COUPONS * factor**0.5)),
        "warehouses": places + (places + 1) // 2,
    }


def row_counts(spec: SeedSpec) -> dict[str, int]:
    """Return the rows to expect of each table: exact where a table has a size, else within a few percent."""
    size = sizes(spec)
    items = round(size["orders"] * ITEMS_PER_ORDER)
    stocked = round(size["products"] * SKUS_PER_PRODUCT) * size["warehouses"]
    return {
        "categories": CATEGORIES,
        "products": size["products"],
        "product_variants": round(size["products"] * VARIANTS_PER_PRODUCT),
        "warehouses": size["warehouses"],
        "coupons": size["coupons"],
        "users": size["users"],
        "user_addresses": round(size["users"] * ADDRESSES_PER_USER),
        "inventory": stocked,
        "shopping_carts": size["carts"],
        "cart_items": round(size["carts"] * ITEMS_PER_CART),
        "orders": size["orders"],
        "order_items": items,
        "inventory_movements": _movements(spec, items, stocked),
        "coupon_allotments": size["coupons"] * len(spec.regions),
        "coupon_usages": round(size["orders"] * USAGES_PER_ORDER),
        "product_reviews": round(size["orders"] * REVIEWS_PER_ORDER + size["users"] * REVIEWS_PER_USER),
    }


def _movements(spec: SeedSpec, items: int, stocked: int) -> int:
    """Return the movements to expect: of the stock itself, of open orders, and what is carried forward of settled ones."""
    size = sizes(spec)
    # Products of nearly the same rank together: this is exact for the first ones, where it matters.
    edges = np.unique(np.geomspace(1, size["products"] + 1, 64).astype(np.int64))
    count = np.diff(edges)
    weights = np.sqrt(edges[:-1] * (edges[1:] - 1.0)) ** -spec.zipf
    rows = SKUS_PER_PRODUCT * size["warehouses"]
    lines = items * (1 - OPEN_ORDERS) * weights / (weights * count).sum() / rows
    # An inventory row has a type of movement unless none of its lines, which are many and independent, has it.
    some = sum(-np.expm1(-lines * share * lively) for share in _CARRIED for lively in _LIVELY) / len(_LIVELY)
    carried = float((some * count).sum()) * rows
    return round(stocked * DELIVERIES_PER_SKU + items * OPEN_ORDERS * MOVEMENTS_PER_OPEN_ITEM + carried)
