"""The strategies of reserving stock, which is where a sale is won or lost.

Each takes units of one item from one region's warehouses inside the caller's transaction and says which inventory row they
came from, or None when the region has not enough.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from bench.db.retry import Conflict
from bench.db.session import Session

from .world import Item


@dataclass(frozen=True, slots=True)
class Reserved:
    """Units taken from one inventory row."""

    region: str
    inventory_id: UUID
    warehouse_id: UUID
    quantity: int


Strategy = Callable[[Session, Item, str, int], Reserved | None]


def guarded(session: Session, item: Item, region: str, quantity: int) -> Reserved | None:
    """One conditional UPDATE: the database checks and takes in one step."""
    rows = session.execute("reserve_guarded", {**_where(item, region), "quantity": quantity})
    return Reserved(region, rows[0][0], rows[0][1], quantity) if rows else None


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


STRATEGIES: dict[str, Strategy] = {
    "guarded": guarded,
    "pessimistic": pessimistic,
    "optimistic": optimistic,
    "naive": naive,
}


def reserve(
    strategy: Strategy, session: Session, item: Item, regions: tuple[str, ...], quantity: int
) -> Reserved | None:
    """Take units from the first region of ``regions`` that has enough; None when none has.

    The shopper's own region is asked first; the others only after one read has said which of them still have stock, so
    that a shopper who comes too late pays two exchanges and not one for each region.
    """
    taken = strategy(session, item, regions[0], quantity)
    if taken:
        return taken
    found = session.execute("find_stock", {**_item(item), "quantity": quantity})
    stocked = {region for (region,) in found}
    # The own region again, too: another of its warehouses may have what the first did not.
    for region in (region for region in regions if region in stocked):
        taken = strategy(session, item, region, quantity)
        if taken:
            return taken
    return None


def _item(item: Item) -> dict[str, object]:
    return {"product_id": item.product_id, "variant_key": item.variant_key}


def _where(item: Item, region: str) -> dict[str, object]:
    return {**_item(item), "region": region}
