"""The strategies of reserving stock, which is where a sale is won or lost.

Each takes units of one item from one region's warehouses inside the caller's transaction and says which inventory row they
came from, or None when the region has not enough.  ``buckets`` and ``skip_locked`` want the stock of a hot item spread over
bins, which the sale sets up; whatever has no bins they reserve as ``guarded`` does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple
from uuid import UUID

from bench.db.retry import Business, Conflict
from bench.db.session import Session

from .world import Item


class Reserved(NamedTuple):
    """Units taken from one inventory row."""

    region: str
    inventory_id: UUID
    warehouse_id: UUID
    quantity: int


Strategy = Callable[[Session, Item, str, int], Reserved | None]


def guarded(session: Session, item: Item, region: str, quantity: int) -> Reserved | None:
    """One conditional UPDATE: the database checks and takes in one step."""
    rows = session.execute("reserve_guarded", guarded_params(item, region, quantity))
    return Reserved(region, rows[0][0], rows[0][1], quantity) if rows else None


def guarded_params(item: Item, region: str, quantity: int) -> dict[str, object]:
    """Return what the guarded strategy's one statement takes."""
    return {
        "region": region,
        "product_id": item.product_id,
        "variant_key": item.variant_key,
        "quantity": quantity,
    }


def pessimistic(session: Session, item: Item, region: str, quantity: int) -> Reserved | None:
    """Lock the rows, look, then take."""
    for row_id, warehouse, available in session.execute("lock_stock", _where(item, region)):
        if available >= quantity:
            session.execute("take_stock", {"region": region, "inventory_id": row_id, "quantity": quantity})
            return Reserved(region, row_id, warehouse, quantity)
    return None


def optimistic(session: Session, item: Item, region: str, quantity: int) -> Reserved | None:
    """Look without a lock, take only if the row has not changed since; else repeat the whole transaction."""
    for row_id, warehouse, available, version in session.execute("read_stock", _where(item, region)):
        if available >= quantity:
            params = {"region": region, "inventory_id": row_id, "quantity": quantity, "version": version}
            if not session.execute("take_stock_if_unchanged", params):
                raise Conflict("version_changed")
            return Reserved(region, row_id, warehouse, quantity)
    return None


def naive(session: Session, item: Item, region: str, quantity: int) -> Reserved | None:
    """Look, subtract in the client, write the result: sells the same unit twice below REPEATABLE READ."""
    for row_id, warehouse, available, _ in session.execute("read_stock", _where(item, region)):
        if available >= quantity:
            params = {"region": region, "inventory_id": row_id, "quantity": quantity, "available": available}
            session.execute("overwrite_stock", params)
            return Reserved(region, row_id, warehouse, quantity)
    return None


class Bin(NamedTuple):
    """One of the inventory rows over which the stock of an item in a region is spread."""

    inventory_id: UUID
    warehouse_id: UUID


Bins = Mapping[tuple[UUID, UUID, str], tuple[Bin, ...]]
"""By product, variant key and region, in their cyclic order."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """A conditional UPDATE of a random bin, so that buyers wait for one another only where they meet in one.

    One who finds it empty goes on to those that a read still shows stocked, in the cyclic order after it.  A line must fit in
    one bin: the last units cannot be sold together when they lie apart.
    """

    bins: Bins = field(default_factory=dict)
    rng: Random = field(default_factory=Random)

    def __call__(self, session: Session, item: Item, region: str, quantity: int) -> Reserved | None:
        """Take the units from a bin of the item, or as ``guarded`` does where it has none."""
        bins = self.bins.get((item.product_id, item.variant_key, region))
        if not bins:
            return guarded(session, item, region, quantity)
        first = self.rng.randrange(len(bins))
        taken = _take(session, bins[first], region, quantity)
        if taken:
            return taken
        found = session.execute("stocked_bins", {**_where(item, region), "quantity": quantity})
        stocked = {row_id for (row_id,) in found}
        after = (*bins[first + 1 :], *bins[: first + 1])
        attempts = (_take(session, one, region, quantity) for one in after if one.inventory_id in stocked)
        return next((taken for taken in attempts if taken), None)


def _take(session: Session, one: Bin, region: str, quantity: int) -> Reserved | None:
    params = {"region": region, "inventory_id": one.inventory_id, "quantity": quantity}
    rows = session.execute("take_from_bin", params)
    return Reserved(region, *one, quantity) if rows else None


@dataclass(frozen=True, slots=True)
class SkipLocked:
    """Bins of one unit: lock any that nobody holds, then take it.  Nobody waits.

    The price is that a buyer may be refused while units are left, because others hold them all and might yet let go of them:
    that ends as ``none_free``, and not as ``sold_out``.
    """

    bins: Bins = field(default_factory=dict)

    def __call__(self, session: Session, item: Item, region: str, quantity: int) -> Reserved | None:
        """Take the units from a free bin of the item, or as ``guarded`` does where it has none."""
        if not self.holds(item, region):
            return guarded(session, item, region, quantity)
        rows = session.execute("lock_free_bin", {**_where(item, region), "quantity": quantity})
        if not rows:
            return None
        session.execute("take_stock", {"region": region, "inventory_id": rows[0][0], "quantity": quantity})
        return Reserved(region, rows[0][0], rows[0][1], quantity)

    def holds(self, item: Item, region: str) -> bool:
        """Whether the item's stock lies in bins there."""
        return (item.product_id, item.variant_key, region) in self.bins


STRATEGIES: dict[str, Strategy] = {
    "guarded": guarded,
    "pessimistic": pessimistic,
    "optimistic": optimistic,
    "buckets": Buckets(),
    "skip_locked": SkipLocked(),
    "naive": naive,
}
"""By name; ``buckets`` and ``skip_locked`` without any bins."""


def strategy_of(name: str, bins: Bins, seed: int) -> Strategy:
    """Return a strategy that knows the bins of what is on sale.

    Which bin a buyer of ``buckets`` tries first comes from ``seed`` and the order in which buyers reach it.
    """
    if name == "buckets":
        return Buckets(bins, Random(seed))
    return SkipLocked(bins) if name == "skip_locked" else STRATEGIES[name]


def reserve(
    strategy: Strategy, session: Session, item: Item, regions: tuple[str, ...], quantity: int
) -> Reserved | None:
    """Take units from the first region of ``regions`` that has enough; None when none has.

    The shopper's own region is asked first; the others only after one read has said which of them still have stock, so
    that a shopper who comes too late pays two exchanges and not one for each region.
    """
    taken = strategy(session, item, regions[0], quantity)
    return taken or reserve_elsewhere(strategy, session, item, regions, quantity)


def reserve_elsewhere(
    strategy: Strategy, session: Session, item: Item, regions: tuple[str, ...], quantity: int
) -> Reserved | None:
    """Take units where one read finds them, once the first of ``regions`` has been asked in vain."""
    found = session.execute("find_stock", {**_item(item), "quantity": quantity})
    stocked = {region for (region,) in found}
    # The own region again, too: another of its warehouses may have what the first did not.
    for region in (region for region in regions if region in stocked):
        taken = strategy(session, item, region, quantity)
        if taken:
            return taken
    if isinstance(strategy, SkipLocked) and any(strategy.holds(item, region) for region in stocked):
        # The read showed units: they are in the hands of others who have not committed.
        raise Business("none_free")
    return None


def _item(item: Item) -> dict[str, object]:
    return {"product_id": item.product_id, "variant_key": item.variant_key}


def _where(item: Item, region: str) -> dict[str, object]:
    return {**_item(item), "region": region}
