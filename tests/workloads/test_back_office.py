"""Every job of the back office on a real database: what it leaves behind, twice, at once, and when an answer is lost."""

from collections.abc import Callable
from typing import Any

import pytest

from .playing import act, rewind

Copy = Callable[[], Any]

STAGE = """
stage = Troupe(URL, BackOfficeUser, order_batch=5, goods_batch=5, cart_batch=4, price_batch=50, review_batch=3)
user = stage.another("eu-west")
def play(session, seed=1):
    user.transactions.clear()
    getattr(user, user.sessions[session])(Random(seed))
    return [list(entry[:3]) for entry in user.transactions]
"""
EXPIRE = """
UPDATE shopping_carts SET expires_at = now() - INTERVAL '1 day'
 WHERE region = 'eu-west' AND id IN (SELECT cart_id FROM cart_items WHERE reserved)
"""
STOCK = """
SELECT sum(quantity_available)::BIGINT, sum(quantity_reserved)::BIGINT, sum(quantity_incoming)::BIGINT FROM inventory
"""
MOVED = "SELECT movement_type, reference_type, sum(quantity)::BIGINT FROM inventory_movements GROUP BY 1, 2"


def statuses(shop: Any) -> dict[str, int]:
    return dict(shop.rows("SELECT status, count(*) FROM orders WHERE region = 'eu-west' GROUP BY status"))


def moved(shop: Any) -> dict[tuple[str, str], int]:
    return {(kind, reference): units for kind, reference, units in shop.rows(MOVED)}


def difference(before: dict[Any, int], after: dict[Any, int]) -> dict[Any, int]:
    keys = before | after
    return {key: after.get(key, 0) - before.get(key, 0) for key in keys if after.get(key, 0) != before.get(key, 0)}


def test_orders_go_through_to_their_delivery(copy: Copy) -> None:
    shop = copy()
    rewind(shop, "confirmed", 6)
    waiting = statuses(shop)["confirmed"]
    assert waiting >= 6
    before, moves = statuses(shop), moved(shop)
    units = shop.value(
        "SELECT sum(quantity)::BIGINT FROM order_items JOIN orders o ON o.id = order_id AND o.region = order_items.region"
        " WHERE o.region = 'eu-west' AND o.status IN ('confirmed', 'processing')"
    )
    stock = shop.rows(STOCK)[0]
    found = act(shop.url, STAGE + 'say({"found": [play("fulfil") for _ in range(40)], "broken": stage.broken()})')
    assert found["broken"] == []
    assert ["ship_orders", "ok", "ok"] in found["found"][0]
    assert [outcome for _, outcome, _ in found["found"][-1]] == ["nothing_to_do"] * 3
    gone = difference(before, statuses(shop))
    assert gone.pop("confirmed") == -waiting
    under_way = {status: before[status] for status in ("processing", "shipped") if status in before}
    assert gone.pop("delivered") == waiting + sum(under_way.values())
    assert gone == {status: -count for status, count in under_way.items()}
    assert difference(moves, moved(shop)) == {("out", "order"): units}
    assert shop.rows(STOCK)[0] == (stock[0], stock[1] - units, stock[2])


@pytest.mark.slow
def test_goods_are_ordered_once_and_received_once(copy: Copy) -> None:
    shop = copy()
    low = "SELECT count(*) FROM inventory WHERE region = 'eu-west' AND quantity_available <= reorder_point"
    shop.rows("UPDATE inventory SET reorder_point = quantity_available + 1 WHERE region = 'eu-west' AND id::TEXT < '3'")
    rows, stock, moves = shop.value(low), shop.rows(STOCK)[0], moved(shop)
    assert rows > 10
    ordered = shop.value(
        "SELECT sum(reorder_quantity)::BIGINT FROM inventory"
        " WHERE region = 'eu-west' AND quantity_available <= reorder_point AND quantity_incoming = 0"
    )
    coming = shop.value(
        "SELECT COALESCE(sum(quantity_incoming), 0)::BIGINT FROM inventory"
        " WHERE region = 'eu-west' AND quantity_available <= reorder_point"
    )
    found = act(shop.url, STAGE + 'say([[play("reorder") for _ in range(20)], stage.broken()])')
    assert found[0][0][:2] == [["low_stock_report", "ok", "ok"], ["order_goods", "ok", "ok"]]
    assert found[0][-1][1:] == [["order_goods", "nothing_to_do", "business"]]
    assert found[1] == []
    assert shop.rows(STOCK)[0] == (*stock[:2], stock[2] + ordered)
    assert moved(shop) == moves
    found = act(shop.url, STAGE + 'say([[play("receive") for _ in range(20)], stage.broken()])')
    assert found[0][-1] == [["receive_goods", "nothing_to_do", "business"]]
    assert found[1] == []
    assert difference(moves, moved(shop)) == {("in", "purchase"): ordered + coming}
    assert shop.rows(STOCK)[0] == (stock[0] + ordered + coming, stock[1], stock[2] - coming)


def test_carts_expire_and_give_back_what_they_held(copy: Copy) -> None:
    shop = copy()
    shop.rows(EXPIRE)
    held = shop.value(
        "SELECT COALESCE(sum(quantity), 0)::BIGINT FROM cart_items c JOIN shopping_carts s ON s.id = c.cart_id"
        " WHERE c.reserved AND s.region = 'eu-west' AND s.expires_at < now()"
    )
    assert held > 0
    stock, moves = shop.rows(STOCK)[0], moved(shop)
    carts = "SELECT count(*) FILTER (WHERE expires_at < now()), count(*) FROM shopping_carts WHERE region = 'eu-west'"
    expired, all_carts = shop.rows(carts)[0]
    found = act(shop.url, STAGE + 'say([[play("expire_carts") for _ in range(20)], stage.broken()])')
    assert found[0][-1] == [["expire_carts", "nothing_to_do", "business"]]
    assert found[1] == []
    assert shop.rows(carts)[0] == (0, all_carts - expired)
    assert shop.rows(STOCK)[0] == (stock[0] + held, stock[1] - held, stock[2])
    assert difference(moves, moved(shop)) == {("released", "cart"): held}
    assert (
        shop.value("SELECT count(*) FROM cart_items c WHERE NOT EXISTS (SELECT FROM shopping_carts WHERE id = cart_id)")
        == 0
    )


@pytest.mark.slow
def test_cart_prices_are_those_of_now_also_of_variants(copy: Copy) -> None:
    shop = copy()
    shop.rows("UPDATE products SET price = price + 1")
    shop.rows("UPDATE product_variants SET price = price + 2")
    wrong = (
        "SELECT count(*) FROM cart_items c JOIN products p ON p.id = c.product_id"
        " LEFT JOIN product_variants v ON v.id = c.variant_id"
        " WHERE c.unit_price <> COALESCE(v.price, p.price) AND c.region = 'eu-west'"
    )
    elsewhere = wrong.replace("'eu-west'", "'us-east'")
    shop.rows("UPDATE cart_items SET price_updated_at = now() WHERE region = 'eu-west' AND id::TEXT < '2'")
    fresh = shop.value(wrong + " AND c.id::TEXT < '2'")
    before = shop.value(wrong), shop.value(elsewhere)
    assert before[0] > fresh > 0
    found = act(shop.url, STAGE + 'say([play("cart_prices", seed) for seed in range(30)])')
    assert ["refresh_cart_prices", "ok", "ok"] in [entry for played in found for entry in played]
    # Lines that were looked at less than an hour ago stay, and so do those of other regions.
    assert (shop.value(wrong), shop.value(elsewhere)) == (fresh, before[1])


@pytest.mark.slow
def test_a_price_changes_where_it_stands(copy: Copy) -> None:
    shop = copy()
    shop.rows("UPDATE product_variants SET price = 10 WHERE id::TEXT < '8'")
    before = (
        dict(shop.rows("SELECT id, price FROM products")),
        dict(shop.rows("SELECT id, price FROM product_variants")),
    )
    found = act(shop.url, STAGE + 'say([play("reprice", seed) for seed in range(30)])')
    assert all(played[1] == ["change_price", "ok", "ok"] for played in found)
    products, variants = (
        dict(shop.rows("SELECT id, price FROM products")),
        dict(shop.rows("SELECT id, price FROM product_variants")),
    )
    changed = sum(before[0][key] != price for key, price in products.items())
    assert changed > 0
    assert sum(before[1][key] != price for key, price in variants.items()) > 0
    # A variant without a price of its own still has none.
    assert {key for key, price in variants.items() if price is None} == {k for k, p in before[1].items() if p is None}


@pytest.mark.slow
def test_reviews_are_approved_by_age(copy: Copy) -> None:
    shop = copy()
    shop.rows("UPDATE product_reviews SET is_approved = false WHERE region = 'eu-west'")
    oldest = [
        row[0] for row in shop.rows("SELECT id FROM product_reviews WHERE region = 'eu-west' ORDER BY created_at")
    ]
    assert len(oldest) > 15
    act(shop.url, STAGE + 'say(play("moderate"))')
    approved = {row[0] for row in shop.rows("SELECT id FROM product_reviews WHERE region = 'eu-west' AND is_approved")}
    assert approved == set(oldest[:15])


def test_views_are_refreshed_and_reports_read(copy: Copy) -> None:
    shop = copy()
    before = shop.value("SELECT sum(review_count)::BIGINT FROM product_ratings")
    shop.rows("UPDATE product_reviews SET is_approved = NOT is_approved")
    found = act(shop.url, STAGE + 'say([play("refresh_views"), play("reports"), user.statements])')
    assert [entry[1:] for entry in found[0] + found[1]] == [["ok", "ok"]] * 6
    assert "BEGIN" not in found[2]
    after = shop.value("SELECT sum(review_count)::BIGINT FROM product_ratings")
    assert after == shop.value("SELECT count(*) FROM product_reviews WHERE is_approved") != before


LOST = """
import psycopg
real = Session.commit
def losing(self):
    real(self)
    if not lost:
        lost.append(1)
        self.current = "COMMIT"
        raise psycopg.OperationalError("server closed the connection unexpectedly")
found = {}
for session in ("fulfil", "receive", "reorder", "reprice", "cart_prices", "expire_carts", "moderate"):
    lost = []
    Session.commit = losing
    found[session] = play(session)
    Session.commit = real
    assert lost
say({"found": found, "broken": stage.broken()})
"""


@pytest.mark.slow
def test_a_lost_answer_does_no_work_twice(copy: Copy) -> None:
    shop = copy()
    shop.rows(EXPIRE)
    shop.rows("UPDATE inventory SET reorder_point = quantity_available + 1 WHERE region = 'eu-west' AND id::TEXT < '3'")
    shop.rows("UPDATE inventory SET quantity_incoming = 7 WHERE region = 'eu-west' AND id::TEXT < '2'")
    found = act(shop.url, STAGE + LOST)
    assert found["broken"] == []
    assert all(kind != "failure" for played in found["found"].values() for *_, kind in played)
    assert shop.value("SELECT min(quantity_incoming) FROM inventory") >= 0


MANY = """
stage = Troupe(URL, BackOfficeUser, ISOLATION, 1.0, order_batch=3, goods_batch=3, cart_batch=3, price_batch=20,
               review_batch=3, price_age_s=0, batches_per_session=2, declined_share=0.1, coupon_share=0.5)
names = list(BackOfficeUser.sessions)
weights = {"shop": 6, "cancel": 5, "refund": 4, "refresh_views": 0.3, "browse": 0.3}
stage.crowd(USERS, ROUNDS, lambda rng: rng.choices(names, [weights.get(name, 1.5) for name in names])[0], SEED)
say({"broken": stage.broken(SINCE), "outcomes": stage.outcomes, "names": names})
"""


@pytest.mark.parametrize(
    ("isolation", "rounds"),
    [
        ("read committed", 12),
        pytest.param("read committed", 60, marks=pytest.mark.slow),
        pytest.param("serializable", 40, marks=pytest.mark.slow),
    ],
)
def test_the_books_are_right_after_many_jobs_at_once(copy: Copy, isolation: str, rounds: int) -> None:
    shop = copy()
    shop.rows(EXPIRE.replace("region = 'eu-west' AND", ""))
    rewind(shop, "confirmed", 5)
    since = shop.value("SELECT now()::TEXT")
    script = MANY.replace("SINCE", f"__import__('datetime').datetime.fromisoformat({since!r})")
    found = act(shop.url, script, ISOLATION=isolation, USERS=16, ROUNDS=rounds, SEED=rounds)
    assert found["broken"] == []
    outcomes = found["outcomes"]
    for name in ("cancel", "refund", "ship_orders", "receive_goods", "order_goods", "expire_carts", "checkout"):
        assert outcomes.get(f"{name}: ok", 0) > 0, outcomes
    if isolation == "read committed":
        assert outcomes.get("failures", 0) == 0, outcomes
