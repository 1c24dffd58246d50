"""Rows of coupons, their allotments and their uses.

May import ``ledger`` and the modules below it.
"""

import numpy as np

from bench.data import orders
from bench.data.baskets import fill
from bench.data.columns import BigInt, Bool, Money, Text, Time, Uuid
from bench.data.counter import Ints, lane
from bench.data.demand import DAY_US
from bench.data.discounts import Coupons, tries
from bench.data.ledger import Ledger
from bench.data.vocabulary import Digits, Vocabulary
from bench.data.world import Columns, World

_TYPES = Vocabulary.of("percentage", "fixed", "free_shipping")
_WORDS = Vocabulary.of("SAVE", "HELLO", "SUMMER", "WINTER", "VIP", "APP", "THANKS", "BACK", "FLASH", "EXTRA")
_UNLIMITED = 0.5
"""Share of the coupons that are not exhausted and have no limit."""
_HEADROOM = 500
"""Uses left to each region of a limited coupon, at most."""


def _limited(world: World, rules: Coupons, rows: Ints) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    draw = lane(world.streams("coupons", "limit").bits(rows), 0)
    return np.asarray(rules.is_exhausted[rows] | (draw >= _UNLIMITED * 65536))


def _allotted(world: World, ledger: Ledger, rows: Ints) -> Ints:
    """Return (n, regions) uses allotted of the given coupons: those used, and some more unless it is exhausted."""
    places = len(world.spec.regions)
    cells = rows[:, None] * places + np.arange(places)
    left = world.streams("coupon_allotments", "left").between(cells.ravel(), 20, _HEADROOM).reshape(cells.shape)
    return ledger.used[rows] + np.where(ledger.rules.is_exhausted[rows][:, None], 0, left)


def coupons(world: World, ledger: Ledger, rows: Ints) -> Columns:
    """Return coupons by number."""
    rules = ledger.rules
    is_over = rules.until_us[rows] <= world.as_of_us
    words = lane(world.streams("coupons", "word").bits(rows), 0) * len(_WORDS) >> 16
    created = rules.from_us[rows] - DAY_US * (1 + rows % 14)
    return {
        "id": Uuid(world.streams("coupons", "id").uuids(rows)),
        "code": Text(_WORDS[words], Digits(rows + 1, 5)),
        "type": Text(_TYPES[rules.type[rows]]),
        "value": Money(rules.value[rows]),
        "minimum_amount": Money(rules.minimum[rows]),
        "maximum_discount": Money(rules.ceiling[rows], null=rules.ceiling[rows] == 0),
        "usage_limit": BigInt(_allotted(world, ledger, rows).sum(axis=1), null=~_limited(world, rules, rows)),
        "valid_from": Time(rules.from_us[rows]),
        "valid_until": Time(rules.until_us[rows]),
        "is_active": Bool(~is_over | (rows % 2 == 0)),
        "created_at": Time(created),
    }


def coupon_allotments(world: World, ledger: Ledger, rows: Ints) -> Columns:
    """Return the allotments of all regions of the given coupons."""
    places = len(world.spec.regions)
    coupon, region = np.repeat(rows, places), np.tile(np.arange(places), len(rows))
    return {
        "region": Text(world.regions[region]),
        "coupon_id": Uuid(world.streams("coupons", "id").uuids(coupon)),
        "allotted": BigInt(_allotted(world, ledger, rows).ravel(), null=~_limited(world, ledger.rules, coupon)),
        "used": BigInt(ledger.used[rows].ravel()),
    }


def coupon_usages(world: World, ledger: Ledger, rows: Ints) -> Columns:
    """Return the uses of coupons in the given orders."""
    rows = rows[tries(world, rows) & ~np.isin(rows, ledger.refused_among(rows), assume_unique=True)]
    if len(rows):
        found = orders.orders_of(world, rows)
        lines = fill(world, "order_items", rows)
        bill = orders.bill(world, ledger.rules, found, lines, orders.prices(world, found, lines))
        hit = bill.discount > 0
        columns = (
            rows[hit],
            bill.coupon[hit],
            bill.discount[hit],
            found.user[hit],
            found.region[hit],
            found.created_us[hit],
        )
    else:
        columns = (rows,) * 6
    order, coupon, discount, user, region, at = columns
    return {
        "region": Text(world.regions[region]),
        "id": Uuid(world.streams("coupon_usages", "id").uuids(order)),
        "coupon_id": Uuid(world.streams("coupons", "id").uuids(coupon)),
        "order_id": Uuid(world.streams("orders", "id").uuids(order)),
        "user_id": Uuid(world.streams("users", "id").uuids(user)),
        "discount_amount": Money(discount),
        "used_at": Time(at),
    }
