"""The rules of the coupons: when each is valid, what it takes off, who tries one.

May import ``world`` and the modules below it.  Weeks count from the start of the history.
"""

from dataclasses import dataclass

import numpy as np

from bench.data.counter import Flags, Ints, lane
from bench.data.demand import DAY_US
from bench.data.world import World

TRIED = 0.062
"""Share of orders whose buyer enters a coupon; the minimum amount and the once-per-user rule turn some away."""
WEEK_US = 7 * DAY_US
_WEEKS = 53
_VALID, _EXPIRED, _EXHAUSTED = 0, 1, 2
_KINDS = np.array([_VALID] * 5 + [_EXPIRED] * 3 + [_EXHAUSTED] * 2)
PERCENTAGE, FIXED, FREE_SHIPPING = 0, 1, 2
_TYPES = np.array([PERCENTAGE, PERCENTAGE, FIXED, PERCENTAGE, FREE_SHIPPING, FIXED, PERCENTAGE])
_PERCENT = np.array([5, 10, 15, 20, 25, 50])
_FIXED_UNITS = np.array([5, 10, 15, 20, 25])
_MINIMUM_UNITS = np.array([0, 0, 25, 50, 100])
_CEILING_UNITS = np.array([0, 25, 50, 100])


@dataclass(frozen=True, slots=True)
class Coupons:
    """All coupons (c,), money in cents; ``ceiling`` 0 is none; ``by_week[w, :in_week[w]]`` are those valid all week."""

    kind: Ints
    type: Ints
    value: Ints
    minimum: Ints
    ceiling: Ints
    from_us: Ints
    until_us: Ints
    by_week: Ints
    in_week: Ints

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.kind)

    @property
    def is_valid(self) -> Flags:
        """Which can still be used at the end of the history."""
        return np.asarray(self.kind == _VALID)

    @property
    def is_exhausted(self) -> Flags:
        """Which have been used as often as they may."""
        return np.asarray(self.kind == _EXHAUSTED)


def coupons(world: World) -> Coupons:
    """Return the coupons of a data set: of ten, five valid, three expired, two exhausted."""
    rows = np.arange(world.sizes["coupons"], dtype=np.int64)
    bits = world.streams("coupons", "rules").bits(rows)
    kind, type_ = _KINDS[rows % len(_KINDS)], _TYPES[rows % len(_TYPES)]
    units = np.select([type_ == PERCENTAGE, type_ == FIXED], [_PERCENT[rows % 6], _FIXED_UNITS[rows % 5]], 0)
    first = lane(bits, 0) * 40 >> 16
    last = np.where(kind == _VALID, _WEEKS - 1, np.minimum(51, first + 3 + (lane(bits, 1) * 8 >> 16)))
    in_a_year = world.as_of_us + 365 * DAY_US
    by_week, in_week = _calendar(first, last)
    return Coupons(
        kind=kind,
        type=type_,
        value=units * 100,
        minimum=_MINIMUM_UNITS[lane(bits, 2) * 5 >> 16] * 100,
        ceiling=np.where(type_ == PERCENTAGE, _CEILING_UNITS[lane(bits, 3) * 4 >> 16] * 100, 0),
        from_us=world.start_us + first * WEEK_US,
        until_us=np.where(kind == _EXPIRED, world.start_us + (last + 1) * WEEK_US, in_a_year),
        by_week=by_week,
        in_week=in_week,
    )


def _calendar(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    weeks = np.arange(_WEEKS)[:, None]
    active = (first <= weeks) & (weeks <= last)
    # A stable sort of "not active" puts the coupons of each week to the front of its row.
    return np.argsort(~active, axis=1, kind="stable").astype(np.int64), active.sum(axis=1).astype(np.int64)


def tries(world: World, orders: Ints) -> Flags:
    """Return in which orders a coupon is entered."""
    return lane(world.streams("orders", "coupon").bits(orders), 0) < TRIED * 65536


def entered(world: World, rules: Coupons, orders: Ints, created_us: Ints) -> Ints:
    """Return the coupon entered in each order, one of those valid that week; -1 where none is."""
    bits = world.streams("orders", "coupon").bits(orders)
    tried = np.flatnonzero(lane(bits, 0) < TRIED * 65536)
    week = (created_us[tried] - world.start_us) // WEEK_US
    number = rules.by_week[week, lane(bits[tried], 1) * rules.in_week[week] >> 16]
    out = np.full(len(orders), -1)
    out[tried] = np.where(rules.in_week[week] > 0, number, -1)
    return out


def taken_off(rules: Coupons, coupon: Ints, subtotal: Ints, shipping: Ints) -> Ints:
    """Return the discount in cents of orders with the coupons given (-1 for none)."""
    out, used = np.zeros(len(coupon), np.int64), np.flatnonzero(coupon >= 0)
    out[used] = _taken_off(rules, coupon[used], subtotal[used], shipping[used])
    return out


def _taken_off(rules: Coupons, coupon: Ints, subtotal: Ints, shipping: Ints) -> Ints:
    share = subtotal * rules.value[coupon] // 10_000
    share = np.where(rules.ceiling[coupon] > 0, np.minimum(share, rules.ceiling[coupon]), share)
    kinds = [rules.type[coupon] == PERCENTAGE, rules.type[coupon] == FIXED]
    cents = np.select(kinds, [share, np.minimum(rules.value[coupon], subtotal)], shipping)
    return np.where(subtotal >= rules.minimum[coupon], cents, 0)
