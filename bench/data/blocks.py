"""The data set as blocks: which rows each has, in the order of loading, and their bytes as a pure function.

May import every module of the package but ``loader``.  A block is named by (part, first, count), where a part of a table is
made from units of one kind, e.g. the part of movements that is made from orders; a unit makes none, one or several rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from threading import Lock

import numpy as np

from bench.data import carts, customers, goods, orders, promotions, reviews, stock
from bench.data.counter import Ints
from bench.data.encode import encode
from bench.data.ledger import Ledger, add_up
from bench.data.spec import SeedSpec, row_counts
from bench.data.vocabulary import Format
from bench.data.world import Columns, World

BLOCK_ROWS = 25_000
"""Rows aimed at in a block: one COPY, one transaction ([D:copy] advises against larger ones on CockroachDB)."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a table made from ``units`` units of one kind, about ``rows_per_unit`` rows each."""

    name: str
    table: str
    units: int
    rows_per_unit: float
    make: Callable[[Ints], Columns]
    starts: tuple[int, ...] = ()
    """Units at which a region begins: no block lies in two regions."""


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """Units ``first`` … ``first + count - 1`` of a part."""

    part: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Rows:
    """A block made: ``body`` is what COPY sends between the header and trailer of its format."""

    table: str
    columns: tuple[str, ...]
    body: bytes
    count: int


class DataSet:
    """All blocks of a spec; safe to use from several threads."""

    def __init__(self, spec: SeedSpec) -> None:
        self.spec = spec
        self.world = World(spec)
        self._ledger: Ledger | None = None
        self._lock = Lock()
        self.parts = {part.name: part for part in _parts(self)}

    @property
    def ledger(self) -> Ledger:
        """The sums over all orders and carts, made on first use; other threads wait for them."""
        with self._lock:
            if self._ledger is None:
                self._ledger = add_up(self.world)
            return self._ledger

    def blocks(self) -> Iterator[Block]:
        """Yield every block, parents before children."""
        for part in self.parts.values():
            size = max(1, int(BLOCK_ROWS / part.rows_per_unit))
            edges = (*part.starts, part.units) if part.starts else (0, part.units)
            for start, stop in pairwise(edges):
                # Equal blocks, so that none is a sliver.
                pieces = max(1, -(-(stop - start) // size))
                cuts = [start + (stop - start) * piece // pieces for piece in range(pieces + 1)]
                yield from (Block(part.name, low, high - low) for low, high in pairwise(cuts) if high > low)

    def make(self, block: Block, fmt: Format) -> Rows:
        """Return the bytes of a block: a function of the spec, the block and the format alone."""
        part = self.parts[block.part]
        columns = part.make(np.arange(block.first, block.first + block.count, dtype=np.int64))
        count = _rows(columns)
        body = encode(tuple(columns.values()), count, fmt) if count else b""
        return Rows(part.table, tuple(columns), body, count)


def _rows(columns: Columns) -> int:
    """Return how many rows the columns have; the key is never a constant."""
    key = columns["id"] if "id" in columns else columns["coupon_id"]
    return len(key.values)  # type: ignore[attr-defined]  # every key is a Uuid


def _parts(data: DataSet) -> Iterator[Part]:
    world, expected = data.world, row_counts(data.spec)
    rules = _late(data)
    yield from _catalogue(data, expected)
    users = tuple(world.users.starts[:-1].tolist())
    yield Part("users", "users", world.users.total, 1, partial(customers.users, world), users)
    addresses = partial(customers.user_addresses, world)
    yield Part("user_addresses", "user_addresses", world.users.total, 1.4, addresses, users)
    stocked = range(0, world.inventory_rows, world.catalogue.skus)
    starts = tuple(stocked[number] for number in world.warehouses.first.tolist())
    yield Part("inventory", "inventory", world.inventory_rows, 1, rules(stock.inventory), starts)
    cart_starts, order_starts = (tuple(split.starts[:-1].tolist()) for split in (world.carts, world.orders))
    yield Part(
        "shopping_carts", "shopping_carts", world.carts.total, 1, partial(carts.shopping_carts, world), cart_starts
    )
    yield Part("cart_items", "cart_items", world.carts.total, 2.5, partial(carts.cart_items, world), cart_starts)
    count = world.orders.total
    yield Part("orders", "orders", count, 1, _orders(data), order_starts)
    yield Part("order_items", "order_items", count, 2.5, partial(orders.order_items, world), order_starts)
    moves = "inventory_movements"
    yield Part("movements:orders", moves, count, 5, partial(stock.order_movements, world), order_starts)
    yield Part("movements:stock", moves, world.inventory_rows, 1, rules(stock.deliveries), starts)
    yield Part("movements:carts", moves, world.carts.total, 0.1, partial(stock.cart_movements, world), cart_starts)
    yield Part("coupon_usages", "coupon_usages", count, 0.05, rules(promotions.coupon_usages), order_starts)
    yield Part("reviews:buyers", "product_reviews", count, 0.2, partial(reviews.by_buyers, world), order_starts)
    yield Part("reviews:others", "product_reviews", world.users.total, 0.1, partial(reviews.by_others, world), users)


def _catalogue(data: DataSet, expected: dict[str, int]) -> Iterator[Part]:
    world, rules = data.world, _late(data)
    yield Part("categories", "categories", expected["categories"], 1, partial(goods.categories, world))
    count = world.catalogue.count
    yield Part("products", "products", count, 1, partial(goods.products, world))
    yield Part("product_variants", "product_variants", count, 2.2, partial(goods.product_variants, world))
    yield Part("warehouses", "warehouses", world.warehouses.count, 1, partial(goods.warehouses, world))
    coupons, places = expected["coupons"], len(data.spec.regions)
    yield Part("coupons", "coupons", coupons, 1, rules(promotions.coupons))
    yield Part("coupon_allotments", "coupon_allotments", coupons, places, rules(promotions.coupon_allotments))


def _late(data: DataSet) -> Callable[[Callable[[World, Ledger, Ints], Columns]], Callable[[Ints], Columns]]:
    """Return a wrapper that gives a maker the ledger when it first makes something."""
    return lambda make: lambda rows: make(data.world, data.ledger, rows)


def _orders(data: DataSet) -> Callable[[Ints], Columns]:
    return lambda rows: orders.orders(data.world, data.ledger.rules, data.ledger.refused, rows)
