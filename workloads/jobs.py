"""The transactions of the back office.

Each takes a batch that nobody else holds (SKIP LOCKED) and guards what it changes by what it found, so that sending one
twice does the next batch and never the same one again: no lost answer needs to be looked up.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from bench.db.retry import Body, Outcome, Transaction
from bench.db.session import Rows, Session

from .moving import EXPIRED, RECEIVED, SHIPPED, Move, Moved, carts_stock, move, orders_stock, shift
from .world import Item

NOTHING = "nothing_to_do"
CENT = Decimal("0.01")
LOWEST, HIGHEST = Decimal("0.50"), Decimal("99999.99")
VIEWS = ("daily_sales_summary", "product_performance", "product_ratings")
_ORDERED = Move("", "", incoming=1)


def _batch(body: Callable[[Session], int]) -> Transaction:
    """Return a transaction whose value is the number of rows worked on; ``nothing_to_do`` where there were none."""
    return Transaction(lambda session: body(session) or Outcome(NOTHING, 0), repeatable=True)


def process_orders(region: str, count: int) -> Transaction:
    """Confirmed orders go to be packed."""
    return _batch(lambda session: len(_advance(session, region, count, ("confirmed", "processing", "unfulfilled"))))


def ship_orders(region: str, count: int) -> Transaction:
    """Packed orders leave: what they had reserved goes out of the warehouse."""

    def body(session: Session) -> int:
        orders = _advance(session, region, count, ("processing", "shipped", "fulfilled"))
        if orders:
            move(session, SHIPPED, orders_stock(session, region, orders))
        return len(orders)

    return _batch(body)


def deliver_orders(region: str, count: int) -> Transaction:
    """Shipped orders arrive."""
    return _batch(lambda session: len(_advance(session, region, count, ("shipped", "delivered", "fulfilled"))))


def _advance(session: Session, region: str, count: int, step: tuple[str, str, str]) -> list[UUID]:
    before, after, fulfillment = step
    ids = _first(session.execute("orders_to_advance", {"region": region, "status": before, "count": count}))
    if not ids:
        return []
    params = {"region": region, "ids": ids, "before": before, "after": after, "fulfillment": fulfillment}
    return _first(session.execute("advance_orders", params))


def receive_goods(region: str, count: int) -> Transaction:
    """What was on the way to rows that run low is put on the shelf."""

    def body(session: Session) -> int:
        found = session.execute("goods_to_receive", {"region": region, "count": count})
        move(session, RECEIVED, [Moved(region, row_id, units) for row_id, units in found])
        return len(found)

    return _batch(body)


def order_goods(region: str, count: int) -> Transaction:
    """Order what runs low and is not on the way yet; nothing moves before it arrives."""

    def body(session: Session) -> int:
        found = session.execute("goods_to_order", {"region": region, "count": count})
        if found:
            shift(session, _ORDERED, [Moved(region, row_id, units) for row_id, units in found])
        return len(found)

    return _batch(body)


def change_price(item: Item, factor: Decimal, seen: tuple[Decimal, Decimal | None]) -> Transaction:
    """Set the price of an item to a multiple of what was ``seen``, the variant's own where it has one.

    The new price is worked out here and not in the statement, so that a repetition does not change it again.
    """
    product, variant = seen

    def body(session: Session) -> Decimal:
        if variant is not None:
            price = _priced(variant * factor)
            session.execute("set_variant_price", {"variant_id": item.variant_id, "price": price})
        else:
            price = _priced(product * factor)
            session.execute("set_product_price", {"product_id": item.product_id, "price": price})
        return price

    return Transaction(body, repeatable=True)


def _priced(price: Decimal) -> Decimal:
    return min(max(price.quantize(CENT, ROUND_HALF_UP), LOWEST), HIGHEST)


def refresh_cart_prices(region: str, after: UUID, age_s: int, count: int) -> Transaction:
    """Put the prices of now into cart lines from a key on: one statement for products, one for variants.

    The value is the last key, from which the next batch goes on; None after the last batch.
    """

    def body(session: Session) -> UUID | Outcome:
        params = {"region": region, "after": after, "age": age_s, "count": count}
        ids = _first(session.execute("stale_cart_items", params))
        if not ids:
            return Outcome(NOTHING)
        for statement in ("refresh_product_prices", "refresh_variant_prices"):
            session.execute(statement, {"region": region, "ids": ids})
        return ids[-1]

    return Transaction(body, repeatable=True)


def expire_carts(region: str, count: int) -> Transaction:
    """Remove expired carts and release what they held, in one transaction: first the release, then what it is read from."""

    def body(session: Session) -> int:
        ids = _first(session.execute("expired_carts", {"region": region, "count": count}))
        if ids:
            move(session, EXPIRED, carts_stock(session, region, ids))
            session.execute("delete_carts", {"region": region, "ids": ids})
        return len(ids)

    return _batch(body)


def moderate_reviews(region: str, count: int) -> Transaction:
    """Approve the reviews that have waited longest."""

    def body(session: Session) -> int:
        ids = _first(session.execute("reviews_to_moderate", {"region": region, "count": count}))
        if ids:
            session.execute("approve_reviews", {"region": region, "ids": ids})
        return len(ids)

    return _batch(body)


def statement(name: str, params: Mapping[str, Any] | None = None) -> Body:
    """Return the body that sends one statement, outside any transaction."""
    return lambda session: len(session.execute(name, params))


def _first(rows: Rows) -> list[UUID]:
    return [row[0] for row in rows]
