"""Taking an order back: cancelled before it ships, refunded once it has arrived.

The status decides, inside the statement that changes it: what has been taken back is not taken back again, whoever asks.
"""

from collections.abc import Mapping
from random import Random
from typing import ClassVar
from uuid import UUID

from bench.db.retry import OK, Body, Business, Done, Outcome, Transaction
from bench.db.session import Session
from bench.load.user import ShopUser

from .moving import CANCELLED, RETURNED, move, orders_stock

LATEST = 20
"""Among how many of a region's latest orders one is taken back."""


class Returning(ShopUser):
    """Sessions that take back an order of the region."""

    abstract = True
    exchanges: ClassVar[Mapping[str, int]] = {"cancel": 8, "refund": 7}

    def cancel_order(self, rng: Random) -> None:
        """Cancel one of the latest orders that have not shipped; somebody may have been faster."""
        order_id = self._one_of(rng.choice(("confirmed", "processing")), rng)
        if order_id is not None:
            self.cancel(order_id, rng)

    def refund_order(self, rng: Random) -> None:
        """Send back one of the latest orders that have arrived."""
        order_id = self._one_of("delivered", rng)
        if order_id is not None:
            self.refund(order_id, rng)

    def cancel(self, order_id: UUID, rng: Random) -> Done:
        """Cancel an order of the user's region: ``ok`` or ``not_cancellable``."""
        return self.transact("cancel", cancel(self.region, order_id), rng)

    def refund(self, order_id: UUID, rng: Random) -> Done:
        """Refund an order of the user's region: ``ok`` or ``not_refundable``."""
        return self.transact("refund", refund(self.region, order_id), rng)

    def _one_of(self, status: str, rng: Random) -> UUID | None:
        params = {"region": self.region, "status": status, "count": LATEST}

        def body(session: Session) -> list[UUID] | Outcome:
            found = [order_id for (order_id,) in session.execute("latest_orders", params)]
            return found or Outcome("nothing_to_do")

        done = self.transact("find_order_to_return", Transaction(body, explicit=False, repeatable=True), rng)
        return rng.choice(done.value) if done.kind == OK else None


def cancel(region: str, order_id: UUID) -> Transaction:
    """Return the transaction that cancels an order: stock released, payment returned, the coupon's use given back."""
    where = {"region": region, "order_id": order_id}

    def body(session: Session) -> UUID:
        if not session.execute("cancel_order", where):
            raise Business("not_cancellable")
        # Coupons before stock, as in a checkout: two transactions that lock the same rows lock them in one order.
        for (coupon_id,) in session.execute("delete_coupon_usages", where):
            session.execute("return_coupon", {"region": region, "coupon_id": coupon_id})
        move(session, CANCELLED, orders_stock(session, region, [order_id]))
        return order_id

    return Transaction(body, resolve=_has_become("cancelled", region, order_id))


def refund(region: str, order_id: UUID) -> Transaction:
    """Return the transaction that refunds a delivered order: goods back on the shelf, payment returned.

    The coupon's use stays used: the order keeps its discount.
    """
    where = {"region": region, "order_id": order_id}

    def body(session: Session) -> UUID:
        if not session.execute("refund_order", where):
            raise Business("not_refundable")
        move(session, RETURNED, orders_stock(session, region, [order_id]))
        return order_id

    return Transaction(body, resolve=_has_become("refunded", region, order_id))


def _has_become(status: str, region: str, order_id: UUID) -> Body:
    """Return what looks up, after a lost answer, whether the order has the status that was wanted."""

    def resolve(session: Session) -> UUID | None:
        found = session.execute("order_state", {"region": region, "order_id": order_id})
        return order_id if found and found[0][0] == status else None

    return resolve
