"""Carts of users and guests: open, abandoned, expired; rows of ``shopping_carts`` and ``cart_items``.

May import ``world`` and the modules below it.
"""

from dataclasses import dataclass

import numpy as np

from bench.data.baskets import Lines, fill, warehouses
from bench.data.columns import BigInt, Bool, Money, Text, Time, Uuid
from bench.data.counter import Choice, Flags, Ints, lane, scatter
from bench.data.demand import DAY_US
from bench.data.vocabulary import Digits
from bench.data.world import Columns, World

_KINDS = Choice.of(45, 30, 25)
OPEN, ABANDONED, EXPIRED = range(3)
GUESTS = 0.4
RESERVED = 0.06
"""Share of the lines of open user carts whose stock is held."""


@dataclass(frozen=True, slots=True)
class Carts:
    """Carts (n,); ``user`` means nothing for a guest's cart."""

    rows: Ints
    region: Ints
    user: Ints
    is_guest: Flags
    kind: Ints
    created_us: Ints
    updated_us: Ints
    expires_us: Ints


def carts_of(world: World, rows: Ints) -> Carts:
    """Return carts by number; a user with a cart was there before the history, and has at most one where users abound."""
    region, bits = world.carts.region(rows), world.streams("shopping_carts", "cells").bits(rows)
    kind, is_guest = _KINDS.pick(lane(bits, 0)), lane(bits, 1) < GUESTS * 65536
    fresh, stale, old = (
        world.ago("shopping_carts", "created_at", rows, days) for days in ((0.05, 7), (9, 28), (31, 90))
    )
    created = np.select([kind == OPEN, kind == ABANDONED], [fresh, stale], old)
    # Touched again within two days, but not after the data ends.
    updated = created + (np.minimum(2 * DAY_US, world.as_of_us - created) >> 16) * lane(bits, 2)
    open_until = world.as_of_us + 30 * DAY_US + lane(bits, 3) * (30 * DAY_US >> 16)
    expires = np.where(kind == OPEN, open_until, created + 30 * DAY_US)
    return Carts(rows, region, _users(world, rows, region), is_guest, kind, created, updated, expires)


def _users(world: World, rows: Ints, region: Ints) -> Ints:
    out = np.empty(len(rows), np.int64)
    for number in np.unique(region).tolist():
        mine, early = region == number, world.early_users(number)
        place = rows[mine] - world.carts.starts[number]
        out[mine] = world.users.starts[number] + scatter(place % early, early)
    return out


@dataclass(frozen=True, slots=True)
class Held:
    """The lines of carts: the warehouse is that of the stock held, where it is."""

    lines: Lines
    is_reserved: Flags
    warehouse: Ints
    added_us: Ints


def lines_of(world: World, carts: Carts) -> Held:
    """Return the lines of carts."""
    lines = fill(world, "cart_items", carts.rows)
    bits = world.streams("cart_items", "held").bits(lines.number)
    can_hold = ((carts.kind == OPEN) & ~carts.is_guest)[lines.basket]
    warehouse = warehouses(world, "cart_items", lines, carts.region[lines.basket], 0.0)
    span = (carts.updated_us - carts.created_us)[lines.basket] >> 16
    added = carts.created_us[lines.basket] + span * lane(bits, 1)
    return Held(lines, can_hold & (lane(bits, 0) < RESERVED * 65536), warehouse, added)


def shopping_carts(world: World, rows: Ints) -> Columns:
    """Return carts by number."""
    carts = carts_of(world, rows)
    session = world.streams("shopping_carts", "session").below(rows, 10**9)
    return {
        "region": Text(world.regions[carts.region]),
        "id": Uuid(world.streams("shopping_carts", "id").uuids(rows)),
        "user_id": Uuid(world.streams("users", "id").uuids(carts.user), null=carts.is_guest),
        "session_id": Text(b"sess-", Digits(session, 9), b"-", Digits(rows, 10), null=~carts.is_guest),
        "created_at": Time(carts.created_us),
        "updated_at": Time(carts.updated_us),
        "expires_at": Time(carts.expires_us),
    }


def cart_items(world: World, rows: Ints) -> Columns:
    """Return the lines of the given carts."""
    carts = carts_of(world, rows)
    held = lines_of(world, carts)
    lines, goods = held.lines, world.catalogue
    return {
        "region": Text(world.regions[carts.region[lines.basket]]),
        "id": Uuid(world.streams("cart_items", "id").uuids(lines.number)),
        "cart_id": Uuid(world.streams("shopping_carts", "id").uuids(rows)[lines.basket]),
        "product_id": Uuid(world.streams("products", "id").uuids(lines.product)),
        "variant_id": Uuid(world.streams("product_variants", "id").uuids(lines.sku), null=~goods.is_variant[lines.sku]),
        "quantity": BigInt(lines.quantity),
        "unit_price": Money(goods.cents_at(lines.sku, held.added_us, world.as_of_us)),
        "price_updated_at": Time(held.added_us),
        "reserved": Bool(held.is_reserved),
        "warehouse_id": Uuid(world.streams("warehouses", "id").uuids(held.warehouse), null=~held.is_reserved),
        "added_at": Time(held.added_us),
    }
