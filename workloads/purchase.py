"""What is bought and what it costs, and the calls of catalogue statements that buy it."""

import json
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from bench.metrics.frame import Taken

from .reserving import Reserved, guarded_params
from .world import Coupon, Item, Shopper

TAX_RATE = Decimal("0.08")
SHIPPING = Decimal("5.99")
FREE_SHIPPING_FROM = Decimal(50)
CENT = Decimal("0.01")
SEVERAL = "(several)"
"""What a basket of several lines contends for, but for the moment when one of them is reserved."""


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


class Intent(NamedTuple):
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


Call = tuple[str, dict[str, Any]]
"""A statement's name and its parameters."""


def use_coupon(intent: Intent, coupon: Coupon) -> Call:
    """Return the call that takes one use of a coupon: a row when there was one."""
    return "use_coupon", {"region": intent.region, "coupon_id": coupon.id, "user_id": intent.shopper.id}


def insert_order(intent: Intent, cost: Amounts) -> Call:
    """Return the call that makes the order: its id and number, or no row when the key has bought already."""
    return "insert_order", {
        "region": intent.region,
        "key": intent.key,
        "user_id": intent.shopper.id,
        "subtotal": cost.subtotal,
        "tax": cost.tax,
        "shipping": cost.shipping,
        "discount": cost.discount,
        "total": cost.total,
        "address": _address(intent.shopper),
    }


@lru_cache(1 << 14)
def _address(shopper: Shopper) -> str:
    return json.dumps(shopper.address(), ensure_ascii=False)


def insert_usage(intent: Intent, coupon: Coupon, order_id: UUID, cost: Amounts) -> Call:
    """Return the call that notes the coupon's use: no row when the user has used it on another order."""
    where = {"region": intent.region, "coupon_id": coupon.id, "user_id": intent.shopper.id}
    return "insert_coupon_usage", {**where, "order_id": order_id, "discount": cost.discount}


def delete_cart(intent: Intent) -> Call:
    """Return the call that removes the cart."""
    return "delete_cart", {"region": intent.region, "cart_id": intent.cart_id}


def reservations(intent: Intent) -> list[Call]:
    """Return the guarded strategy's call for each line, in the own region."""
    return [("reserve_guarded", guarded_params(line.item, intent.region, line.quantity)) for line in intent.lines]


def conclude(intent: Intent, order_id: UUID, reserved: tuple[Reserved, ...], coupon: Coupon | None) -> list[Call]:
    """Return everything after the reservations but COMMIT: items, movements, the payment's outcome.

    A declined payment puts the stock back, and gives back the use of the coupon.
    """
    status, payment = statuses(intent)
    where = {"region": intent.region, "order_id": order_id}
    calls = [
        _insert_items(intent, order_id, reserved),
        _move(intent, order_id, reserved, "reserved"),
        ("confirm_payment", {**where, "status": status, "payment": payment}),
    ]
    if intent.is_declined:
        for taken in reserved:
            row = {"region": taken.region, "inventory_id": taken.inventory_id, "quantity": taken.quantity}
            calls.append(("release_stock", row))
        calls.append(_move(intent, order_id, reserved, "released"))
        if coupon is not None:
            calls.append(("delete_coupon_usage", {**where, "coupon_id": coupon.id}))
            calls.append(("return_coupon", {"region": intent.region, "coupon_id": coupon.id}))
    return calls


def statuses(intent: Intent) -> tuple[str, str]:
    """Return the order's status and the payment's."""
    return ("cancelled", "failed") if intent.is_declined else ("confirmed", "paid")


def _insert_items(intent: Intent, order_id: UUID, reserved: tuple[Reserved, ...]) -> Call:
    lines = intent.lines
    return "insert_order_items", {
        "region": intent.region,
        "order_id": order_id,
        "products": [line.product_id for line in lines],
        "variants": [line.variant_id for line in lines],
        "warehouses": [taken.warehouse_id for taken in reserved],
        "quantities": [line.quantity for line in lines],
        "prices": [line.price for line in lines],
        "snapshots": [_snapshot(line.sku, line.name, line.price) for line in lines],
    }


@lru_cache(4096)
def _snapshot(sku: str, name: str, price: Decimal) -> str:
    return json.dumps({"sku": sku, "name": name, "price": str(price)})


def _move(intent: Intent, order_id: UUID, reserved: tuple[Reserved, ...], kind: str) -> Call:
    return "insert_reservations", {
        "regions": [taken.region for taken in reserved],
        "inventory": [taken.inventory_id for taken in reserved],
        "quantities": [taken.quantity for taken in reserved],
        "order_region": intent.region,
        "order_id": order_id,
        "type": kind,
    }


def taken_from(intent: Intent, reserved: Sequence[Reserved]) -> tuple[Taken, ...]:
    """Return what was taken from where, as the journal keeps it."""
    return tuple(
        Taken(str(line.product_id), str(line.variant_id) if line.variant_id else None, taken.region, taken.quantity)
        for line, taken in zip(intent.lines, reserved, strict=True)
    )
