"""What the orders and carts add up to: stock taken from each inventory row, uses of each coupon, sales of each product.

May import ``orders``, ``carts`` and the modules below them.  The one thing that is not a function of a row alone: a pass over
all orders that makes no bytes, so that stock equals its movements and no coupon is used twice by one user.  A ledger saved is
mapped, not read, by ``load``, so that processes share it.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import carts, orders
from bench.data.baskets import fill, inventory_rows
from bench.data.counter import Bits, Ints
from bench.data.demand import DAY_US
from bench.data.discounts import Coupons, coupons, tries
from bench.data.world import World

Sums = NDArray[np.int32]

OPEN_DAYS = 30
"""Orders younger than this at the end of the data have stock movements of their own; older ones are carried forward as sums.

A shop closes its books monthly, and two rows a line would be half of all rows.  An order is over after 29.8 days at most (it
ships within 3.8 days, arrives 6 days later and is sent back in another 20), so what is carried forward never changes again.
"""
CHUNK = 40_000
"""Orders added up at a time; 100 k lines and their columns take some 20 MB."""
_SHARES = np.uint64(8)
# By status: the movements of a line after the one that reserves it.
LATER_MOVES = np.array([0, 0, 0, 1, 1, 1, 2])

# The sums of an inventory row: units of settled orders and of the others by what became of them, and the movements ever made.
SOLD, CANCELLED, REFUNDED, WAITING, GONE, BACK, MOVES = range(7)
_WIDTH = 7
# Which sum the units of a line count in, by the order's status: settled orders have ended, with one of the last three.
_OF_SETTLED = np.array([SOLD, SOLD, SOLD, SOLD, SOLD, CANCELLED, REFUNDED])
_OF_OPEN = np.array([WAITING, WAITING, WAITING, GONE, GONE, BACK, BACK])


@dataclass(frozen=True, slots=True)
class Taken:
    """What was ever taken from inventory rows (n,).

    ``gross`` units were reserved; ``back`` of them released or returned, ``held`` reserved still; ``moves`` counts movements.
    """

    gross: Ints
    back: Ints
    held: Ints
    moves: Ints


@dataclass(frozen=True, slots=True)
class Ledger:
    """Sums over the whole data set.

    ``sums`` by inventory row, ``sold`` order lines by product, ``used[coupon, region]`` uses; ``refused``: orders, ascending,
    whose buyer had used the coupon before; ``zipf``: the exponent of popularity that was asked for.
    """

    sums: Sums
    sold: Ints
    used: Ints
    refused: Ints
    rules: Coupons
    zipf: float

    def taken(self, rows: Ints) -> Taken:
        """Return what orders and carts have taken from inventory rows."""
        sums = self.sums[rows].astype(np.int64)
        back = sums[:, [CANCELLED, REFUNDED, BACK]].sum(axis=1)
        return Taken(sums[:, :MOVES].sum(axis=1), back, sums[:, WAITING], sums[:, MOVES])

    def carried(self, rows: Ints) -> Ints:
        """Return (n, 4) units of settled orders by inventory row: reserved, shipped, released, sent back."""
        sold, cancelled, refunded = self.sums[rows, : REFUNDED + 1].astype(np.int64).T
        return np.stack([sold + cancelled + refunded, sold + refunded, cancelled, refunded], axis=1)

    def refused_among(self, rows: Ints) -> Ints:
        """Return the refused ones of orders in ascending order, and perhaps some between them."""
        if not len(rows):
            return rows
        low, high = np.searchsorted(self.refused, (rows[0], rows[-1] + 1))
        return self.refused[low:high]

    def facts(self) -> dict[str, float]:
        """Return the exponent of popularity, and the shares of order lines of the top product and hundred products."""
        top, lines = np.sort(self.sold)[::-1], self.sold.sum()
        return {
            "zipf": self.zipf,
            "top_1_share": float(top[0] / lines),
            "top_100_share": float(top[:100].sum() / lines),
        }

    def save(self, folder: Path) -> None:
        """Write the ledger to a folder, an array a file."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)
        for field in fields(Coupons):
            np.save(folder / f"rules-{field.name}.npy", getattr(self.rules, field.name), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "Ledger":
        """Return a ledger whose arrays are mapped from a folder, so that processes share one copy in memory."""
        sums, sold, used, refused, zipf = (_mapped(folder / f"{name}.npy") for name in _ARRAYS)
        rules = Coupons(**{field.name: _mapped(folder / f"rules-{field.name}.npy") for field in fields(Coupons)})
        return cls(sums, sold, used, refused, rules, float(zipf))


_ARRAYS = ("sums", "sold", "used", "refused", "zipf")


def _mapped(path: Path) -> NDArray[Any]:
    # An empty file cannot be mapped, and the header says 0 rows; what is small is as well read.
    is_small = path.stat().st_size < 65_536
    return np.asarray(np.load(path, mmap_mode=None if is_small else "r", allow_pickle=False))


def close_us(world: World) -> int:
    """Return the instant (µs since 1970) before which orders are settled and their movements carried forward."""
    return world.as_of_us - OPEN_DAYS * DAY_US


def open_orders(world: World) -> tuple[range, ...]:
    """Return the orders of each region that are not settled: the last ones, as a region's are numbered in time."""
    close, starts = close_us(world), world.orders.starts.tolist()

    def placed(region: int) -> range:
        numbers = range(starts[region], starts[region + 1])
        at = np.array([region], np.int64)
        first = bisect_left(numbers, close, key=lambda row: int(orders.created(world, np.array([row]), at)[0]))
        return numbers[first:]

    return tuple(placed(region) for region in range(len(starts) - 1))


def add_up(world: World) -> Ledger:
    """Return the sums over all orders and carts of a data set; OverflowError when one does not fit in 31 bits."""
    rules, starts = coupons(world), world.orders.starts.tolist()
    sums = np.zeros((world.inventory_rows, _WIDTH), np.int32)
    sold, used = np.zeros(world.catalogue.count, np.int64), np.zeros((rules.count, len(starts) - 1), np.int64)
    refused: list[Ints] = []
    # A region at a time: a user belongs to one, so the uses of one need not be compared with those of another.
    for region, (start, stop) in enumerate(pairwise(starts)):
        uses: list[tuple[Bits, Ints]] = []
        for span in spans(start, stop):
            _add_orders(world, span, sums, sold)
            uses.append(_uses(world, rules, span))
        used[:, region], again = _once_each(rules.count, uses)
        refused.append(again)
    _add_carts(world, sums)
    return Ledger(_sound(sums), sold, used, np.concatenate(refused), rules, world.spec.zipf)


def spans(start: int, stop: int) -> Iterator[Ints]:
    """Yield row numbers from ``start`` to ``stop`` in chunks."""
    for at in range(start, stop, CHUNK):
        yield np.arange(at, min(at + CHUNK, stop), dtype=np.int64)


def _add_orders(world: World, span: Ints, sums: Sums, sold: Ints) -> None:
    found = orders.orders_of(world, span)
    picked = orders.lines_of(world, found)
    lines = picked.lines
    column = np.where(found.created_us < close_us(world), _OF_SETTLED[found.status], _OF_OPEN[found.status])
    row = inventory_rows(world, picked.warehouse, lines.sku)
    _count(sums, row, column[lines.basket], lines.quantity)
    _count(sums, row, MOVES, (1 + LATER_MOVES[found.status])[lines.basket])
    np.add.at(sold, lines.product, 1)


def _add_carts(world: World, sums: Sums) -> None:
    """Add the stock that carts hold."""
    for span in spans(0, world.carts.total):
        found = carts.lines_of(world, carts.carts_of(world, span))
        kept = found.is_reserved
        row = inventory_rows(world, found.warehouse[kept], found.lines.sku[kept])
        _count(sums, row, WAITING, found.lines.quantity[kept])
        _count(sums, row, MOVES, np.ones(len(row), np.int32))


def _count(sums: Sums, row: Ints, column: int | Ints, amount: Ints | Sums) -> None:
    """Add amounts to one column of rows; numpy is 25 times faster where both sides have one type."""
    np.add.at(sums.reshape(-1), row * _WIDTH + column, amount.astype(np.int32))


def _sound(sums: Sums) -> Sums:
    """Return the sums, in which an overflow shows as a negative one: each is less than 2**32 before it wraps around."""
    if sums.min(initial=0) < 0:
        raise OverflowError("the units of one inventory row do not fit in 31 bits")
    return sums


def _uses(world: World, rules: Coupons, span: Ints) -> tuple[Bits, Ints]:
    """Return (coupon << 32 | user, order) of the orders that a coupon takes something off."""
    rows = span[tries(world, span)]
    if not len(rows):
        return np.empty(0, np.uint64), rows
    found = orders.orders_of(world, rows)
    lines = fill(world, "order_items", rows)
    coupon = orders.bill(world, rules, found, lines, orders.prices(world, found, lines)).coupon
    hit = coupon >= 0
    return (coupon[hit] << 32 | found.user[hit]).astype(np.uint64), rows[hit]


def _once_each(count: int, uses: list[tuple[Bits, Ints]]) -> tuple[Ints, Ints]:
    """Return the uses of each of ``count`` coupons, and the orders, ascending, in which a user comes up again."""
    pairs, rows = (np.concatenate(column) for column in zip(*uses))
    again = np.ones(len(rows), np.bool_)
    # By the last bits of the user, for sorting all at once would take 80 MB at scale xl.
    for share in range(int(_SHARES)):
        mine = np.flatnonzero(pairs % _SHARES == share)
        again[mine[np.unique(pairs[mine], return_index=True)[1]]] = False
    accepted = pairs[~again] >> np.uint64(32)
    return np.bincount(accepted.astype(np.int64), minlength=count), rows[again]
