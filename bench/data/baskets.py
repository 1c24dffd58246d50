"""The lines of carts and orders: which SKU, how many, from which warehouse, at what price.

May import ``world`` and the modules below it.
"""

from dataclasses import dataclass

import numpy as np

from bench.data.counter import Choice, Flags, Ints, lane
from bench.data.world import World

MOST_LINES = 8
"""Line ``i`` of order or cart ``o`` has the number ``o * MOST_LINES + i``, whichever block it is made in."""
_LINES = Choice.of(35, 25, 16, 10, 6, 4, 2.5, 1.5)
_QUANTITY = Choice.of(75, 16, 6, 2, 1)
FROM_ELSEWHERE = 0.07
"""Share of lines that may ship from another region's warehouse."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines (l,) of baskets (n,): ``basket`` is the position of each line's basket, ``first`` each basket's first line."""

    number: Ints
    basket: Ints
    first: Ints
    product: Ints
    sku: Ints
    quantity: Ints


def fill(world: World, table: str, rows: Ints) -> Lines:
    """Return the lines of the given baskets: one to eight each, no SKU twice in one basket, popular products often."""
    stream = world.streams(table, "lines")
    counts = 1 + _LINES.pick(lane(stream.bits(rows), 0))
    basket = np.repeat(np.arange(len(rows), dtype=np.int64), counts)
    first = rows * MOST_LINES - np.cumsum(counts) + counts
    number = first[basket] + np.arange(len(basket))
    place = number % MOST_LINES
    product = world.catalogue.by_popularity(world.streams(table, "product").uniform(number))
    bits = world.streams(table, "cells").bits(number)
    sku = world.catalogue.sku_of(product, lane(bits, 0))
    kept = np.flatnonzero(~_repeated(sku, place))
    basket = basket[kept]
    counts = np.bincount(basket, minlength=len(rows))
    quantity = 1 + _QUANTITY.pick(lane(bits, 1)[kept])
    return Lines(number[kept], basket, np.cumsum(counts) - counts, product[kept], sku[kept], quantity)


def _repeated(sku: Ints, place: Ints) -> Flags:
    """Return which lines have the SKU of an earlier line of their basket; baskets merge those."""
    out = np.zeros(len(sku), np.bool_)
    for back in range(1, min(MOST_LINES, len(sku))):
        out[back:] |= (sku[back:] == sku[:-back]) & (place[back:] >= back)
    return out


def warehouses(world: World, table: str, lines: Lines, regions: Ints, elsewhere: float) -> Ints:
    """Return the warehouse of each line; ``regions`` is the buyer's, by line; ``elsewhere`` the share from any region."""
    bits = world.streams(table, "warehouse").bits(lines.number)
    anywhere = lane(bits, 1) * world.warehouses.count >> 16
    home = world.warehouses.in_region(regions, lane(bits, 2))
    return np.where(lane(bits, 0) < elsewhere * 65536, anywhere, home)


def inventory_rows(world: World, warehouse: Ints, sku: Ints) -> Ints:
    """Return the inventory row of each pair."""
    return warehouse * world.catalogue.skus + sku
