"""From cart to order in one transaction: coupon, order, cart removed, stock reserved, items, movements, payment.

The order carries the shopper's idempotency key, so an answer that got lost is looked up and never bought twice.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from bench.db.retry import OK, Business, Conflict, Done, Outcome, Transaction
from bench.db.session import Session
from bench.metrics.frame import JournalEntry, Taken

from .browse import Browsing
from .reserving import Reserved, Strategy, reserve
from .world import Coupon, Item, Shopper

TAX_RATE = Decimal("0.08")
SHIPPING = Decimal("5.99")
FREE_SHIPPING_FROM = Decimal(50)
CENT = Decimal("0.01")


class Line(NamedTuple):
    """A line of the cart as ``view_cart`` returns it."""

    product_id: UUID
    variant_id: UUID | None
    quantity: int
    price_when_added: Decimal
    price: Decimal
    sku: str
    name: str

    @property
    def item(self) -> Item:
        """The line's item, as far as reserving needs it."""
        return Item(self.product_id, self.variant_id, self.sku, self.name, "", None, None, None)


class Amounts(NamedTuple):
    """What an order costs; ``total`` = subtotal - discount + tax + shipping."""

    subtotal: Decimal
    discount: Decimal
    tax: Decimal
    shipping: Decimal

    @property
    def total(self) -> Decimal:
        """What the shopper pays."""
        return self.subtotal - self.discount + self.tax + self.shipping


class Placed(NamedTuple):
    """An order that the server has taken."""

    order_id: UUID
    order_number: str
    total: Decimal
    status: str
    taken: tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class Intent:
    """The inputs of a checkout, drawn before the first attempt and the same in each."""

    shopper: Shopper
    region: str
    cart_id: UUID
    lines: tuple[Line, ...]
    key: UUID
    coupon: Coupon | None
    is_declined: bool
    regions: tuple[str, ...]
    """Whose stock to ask, in order; the shopper's own first."""


def idempotency_key(rng: Random, run_tag: str) -> UUID:
    """Return a random key that ends with the run's twelve hex digits.

    Random first digits spread the keys over the index; the tag at the end lets the audit find the run's orders.
    """
    return UUID(f"{rng.getrandbits(80):020x}{run_tag}")


def amounts(lines: Sequence[Line], coupon: Coupon | None) -> Amounts:
    """Return what an order costs, rounded to cents."""
    subtotal = sum((line.price * line.quantity for line in lines), Decimal(0))
    shipping = Decimal(0) if subtotal >= FREE_SHIPPING_FROM else SHIPPING
    discount = Decimal(0)
    if coupon is not None and subtotal >= coupon.minimum_amount:
        discount = _discount(coupon, subtotal, shipping)
    tax = ((subtotal - discount) * TAX_RATE).quantize(CENT, ROUND_HALF_UP)
    return Amounts(subtotal, discount, max(tax, Decimal(0)), shipping)


def _discount(coupon: Coupon, subtotal: Decimal, shipping: Decimal) -> Decimal:
    match coupon.type:
        case "percentage":
            raw = subtotal * coupon.value / 100
        case "fixed":
            raw = coupon.value
        case _:
            raw = shipping
    if coupon.maximum_discount is not None:
        raw = min(raw, coupon.maximum_discount)
    return min(raw, subtotal).quantize(CENT, ROUND_HALF_UP)


class CheckingOut(Browsing):
    """Sessions that end in an order."""

    abstract = True

    def fill_cart(self, shopper: Shopper, wanted: Mapping[Item, int], rng: Random) -> UUID | None:
        """Put items into a new cart and return it, or None when that failed."""

        def body(session: Session) -> UUID:
            cart_id: UUID = session.execute("create_cart", {"region": self.region, "user_id": shopper.id})[0][0]
            for item, quantity in wanted.items():
                params = {"region": self.region, "cart_id": cart_id, "product_id": item.product_id}
                session.execute("add_cart_item", {**params, "variant_id": item.variant_id, "quantity": quantity})
            return cart_id

        done = self.transact("add_to_cart", Transaction(body), rng)
        return done.value if done.kind == OK else None

    def check_out(self, shopper: Shopper, cart_id: UUID, rng: Random) -> Done | None:
        """View the cart and buy it; the order goes into the journal once the server has acknowledged it."""
        where = {"region": self.region, "cart_id": cart_id}
        view = Transaction(lambda session: session.execute("view_cart", where), explicit=False)
        seen = self.transact("view_cart", view, rng)
        if not seen.value:
            return None
        intent = self._intent(shopper, cart_id, tuple(Line(*row) for row in seen.value), rng)
        done = self.transact("checkout", checkout(intent, self.state.strategy), rng)
        if isinstance(done.value, Placed):
            self._journal(intent, done.value, done.attempts)
        return done

    def _intent(self, shopper: Shopper, cart_id: UUID, lines: tuple[Line, ...], rng: Random) -> Intent:
        settings = self.state.settings
        coupons = self.world.coupons[self.region]
        return Intent(
            shopper=shopper,
            region=self.region,
            cart_id=cart_id,
            lines=lines,
            key=idempotency_key(rng, self.state.run_tag),
            coupon=rng.choice(coupons) if coupons and rng.random() < settings.coupon_share else None,
            is_declined=rng.random() < settings.declined_share,
            regions=(self.region, *self.world.distances[self.region]),
        )

    def _journal(self, intent: Intent, placed: Placed, attempts: int) -> None:
        self.acknowledge(
            JournalEntry(
                region=intent.region,
                order_id=str(placed.order_id),
                order_number=placed.order_number,
                idempotency_key=str(intent.key),
                total_amount=str(placed.total),
                status=placed.status,
                attempts=attempts,
                elapsed_s=self.elapsed_s,
                taken=placed.taken,
            )
        )


def checkout(intent: Intent, strategy: Strategy) -> Transaction:
    """Return the transaction that buys a cart: ``ok``, ``payment_declined``, or undone as ``sold_out``."""

    def body(session: Session) -> Placed | Outcome:
        coupon = _take_coupon(session, intent)
        cost = amounts(intent.lines, coupon)
        order_id, number = _insert_order(session, intent, cost)
        if coupon is not None:
            params = _coupon_params(intent, coupon)
            if not session.execute("insert_coupon_usage", {**params, "order_id": order_id, "discount": cost.discount}):
                # The same user, at the same time, on another order: begin again, and see that the coupon is gone.
                raise Conflict("coupon_used_meanwhile")
        session.execute("delete_cart", {"region": intent.region, "cart_id": intent.cart_id})
        # As late as can be: from here to COMMIT others wait for the rows, and each exchange costs a round trip.
        reserved = _reserve_all(session, intent, strategy)
        _insert_lines(session, intent, order_id, reserved)
        status = _settle(session, intent, order_id, reserved)
        placed = Placed(order_id, number, cost.total, status, _taken(intent, reserved))
        return Outcome("payment_declined", placed) if intent.is_declined else placed

    def resolve(session: Session) -> Placed | Outcome | None:
        found = session.execute("find_order", {"region": intent.region, "key": intent.key})
        if not found:
            return None
        order_id, number, total, status = found[0]
        lines = session.execute("find_order_lines", {"region": intent.region, "order_id": order_id})
        taken = tuple(Taken(str(p), str(v) if v else None, where, units) for p, v, where, units in lines)
        placed = Placed(order_id, number, total, status, taken)
        return Outcome("payment_declined", placed) if intent.is_declined else placed

    return Transaction(body, resolve=resolve)


def _reserve_all(session: Session, intent: Intent, strategy: Strategy) -> tuple[Reserved, ...]:
    reserved = []
    # view_cart sorts the lines by item: one order for all shoppers, so that baskets do not lock each other crosswise.
    for line in intent.lines:
        taken = reserve(strategy, session, line.item, intent.regions, line.quantity)
        if taken is None:
            raise Business("sold_out")
        reserved.append(taken)
    return tuple(reserved)


def _take_coupon(session: Session, intent: Intent) -> Coupon | None:
    """Return the coupon if it gives something and one use of it was left, else None: the order goes on without."""
    if intent.coupon is None or amounts(intent.lines, intent.coupon).discount <= 0:
        return None
    params = {"region": intent.region, "coupon_id": intent.coupon.id, "user_id": intent.shopper.id}
    return intent.coupon if session.execute("use_coupon", params) else None


def _insert_order(session: Session, intent: Intent, cost: Amounts) -> tuple[UUID, str]:
    params = {
        "region": intent.region,
        "key": intent.key,
        "user_id": intent.shopper.id,
        "subtotal": cost.subtotal,
        "tax": cost.tax,
        "shipping": cost.shipping,
        "discount": cost.discount,
        "total": cost.total,
        "address": json.dumps(intent.shopper.address(), ensure_ascii=False),
    }
    rows = session.execute("insert_order", params)
    if not rows:
        # An earlier attempt whose answer was lost has been committed after all: look it up instead.
        raise Conflict("already_ordered", may_be_done=True)
    return rows[0][0], rows[0][1]


def _insert_lines(session: Session, intent: Intent, order_id: UUID, reserved: tuple[Reserved, ...]) -> None:
    lines = intent.lines
    params: dict[str, Any] = {
        "region": intent.region,
        "order_id": order_id,
        "products": [line.product_id for line in lines],
        "variants": [line.variant_id for line in lines],
        "warehouses": [taken.warehouse_id for taken in reserved],
        "quantities": [line.quantity for line in lines],
        "prices": [line.price for line in lines],
        "snapshots": [json.dumps({"sku": line.sku, "name": line.name, "price": str(line.price)}) for line in lines],
    }
    session.execute("insert_order_items", params)
    _move(session, intent, order_id, reserved, "reserved")


def _move(session: Session, intent: Intent, order_id: UUID, reserved: tuple[Reserved, ...], kind: str) -> None:
    params = {
        "regions": [taken.region for taken in reserved],
        "inventory": [taken.inventory_id for taken in reserved],
        "quantities": [taken.quantity for taken in reserved],
        "order_region": intent.region,
        "order_id": order_id,
        "type": kind,
    }
    session.execute("insert_reservations", params)


def _settle(session: Session, intent: Intent, order_id: UUID, reserved: tuple[Reserved, ...]) -> str:
    """Write the payment's outcome; a declined one puts the stock back."""
    status, payment = ("cancelled", "failed") if intent.is_declined else ("confirmed", "paid")
    params = {"region": intent.region, "order_id": order_id, "status": status, "payment": payment}
    session.execute("confirm_payment", params)
    if intent.is_declined:
        for taken in reserved:
            where = {"region": taken.region, "inventory_id": taken.inventory_id, "quantity": taken.quantity}
            session.execute("release_stock", where)
        _move(session, intent, order_id, reserved, "released")
    return status


def _coupon_params(intent: Intent, coupon: Coupon) -> dict[str, Any]:
    return {"region": intent.region, "coupon_id": coupon.id, "user_id": intent.shopper.id}


def _taken(intent: Intent, reserved: tuple[Reserved, ...]) -> tuple[Taken, ...]:
    return tuple(
        Taken(str(line.product_id), str(line.variant_id) if line.variant_id else None, taken.region, taken.quantity)
        for line, taken in zip(intent.lines, reserved, strict=True)
    )
