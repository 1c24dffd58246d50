"""Orders taken back: once, whoever asks and however often, with stock, payment and coupon where they were before."""

from collections.abc import Callable
from typing import Any

import pytest

from .playing import act, rewind

Copy = Callable[[], Any]

STAGE = """
from uuid import UUID
stage = Troupe(URL, BackOfficeUser)
user = stage.another("eu-west")
def take_back(how, order_id):
    done = getattr(user, how)(UUID(order_id), Random(1))
    return [done.outcome, done.kind, done.attempts]
"""
STOCK = "SELECT sum(quantity_available)::BIGINT, sum(quantity_reserved)::BIGINT FROM inventory"
UNITS = "SELECT sum(quantity)::BIGINT FROM order_items WHERE order_id = %s"
STATE = "SELECT status, payment_status FROM orders WHERE id = %s"
FIND = "SELECT id::TEXT FROM orders WHERE region = 'eu-west' AND status = %s ORDER BY created_at DESC LIMIT 1"


def with_coupon(shop: Any, order_id: str) -> str:
    """Give an order the use of a coupon; returns the coupon."""
    coupon: str = shop.value(
        "SELECT a.coupon_id::TEXT FROM coupon_allotments a WHERE a.region = 'eu-west' AND a.allotted > a.used"
        " AND NOT EXISTS (SELECT FROM coupon_usages u JOIN orders o ON o.user_id = u.user_id"
        " WHERE u.coupon_id = a.coupon_id AND o.id = %s::UUID) ORDER BY 1 LIMIT 1",
        order_id,
    )
    assert shop.value("SELECT count(*) FROM coupon_usages WHERE order_id = %s", order_id) == 0
    shop.rows(
        "INSERT INTO coupon_usages (region, coupon_id, order_id, user_id, discount_amount)"
        " SELECT region, %s::UUID, id, user_id, 0 FROM orders WHERE id = %s",
        coupon,
        order_id,
    )
    shop.rows("UPDATE coupon_allotments SET used = used + 1 WHERE region = 'eu-west' AND coupon_id = %s::UUID", coupon)
    return coupon


def test_an_order_is_cancelled_once(copy: Copy) -> None:
    shop = copy()
    (order_id,) = rewind(shop, "confirmed")
    coupon = with_coupon(shop, order_id)
    used = "SELECT used FROM coupon_allotments WHERE region = 'eu-west' AND coupon_id = %s::UUID"
    uses, units, stock = shop.value(used, coupon), shop.value(UNITS, order_id), shop.rows(STOCK)[0]
    found = act(
        shop.url,
        STAGE
        + 'say([take_back("cancel", ORDER), take_back("cancel", ORDER), take_back("refund", ORDER), stage.broken()])',
        ORDER=order_id,
    )
    assert found == [["ok", "ok", 1], ["not_cancellable", "business", 1], ["not_refundable", "business", 1], []]
    assert shop.rows(STATE, order_id) == [("cancelled", "refunded")]
    assert shop.rows(STOCK)[0] == (stock[0] + units, stock[1] - units)
    assert shop.value(used, coupon) == uses - 1
    assert shop.rows(
        "SELECT movement_type, sum(quantity)::BIGINT FROM inventory_movements WHERE reference_id = %s"
        " AND reference_type = 'order' GROUP BY 1 ORDER BY 1",
        order_id,
    ) == [("released", units), ("reserved", units)]


@pytest.mark.slow
def test_an_unpaid_order_has_nothing_to_pay_back(copy: Copy) -> None:
    shop = copy()
    (order_id,) = rewind(shop, "pending")
    found = act(shop.url, STAGE + 'say([take_back("cancel", ORDER), stage.broken()])', ORDER=order_id)
    assert found == [["ok", "ok", 1], []]
    assert shop.rows(STATE, order_id) == [("cancelled", "pending")]


@pytest.mark.parametrize("age", ["DESC", pytest.param("ASC", marks=pytest.mark.slow)])
def test_a_delivered_order_is_refunded_once_however_old(copy: Copy, age: str) -> None:
    shop = copy()
    order_id = shop.value(FIND.replace("DESC", age), "delivered")
    units, stock = shop.value(UNITS, order_id), shop.rows(STOCK)[0]
    uses = shop.value("SELECT count(*) FROM coupon_usages")
    found = act(
        shop.url,
        STAGE
        + 'say([take_back("cancel", ORDER), take_back("refund", ORDER), take_back("refund", ORDER), stage.broken()])',
        ORDER=order_id,
    )
    assert found == [["not_cancellable", "business", 1], ["ok", "ok", 1], ["not_refundable", "business", 1], []]
    assert shop.rows(STATE, order_id) == [("refunded", "refunded")]
    assert shop.rows(STOCK)[0] == (stock[0] + units, stock[1])
    assert shop.value("SELECT count(*) FROM coupon_usages") == uses


@pytest.mark.slow
def test_what_has_shipped_is_neither_cancelled_nor_refunded(copy: Copy) -> None:
    shop = copy()
    (order_id,) = rewind(shop, "shipped")
    stock = shop.rows(STOCK)
    found = act(shop.url, STAGE + 'say([take_back("cancel", ORDER), take_back("refund", ORDER)])', ORDER=order_id)
    assert [outcome for outcome, *_ in found] == ["not_cancellable", "not_refundable"]
    assert shop.rows(STOCK) == stock


LOST = """
import psycopg
real, lost = Session.commit, []
def losing(self):
    real(self)
    if not lost:
        lost.append(1)
        self.current = "COMMIT"
        raise psycopg.OperationalError("server closed the connection unexpectedly")
Session.commit = losing
said = take_back(HOW, ORDER)
Session.commit = real
say([said, len(lost), stage.broken()])
"""


@pytest.mark.parametrize(
    ("how", "status"), [("cancel", "processing"), pytest.param("refund", "delivered", marks=pytest.mark.slow)]
)
def test_a_lost_answer_is_looked_up(copy: Copy, how: str, status: str) -> None:
    shop = copy()
    order_id = shop.value(FIND, "delivered") if status == "delivered" else rewind(shop, status)[0]
    units, available = shop.value(UNITS, order_id), shop.rows(STOCK)[0][0]
    found = act(shop.url, STAGE + LOST, HOW=how, ORDER=order_id)
    assert found == [["ok", "ok", 2], 1, []]
    assert shop.rows(STOCK)[0][0] == available + units


RACE = """
users = [stage.another("eu-west") for _ in range(8)]
jobs = [gevent.spawn(user.cancel, UUID(ORDER), Random(n)) for n, user in enumerate(users)]
gevent.joinall(jobs, raise_error=True)
say([sorted(job.value.outcome for job in jobs), stage.broken()])
"""


@pytest.mark.slow
def test_of_eight_who_cancel_at_once_one_does(copy: Copy) -> None:
    shop = copy()
    found = act(shop.url, STAGE + RACE, ORDER=rewind(shop, "confirmed")[0])
    assert found == [["not_cancellable"] * 7 + ["ok"], []]


OWN = """
stage = Troupe(URL, BackOfficeUser, coupon_share=0.5)
import datetime
since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
user = stage.another("us-east")
for n in range(12):
    user.shop_around(Random(n))
from uuid import UUID
said = [user.cancel(UUID(entry.order_id), Random(1)).outcome for entry in list(user.orders)[:6]]
say([said, stage.broken(since), len(user.orders)])
"""


def test_orders_of_the_run_that_are_cancelled_stay_right_with_its_journal(copy: Copy) -> None:
    said, broken, orders = act(copy().url, OWN)
    assert orders > 6
    assert said.count("ok") >= 5
    assert broken == []
