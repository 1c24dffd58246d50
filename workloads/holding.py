"""Stock that cart lines hold: taken from the shelf and given back, each with its movement.

A held line stands for units in a warehouse's ``quantity_reserved``.  Callers have touched the cart first, in the same
transaction, so that of two who change its held lines one waits; carts are locked before stock, as in checkout.
"""

from uuid import UUID

from bench.db.retry import Conflict
from bench.db.session import Session

from .reserving import guarded
from .world import Item

DEFAULT_HOLD_S = 600
"""How long a cart that holds stock lives when nothing else is said."""


def hold_line(session: Session, region: str, cart_id: UUID, item: Item, quantity: int, hold_s: int) -> bool:
    """Take a line's units from a warehouse of its own region; False, and nothing done, when it has not enough.

    The cart then expires after ``hold_s`` seconds (0: ten minutes), and back-office's expiry gives the units back.
    """
    taken = guarded(session, item, region, quantity)
    if taken is None:
        return False
    where = {"region": region, "cart_id": cart_id}
    line = {**where, "product_id": item.product_id, "variant_key": item.variant_key, "quantity": quantity}
    if not session.execute("hold_cart_item", {**line, "warehouse_id": taken.warehouse_id}):
        raise Conflict("line_changed")
    _move(session, region, cart_id, [(taken.region, taken.inventory_id, quantity)], "reserved")
    session.execute("expire_cart_soon", {**where, "seconds": hold_s or DEFAULT_HOLD_S})
    return True


def let_go(session: Session, region: str, cart_id: UUID, item: Item | None = None) -> int:
    """Put what an item's line, or every line of a cart, holds back on the shelf; returns how many lines held something."""
    where = {"region": region, "cart_id": cart_id}
    wanted = None if item is None else (item.product_id, item.variant_key)
    rows = session.execute("held_cart_items", where)
    held = [row for row in rows if wanted in (None, (row[1], row[2]))]
    if not held:
        return 0
    units = [(place, inventory_id, quantity) for *_, quantity, place, inventory_id in held]
    for place, inventory_id, quantity in units:
        session.execute("return_held_stock", {"region": place, "inventory_id": inventory_id, "quantity": quantity})
    _move(session, region, cart_id, units, "released")
    if len(session.execute("let_go_cart_items", {"region": region, "ids": [row[0] for row in held]})) != len(held):
        raise Conflict("line_changed")
    return len(held)


def _move(session: Session, region: str, cart_id: UUID, units: list[tuple[str, UUID, int]], kind: str) -> None:
    params = {
        "regions": [place for place, _, _ in units],
        "inventory": [inventory_id for _, inventory_id, _ in units],
        "quantities": [quantity for _, _, quantity in units],
        "cart_region": region,
        "cart_id": cart_id,
        "type": kind,
    }
    session.execute("insert_cart_movements", params)
