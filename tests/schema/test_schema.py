"""The schema on real PostgreSQL, compared with the server's own catalogue; and what every variant promises on paper."""

import re
import uuid
from collections.abc import Iterator
from datetime import date

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests_support import drop_database

from bench.db.ddl import AFTER_LOAD, BEFORE_LOAD, STAGES, Schema, load_schema, source
from bench.errors import UsageError

REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
AS_OF = date(2026, 3, 15)
POSTGRES = ("pg", "pg_partitioned")
MODEL = source().MODEL
VARIANTS = tuple(source().VARIANTS)


def schema_of(variant: str, regions: tuple[str, ...] = REGIONS, as_of: date = AS_OF) -> Schema:
    return load_schema(variant, regions, as_of)


def create(url: str, schema: Schema) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for ddl in schema.statements:
            connection.execute(ddl.sql)


@pytest.fixture(scope="module", params=POSTGRES)
def built(request: pytest.FixtureRequest, pg_url: str) -> Iterator[tuple[Schema, str]]:
    """A variant and the URL of a database that holds it; tests roll back what they write."""
    schema, name = schema_of(request.param), f"test_schema_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute(schema.database.format(name=name))
    url = make_conninfo(pg_url, dbname=name)
    create(url, schema)
    yield schema, url
    with psycopg.connect(pg_url, autocommit=True) as connection:
        drop_database(connection, name)


@pytest.fixture
def schema(built: tuple[Schema, str]) -> Schema:
    return built[0]


@pytest.fixture
def connection(built: tuple[Schema, str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(built[1]) as opened:
        yield opened
        opened.rollback()


def pairs(connection: psycopg.Connection, query: str) -> dict:
    return {row[0]: row[1] if len(row) == 2 else row[1:] for row in connection.execute(query).fetchall()}


def names(connection: psycopg.Connection, query: str) -> set[str]:
    return {row[0] for row in connection.execute(query).fetchall()}


IN_PUBLIC = "relnamespace = 'public'::regnamespace"

# What the server calls the types of the model.
TYPE_NAMES = {
    "DECIMAL": "numeric",
    "VARCHAR": "character varying",
    "TIMESTAMPTZ": "timestamp with time zone",
}


def server_type(type_: str) -> str:
    for ours, theirs in TYPE_NAMES.items():
        type_ = type_.replace(ours, theirs)
    return type_.lower()


def test_every_table_is_there_and_no_other(schema, connection):
    found = names(
        connection, f"SELECT relname FROM pg_class WHERE {IN_PUBLIC} AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    assert found == {table.name for table in MODEL.tables}
    assert len(found) == 16


def test_every_column_has_its_type_nullability_and_default(schema, connection):
    for table in MODEL.tables:
        rows = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull, attgenerated = 's', atthasdef"
            "  FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            (table.name,),
        ).fetchall()
        key = next(columns for _, name, columns in schema.unique_keys if name == f"{table.name}_pkey")
        assert rows == [
            (
                column.name,
                server_type(column.type),
                column.is_nullable and column.name not in key,
                column.is_generated,
                "DEFAULT" in column.definition or column.is_generated,
            )
            for column in table.columns
        ]


def test_every_key_has_its_columns_in_order(schema, connection):
    found = connection.execute(
        "SELECT conrelid::regclass::text, conname, array(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY k (n, o)"
        "       JOIN pg_attribute ON attrelid = conrelid AND attnum = k.n ORDER BY k.o)"
        "  FROM pg_constraint WHERE contype IN ('p', 'u') AND conparentid = 0 AND connamespace = 'public'::regnamespace"
    ).fetchall()
    assert {(table, name, tuple(columns)) for table, name, columns in found} == set(schema.unique_keys)


def test_every_check_is_there(schema, connection):
    found = pairs(
        connection,
        "SELECT conname, conrelid::regclass::text FROM pg_constraint"
        " WHERE contype = 'c' AND coninhcount = 0 AND connamespace = 'public'::regnamespace",
    )
    named = {check.name: table.name for table in MODEL.tables for check in table.checks}
    unnamed = [(t.name, c.name) for t in MODEL.tables for c in t.columns if "CHECK" in c.definition]
    assert named.items() <= found.items()
    assert len(found) == len(named) + len(unnamed)


def test_every_foreign_key_is_there_with_the_region_where_both_sides_are_regional(schema, connection):
    found = pairs(
        connection,
        "SELECT conname, conrelid::regclass::text, confrelid::regclass::text, confdeltype = 'c',"
        "       array(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY k (n, o)"
        "             JOIN pg_attribute ON attrelid = conrelid AND attnum = k.n ORDER BY k.o),"
        "       array(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY k (n, o)"
        "             JOIN pg_attribute ON attrelid = confrelid AND attnum = k.n ORDER BY k.o)"
        "  FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND connamespace = 'public'::regnamespace",
    )
    regional = {table.name for table in MODEL.tables if table.is_regional}
    expected = {}
    for table in MODEL.tables:
        for key in table.foreign_keys:
            region = [key.region_column] if key.region_column else []
            assert bool(region) == (table.name in regional and key.target in regional), key.name
            target = [*(["region"] if region else []), *key.target_columns]
            expected[key.name] = (table.name, key.target, key.on_delete == "CASCADE", [*region, *key.columns], target)
    assert found == expected


def test_every_index_is_there_with_its_method_columns_and_predicate(schema, connection):
    found = pairs(connection, "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
    for index in MODEL.indexes:
        definition = found[index.name]
        assert (
            f" ON public.{index.table} USING {(index.method or 'btree').lower()} ({index.columns})"
            in definition.replace("ON ONLY", "ON")
        )
        assert (" WHERE " in definition) == bool(index.where), definition
    assert len(MODEL.indexes) == 23
    valid = names(connection, "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid OR NOT indisready")
    assert valid == set()


def test_every_view_is_there_and_can_be_refreshed_concurrently(schema, built):
    with psycopg.connect(built[1], autocommit=True) as connection:
        found = names(connection, "SELECT matviewname FROM pg_matviews WHERE schemaname = 'public'")
        assert (
            found
            == {view.name for view in MODEL.views}
            == {"daily_sales_summary", "product_performance", "product_ratings"}
        )
        for view in MODEL.views:
            # Refused by the server without a unique index on plain columns.
            connection.execute(f"REFRESH MATERIALIZED VIEW CONCURRENTLY {view.name}")


def test_sequence_type_and_function_are_there(schema, connection):
    assert pairs(connection, "SELECT sequencename, cache_size FROM pg_sequences") == {"order_number_seq": 1000}
    enum = connection.execute("SELECT enum_range(NULL::crdb_internal_region)::text[]").fetchone()
    assert enum == (list(REGIONS),)
    assert names(connection, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == {
        "generate_order_number"
    }


def test_order_numbers_carry_region_utc_day_and_ten_digits(schema, connection):
    connection.execute("SET LOCAL timezone = 'Pacific/Kiritimati'")
    connection.execute("SELECT setval('order_number_seq', 1234566)")
    [number, day] = connection.execute(
        "SELECT generate_order_number('us-east'), to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')"
    ).fetchone()
    assert number == f"ORD-us-east-{day}-0001234567"


@pytest.mark.parametrize("variant", POSTGRES)
def test_drops_leave_nothing_behind(fresh_database, variant):
    schema = schema_of(variant)
    left = (
        "SELECT count(*) FROM (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " UNION ALL SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " UNION ALL SELECT oid FROM pg_type WHERE typnamespace = 'public'::regnamespace) o"
    )
    create(fresh_database, schema)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        assert connection.execute(left).fetchone()[0] > 100
        for sql in schema.drops:
            connection.execute(sql)
        assert connection.execute(left).fetchone() == (0,)
        # And on a database without the schema, as after a drop that was cut short.
        for sql in schema.drops:
            connection.execute(sql)
    create(fresh_database, schema)


# --- rows


def insert(connection: psycopg.Connection, table: str, **values: object) -> str:
    columns, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    query = f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING tableoid::regclass::text"
    return connection.execute(query, list(values.values())).fetchone()[0]


def uid() -> str:
    return str(uuid.uuid4())


def user(connection: psycopg.Connection, region: str) -> tuple[str, str]:
    """A user's id, and the table that holds it."""
    id_ = uid()
    return id_, insert(connection, "users", region=region, id=id_, email=id_, username=id_, password_hash="x")


def order(connection: psycopg.Connection, region: str, buyer: str) -> tuple[str, str]:
    id_ = uid()
    values = {"order_number": id_, "idempotency_key": uid(), "user_id": buyer, "subtotal": 0, "total_amount": 0}
    return id_, insert(
        connection, "orders", region=region, id=id_, **values, shipping_address="{}", billing_address="{}"
    )


def product(connection: psycopg.Connection) -> str:
    id_ = uid()
    insert(connection, "products", id=id_, sku=id_, name="n", slug=id_, price=1)
    return id_


def inventory(connection: psycopg.Connection, region: str) -> dict[str, str]:
    row = {"region": region, "product_id": product(connection), "warehouse_id": uid()}
    insert(connection, "warehouses", id=row["warehouse_id"], region=region, code=uid()[:20], name="w")
    insert(connection, "inventory", id=(id_ := uid()), **row)
    return {"id": id_, **row}


@pytest.mark.parametrize("region", REGIONS)
def test_rows_lie_in_the_partition_of_their_region(schema, connection, region):
    buyer, users = user(connection, region)
    bought, orders = order(connection, region, buyer)
    line = {
        "product_id": product(connection),
        "quantity": 1,
        "unit_price": 1,
        "total_price": 1,
        "product_snapshot": "{}",
    }
    items = insert(connection, "order_items", region=region, order_id=bought, **line)
    suffix = f"_{region.replace('-', '_')}" if schema.variant == "pg_partitioned" else ""
    assert (users, orders, items) == (f"users{suffix}", f"orders{suffix}", f"order_items{suffix}")


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        ("2025-02-01 00:00Z", "202502"),
        ("2026-02-28 23:59:59.999999Z", "202602"),
        ("2026-03-01 00:00Z", "202603"),
        ("2026-05-31 12:00Z", "202605"),
        ("2025-01-31 23:59Z", "other"),
        ("2026-06-01 00:00Z", "other"),
    ],
)
def test_movements_lie_in_the_partition_of_their_region_and_month(schema, connection, moment, month):
    row = inventory(connection, "eu-west")
    place = insert(
        connection,
        "inventory_movements",
        region="eu-west",
        inventory_id=row["id"],
        movement_type="in",
        quantity=1,
        created_at=moment,
    )
    suffix = f"_eu_west_{month}" if schema.variant == "pg_partitioned" else ""
    assert place == f"inventory_movements{suffix}"


def test_partitions_are_those_of_the_variant(schema, connection):
    found = names(
        connection, f"SELECT relname FROM pg_class WHERE {IN_PUBLIC} AND relispartition AND relkind IN ('r', 'p')"
    )
    expected = {ddl.name for ddl in schema.statements if ddl.kind == "partition"}
    assert found == expected
    if schema.variant == "pg":
        assert found == set()
    else:
        # Five of each of six tables (four regions and the rest), and sixteen months and the rest of each of the movements'.
        assert len(found) == 5 * 6 + 5 * 17


@pytest.mark.parametrize("variant", POSTGRES)
def test_months_follow_the_day(variant):
    march, april = (schema_of(variant, as_of=date(2026, month, 1)).fingerprint for month in (3, 4))
    assert (march != april) == (variant == "pg_partitioned")


def test_stock_of_a_product_without_variants_is_one_row_per_warehouse(schema, connection):
    row = inventory(connection, "us-east")
    row.pop("id")
    with pytest.raises(psycopg.errors.UniqueViolation, match="inventory_item_key"):
        insert(connection, "inventory", **row)


def test_a_cart_holds_a_product_without_variants_once(schema, connection):
    insert(connection, "shopping_carts", region="us-east", id=(cart := uid()), session_id="s")
    line = {"region": "us-east", "cart_id": cart, "product_id": product(connection), "quantity": 1, "unit_price": 1}
    insert(connection, "cart_items", **line)
    with pytest.raises(psycopg.errors.UniqueViolation, match="cart_items_item_key"):
        insert(connection, "cart_items", **line)


def test_a_user_reviews_a_product_once_without_an_order(schema, connection):
    buyer, _ = user(connection, "us-east")
    review = {"region": "us-east", "product_id": product(connection), "user_id": buyer, "rating": 5}
    insert(connection, "product_reviews", **review)
    with pytest.raises(psycopg.errors.UniqueViolation, match="product_reviews_once_key"):
        insert(connection, "product_reviews", **review)


def test_an_order_belongs_to_a_user_of_its_region(schema, connection):
    buyer, _ = user(connection, "us-east")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="orders_user_fkey"):
        order(connection, "us-west", buyer)


def test_email_is_unique_everywhere_but_where_users_are_partitioned(schema, connection):
    """PostgreSQL wants the partition's column in every key; the audit's rule ``accounts`` stands in for it."""
    account = {"email": "a@example.com", "password_hash": "x"}
    insert(connection, "users", region="us-east", username="a", **account)
    if schema.variant == "pg_partitioned":
        insert(connection, "users", region="us-west", username="b", **account)
        region = "us-east"
    else:
        region = "us-west"
    with pytest.raises(psycopg.errors.UniqueViolation, match="email"):
        insert(connection, "users", region=region, username="c", **account)


def test_a_region_that_is_not_configured_is_refused(schema, connection):
    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="mars"):
        user(connection, "mars")


def test_a_product_never_ordered_is_in_the_performance_view(schema, connection):
    never = product(connection)
    connection.execute("REFRESH MATERIALIZED VIEW product_performance")
    row = connection.execute(
        "SELECT times_ordered, total_quantity_sold, total_revenue FROM product_performance WHERE product_id = %s",
        (never,),
    ).fetchone()
    assert row == (0, 0, 0)


# --- on paper, for every variant


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_regional_table_has_the_region_in_its_key(variant):
    schema = schema_of(variant)
    keys = {table: columns for table, name, columns in schema.unique_keys if name.endswith("_pkey")}
    regional = {table.name for table in MODEL.tables if table.is_regional}
    # The seed's keys are the point of one variant; the allotment is per region whatever the keys.
    expected = {"coupon_allotments"} if variant == "crdb_rbr_global_unique" else regional
    assert {table for table, columns in keys.items() if columns[0] == "region"} == expected
    for table in MODEL.tables:
        has_region = any(column.name == "region" and not column.is_nullable for column in table.columns)
        assert has_region or not table.is_regional


@pytest.mark.parametrize("variant", VARIANTS)
def test_stages_come_in_order_and_make_the_whole(variant):
    schema = schema_of(variant)
    order_ = [STAGES.index(ddl.stage) for ddl in schema.statements]
    assert order_ == sorted(order_)
    assert (*BEFORE_LOAD, *AFTER_LOAD) == STAGES
    assert sum(len(schema.stage(stage)) for stage in STAGES) == len(schema.statements)
    assert len({(ddl.kind, ddl.name, ddl.sql) for ddl in schema.statements}) == len(schema.statements)


def test_fingerprints_differ_between_variants_and_are_stable():
    fingerprints = [schema_of(variant).fingerprint for variant in VARIANTS]
    assert len(set(fingerprints)) == len(VARIANTS) == 6
    assert fingerprints == [schema_of(variant).fingerprint for variant in VARIANTS]
    assert all(re.fullmatch(r"[0-9a-f]{12}", fingerprint) for fingerprint in fingerprints)


@pytest.mark.parametrize("variant", VARIANTS)
def test_fingerprint_changes_with_the_regions_where_a_statement_names_them(variant):
    names_regions = any("us-west" in ddl.sql for ddl in schema_of(variant).statements)
    assert (schema_of(variant).fingerprint != schema_of(variant, REGIONS[:2]).fingerprint) == names_regions


@pytest.mark.parametrize("variant", VARIANTS)
def test_cockroach_clauses_are_in_cockroach_variants_only(variant):
    text = "\n".join(ddl.sql for ddl in schema_of(variant).statements)
    is_multi_region = variant.startswith("crdb_rbr")
    assert ("LOCALITY REGIONAL BY ROW" in text) == is_multi_region
    assert ("LOCALITY GLOBAL" in text) == is_multi_region
    assert ("USING HASH" in text) == is_multi_region
    assert ("CREATE TYPE crdb_internal_region" in text) != is_multi_region
    assert ("CONFIGURE ZONE" in text) == (variant == "crdb_partition_by")
    assert ("PARTITION OF users" in text) == (variant == "pg_partitioned")
    assert ("SURVIVE" in schema_of(variant).database) == is_multi_region


def test_an_unknown_variant_is_named_with_the_known_ones():
    with pytest.raises(UsageError, match="no schema variant named 'mysql'") as caught:
        load_schema("mysql", REGIONS, AS_OF)
    assert caught.value.hint == f"the variants are {', '.join(VARIANTS)}"
