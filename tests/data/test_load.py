"""A loaded database: its rows hold together, and each check sees the fault that it is for."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from bench.data.ledger import OPEN_DAYS
from bench.data.spec import row_counts
from bench.data.tally import Progress
from bench.db import bulk
from bench.db.ddl import Ddl, load_schema
from bench.db.journal import Journal
from bench.errors import TargetError

from .conftest import AS_OF, REGIONS, TINY, Loaded, checksums, fill

CLOSE = f"TIMESTAMPTZ '{AS_OF - timedelta(OPEN_DAYS)} 00:00+00'"
"""Orders placed before are settled, and their movements carried forward."""

# name: (query for the rows at fault, a statement that makes such a row)
CHECKS = {
    "stock equals its movements": (
        """
        SELECT v.id FROM inventory v LEFT JOIN (
            SELECT region, inventory_id,
                   sum(quantity) FILTER (WHERE movement_type IN ('in', 'adjustment')) AS stocked,
                   coalesce(sum(quantity) FILTER (WHERE movement_type = 'reserved'), 0) AS reserved,
                   coalesce(sum(quantity) FILTER (WHERE movement_type = 'released'), 0) AS released,
                   coalesce(sum(quantity) FILTER (WHERE movement_type = 'out'), 0) AS shipped
              FROM inventory_movements GROUP BY 1, 2
        ) m ON m.region = v.region AND m.inventory_id = v.id
        WHERE v.quantity_available IS DISTINCT FROM m.stocked - m.reserved + m.released
           OR v.quantity_reserved IS DISTINCT FROM m.reserved - m.released - m.shipped
        """,
        "UPDATE inventory SET quantity_reserved = quantity_reserved + 1 WHERE version = 2",
    ),
    "stock was never below zero": (
        """
        SELECT inventory_id FROM (
            SELECT inventory_id, sum(CASE movement_type WHEN 'reserved' THEN -quantity WHEN 'out' THEN 0 ELSE quantity END)
                                 OVER (PARTITION BY inventory_id ORDER BY created_at, id) AS level
              FROM inventory_movements) l
        WHERE level < 0
        """,
        "UPDATE inventory_movements SET created_at = created_at + interval '2 years' WHERE movement_type = 'in'",
    ),
    "reserved units were never below zero": (
        """
        SELECT inventory_id FROM (
            SELECT inventory_id, sum(CASE movement_type WHEN 'reserved' THEN quantity WHEN 'released' THEN -quantity
                                     WHEN 'out' THEN -quantity ELSE 0 END)
                                 OVER (PARTITION BY inventory_id ORDER BY created_at, id) AS level
              FROM inventory_movements) l
        WHERE level < 0
        """,
        f"UPDATE inventory_movements SET created_at = {CLOSE} WHERE movement_type = 'reserved' AND created_at < {CLOSE}",
    ),
    "one first delivery a row": (
        """
        SELECT v.id FROM inventory v LEFT JOIN inventory_movements m
            ON m.inventory_id = v.id AND m.movement_type = 'in' AND m.reference_type = 'purchase'
        GROUP BY v.id HAVING count(m.id) <> 1
        """,
        "DELETE FROM inventory_movements WHERE reference_type = 'purchase'",
    ),
    "lines of open orders have the movements of their order's status": (
        f"""
        SELECT o.id FROM orders o
          JOIN (SELECT order_id, sum(quantity) AS units FROM order_items GROUP BY 1) i ON i.order_id = o.id
          LEFT JOIN (
            SELECT reference_id, sum(quantity) FILTER (WHERE movement_type = 'reserved') AS reserved,
                   sum(quantity) FILTER (WHERE movement_type = 'out') AS shipped,
                   sum(quantity) FILTER (WHERE movement_type = 'released') AS released,
                   sum(quantity) FILTER (WHERE movement_type = 'in' AND reference_type = 'return') AS returned
              FROM inventory_movements GROUP BY 1) m ON m.reference_id = o.id
         WHERE o.created_at >= {CLOSE} AND (m.reserved IS DISTINCT FROM i.units
            OR m.shipped IS DISTINCT FROM CASE WHEN o.status IN ('shipped', 'delivered', 'refunded') THEN i.units END
            OR m.released IS DISTINCT FROM CASE WHEN o.status = 'cancelled' THEN i.units END
            OR m.returned IS DISTINCT FROM CASE WHEN o.status = 'refunded' THEN i.units END)
        """,
        "UPDATE orders SET status = 'cancelled' WHERE status = 'delivered'",
    ),
    "a line of an open order moves stock of its own item and warehouse": (
        f"""
        SELECT i.id FROM order_items i JOIN orders o ON o.region = i.region AND o.id = i.order_id LEFT JOIN inventory v
            ON v.product_id = i.product_id AND v.variant_id IS NOT DISTINCT FROM i.variant_id
           AND v.warehouse_id = i.warehouse_id
          LEFT JOIN inventory_movements m ON m.inventory_id = v.id AND m.region = v.region AND m.reference_id = i.order_id
                AND m.reference_region = i.region AND m.movement_type = 'reserved' AND m.quantity = i.quantity
        WHERE m.id IS NULL AND o.created_at >= {CLOSE}
        """,
        "UPDATE order_items SET quantity = quantity + 1",
    ),
    "settled orders have ended and no movements of their own": (
        f"""
        SELECT o.id FROM orders o LEFT JOIN inventory_movements m ON (m.reference_region, m.reference_id) = (o.region, o.id)
        WHERE o.created_at < {CLOSE} AND (m.id IS NOT NULL OR o.status NOT IN ('delivered', 'cancelled', 'refunded'))
        """,
        "UPDATE orders SET created_at = created_at - interval '30 days'",
    ),
    "what is carried forward is the sum over the lines of settled orders": (
        f"""
        WITH settled AS (
            SELECT v.region, v.id, o.status, i.quantity
              FROM order_items i JOIN orders o ON o.region = i.region AND o.id = i.order_id
              JOIN inventory v ON v.warehouse_id = i.warehouse_id AND v.product_id = i.product_id
                              AND v.variant_id IS NOT DISTINCT FROM i.variant_id
             WHERE o.created_at < {CLOSE}
        ), owed AS (
            SELECT s.region, s.id, t.type, t.reference, sum(s.quantity) AS units
              FROM settled s JOIN (VALUES ('reserved', 'order', NULL), ('out', 'order', 'delivered'),
                                          ('out', 'order', 'refunded'), ('released', 'order', 'cancelled'),
                                          ('in', 'return', 'refunded')) t (type, reference, status)
                ON s.status = coalesce(t.status, s.status)
             GROUP BY 1, 2, 3, 4
        ), carried AS (
            SELECT region, inventory_id AS id, movement_type AS type, reference_type AS reference, quantity AS units
              FROM inventory_movements WHERE reason = 'carried forward'
        )
        (TABLE owed EXCEPT ALL TABLE carried) UNION ALL (TABLE carried EXCEPT ALL TABLE owed)
        """,
        "DELETE FROM inventory_movements WHERE reason = 'carried forward' AND movement_type = 'in'",
    ),
    "what is carried forward lies before the close and names no order": (
        f"""
        SELECT id FROM inventory_movements
        WHERE reason = 'carried forward' AND (reference_id IS NOT NULL OR reference_region IS NOT NULL
              OR created_at NOT BETWEEN {CLOSE} - interval '4 microseconds' AND {CLOSE} - interval '1 microsecond')
        """,
        f"UPDATE inventory_movements SET created_at = {CLOSE} WHERE movement_type = 'in'",
    ),
    "totals add up to the cent": (
        """
        SELECT o.id FROM orders o LEFT JOIN (
            SELECT region, order_id, sum(total_price) AS items, bool_and(total_price = quantity * unit_price) AS exact
              FROM order_items GROUP BY 1, 2) i ON (i.region, i.order_id) = (o.region, o.id)
        WHERE o.subtotal IS DISTINCT FROM i.items OR NOT i.exact
           OR o.total_amount <> o.subtotal - o.discount_amount + o.tax_amount + o.shipping_amount
        """,
        "UPDATE order_items SET unit_price = unit_price + 0.01, total_price = total_price + 0.01 * quantity",
    ),
    "snapshots hold the price of the line": (
        """
        SELECT i.id FROM order_items i JOIN products p ON p.id = i.product_id
          LEFT JOIN product_variants v ON v.id = i.variant_id
        WHERE product_snapshot ->> 'name' <> p.name OR product_snapshot ->> 'sku' <> coalesce(v.sku, p.sku)
           OR (product_snapshot ->> 'price')::numeric <> i.unit_price OR jsonb_typeof(product_snapshot -> 'price') <> 'number'
        """,
        "UPDATE products SET name = name || '!'",
    ),
    "status, payment and fulfilment agree": (
        """
        SELECT id FROM orders WHERE (status, payment_status, fulfillment_status) NOT IN (
            ('pending', 'pending', 'unfulfilled'), ('confirmed', 'paid', 'unfulfilled'),
            ('processing', 'paid', 'unfulfilled'),
            ('shipped', 'paid', 'fulfilled'), ('delivered', 'paid', 'fulfilled'), ('cancelled', 'failed', 'unfulfilled'),
            ('cancelled', 'refunded', 'unfulfilled'), ('refunded', 'refunded', 'fulfilled'))
        """,
        "UPDATE orders SET payment_status = 'paid' WHERE status = 'cancelled'",
    ),
    "status agrees with age": (
        """
        SELECT id FROM orders WHERE (status = 'pending' AND created_at < DATE '2026-10-31' - interval '1 hour')
            OR (status IN ('confirmed', 'processing') AND created_at < DATE '2026-11-01' - interval '4 days')
            OR (status = 'shipped' AND created_at < DATE '2026-11-01' - interval '10 days')
            OR (status = 'delivered' AND created_at > DATE '2026-10-31')
            OR updated_at < created_at
        """,
        "UPDATE orders SET status = 'pending', payment_status = 'pending' WHERE created_at < DATE '2026-06-01'",
    ),
    "orders come after their user": (
        "SELECT o.id FROM orders o JOIN users u ON u.id = o.user_id WHERE o.created_at < u.created_at",
        "UPDATE users SET created_at = DATE '2026-12-01'",
    ),
    "order numbers name region and day": (
        """
        SELECT id FROM orders WHERE order_number !~ ('^ORD-' || region || '-'
            || to_char(created_at AT TIME ZONE 'UTC', 'YYYYMMDD') || '-[0-9]{10}$')
        """,
        "UPDATE orders SET created_at = created_at + interval '1 day'",
    ),
    "discounts are coupon uses": (
        """
        SELECT o.id FROM orders o FULL JOIN coupon_usages c ON (c.region, c.order_id) = (o.region, o.id)
        WHERE coalesce(c.discount_amount, 0) <> o.discount_amount OR c.user_id <> o.user_id OR c.used_at <> o.created_at
           OR (o.discount_amount > 0 AND c.id IS NULL)
        """,
        "UPDATE orders SET discount_amount = discount_amount + 1, total_amount = total_amount - 1 WHERE total_amount > 5",
    ),
    "coupons take off what their rules say": (
        """
        SELECT o.id FROM coupon_usages u JOIN coupons c ON c.id = u.coupon_id
          JOIN orders o ON (o.region, o.id) = (u.region, u.order_id)
        WHERE o.subtotal < c.minimum_amount OR NOT o.created_at BETWEEN c.valid_from AND c.valid_until
           OR u.discount_amount <> CASE c.type
                WHEN 'percentage' THEN least(floor(o.subtotal * c.value) / 100, coalesce(c.maximum_discount, 1e9))
                WHEN 'fixed' THEN least(c.value, o.subtotal) ELSE o.shipping_amount END
        """,
        "UPDATE coupons SET minimum_amount = 1e6",
    ),
    "allotments count the uses of their region": (
        """
        SELECT a.coupon_id FROM coupon_allotments a LEFT JOIN (
            SELECT region, coupon_id, count(*) AS uses FROM coupon_usages GROUP BY 1, 2) u USING (region, coupon_id)
        WHERE a.used <> coalesce(u.uses, 0)
        """,
        "DELETE FROM coupon_usages",
    ),
    "allotments stay within the limit": (
        """
        SELECT c.id FROM coupons c LEFT JOIN coupon_allotments a ON a.coupon_id = c.id GROUP BY c.id
        HAVING count(a.coupon_id) <> 4 OR sum(a.allotted) > c.usage_limit
            OR (c.usage_limit IS NULL) <> (count(a.allotted) = 0)
        """,
        "UPDATE coupons SET usage_limit = usage_limit - 1 WHERE usage_limit > 0",
    ),
    "reserved cart lines are open users' and held in their region": (
        """
        SELECT i.id FROM cart_items i JOIN shopping_carts c ON (c.region, c.id) = (i.region, i.cart_id)
          LEFT JOIN warehouses w ON w.id = i.warehouse_id
          LEFT JOIN inventory v ON v.warehouse_id = w.id AND v.product_id = i.product_id
                               AND v.variant_id IS NOT DISTINCT FROM i.variant_id
          LEFT JOIN inventory_movements m ON m.inventory_id = v.id AND m.reference_id = c.id AND m.reference_type = 'cart'
                                         AND m.reference_region = c.region AND m.quantity = i.quantity
        WHERE i.reserved AND (c.user_id IS NULL OR c.expires_at < DATE '2026-12-01' OR w.region <> c.region OR m.id IS NULL)
           OR i.reserved <> (i.warehouse_id IS NOT NULL)
        """,
        "UPDATE shopping_carts SET user_id = NULL, session_id = 'x'",
    ),
    "carts are of one kind": (
        """
        SELECT id FROM shopping_carts WHERE (user_id IS NULL) = (session_id IS NULL) OR updated_at < created_at
            OR expires_at - created_at < interval '30 days' OR expires_at > DATE '2026-11-01' + interval '60 days'
        """,
        "UPDATE shopping_carts SET session_id = 'x'",
    ),
    "verified reviews are of a delivered purchase": (
        """
        SELECT r.id FROM product_reviews r
          LEFT JOIN orders o ON (o.region, o.id, o.user_id) = (r.region, r.order_id, r.user_id)
          LEFT JOIN order_items i ON (i.region, i.order_id, i.product_id) = (o.region, o.id, r.product_id)
        WHERE r.is_verified <> (r.order_id IS NOT NULL)
           OR r.is_verified AND (i.id IS NULL OR o.status <> 'delivered' OR r.created_at < o.updated_at)
        """,
        "UPDATE product_reviews SET is_verified = NOT is_verified",
    ),
    "prices override or inherit": (
        """
        SELECT p.id FROM products p WHERE compare_price <= price OR cost_price >= price
        UNION ALL SELECT id FROM product_variants WHERE compare_price <= price
        """,
        "UPDATE products SET compare_price = price",
    ),
    "phones fit": ("SELECT id FROM users WHERE phone !~ '^[+][0-9 ]{9,19}$'", "UPDATE users SET phone = 'none'"),
    "categories form a tree of three levels": (
        """
        SELECT c.id FROM categories c LEFT JOIN categories p ON p.id = c.parent_id
          LEFT JOIN categories r ON r.id = p.parent_id
        WHERE r.parent_id IS NOT NULL
        UNION ALL SELECT q.id FROM products q JOIN categories c ON c.id = q.category_id
          LEFT JOIN categories p ON p.id = c.parent_id WHERE p.parent_id IS NULL
        """,
        "UPDATE categories SET parent_id = NULL",
    ),
}
TIMES = (
    ("orders", "created_at"),
    ("orders", "updated_at"),
    ("users", "updated_at"),
    ("products", "updated_at"),
    ("inventory", "last_updated"),
    ("inventory_movements", "created_at"),
    ("shopping_carts", "updated_at"),
    ("cart_items", "added_at"),
    ("coupon_usages", "used_at"),
    ("product_reviews", "created_at"),
)


@pytest.mark.parametrize("check", CHECKS)
def test_rows_hold_together(tiny: Loaded, check: str):
    assert tiny.rows(CHECKS[check][0]) == []


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_sees_its_fault(copy_of_tiny: str, check: str):
    query, fault = CHECKS[check]
    with psycopg.connect(copy_of_tiny) as connection:
        assert connection.execute(fault).rowcount > 0
        assert connection.execute(query).fetchall() != []
        connection.rollback()


def test_every_constraint_and_index_is_there_and_valid(tiny: Loaded):
    schema = load_schema("pg", REGIONS, AS_OF)
    made = {name for (name,) in tiny.rows("SELECT conname FROM pg_constraint WHERE convalidated")}
    made |= {name for (name,) in tiny.rows("SELECT relname FROM pg_class WHERE relkind IN ('i', 'm')")}
    wanted = {ddl.name for ddl in schema.statements if ddl.stage in ("keys", "indexes", "foreign_keys", "views")}
    assert wanted <= made


def test_rows_are_counted_as_loaded(tiny: Loaded):
    for table, count in tiny.report.rows.items():
        assert tiny.value(f"SELECT count(*) FROM {table}") == count, table
    assert set(tiny.report.rows) == set(row_counts(TINY))


def test_every_region_has_its_rows(tiny: Loaded):
    for table in load_schema("pg", REGIONS, AS_OF).model.tables:
        if table.is_regional or table.name == "warehouses":
            assert {r for (r,) in tiny.rows(f"SELECT DISTINCT region::text FROM {table.name}")} == set(REGIONS), (
                table.name
            )


def test_inventory_is_every_item_in_every_warehouse(tiny: Loaded):
    items = "(SELECT count(*) FROM products p LEFT JOIN product_variants v ON v.product_id = p.id)"
    assert tiny.value(f"SELECT (SELECT count(*) FROM inventory) - {items} * (SELECT count(*) FROM warehouses)") == 0
    assert (
        tiny.value(
            "SELECT count(*) FROM inventory v JOIN warehouses w ON w.id = v.warehouse_id WHERE v.region <> w.region"
        )
        == 0
    )


@pytest.mark.parametrize(("table", "column"), TIMES)
def test_nothing_happens_after_the_data_ends(tiny: Loaded, table: str, column: str):
    end = datetime(2026, 11, 1, tzinfo=UTC)
    first, last = tiny.rows(f"SELECT min({column}), max({column}) FROM {table}")[0]
    assert last < end
    if (table, column) == ("orders", "created_at"):
        assert end - timedelta(days=366) < first < end - timedelta(days=360)


def test_coupons_are_valid_expired_and_exhausted(tiny: Loaded):
    end = "TIMESTAMPTZ '2026-11-01 00:00+00'"
    assert tiny.value(f"SELECT max(valid_until) = {end} + interval '1 year' FROM coupons")
    assert tiny.value(
        f"SELECT count(*) FILTER (WHERE valid_until > {end})::float / count(*) FROM coupons"
    ) == pytest.approx(0.7, abs=0.1)
    used = "(SELECT sum(used) FROM coupon_allotments a WHERE a.coupon_id = c.id)"
    assert tiny.value(f"SELECT count(*) FROM coupons c WHERE usage_limit = {used} AND valid_until > {end}") >= 4


def test_the_sequence_goes_on_after_the_orders(tiny: Loaded):
    last = tiny.value("SELECT max(right(order_number, 10))::bigint FROM orders")
    assert tiny.value("SELECT nextval('order_number_seq')") > last


def test_statistics_and_visibility_are_set(tiny: Loaded):
    """Every page that has rows is visible to all; two connections that extend a table also leave pages without."""
    for table in tiny.report.rows:
        of_table = f"relname = '{table}' AND relnamespace = 'public'::regnamespace"
        rows, visible = tiny.rows(f"SELECT reltuples, relallvisible FROM pg_class WHERE {of_table}")[0]
        assert rows == tiny.report.rows[table]
        assert visible >= tiny.value(f"SELECT count(DISTINCT (ctid::text::point)[0]) FROM {table}"), table


def test_full_text_search_finds_products_by_what_they_are(tiny: Loaded):
    name = tiny.value("SELECT name FROM products ORDER BY sku LIMIT 1")
    found = tiny.rows(f"SELECT name FROM products WHERE search_vector @@ plainto_tsquery('english', '{name}')")
    assert (name,) in found
    noun = name.rsplit(" ", 1)[1]
    many = tiny.rows(f"SELECT name FROM products WHERE search_vector @@ plainto_tsquery('english', '{noun}')")
    assert len(found) <= len(many) < tiny.report.rows["products"]


def test_progress_tells_of_every_table_and_phase(tiny: Loaded):
    assert {p.name for p in tiny.progress if p.phase == "copy"} == set(tiny.report.rows)
    assert {p.phase for p in tiny.progress} == {
        *("schema", "copy", "keys", "indexes", "foreign_keys", "views", "checksums"),
    }
    for table, rows in tiny.report.rows.items():
        sent = [(p.done, p.bytes) for p in tiny.progress if p.phase == "copy" and p.name == table]
        assert sent == sorted(sent)
        assert sent[-1][0] == rows
    assert isinstance(tiny.progress[0], Progress)


@pytest.mark.usefixtures("as_text")
def test_text_loads_the_same_rows_as_binary(tiny: Loaded, fresh_database: str):
    fill(fresh_database, TINY, connections=1)
    assert checksums(fresh_database) == checksums(tiny.url)


def test_the_partitioned_variant_holds_the_same_rows(tiny: Loaded, fresh_database: str):
    fill(fresh_database, TINY, "pg_partitioned", connections=3)
    assert checksums(fresh_database) == checksums(tiny.url)
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM orders_default").fetchone() == (0,)


def test_the_checksum_sees_one_changed_cell(tiny: Loaded, copy_of_tiny: str):
    statements = dict(load_schema("pg", REGIONS, AS_OF).checksums)
    with psycopg.connect(copy_of_tiny, autocommit=True) as connection:
        for table, found in tiny.report.checksums.items():
            assert bulk.checksum(connection, table, statements[table]) == found
        with connection.transaction(force_rollback=True):
            connection.execute("UPDATE users SET phone = '+1 555' WHERE email = (SELECT min(email) FROM users)")
            assert bulk.checksum(connection, "users", statements["users"]) != tiny.report.checksums["users"]


def test_a_load_into_tables_that_are_there_is_refused_with_a_reason(copy_of_tiny: str):
    with psycopg.connect(copy_of_tiny, autocommit=True) as connection:
        Journal.of(connection, "postgres").drop()
    with pytest.raises(TargetError) as caught:
        fill(copy_of_tiny, TINY)
    assert "crdb_internal_region" in caught.value.message
    assert "already exists" in str(caught.value.cause)


def test_a_failing_statement_is_named(tiny: Loaded):
    with psycopg.connect(tiny.url, autocommit=True) as connection, pytest.raises(TargetError, match="index nope"):
        bulk.apply(connection, Ddl("indexes", "index", "nope", "users", "CREATE INDEX nope ON users (nothing)"))
