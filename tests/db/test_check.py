"""``schema check`` names each difference, and nothing else."""

from collections.abc import Iterator
from datetime import date

import pytest

from bench.db.admin import Admin
from bench.db.check import differences
from bench.db.connection import connect
from bench.db.ddl import load_schema
from bench.target.embedded import EmbeddedServer

REGIONS = ("us-east", "eu-west")


@pytest.fixture(scope="module", params=["pg", "pg_partitioned"])
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def applied(server: EmbeddedServer, variant: str) -> Iterator[Admin]:
    """One database a variant; each test undoes what it does."""
    name = f"check_{variant}"
    with connect(server.url()) as connection:
        admin = Admin.of(connection, "postgres")
        admin.create_database(name)
        with connect(server.url(name)) as inside:
            made = Admin.of(inside, "postgres")
            made.apply(load_schema(variant, REGIONS, date(2026, 11, 1)))
            yield made
        admin.drop_database(name)


@pytest.fixture
def admin(applied: Admin) -> Iterator[Admin]:
    with applied.connection.transaction(force_rollback=True):
        yield applied


def found(admin: Admin, variant: str) -> list[str]:
    return differences(admin, load_schema(variant, REGIONS, date(2026, 11, 1)))


def test_a_schema_just_applied_agrees(admin: Admin, variant: str) -> None:
    assert found(admin, variant) == []


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("DROP INDEX idx_orders_user_created", "index idx_orders_user_created is missing"),
        ("CREATE INDEX mine ON orders (status)", "index mine on orders is not in the schema"),
        ("ALTER TABLE products DROP COLUMN metadata", "column products.metadata is missing"),
        ("ALTER TABLE products ADD COLUMN mine TEXT", "column products.mine is not in the schema"),
        ("ALTER TABLE users ALTER phone SET NOT NULL", "column users.phone refuses NULL"),
        ("ALTER TABLE users ALTER status DROP NOT NULL", "column users.status accepts NULL"),
        ("ALTER TABLE inventory ALTER version TYPE INT", "column inventory.version is integer, not bigint"),
        (
            "ALTER TABLE cart_items DROP CONSTRAINT cart_items_item_key",
            "key cart_items_item_key on cart_items is missing",
        ),
        (
            "ALTER TABLE order_items DROP CONSTRAINT order_items_order_fkey",
            "foreign key order_items_order_fkey on order_items is missing",
        ),
        (
            "ALTER TABLE coupons DROP CONSTRAINT coupons_period_check",
            "check coupons_period_check on coupons is missing",
        ),
        ("DROP MATERIALIZED VIEW product_ratings", "view product_ratings is missing"),
        ("DROP SEQUENCE order_number_seq", "sequence order_number_seq is missing"),
        ("DROP FUNCTION generate_order_number", "function generate_order_number is missing"),
        ("DROP TABLE product_reviews CASCADE", "table product_reviews is missing"),
    ],
)
def test_each_difference_is_named(admin: Admin, variant: str, change: str, difference: str) -> None:
    admin.connection.execute(change)
    assert difference in found(admin, variant)


def test_what_is_not_marked_is_not_ours(fresh_database: str) -> None:
    with connect(fresh_database) as connection:
        admin = Admin.of(connection, "postgres")
        assert not admin.is_marked()
        assert admin.meta() == {}
        admin.note({"state": "ready"})
        assert admin.meta() == {"state": "ready"}
        admin.note({"state": "loading"})
        assert admin.meta() == {"state": "loading"}


def test_dropping_leaves_nothing(admin: Admin, variant: str) -> None:
    admin.drop(load_schema(variant, REGIONS, date(2026, 11, 1)))
    left = admin.connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    ).fetchall()
    assert left == []
