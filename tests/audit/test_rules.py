"""Each rule on a real database: silent on right books, and naming exactly the fault that was planted."""

import re
from collections.abc import Callable
from decimal import Decimal

import psycopg
import pytest

from bench.audit.audit import run_audit
from bench.audit.rules import RULES
from tests.audit.shop import NO_VARIANT, PRICE, REGIONS, Shop, create_schema, uid


def failed(shop: Shop) -> dict:
    findings = run_audit(shop.execute, None, None)
    assert [finding.rule for finding in findings] == [rule.name for rule in RULES]
    return {finding.rule: finding for finding in findings if not finding.passed}


def only(shop: Shop, rule: str):
    """The one finding, after its SQL to look was run."""
    findings = failed(shop)
    assert list(findings) == [rule]
    finding = findings[rule]
    assert finding.violations > 0
    assert finding.witness
    assert not re.search(r"%|\{", finding.look)
    assert shop.sql(finding.look)
    assert finding.detail.startswith(f"{finding.violations} ")
    return finding


@pytest.mark.parametrize("variant", ["pg", "pg_partitioned"])
def test_right_books_pass_every_rule(open_shop, variant):
    findings = run_audit(open_shop(variant).execute, None, None)
    assert [finding for finding in findings if not finding.passed] == []
    assert all((f.violations, f.witness, f.look, f.detail) == (0, (), "", "") for f in findings)


def test_an_empty_database_passes(fresh_database):
    create_schema(fresh_database, "pg")
    with psycopg.connect(fresh_database) as connection:
        assert failed(Shop(connection)) == {}


def read_naively(shop: Shop, product: str, region: str) -> int:
    [[available]] = shop.sql("SELECT quantity_available FROM inventory WHERE id = %s", uid(f"{product} {region}"))
    return available


def buy_naively(shop: Shop, name: str, product: str, region: str, seen: int, units: int = 1) -> None:
    """The second half of the naive strategy: write what the client computed from what it had seen."""
    shop.order(name, region, (product, region, units), takes_stock=False)
    shop.sql(
        "UPDATE inventory SET quantity_available = %s, quantity_reserved = quantity_reserved + %s WHERE id = %s",
        seen - units,
        units,
        uid(f"{product} {region}"),
    )


def test_a_lost_update_shows_between_stock_and_movements(shop):
    first = second = read_naively(shop, "lamp", "us-east")
    buy_naively(shop, "first", "lamp", "us-east", first)
    buy_naively(shop, "second", "lamp", "us-east", second)
    finding = only(shop, "stock_movements")
    assert finding.violations == 1
    [row] = finding.witness
    assert row["inventory_id"] == uid("lamp us-east")
    assert int(row["quantity_available"]) == first - 1
    assert int(row["available_by_movements"]) == first - 2
    assert row["quantity_reserved"] == row["reserved_by_movements"]


def test_a_lost_update_of_the_reserve_shows_too(shop):
    shop.sql("UPDATE inventory SET quantity_reserved = quantity_reserved - 1 WHERE id = %s", uid("lamp us-east"))
    findings = failed(shop)
    assert set(findings) == {"stock_movements", "reservations"}
    [row] = findings["stock_movements"].witness
    assert (row["quantity_reserved"], row["reserved_by_movements"]) == ("1", "2")


def test_lost_updates_on_the_last_unit_oversell_it(shop):
    left = read_naively(shop, "lamp", "eu-west")
    shop.order("all but one", "us-east", ("lamp", "eu-west", left - 1))
    seen = read_naively(shop, "lamp", "eu-west")
    for name in ("lucky", "late", "latest"):
        buy_naively(shop, name, "lamp", "eu-west", seen)
    findings = failed(shop)
    assert set(findings) == {"oversold", "stock_movements"}
    oversold = findings["oversold"]
    assert oversold.violations == 2
    assert [(row["order_number"], row["order_id"]) for row in oversold.witness] == [
        ("ORD-latest", uid("order latest")),
        ("ORD-late", uid("order late")),
    ]
    assert oversold.detail == (
        "2 units oversold of 1 items; of the worst, 10 were stocked and 12 claimed: "
        "the latest 2 claims cover the 2 units beyond"
    )
    assert [row[2] for row in shop.sql(oversold.look)[:3]] == ["ORD-latest", "ORD-late", "ORD-lucky"]


def test_the_smallest_set_of_orders_covers_the_units_beyond_the_stock(shop):
    seen = read_naively(shop, "shirt", "us-east")
    buy_naively(shop, "most", "shirt", "us-east", seen, seen)
    buy_naively(shop, "big", "shirt", "us-east", 3, 3)
    buy_naively(shop, "bigger", "shirt", "us-east", 5, 5)
    buy_naively(shop, "small", "lamp", "eu-west", 11, 11)
    oversold = failed(shop)["oversold"]
    # 8 units of shirts beyond, and lamps: 3 live, 2 in a cart, 11 more of 10 stocked.
    assert oversold.violations == 8 + 6
    assert [(row["order_number"], row["quantity"]) for row in oversold.witness] == [
        ("ORD-bigger", "5"),
        ("ORD-big", "3"),
    ]
    assert {row["variant_key"] for row in oversold.witness} == {uid("shirt-m")}
    assert "14 units oversold of 2 items" in oversold.detail


def test_cart_lines_that_hold_stock_count_as_claims(shop):
    shop.reserve_in_cart("greedy", "us-east", "lamp", 9, takes_stock=False)
    findings = failed(shop)
    assert set(findings) == {"oversold", "reservations"}
    [row] = findings["oversold"].witness
    assert (row["claim"], row["order_id"], row["beyond"]) == ("cart", uid("cart greedy"), "1")


def test_units_from_nowhere_are_not_stock(shop):
    """A return brings back what was sold; it does not make room for more than was ever stocked."""
    shop.move("lamp", "us-east", "in", 50, available=50, reference=("return", "us-east", uid("order confirmed")))
    shop.order("fifty", "us-east", ("lamp", "us-east", 50))
    assert failed(shop)["oversold"].violations == 42


@pytest.mark.parametrize("quantity", ["available", "reserved", "incoming"])
def test_a_quantity_below_zero(shop, quantity):
    shop.sql(f"ALTER TABLE inventory DROP CONSTRAINT inventory_quantity_{quantity}_check")
    shop.sql(f"UPDATE inventory SET quantity_{quantity} = -1 WHERE id = %s", uid("shirt eu-west"))
    finding = failed(shop)["stock_negative"]
    assert finding.violations == 1
    assert finding.witness[0]["inventory_id"] == uid("shirt eu-west")


def test_an_order_whose_movement_is_not_an_orders(shop):
    shop.sql("UPDATE inventory_movements SET reference_type = 'purchase' WHERE reference_id = %s", uid("order remote"))
    finding = only(shop, "orders_movements")
    [row] = finding.witness
    assert (row["warehouse_id"], row["product_id"]) == (uid("warehouse us-east"), uid("shirt"))
    assert (row["units_in_orders"], row["units_by_movements"]) == ("3", "1")


def test_a_movement_for_an_order_that_does_not_exist(shop):
    shop.move("shirt", "eu-west", "reserved", 1, -1, 1, ("order", "eu-west", uid("nobody")))
    findings = failed(shop)
    assert set(findings) == {"orders_movements", "reservations"}
    assert findings["orders_movements"].witness[0]["units_in_orders"] == "0"


def test_an_order_sent_without_taking_it_from_the_reserve(shop):
    shop.set_order(shop.bought[0], status="shipped", fulfillment_status="fulfilled")
    finding = only(shop, "reservations")
    assert finding.violations == 2
    assert {row["inventory_id"] for row in finding.witness} == {uid("lamp us-east"), uid("shirt us-east")}
    lamp = next(row for row in finding.witness if row["product_id"] == uid("lamp"))
    assert (lamp["quantity_reserved"], lamp["units_in_orders"], lamp["variant_key"]) == ("2", "0", NO_VARIANT)


def test_an_order_from_a_warehouse_that_never_had_the_item(shop):
    shop.sql(
        "INSERT INTO products (id, sku, name, slug, price) VALUES (%s, 'hat', 'hat', 'hat', %s)", uid("hat"), PRICE
    )
    shop.sql("UPDATE order_items SET product_id = %s WHERE order_id = %s", uid("hat"), uid("order delivered"))
    assert set(failed(shop)) == {"oversold", "orders_movements"}
    shop.set_order(shop.bought[2], status="processing", fulfillment_status="partial")
    [row] = failed(shop)["reservations"].witness
    assert (row["inventory_id"], row["product_id"], row["units_in_orders"]) == ("none", uid("hat"), "3")


def test_an_expired_cart_whose_reservation_stays(shop):
    shop.sql("DELETE FROM shopping_carts WHERE id = %s", uid("cart guest"))
    finding = failed(shop)["reservations"]
    assert finding.violations == 1
    assert (finding.witness[0]["quantity_reserved"], finding.witness[0]["units_in_carts"]) == ("2", "0")


def without_lines(shop: Shop) -> str:
    shop.order("empty", "us-east")
    return "ORD-empty"


def with_a_wrong_line(shop: Shop) -> str:
    shop.sql("UPDATE order_items SET unit_price = unit_price - 1 WHERE order_id = %s", uid("order remote"))
    return "ORD-remote"


def with_a_wrong_subtotal(shop: Shop) -> str:
    shop.set_order(shop.bought[1], subtotal=PRICE, total_amount=PRICE + shop.bought[1].total - 2 * PRICE)
    return "ORD-remote"


def with_a_wrong_total(shop: Shop) -> str:
    shop.set_order(shop.bought[1], tax_amount=Decimal("1.59"))
    return "ORD-remote"


@pytest.mark.parametrize(
    ("plant", "fault"),
    [
        (without_lines, "no lines"),
        (with_a_wrong_line, "a line is not quantity x unit price"),
        (with_a_wrong_subtotal, "subtotal is not the sum of the lines"),
        (with_a_wrong_total, "total is not subtotal - discount + tax + shipping"),
    ],
)
def test_an_order_that_does_not_add_up(shop, plant: Callable[[Shop], str], fault: str):
    number = plant(shop)
    finding = only(shop, "order_totals")
    assert [(row["order_number"], row["fault"]) for row in finding.witness] == [(number, fault)]


@pytest.mark.parametrize(
    ("change", "used", "usages"),
    [
        ("UPDATE coupon_allotments SET used = used + 1 WHERE region = 'us-east'", "2", "1"),
        ("UPDATE coupon_allotments SET used = 0 WHERE region = 'us-east'", "0", "1"),
        ("DELETE FROM coupon_allotments WHERE region = 'us-east'", "0", "1"),
        (
            "ALTER TABLE coupon_allotments DROP CONSTRAINT coupon_allotments_limit_check;"
            "UPDATE coupon_allotments SET allotted = 0 WHERE region = 'us-east'",
            "1",
            "1",
        ),
    ],
)
def test_a_coupon_counter_that_is_not_its_usages(shop, change, used, usages):
    shop.sql(change)
    [row] = only(shop, "coupon_uses").witness
    assert (row["region"], row["coupon_id"], row["used"], row["usages"]) == ("us-east", uid("spring"), used, usages)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE coupon_allotments SET allotted = 6 WHERE region = 'eu-west'",
        "UPDATE coupon_allotments SET allotted = NULL WHERE region = 'eu-west'",
        "UPDATE coupons SET usage_limit = 0",
    ],
)
def test_more_coupons_allotted_than_their_limit(shop, change):
    shop.sql(change)
    [row] = only(shop, "coupon_limits").witness
    assert (row["coupon_id"], row["code"]) == (uid("spring"), "SPRING")


def test_a_coupon_without_limit_may_be_allotted_without_limit(shop):
    shop.sql("UPDATE coupons SET usage_limit = NULL")
    shop.sql("UPDATE coupon_allotments SET allotted = NULL")
    assert failed(shop) == {}


@pytest.mark.parametrize("number", [0, 1])
def test_a_discount_that_no_coupon_gives(shop, number):
    bought = shop.bought[number]
    shop.sql(
        "UPDATE orders SET discount_amount = discount_amount + 1, total_amount = total_amount - 1 WHERE id = %s",
        bought.id,
    )
    [row] = only(shop, "discounts").witness
    assert row["order_number"] == bought.number


def test_a_declined_order_may_have_given_its_coupon_back(shop):
    shop.sql("DELETE FROM coupon_usages WHERE order_id = %s", shop.bought[0].id)
    shop.sql("UPDATE coupon_allotments SET used = 0")
    assert list(failed(shop)) == ["discounts"]
    shop.decline(shop.bought[0])
    assert failed(shop) == {}


def test_an_order_number_given_in_two_regions(shop):
    shop.set_order(shop.bought[1], order_number=shop.bought[0].number)
    [row] = only(shop, "order_numbers").witness
    assert (row["order_number"], row["orders"]) == ("ORD-confirmed", "2")
    assert {row["first_order_id"], row["last_order_id"]} == {bought.id for bought in shop.bought[:2]}


def test_an_idempotency_key_that_bought_in_two_regions(shop):
    shop.set_order(shop.bought[1], idempotency_key=shop.bought[0].key)
    [row] = only(shop, "idempotency_keys").witness
    assert row["idempotency_key"] == shop.bought[0].key


@pytest.mark.parametrize("column", ["email", "username"])
def test_an_account_in_two_regions_of_the_partitioned_variant(open_shop, column):
    shop = open_shop("pg_partitioned")
    shop.sql(f"UPDATE users SET {column} = 'O''Hara' WHERE region = ANY(%s::crdb_internal_region[])", list(REGIONS))
    [row] = only(shop, "accounts").witness
    assert (row["kind"], row["value"], row["users"]) == (column, "O'Hara", "2")


@pytest.mark.parametrize(
    ("status", "payment", "fulfillment"),
    [
        ("confirmed", "pending", "unfulfilled"),
        ("processing", "partial", "unfulfilled"),
        ("pending", "paid", "unfulfilled"),
        ("cancelled", "paid", "unfulfilled"),
        ("refunded", "paid", "fulfilled"),
        ("delivered", "failed", "fulfilled"),
        ("shipped", "paid", "partial"),
    ],
)
def test_a_status_that_the_payment_or_the_goods_do_not_bear_out(shop, status, payment, fulfillment):
    states = {"status": status, "payment_status": payment, "fulfillment_status": fulfillment}
    shop.set_order(shop.bought[1], **states)
    finding = failed(shop)["payment"]
    assert finding.violations == 1
    assert {name: finding.witness[0][name] for name in states} == states
    assert shop.sql(finding.look)[0][0] == "ORD-remote"


@pytest.mark.parametrize(
    ("status", "payment"),
    [("pending", "pending"), ("processing", "paid"), ("confirmed", "paid")],
)
def test_a_status_that_the_payment_bears_out(shop, status, payment):
    shop.set_order(shop.bought[1], status=status, payment_status=payment)
    assert failed(shop) == {}


def test_a_witness_is_small_and_the_count_is_whole(shop):
    for number in range(7):
        shop.order(f"n{number}", "us-east", ("shirt", "eu-west", 1))
    shop.sql("UPDATE orders SET tax_amount = tax_amount + 1")
    finding = only(shop, "order_totals")
    assert finding.violations == len(shop.bought) == 12
    assert len(finding.witness) == 3
