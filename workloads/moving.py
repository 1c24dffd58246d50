"""Moving stock with its movements, for whoever returns, ships, receives or releases it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from bench.db.session import Session


class Moved(NamedTuple):
    """Units of one inventory row, and the order or cart that they are moved for (None where nothing stands behind)."""

    region: str
    inventory_id: UUID
    quantity: int
    reference_region: str | None = None
    reference_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A kind of movement: what it does to each quantity of a row, per unit, and how it is written down."""

    type: str
    reference_type: str
    reason: str | None = None
    available: int = 0
    reserved: int = 0
    incoming: int = 0


CANCELLED = Move("released", "order", available=1, reserved=-1)
SHIPPED = Move("out", "order", reserved=-1)
RETURNED = Move("in", "return", "sent back by the customer", available=1)
EXPIRED = Move("released", "cart", "cart expired", available=1, reserved=-1)
RECEIVED = Move("in", "purchase", "delivery received", available=1, incoming=-1)
RESTOCKED = Move("in", "purchase", "delivery during the sale", available=1)


def orders_stock(session: Session, region: str, orders: Sequence[UUID]) -> list[Moved]:
    """Return what the lines of some orders took, with its inventory rows locked in the order of checkouts."""
    return [Moved(*row) for row in session.execute("lock_stock_of_orders", {"region": region, "ids": list(orders)})]


def carts_stock(session: Session, region: str, carts: Sequence[UUID]) -> list[Moved]:
    """Return what some carts hold, with its inventory rows locked in the order of checkouts."""
    return [Moved(*row) for row in session.execute("lock_stock_of_carts", {"region": region, "ids": list(carts)})]


def move(session: Session, how: Move, moved: Sequence[Moved]) -> None:
    """Change the inventory rows and write a movement for each entry; nothing is sent where there is nothing to move."""
    if not moved:
        return
    shift(session, how, moved)
    session.execute(
        "insert_movements",
        {
            "regions": [entry.region for entry in moved],
            "inventory": [entry.inventory_id for entry in moved],
            "quantities": [entry.quantity for entry in moved],
            "reference_regions": [entry.reference_region for entry in moved],
            "references": [entry.reference_id for entry in moved],
            "type": how.type,
            "reference_type": how.reference_type,
            "reason": how.reason,
        },
    )


def shift(session: Session, how: Move, moved: Iterable[Moved]) -> None:
    """Change the quantities of inventory rows, without movements."""
    units: dict[tuple[str, UUID], int] = {}
    # An UPDATE changes a row once, however often it is named: two lines of one row must be added up before.
    for entry in moved:
        place = entry.region, entry.inventory_id
        units[place] = units.get(place, 0) + entry.quantity
    session.execute(
        "shift_stock",
        {
            "regions": [region for region, _ in units],
            "inventory": [inventory_id for _, inventory_id in units],
            "available": [how.available * count for count in units.values()],
            "reserved": [how.reserved * count for count in units.values()],
            "incoming": [how.incoming * count for count in units.values()],
        },
    )
