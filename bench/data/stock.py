"""Rows of inventory and of its movements: stock is what its movements add up to, at every moment and never below zero.

May import ``ledger`` and the modules below it.
"""

from dataclasses import dataclass

import numpy as np

from bench.data import carts, orders
from bench.data.baskets import inventory_rows
from bench.data.columns import BigInt, Null, Text, Time, Uuid
from bench.data.counter import Flags, Ints, lane
from bench.data.demand import DAY_US
from bench.data.ledger import LATER_MOVES, Ledger, close_us
from bench.data.vocabulary import Vocabulary
from bench.data.world import Columns, World

LOW = 0.05
"""Share of the rows that are at or below their reorder point."""
_WELL_STOCKED = 0.02
"""Share of the ranks that are never low."""
ADJUSTED = 0.02
"""Share of the rows that a stock-taking corrected."""
_STAFF = 10
"""The first users of each region count its stock."""
_TYPES = Vocabulary.of("in", "out", "reserved", "released", "adjustment")
_IN, _OUT, _RESERVED, _RELEASED, _ADJUSTMENT = range(5)
_REFERENCES = Vocabulary.of("purchase", "order", "return", "cart", "adjustment")
_PURCHASE, _ORDER, _RETURN, _, _COUNT = range(5)
# The type of each movement of an order line, by the order's status and the movement's place.
_BY_STATUS = np.array(
    [[_RESERVED] * 3] * 3 + [[_RESERVED, _OUT, -1]] * 2 + [[_RESERVED, _RELEASED, -1], [_RESERVED, _OUT, _IN]]
)
# The movements that are carried forward, one after the other in the last microseconds before the close.
_CARRIED = np.array([_RESERVED, _OUT, _RELEASED, _IN])


@dataclass(frozen=True, slots=True)
class Stock:
    """What inventory rows (n,) hold; ``initial`` is the first delivery, ``adjustment`` a correction, mostly none.

    ``moves`` counts the movements ever made, also those that are no rows any more since they were carried forward.
    """

    available: Ints
    reserved: Ints
    initial: Ints
    adjustment: Ints
    reorder_point: Ints
    reorder_quantity: Ints
    is_low: Flags
    moves: Ints


def stock_of(world: World, ledger: Ledger, rows: Ints) -> Stock:
    """Return what inventory rows hold.

    The first delivery covers everything that was ever reserved, so that stock is not negative at any time between.
    """
    taken = ledger.taken(rows)
    gross, back = taken.gross, taken.back
    product = world.catalogue.product_of_sku[rows % world.catalogue.skus]
    rank = world.catalogue.rank[product]
    bits = world.streams("inventory", "level").bits(rows)
    point = 5 + gross // 24 + (lane(bits, 0) * 10 >> 16)
    is_low = (lane(bits, 1) < LOW * 65536) & (rank >= _WELL_STOCKED * world.catalogue.count)
    spread = np.exp(3 + 0.8 * world.streams("inventory", "spread").normal(rows)).astype(np.int64)
    drawn = np.where(is_low, (point + 1) * lane(bits, 2) >> 16, point + 1 + spread + gross // 2)
    available = np.maximum(np.maximum(drawn, back), gross == 0)
    point = np.where(is_low, np.maximum(point, available), np.minimum(point, available - 1))
    counted = lane(bits, 3) < ADJUSTED * 65536
    found = np.minimum(world.streams("inventory", "adjustment").between(rows, -3, 3), available - back)
    adjustment = np.where(counted & (available + gross - back - found > 0), found, 0)
    return Stock(
        available=available,
        reserved=taken.held,
        initial=available + gross - back - adjustment,
        adjustment=adjustment,
        reorder_point=point,
        reorder_quantity=(20 + gross // 8) // 10 * 10,
        is_low=is_low,
        moves=taken.moves + (adjustment != 0),
    )


def inventory(world: World, ledger: Ledger, rows: Ints) -> Columns:
    """Return inventory rows by number."""
    goods, found = world.catalogue, stock_of(world, ledger, rows)
    warehouse, sku = rows // goods.skus, rows % goods.skus
    bits = world.streams("inventory", "incoming").bits(rows)
    is_ordered = lane(bits, 0) < np.where(found.is_low, 0.7 * 65536, 0.03 * 65536)
    return {
        "region": Text(world.regions[world.warehouses.region[warehouse]]),
        "id": Uuid(world.streams("inventory", "id").uuids(rows)),
        "product_id": Uuid(world.streams("products", "id").uuids(goods.product_of_sku[sku])),
        "variant_id": Uuid(world.streams("product_variants", "id").uuids(sku), null=~goods.is_variant[sku]),
        "warehouse_id": Uuid(world.streams("warehouses", "id").uuids(warehouse)),
        "quantity_available": BigInt(found.available),
        "quantity_reserved": BigInt(found.reserved),
        "quantity_incoming": BigInt(np.where(is_ordered, found.reorder_quantity, 0)),
        "reorder_point": BigInt(found.reorder_point),
        "reorder_quantity": BigInt(found.reorder_quantity),
        "version": BigInt(found.moves),
        "last_updated": Time(world.ago("inventory", "last_updated", rows, (0, 1))),
    }


def deliveries(world: World, ledger: Ledger, rows: Ints) -> Columns:
    """Return the movements of inventory rows that no order or cart caused: the first delivery and corrections."""
    found = stock_of(world, ledger, rows)
    row = np.repeat(np.arange(len(rows)), 1 + (found.adjustment != 0))
    is_count = np.concatenate(([False], row[1:] == row[:-1]))
    number = rows[row]
    region = world.warehouses.region[number // world.catalogue.skus]
    draw = world.streams("inventory_movements", "day").uniform(number)
    year = world.as_of_us - world.start_us
    at = np.where(
        is_count,
        world.start_us + (draw * year).astype(np.int64),
        world.start_us - 1 - (draw * 5 * DAY_US).astype(np.int64),
    )
    staff = world.users.starts[region] + number % _STAFF
    return {
        "region": Text(world.regions[region]),
        "id": Uuid(world.streams("inventory_movements", "stock id").uuids(number * 2 + is_count)),
        "inventory_id": Uuid(world.streams("inventory", "id").uuids(number)),
        "movement_type": Text(_TYPES[np.where(is_count, _ADJUSTMENT, _IN)]),
        "quantity": BigInt(np.where(is_count, found.adjustment[row], found.initial[row]), is_signed=True),
        "reference_type": Text(_REFERENCES[np.where(is_count, _COUNT, _PURCHASE)]),
        "reference_region": Null(),
        "reference_id": Null(),
        "reason": Text(b"stock-taking", null=~is_count),
        "created_at": Time(at),
        "created_by_region": Text(world.regions[region], null=~is_count),
        "created_by": Uuid(world.streams("users", "id").uuids(staff), null=~is_count),
    }


def carried_forward(world: World, ledger: Ledger, rows: Ints) -> Columns:
    """Return what the movements of settled orders add up to, by inventory row and type; nothing where that is zero."""
    units = ledger.carried(rows)
    row, place = np.nonzero(units)
    number = rows[row]
    kind = _CARRIED[place]
    return {
        "region": Text(world.regions[world.warehouses.region[number // world.catalogue.skus]]),
        "id": Uuid(world.streams("inventory_movements", "carried id").uuids(number * 4 + place)),
        "inventory_id": Uuid(world.streams("inventory", "id").uuids(number)),
        "movement_type": Text(_TYPES[kind]),
        "quantity": BigInt(units[row, place]),
        "reference_type": Text(_REFERENCES[np.where(kind == _IN, _RETURN, _ORDER)]),
        "reference_region": Null(),
        "reference_id": Null(),
        "reason": Text(b"carried forward"),
        # Units are reserved before they leave, so neither quantity is below zero between two of these rows.
        "created_at": Time(close_us(world) - len(_CARRIED) + place),
        "created_by_region": Null(),
        "created_by": Null(),
    }


def order_movements(world: World, rows: Ints) -> Columns:
    """Return the movements of all lines of the given orders; settled ones have none, for they are carried forward."""
    found = orders.orders_of(world, rows)
    picked = orders.lines_of(world, found)
    count = np.where(found.created_us < close_us(world), 0, 1 + LATER_MOVES[found.status])[picked.lines.basket]
    line = np.repeat(np.arange(len(count)), count)
    place = np.arange(len(line)) - (np.cumsum(count) - count)[line]
    basket = picked.lines.basket[line]
    kind = _BY_STATUS[found.status[basket], place]
    at = np.select(
        [kind == _RESERVED, kind == _OUT], [found.created_us[basket], found.shipped_us[basket]], found.ended_us[basket]
    )
    warehouse = picked.warehouse[line]
    return {
        "region": Text(world.regions[world.warehouses.region[warehouse]]),
        "id": Uuid(world.streams("inventory_movements", "order id").uuids(picked.lines.number[line] * 4 + place)),
        "inventory_id": Uuid(
            world.streams("inventory", "id").uuids(inventory_rows(world, picked.warehouse, picked.lines.sku))[line]
        ),
        "movement_type": Text(_TYPES[kind]),
        "quantity": BigInt(picked.lines.quantity[line]),
        "reference_type": Text(_REFERENCES[np.where(kind == _IN, _RETURN, _ORDER)]),
        "reference_region": Text(world.regions[found.region[basket]]),
        "reference_id": Uuid(world.streams("orders", "id").uuids(rows)[basket]),
        "reason": Text(b"sent back by the customer", null=kind != _IN),
        "created_at": Time(at),
        "created_by_region": Null(),
        "created_by": Null(),
    }


def cart_movements(world: World, rows: Ints) -> Columns:
    """Return the movements of the reserved lines of the given carts."""
    found = carts.carts_of(world, rows)
    held = carts.lines_of(world, found)
    kept = held.is_reserved
    basket, warehouse = held.lines.basket[kept], held.warehouse[kept]
    row = inventory_rows(world, warehouse, held.lines.sku[kept])
    return {
        "region": Text(world.regions[world.warehouses.region[warehouse]]),
        "id": Uuid(world.streams("inventory_movements", "cart id").uuids(held.lines.number[kept])),
        "inventory_id": Uuid(world.streams("inventory", "id").uuids(row)),
        "movement_type": Text(b"reserved"),
        "quantity": BigInt(held.lines.quantity[kept]),
        "reference_type": Text(b"cart"),
        "reference_region": Text(world.regions[found.region[basket]]),
        "reference_id": Uuid(world.streams("shopping_carts", "id").uuids(rows)[basket]),
        "reason": Null(),
        "created_at": Time(held.added_us[kept]),
        "created_by_region": Null(),
        "created_by": Null(),
    }
