"""The logical schema as one value: every table, index, view, the sequence and the function."""

from bench.db.model import Index, Model, View

from .catalogue import (
    CATEGORIES,
    COUPON_ALLOTMENTS,
    COUPON_USAGES,
    COUPONS,
    PRODUCT_REVIEWS,
    PRODUCT_VARIANTS,
    PRODUCTS,
)
from .people import USER_ADDRESSES, USERS
from .sales import CART_ITEMS, ORDER_ITEMS, ORDERS, SHOPPING_CARTS
from .stock import INVENTORY, INVENTORY_MOVEMENTS, WAREHOUSES

VERSION = 1
"""Raised whenever the meaning of a table, a column or a key changes; a database says which version it holds."""

# Parents before children: also the order of loading.
TABLES = (
    CATEGORIES,
    PRODUCTS,
    PRODUCT_VARIANTS,
    WAREHOUSES,
    COUPONS,
    USERS,
    USER_ADDRESSES,
    INVENTORY,
    SHOPPING_CARTS,
    CART_ITEMS,
    ORDERS,
    ORDER_ITEMS,
    INVENTORY_MOVEMENTS,
    COUPON_ALLOTMENTS,
    COUPON_USAGES,
    PRODUCT_REVIEWS,
)

_ACTIVE = "status = 'active'"

# S14-S16 had status in the key as well; inside WHERE status = 'active' it is a constant, so the page order took its place.
SEED_INDEXES = (
    Index("idx_products_category_status", "products", "category_id, price, id", _ACTIVE, source="S14"),
    Index("idx_products_price_range", "products", "price, id", _ACTIVE, source="S15"),
    Index("idx_products_brand_status", "products", "brand, price, id", _ACTIVE, source="S16"),
    Index("idx_products_tags", "products", "tags", _ACTIVE, "GIN", source="S17"),
    Index("idx_products_search", "products", "search_vector", "", "GIN", source="S18"),
    Index("idx_orders_user_created", "orders", "user_id, created_at DESC", source="S19"),
    Index("idx_orders_status_created", "orders", "status, created_at DESC", is_time_ordered=True, source="S20"),
    Index("idx_orders_region_created", "orders", "region, created_at DESC", source="S21"),
    Index("idx_inventory_product_warehouse", "inventory", "product_id, warehouse_id", source="S22"),
    Index(
        "idx_inventory_low_stock",
        "inventory",
        "quantity_available",
        "quantity_available <= reorder_point",
        source="S23",
    ),
)

# The seed has no index under its foreign keys (neither database makes one) nor under its own clean-up statements.
ADDED_INDEXES = (
    Index("idx_categories_parent", "categories", "parent_id"),
    Index("idx_product_variants_product", "product_variants", "product_id"),
    Index("idx_user_addresses_user", "user_addresses", "region, user_id"),
    Index("idx_shopping_carts_user", "shopping_carts", "region, user_id"),
    Index("idx_shopping_carts_session", "shopping_carts", "region, session_id"),
    Index("idx_shopping_carts_expiry", "shopping_carts", "region, expires_at"),
    Index("idx_order_items_order", "order_items", "region, order_id"),
    Index("idx_inventory_movements_item", "inventory_movements", "region, inventory_id, created_at DESC"),
    Index("idx_inventory_movements_reference", "inventory_movements", "reference_id"),
    Index("idx_coupon_usages_order", "coupon_usages", "region, order_id"),
    Index("idx_product_reviews_product", "product_reviews", "product_id, created_at DESC", "is_approved"),
    Index("idx_product_reviews_user", "product_reviews", "region, user_id"),
    Index("idx_product_reviews_pending", "product_reviews", "region, created_at", "NOT is_approved"),
)

VIEWS = (
    View(
        "daily_sales_summary",
        """
        SELECT (created_at AT TIME ZONE 'UTC')::DATE AS sale_date, region, count(*) AS order_count,
               sum(total_amount) AS total_revenue, avg(total_amount) AS avg_order_value,
               count(*) FILTER (WHERE status = 'cancelled') AS cancelled_orders
          FROM orders
         WHERE created_at >= now() - INTERVAL '90 days'
         GROUP BY 1, 2
        """,
        ("sale_date", "region"),
        source="S24",
    ),
    View(
        "product_performance",
        # The filter on the order's status stands in ON: in WHERE it drops the products that were never ordered.
        """
        SELECT p.id AS product_id, p.name, p.category_id, count(o.id) AS times_ordered,
               COALESCE(sum(oi.quantity) FILTER (WHERE o.id IS NOT NULL), 0) AS total_quantity_sold,
               COALESCE(sum(oi.total_price) FILTER (WHERE o.id IS NOT NULL), 0) AS total_revenue,
               avg(oi.unit_price) FILTER (WHERE o.id IS NOT NULL) AS avg_selling_price
          FROM products p
          LEFT JOIN order_items oi ON oi.product_id = p.id
          LEFT JOIN orders o ON o.region = oi.region AND o.id = oi.order_id
                            AND o.status NOT IN ('cancelled', 'refunded')
         GROUP BY p.id, p.name, p.category_id
        """,
        ("product_id",),
        source="S25",
    ),
    View(
        "product_ratings",
        """
        SELECT product_id, count(*) AS review_count, avg(rating) AS avg_rating,
               count(*) FILTER (WHERE rating = 5) AS five_star_count,
               count(*) FILTER (WHERE rating = 4) AS four_star_count,
               count(*) FILTER (WHERE rating = 3) AS three_star_count,
               count(*) FILTER (WHERE rating = 2) AS two_star_count,
               count(*) FILTER (WHERE rating = 1) AS one_star_count
          FROM product_reviews
         WHERE is_approved
         GROUP BY product_id
        """,
        ("product_id",),
        source="S29",
    ),
)

# A large cache: without it each nextval of a region is a replicated write in the primary region (S39; [D:create-sequence]).
SEQUENCE = "CREATE SEQUENCE order_number_seq CACHE 1000"

# The region is in the number, so that it is unique within its region without asking the others; ten digits, because
# LPAD truncates what is longer; the day in UTC, not in the session's zone (S40).
FUNCTION = """
CREATE OR REPLACE FUNCTION generate_order_number(region_code TEXT) RETURNS VARCHAR(50) LANGUAGE plpgsql AS $$
BEGIN
  RETURN 'ORD-' || region_code || '-' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD') || '-'
         || lpad(nextval('order_number_seq')::TEXT, 10, '0');
END
$$
"""

MODEL = Model(VERSION, TABLES, SEED_INDEXES + ADDED_INDEXES, VIEWS, SEQUENCE, FUNCTION.strip())
