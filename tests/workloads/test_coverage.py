"""Every table, view and index of the schema is used by a statement of the workloads, or a reason says why not."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bench.db.catalogue import Statement, read
from bench.db.ddl import load_schema

ROOT = Path(__file__).parents[2]
MODEL = load_schema("pg", ("us-east", "eu-west"), date(2026, 11, 1)).model

# What the planner is told not to do.  The data is tiny, so that it would read whole tables; what is looked for is which index
# could serve a statement, and each of these makes it take another that could.
SETTINGS: tuple[tuple[str, ...], ...] = (
    ("enable_seqscan",),
    ("enable_seqscan", "enable_sort"),
    ("enable_seqscan", "enable_indexscan", "enable_indexonlyscan"),
    ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"),
    ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin"),
)
CHILD = "the key of rows that are always found by what they belong to"
BY_SLUG = "keeps SKUs apart; shoppers come by the product's URL"
UNUSED = {
    "categories_pkey": "categories are found by slug or parent; the references of products need it",
    "coupon_usages_pkey": CHILD,
    "inventory_movements_pkey": CHILD,
    "order_items_pkey": CHILD,
    "product_reviews_once_key": "insert_review's ON CONFLICT goes by it, which no plan shows",
    "product_variants_sku_key": BY_SLUG,
    "products_sku_key": BY_SLUG,
}
"""Indexes that no statement of a workload reads, and what they are for all the same."""


@pytest.fixture(scope="module")
def statements() -> list[Statement]:
    return [found for found in read([ROOT / "workloads" / "sql"]) if found.serves("postgres")]


def indexes_used(url: str, statements: list[Statement]) -> Counter[str]:
    """The indexes of the statements' plans, made as for any parameters, and how often each is searched by a condition."""
    used: Counter[str] = Counter()
    # Not prepared, because a prepared EXPLAIN would ask for the statement's parameters.
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        for settings in SETTINGS:
            connection.execute("RESET ALL")
            for name in settings:
                connection.execute(f"SET {name} = off")
            used.update(planned(connection, statements))
        # Of 28 products any index on the active ones costs less than a GIN index; of 894 the planner takes that by itself.
        connection.execute("RESET ALL")
        with connection.transaction(force_rollback=True):
            for name in ("enable_seqscan", "enable_indexscan"):
                connection.execute(f"SET LOCAL {name} = off")
            for name in ("price_range", "brand_status", "category_status"):
                connection.execute(f"DROP INDEX idx_products_{name}")
            used.update(planned(connection, [statement for statement in statements if "tags @>" in statement.sql]))
    return used


def planned(connection: psycopg.Connection, statements: list[Statement]) -> Counter[str]:
    used: Counter[str] = Counter()
    for statement in statements:
        if not statement.sql.startswith("REFRESH"):
            row = connection.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {statement.numbered}").fetchone()
            assert row is not None
            for node in nodes(row[0][0]["Plan"]):
                if "Index Name" in node:
                    used[node["Index Name"]] += "Index Cond" in node
    return used


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def test_every_table_and_view_is_used(statements: list[Statement]) -> None:
    words = {word for statement in statements for word in re.findall(r"\w+", statement.sql)}
    names = {table.name for table in MODEL.tables} | {view.name for view in MODEL.views}
    assert len(names) == 19
    assert names - words == set()


def test_every_index_is_used_or_has_a_reason(shop: Any, statements: list[Statement]) -> None:
    rows = shop.rows("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'shopbench%'")
    known = {name for (name,) in rows}
    assert {index.name for index in MODEL.indexes} <= known
    used = indexes_used(shop.url, statements)
    assert known - used.keys() - set(UNUSED) == set()
    # A reason that has become untrue goes.  Where whole tables may not be read, an index read from end to end stands for one.
    assert {name for name in UNUSED if used[name]} == set()
    assert set(UNUSED) <= known


def test_an_index_that_nothing_uses_is_noticed(shop: Any, statements: list[Statement]) -> None:
    without = [found for found in statements if "product_reviews" in found.sql and found.name != "reviews_page"]
    assert len(without) > 3
    assert "idx_product_reviews_product" not in indexes_used(shop.url, without)
