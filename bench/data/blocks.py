"""The data set as blocks: which rows each has, in the order of loading, and their bytes as a pure function.

May import every module of the package but ``loader``.  A block is named by (part, first, count), where a part of a table is
made from units of one kind, e.g. the part of movements that is made from orders; a unit makes none, one or several rows.
No block has units of two regions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from threading import Lock

import numpy as np

from bench.data import carts, customers, goods, orders, promotions, reviews, stock
from bench.data.counter import Ints
from bench.data.encode import encode
from bench.data.ledger import Ledger, add_up, open_orders
from bench.data.spec import CATEGORIES, SeedSpec
from bench.data.vocabulary import Format
from bench.data.world import Columns, World

BLOCK_ROWS = 25_000
"""Rows aimed at in a block: one COPY, one transaction ([D:copy] advises against larger ones on CockroachDB)."""
FAMILY_ORDERS = 10_000
"""Orders in a block of a part over orders, at most: their lines, the largest part, are 25,000 rows."""
FAMILY_OPEN_ORDERS = 5_000
"""The same where orders have movements as well, nearly five each."""


@dataclass(frozen=True, slots=True)
class Span:
    """Units ``first`` … ``stop - 1`` of a part, all of one region (by its number), or of none in particular."""

    region: int | None
    first: int
    stop: int
    size: int | None = None
    """Units of a block, at most, where that is not the size of the part."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a table made from units of one kind, at most ``size`` units a block.

    Parts of one ``family`` are cut at the same units, so that what one of them finds out about a block serves the others.
    """

    name: str
    table: str
    spans: tuple[Span, ...]
    size: int
    make: Callable[[Ints], Columns]
    needs_ledger: bool = False
    """Whether making a block waits for the sums over all orders."""
    family: str = ""

    @property
    def units(self) -> int:
        """The end of the units' numbers; those outside of the spans make no rows of this part."""
        return self.spans[-1].stop

    def blocks(self) -> Iterator["Block"]:
        """Yield the blocks in the order of their units, equal ones in a span, so that none is a sliver."""
        for span in self.spans:
            count = span.stop - span.first
            pieces = max(1, -(-count // (span.size or self.size)))
            cuts = [span.first + count * piece // pieces for piece in range(pieces + 1)]
            yield from (Block(self.name, low, high - low) for low, high in pairwise(cuts) if high > low)

    @property
    def starts(self) -> tuple[int, ...]:
        """The first unit of each region; none where units belong to no region."""
        firsts = {span.region: span.first for span in reversed(self.spans) if span.region is not None}
        return tuple(reversed(firsts.values()))

    def region(self, unit: int) -> int | None:
        """Return the number of the region that a unit lies in."""
        return next(span.region for span in reversed(self.spans) if span.first <= unit)


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
    """All blocks of a spec; safe to use from several threads.  ``ledger`` is one made before, of the same spec."""

    def __init__(self, spec: SeedSpec, ledger: Ledger | None = None) -> None:
        self.spec = spec
        self.world = World(spec)
        self._ledger = ledger
        self._lock = Lock()
        self.parts = {part.name: part for part in _parts(self)}

    @property
    def ledger(self) -> Ledger:
        """The sums over all orders and carts, made on first use; other threads wait for them."""
        with self._lock:
            if self._ledger is None:
                self._ledger = add_up(self.world)
            return self._ledger

    def adopt_ledger(self, folder: Path) -> None:
        """Map a ledger that another process saved, unless there is one already."""
        with self._lock:
            if self._ledger is None:
                self._ledger = Ledger.load(folder)

    def blocks(self, tables: frozenset[str] | None = None) -> Iterator[Block]:
        """Yield the blocks of some tables or of all.

        The catalogue, users and carts come first, then the orders with all that hangs on them, ten thousand at a time, then
        what only the ledger knows.
        """
        chosen = [part for part in self.parts.values() if tables is None or part.table in tables]
        for _, family in groupby(chosen, key=lambda part: part.family or part.name):
            # A stable sort: the blocks of one family at the same units stay in the order of its parts.
            yield from sorted((block for part in family for block in part.blocks()), key=lambda block: block.first)

    def region_of(self, block: Block) -> str:
        """Return the region whose rows a block holds; the first one, which is the primary, for a global table.

        Of the movements of orders one in twenty is another region's, that of the warehouse.
        """
        return self.spec.regions[self.parts[block.part].region(block.first) or 0]

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
    yield from _catalogue(data)
    yield from _people(data)
    yield from _over_orders(data)
    yield from _summed(data)


def _catalogue(data: DataSet) -> Iterator[Part]:
    world, count = data.world, data.world.catalogue.count
    yield Part("categories", "categories", _whole(CATEGORIES), BLOCK_ROWS, partial(goods.categories, world))
    yield Part("products", "products", _whole(count), BLOCK_ROWS, partial(goods.products, world))
    yield Part(
        "product_variants", "product_variants", _whole(count), _size(2.2), partial(goods.product_variants, world)
    )
    yield Part("warehouses", "warehouses", _whole(world.warehouses.count), BLOCK_ROWS, partial(goods.warehouses, world))


def _people(data: DataSet) -> Iterator[Part]:
    world = data.world
    users, baskets = (_by_region(split.starts) for split in (world.users, world.carts))
    yield Part("users", "users", users, BLOCK_ROWS, partial(customers.users, world))
    yield Part("user_addresses", "user_addresses", users, _size(1.4), partial(customers.user_addresses, world))
    yield Part("reviews:others", "product_reviews", users, _size(0.1), partial(reviews.by_others, world))
    yield Part("shopping_carts", "shopping_carts", baskets, BLOCK_ROWS, partial(carts.shopping_carts, world))
    yield Part("cart_items", "cart_items", baskets, _size(2.5), partial(carts.cart_items, world))
    yield Part("movements:carts", "inventory_movements", baskets, _size(0.1), partial(stock.cart_movements, world))


def _over_orders(data: DataSet) -> Iterator[Part]:
    world, rules = data.world, _late(data)
    tails = tuple(
        Span(region, tail.start, tail.stop, FAMILY_OPEN_ORDERS) for region, tail in enumerate(open_orders(world))
    )
    heads = (Span(tail.region, start, tail.first) for tail, start in zip(tails, world.orders.starts.tolist()))
    # Cut where the open orders begin, so that the blocks of movements are the last ones of the region's orders.
    every = tuple(span for pair in zip(heads, tails) for span in pair)

    def part(
        name: str,
        table: str,
        make: Callable[[Ints], Columns],
        needs_ledger: bool = False,
        spans: tuple[Span, ...] = every,
    ) -> Part:
        return Part(name, table, spans, FAMILY_ORDERS, make, needs_ledger, "orders")

    yield part("orders", "orders", rules(_orders), True)
    yield part("order_items", "order_items", partial(orders.order_items, world))
    yield part("coupon_usages", "coupon_usages", rules(promotions.coupon_usages), True)
    yield part("reviews:buyers", "product_reviews", partial(reviews.by_buyers, world))
    yield part("movements:orders", "inventory_movements", partial(stock.order_movements, world), spans=tails)


def _summed(data: DataSet) -> Iterator[Part]:
    world, rules = data.world, _late(data)
    first = world.warehouses.first * world.catalogue.skus
    stocked = _by_region(np.append(first, world.inventory_rows))
    moves = "inventory_movements"
    yield Part("inventory", "inventory", stocked, BLOCK_ROWS, rules(stock.inventory), True)
    yield Part("movements:stock", moves, stocked, BLOCK_ROWS, rules(stock.deliveries), True)
    yield Part("movements:carried", moves, stocked, _size(3), rules(stock.carried_forward), True)
    coupons, places = _whole(world.sizes["coupons"]), len(data.spec.regions)
    yield Part("coupons", "coupons", coupons, BLOCK_ROWS, rules(promotions.coupons), True)
    allotments = rules(promotions.coupon_allotments)
    yield Part("coupon_allotments", "coupon_allotments", coupons, _size(places), allotments, True)


def _size(rows_per_unit: float) -> int:
    """Return how many units make the rows of a block."""
    return max(1, int(BLOCK_ROWS / rows_per_unit))


def _whole(units: int) -> tuple[Span, ...]:
    return (Span(None, 0, units),)


def _by_region(starts: Ints) -> tuple[Span, ...]:
    return tuple(Span(region, low, high) for region, (low, high) in enumerate(pairwise(starts.tolist())))


def _late(data: DataSet) -> Callable[[Callable[[World, Ledger, Ints], Columns]], Callable[[Ints], Columns]]:
    """Return a wrapper that gives a maker the ledger when it first makes something."""
    return lambda make: lambda rows: make(data.world, data.ledger, rows)


def _orders(world: World, ledger: Ledger, rows: Ints) -> Columns:
    return orders.orders(world, ledger.rules, ledger.refused_among(rows), rows)
