"""The transaction from cart to order: coupon, order, cart removed, stock reserved, items, movements, payment.

The order carries the shopper's idempotency key, so an answer that got lost is looked up and never bought twice.  Played one
statement an exchange, or pipelined: then all that needs no decision in between travels together.
"""

from collections.abc import Sequence
from uuid import UUID

from bench.db.retry import Business, Conflict, Outcome, Transaction
from bench.db.session import Rows, Session
from bench.metrics.frame import Taken

from .purchase import (
    SEVERAL,
    Amounts,
    Intent,
    Line,
    Placed,
    amounts,
    conclude,
    delete_cart,
    insert_order,
    insert_usage,
    reservations,
    statuses,
    taken_from,
    use_coupon,
)
from .reserving import Reserved, Strategy, guarded, reserve, reserve_elsewhere
from .world import Coupon

__all__ = ["Amounts", "Intent", "Line", "Placed", "amounts", "checkout"]


def checkout(intent: Intent, strategy: Strategy, *, pipelined: bool = False) -> Transaction:
    """Return the transaction that buys a cart: ``ok``, ``payment_declined``, or undone as ``sold_out``."""
    play = _pipelined if pipelined else _one_by_one

    def body(session: Session) -> Placed | Outcome:
        return _answer(intent, play(session, intent, strategy))

    def resolve(session: Session) -> Placed | Outcome | None:
        found = session.execute("find_order", {"region": intent.region, "key": intent.key})
        if not found:
            return None
        order_id, number, total, status = found[0]
        lines = session.execute("find_order_lines", {"region": intent.region, "order_id": order_id})
        taken = tuple(Taken(str(p), str(v) if v else None, where, units) for p, v, where, units in lines)
        return _answer(intent, Placed(order_id, number, total, status, taken))

    return Transaction(body, resolve=resolve, key=_key(intent.lines), pipelined=pipelined)


def _key(lines: Sequence[Line]) -> str:
    """Return what a basket contends for; while a line is being reserved, the session names that line's SKU."""
    return lines[0].sku if len(lines) == 1 else SEVERAL


def _answer(intent: Intent, placed: Placed) -> Placed | Outcome:
    return Outcome("payment_declined", placed) if intent.is_declined else placed


def _one_by_one(session: Session, intent: Intent, strategy: Strategy) -> Placed:
    """Send each statement by itself, as most applications do."""
    coupon = _worthwhile(intent)
    if coupon is not None and not session.execute(*use_coupon(intent, coupon)):
        # No use of it was left: the order goes on without.
        coupon = None
    cost = amounts(intent.lines, coupon)
    order_id, number = _ordered(session, session.execute(*insert_order(intent, cost)))
    if coupon is not None:
        _used(session, session.execute(*insert_usage(intent, coupon, order_id, cost)))
    _require_cart(session.execute(*delete_cart(intent)))
    # As late as can be: from here to COMMIT others wait for the rows, and each exchange costs a round trip.
    reserved = _reserve_all(session, intent, strategy)
    for call in conclude(intent, order_id, reserved, coupon):
        session.execute(*call)
    return _placed(intent, order_id, number, cost, reserved)


def _pipelined(session: Session, intent: Intent, strategy: Strategy) -> Placed:
    """Send together what needs no decision in between: two exchanges, or four with a coupon, where stock is at hand.

    Only the guarded strategy reserves in one statement; the others read first, in exchanges of their own.
    """
    coupon = _worthwhile(intent)
    if coupon is not None and not session.execute(*use_coupon(intent, coupon)):
        coupon = None
    cost = amounts(intent.lines, coupon)
    first = [insert_order(intent, cost), delete_cart(intent)]
    wanted = reservations(intent) if strategy is guarded else []
    answers = session.batch(first + wanted)
    order_id, number = _ordered(session, answers[0])
    _require_cart(answers[1])
    reserved = (
        _reserve_rest(session, intent, answers[len(first) :]) if wanted else _reserve_all(session, intent, strategy)
    )
    rest = conclude(intent, order_id, reserved, coupon)
    if coupon is not None:
        # What it answers decides whether to commit.
        usage, *_ = session.batch([insert_usage(intent, coupon, order_id, cost), *rest])
        _used(session, usage)
    else:
        session.batch(rest, commit=True)
    return _placed(intent, order_id, number, cost, reserved)


def _require_cart(removed: Rows) -> None:
    """Undo the order of a cart that is there no more: another session has bought it, merged it, or let it expire."""
    if not removed:
        raise Business("cart_gone")


def _placed(intent: Intent, order_id: UUID, number: str, cost: Amounts, reserved: Sequence[Reserved]) -> Placed:
    status, _ = statuses(intent)
    return Placed(order_id, number, cost.total, status, taken_from(intent, reserved))


# -- decisions


def _worthwhile(intent: Intent) -> Coupon | None:
    """Return the coupon if it gives something."""
    if intent.coupon is None or amounts(intent.lines, intent.coupon).discount <= 0:
        return None
    return intent.coupon


def _ordered(session: Session, rows: Rows) -> tuple[UUID, str]:
    if not rows:
        # An earlier attempt whose answer was lost has been committed after all: look it up instead.
        session.current = "insert_order"
        raise Conflict("already_ordered", may_be_done=True)
    return rows[0][0], rows[0][1]


def _used(session: Session, rows: Rows) -> None:
    if not rows:
        # The same user, at the same time, on another order: begin again, and see that the coupon is gone.
        session.current = "insert_coupon_usage"
        raise Conflict("coupon_used_meanwhile")


def _reserve_all(session: Session, intent: Intent, strategy: Strategy) -> tuple[Reserved, ...]:
    reserved = []
    # view_cart sorts the lines by item: one order for all shoppers, so that baskets do not lock each other crosswise.
    for line in intent.lines:
        session.key = line.sku
        reserved.append(_found(reserve(strategy, session, line.item, intent.regions, line.quantity)))
    session.key = _key(intent.lines)
    return tuple(reserved)


def _reserve_rest(session: Session, intent: Intent, answers: Sequence[Rows]) -> tuple[Reserved, ...]:
    """Return what the first exchange reserved; what the own region had not, others are asked for."""
    reserved = []
    for line, rows in zip(intent.lines, answers, strict=True):
        if rows:
            reserved.append(Reserved(intent.region, rows[0][0], rows[0][1], line.quantity))
        else:
            session.key = line.sku
            elsewhere = reserve_elsewhere(guarded, session, line.item, intent.regions, line.quantity)
            reserved.append(_found(elsewhere))
    session.key = _key(intent.lines)
    return tuple(reserved)


def _found(taken: Reserved | None) -> Reserved:
    if taken is None:
        raise Business("sold_out")
    return taken
