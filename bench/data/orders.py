"""Orders, their lines and what they cost; rows of ``orders`` and ``order_items``.

May import ``world`` and the modules below it.  Within a region orders are numbered in the order of time.
"""

from dataclasses import dataclass

import numpy as np

from bench.data import customers
from bench.data.baskets import FROM_ELSEWHERE, Lines, fill, warehouses
from bench.data.columns import BigInt, Json, Money, Text, Time, Uuid, date_text
from bench.data.counter import Choice, Flags, Ints, lane, remembered
from bench.data.demand import DAY_US, HOUR_US
from bench.data.discounts import Coupons, entered, taken_off
from bench.data.vocabulary import Digits, Vocabulary
from bench.data.world import Columns, World

STATUSES = Vocabulary.of("pending", "confirmed", "processing", "shipped", "delivered", "cancelled", "refunded")
PENDING, CONFIRMED, PROCESSING, SHIPPED, DELIVERED, CANCELLED, REFUNDED = range(7)
_PAYMENTS = Vocabulary.of("pending", "paid", "failed", "refunded")
_FULFILLMENTS = Vocabulary.of("unfulfilled", "fulfilled")
_FATES = Choice.of(91.5, 5, 3.5)
_FATE_CANCELLED, _FATE_REFUNDED, _FATE_DECLINED = 1, 2, 3
# By fate: the last stage that an order can reach; a declined payment never confirms, a cancelled order never ships.
_LIMIT = np.array([DELIVERED, PROCESSING, DELIVERED, PENDING])
_ENDED = np.array([DELIVERED, CANCELLED, REFUNDED, CANCELLED])
# By status.
_HAS_SHIPPED = np.isin(np.arange(7), (SHIPPED, DELIVERED, REFUNDED))
_PAYMENT = np.array([0, 1, 1, 1, 1, 3, 3])
_DECLINED = 0.6
"""Share of cancelled orders whose payment failed; the others are cancelled by the buyer and paid back."""
_NOTES = Vocabulary.of("", "Leave at the door", "Gift, no invoice please", "Call on arrival", "Deliver after 6 pm")
_NOTED = 0.06
_UNITS = Vocabulary(tuple(map(str, range(10_000))), "before")
FREE_SHIPPING_CENTS = 7500
_SHIPPING = np.array([499, 799, 1299])
_SHIPPING_SHARES = Choice.of(70, 22, 8)


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders (n,): instants in µs since 1970; ``ended_us`` is when one was cancelled or refunded."""

    rows: Ints
    region: Ints
    user: Ints
    created_us: Ints
    shipped_us: Ints
    delivered_us: Ints
    ended_us: Ints
    updated_us: Ints
    status: Ints
    is_declined: Flags

    @property
    def has_shipped(self) -> Flags:
        """Which orders have left the warehouse, among them those that came back."""
        return _HAS_SHIPPED[self.status]


@dataclass(frozen=True, slots=True)
class Bill:
    """What orders (n,) cost, in cents; ``coupon`` is the number of the coupon that was accepted, or -1."""

    subtotal: Ints
    shipping: Ints
    discount: Ints
    tax: Ints
    coupon: Ints

    @property
    def total(self) -> Ints:
        """What was charged."""
        return self.subtotal - self.discount + self.tax + self.shipping


def created(world: World, rows: Ints, region: Ints) -> Ints:
    """Return when orders were placed: the inverse of the region's curve at evenly spread shares, jittered."""
    share = world.streams("orders", "created_at").uniform(rows) + (rows - world.orders.starts[region])
    out = np.empty(len(rows), np.int64)
    for number, mine in customers.in_regions(region):
        out[mine] = world.demand[number].time(share[mine] / world.orders.size(number))
    return out


@remembered
def orders_of(world: World, rows: Ints) -> Orders:
    """Return the facts of orders by number: an order has passed those stages that end before ``as_of``."""
    region = world.orders.region(rows)
    created_us = created(world, rows, region)
    user = np.empty(len(rows), np.int64)
    for number, mine in customers.in_regions(region):
        user[mine] = customers.buyers(world, number, created_us[mine], rows[mine])
    return _fates(world, rows, region, user, created_us)


def _fates(world: World, rows: Ints, region: Ints, user: Ints, created_us: Ints) -> Orders:
    bits, more = world.streams("orders", "stages").bits(rows), world.streams("orders", "ends").bits(rows)
    fate = _FATES.pick(lane(bits, 0))
    is_declined = (fate == _FATE_CANCELLED) & (lane(more, 2) < _DECLINED * 65536)
    fate[is_declined] = _FATE_DECLINED
    wait = lane(bits, 1)
    confirmed = created_us + 2 * 60_000_000 + (wait * wait * wait >> 33) * (10 * HOUR_US >> 15)
    processing = confirmed + HOUR_US + lane(bits, 2) * (20 * HOUR_US >> 16)
    shipped = processing + 4 * HOUR_US + lane(bits, 3) * (56 * HOUR_US >> 16)
    delivered = shipped + DAY_US + lane(more, 0) * (5 * DAY_US >> 16)
    last = lane(more, 1)
    back, called_off = delivered + 3 * DAY_US, created_us + 10 * 60_000_000
    is_refunded = fate == _FATE_REFUNDED
    ended = np.where(is_refunded, back + last * (17 * DAY_US >> 16), called_off + last * (20 * HOUR_US >> 16))
    times = np.stack([created_us, confirmed, processing, shipped, delivered, ended])
    is_over = times < world.as_of_us
    reached = np.minimum(is_over[1:5].sum(axis=0), _LIMIT[fate])
    has_ended = (fate > 0) & is_over[5]
    status = np.where(has_ended, _ENDED[fate], reached)
    stage = np.where(has_ended, len(times) - 1, reached)
    updated = times.ravel()[stage * len(rows) + np.arange(len(rows))]
    return Orders(rows, region, user, created_us, shipped, delivered, ended, updated, status, is_declined)


@dataclass(frozen=True, slots=True)
class Picked:
    """The lines of orders with the warehouse that each ships from."""

    lines: Lines
    warehouse: Ints


@remembered
def lines_of(world: World, orders: Orders) -> Picked:
    """Return the lines of orders."""
    lines = fill(world, "order_items", orders.rows)
    return Picked(lines, warehouses(world, "order_items", lines, orders.region[lines.basket], FROM_ELSEWHERE))


@remembered
def prices(world: World, orders: Orders, lines: Lines) -> Ints:
    """Return the unit price in cents of each line on the day of its order."""
    return world.catalogue.cents_at(lines.sku, orders.created_us[lines.basket], world.as_of_us)


def bill(world: World, rules: Coupons, orders: Orders, lines: Lines, cents: Ints) -> Bill:
    """Return what orders cost if every coupon entered is accepted that the amount allows."""
    subtotal = np.add.reduceat(cents * lines.quantity, lines.first)
    price = _SHIPPING[_SHIPPING_SHARES.pick(lane(world.streams("orders", "shipping").bits(orders.rows), 0))]
    shipping = np.where(subtotal >= FREE_SHIPPING_CENTS, 0, price)
    coupon = entered(world, rules, orders.rows, orders.created_us)
    return _taxed(world, orders, subtotal, shipping, coupon, taken_off(rules, coupon, subtotal, shipping))


def without(world: World, orders: Orders, bill: Bill, refused: Flags) -> Bill:
    """Return the bill with the coupons of some orders refused."""
    coupon, discount = np.where(refused, -1, bill.coupon), np.where(refused, 0, bill.discount)
    return _taxed(world, orders, bill.subtotal, bill.shipping, coupon, discount)


def _taxed(world: World, orders: Orders, subtotal: Ints, shipping: Ints, coupon: Ints, discount: Ints) -> Bill:
    taxed = np.maximum(subtotal - discount, 0)
    tax = (taxed * world.tax_permille[orders.region] + 500) // 1000
    return Bill(subtotal, shipping, discount, tax, np.where(discount > 0, coupon, -1))


def orders(world: World, rules: Coupons, refused: Ints, rows: Ints) -> Columns:
    """Return orders by number; ``refused`` are the numbers, ascending, of orders whose coupon was not accepted."""
    found = orders_of(world, rows)
    lines = lines_of(world, found).lines
    cost = bill(world, rules, found, lines, prices(world, found, lines))
    cost = without(world, found, cost, np.isin(rows, refused, assume_unique=True))
    shipping, billing = customers.order_addresses(world, found.user, found.region)
    note = lane(world.streams("orders", "notes").bits(rows), 0)
    region = world.regions[found.region]
    return {
        "region": Text(region),
        "id": Uuid(world.streams("orders", "id").uuids(rows)),
        "order_number": Text(b"ORD-", region, b"-", date_text(found.created_us), b"-", Digits(rows + 1, 10)),
        "idempotency_key": Uuid(world.streams("orders", "idempotency_key").uuids(rows)),
        "user_id": Uuid(world.streams("users", "id").uuids(found.user)),
        "status": Text(STATUSES[found.status]),
        "currency": Text(b"USD"),
        "subtotal": Money(cost.subtotal),
        "tax_amount": Money(cost.tax),
        "shipping_amount": Money(cost.shipping),
        "discount_amount": Money(cost.discount),
        "total_amount": Money(cost.total),
        "shipping_address": Json(*shipping),
        "billing_address": Json(*billing),
        "payment_status": Text(_PAYMENTS[_payment(found)]),
        "fulfillment_status": Text(_FULFILLMENTS[found.has_shipped.astype(np.int64)]),
        "notes": Text(_NOTES[1 + (note & 3)], null=note >= _NOTED * 65536),
        "created_at": Time(found.created_us),
        "updated_at": Time(found.updated_us),
    }


def _payment(orders: Orders) -> Ints:
    return np.asarray(_PAYMENT[orders.status] - ((orders.status == CANCELLED) & orders.is_declined))


def order_items(world: World, rows: Ints) -> Columns:
    """Return the lines of the given orders."""
    found = orders_of(world, rows)
    picked = lines_of(world, found)
    lines, goods = picked.lines, world.catalogue
    cents = prices(world, found, lines)
    sites = np.arange(world.warehouses.count)
    is_variant, units = goods.is_variant[lines.sku], cents // 100
    return {
        "region": Text(world.regions[found.region[lines.basket]]),
        "id": Uuid(world.streams("order_items", "id").uuids(lines.number)),
        "order_id": Uuid(world.streams("orders", "id").uuids(rows), numbers=lines.basket),
        "product_id": Uuid(world.streams("products", "id").uuids(lines.product)),
        "variant_id": Uuid(world.streams("product_variants", "id").uuids(lines.sku), null=~is_variant),
        "warehouse_id": Uuid(world.streams("warehouses", "id").uuids(sites), numbers=picked.warehouse),
        "quantity": BigInt(lines.quantity),
        "unit_price": Money(cents),
        "total_price": Money(cents * lines.quantity),
        "product_snapshot": Json(
            *(b'{"name": ', *goods.name_json(lines.product), b', "sku": ', *goods.sku_json(lines.sku)),
            *(b', "price": ', _UNITS[units], b".", Digits(cents - units * 100, 2), b"}"),
        ),
    }
