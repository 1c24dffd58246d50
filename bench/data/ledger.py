"""What the orders and carts add up to: stock taken from each inventory row, uses of each coupon, sales of each product.

May import ``orders``, ``carts`` and the modules below them.  The one thing that is not a function of a row alone: a pass over
all orders that makes no bytes, so that stock equals its movements and no coupon is used twice by one user.
"""

from dataclasses import dataclass

import numpy as np

from bench.data import carts, orders
from bench.data.baskets import fill, inventory_rows
from bench.data.counter import Bits, Flags, Ints
from bench.data.discounts import Coupons, coupons, tries
from bench.data.orders import CANCELLED, REFUNDED
from bench.data.world import World

CHUNK = 40_000
"""Orders added up at a time; 100 k lines and their columns take some 20 MB."""
# By status: the movements of a line after the one that reserves it.
LATER_MOVES = np.array([0, 0, 0, 1, 1, 1, 2])


@dataclass(frozen=True, slots=True)
class Ledger:
    """Sums over the whole data set.

    By inventory row: ``gross`` units reserved ever; ``back`` of them released or returned; ``held`` reserved still;
    ``moves`` movements.  By product: ``sold``, order lines.  ``used[coupon, region]``: uses.  ``refused``: orders, ascending,
    whose buyer had used the coupon before.
    """

    gross: Ints
    back: Ints
    held: Ints
    moves: Ints
    sold: Ints
    used: Ints
    refused: Ints
    lines: int
    rules: Coupons

    def facts(self) -> dict[str, float]:
        """Return the shares of order lines of the most popular product and hundred products."""
        top = np.sort(self.sold)[::-1]
        return {"top_1_share": float(top[0] / self.lines), "top_100_share": float(top[:100].sum() / self.lines)}


def add_up(world: World) -> Ledger:
    """Return the sums over all orders and carts of a data set."""
    rules = coupons(world)
    rows, places = world.inventory_rows, len(world.spec.regions)
    gross, back, held, moves = (np.zeros(rows, np.int64) for _ in range(4))
    sold, used = np.zeros(world.catalogue.count, np.int64), np.zeros((rules.count, places), np.int64)
    refused: list[Ints] = []
    for region in range(places):
        uses: list[tuple[Bits, Ints]] = []
        for span in spans(int(world.orders.starts[region]), int(world.orders.starts[region + 1])):
            _add_orders(world, span, (gross, back, held, moves), sold)
            uses.append(_uses(world, rules, span))
        accepted, again = _once_each(uses)
        used[:, region] = np.bincount((accepted >> np.uint64(32)).astype(np.int64), minlength=rules.count)
        refused.append(again)
    for span in spans(0, world.carts.total):
        _add_carts(world, span, (gross, held, moves))
    return Ledger(gross, back, held, moves, sold, used, np.concatenate(refused), int(sold.sum()), rules)


def spans(start: int, stop: int) -> list[Ints]:
    """Return row numbers from ``start`` to ``stop`` in chunks."""
    return [np.arange(at, min(at + CHUNK, stop), dtype=np.int64) for at in range(start, stop, CHUNK)]


def _add_orders(world: World, span: Ints, sums: tuple[Ints, Ints, Ints, Ints], sold: Ints) -> None:
    gross, back, held, moves = sums
    found = orders.orders_of(world, span)
    picked = orders.lines_of(world, found)
    lines = picked.lines
    status = found.status[lines.basket]
    row = inventory_rows(world, picked.warehouse, lines.sku)
    returned, waiting = (status == CANCELLED) | (status == REFUNDED), status < orders.SHIPPED
    np.add.at(gross, row, lines.quantity)
    np.add.at(back, row[returned], lines.quantity[returned])
    np.add.at(held, row[waiting], lines.quantity[waiting])
    np.add.at(moves, row, 1 + LATER_MOVES[status])
    np.add.at(sold, lines.product, 1)


def _add_carts(world: World, span: Ints, sums: tuple[Ints, Ints, Ints]) -> None:
    gross, held, moves = sums
    found = carts.lines_of(world, carts.carts_of(world, span))
    kept: Flags = found.is_reserved
    row = inventory_rows(world, found.warehouse[kept], found.lines.sku[kept])
    for total, amount in ((gross, found.lines.quantity[kept]), (held, found.lines.quantity[kept]), (moves, 1)):
        np.add.at(total, row, amount)


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


def _once_each(uses: list[tuple[Bits, Ints]]) -> tuple[Bits, Ints]:
    """Return the pairs of coupon and user, and the orders, ascending, in which a pair comes up again."""
    pairs, rows = (np.concatenate(column) for column in zip(*uses))
    accepted, first = np.unique(pairs, return_index=True)
    again = np.ones(len(rows), np.bool_)
    again[first] = False
    return accepted, rows[again]
