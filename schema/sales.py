"""Carts and orders."""

from bench.db.model import Check, ForeignKey, Table, Unique, columns

SHOPPING_CARTS = Table(
    "shopping_carts",
    "regional",
    columns("""
        region      crdb_internal_region NOT NULL
        id          UUID NOT NULL DEFAULT gen_random_uuid()
        user_id     UUID
        session_id  VARCHAR(255)
        created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
        updated_at  TIMESTAMPTZ NOT NULL DEFAULT now()
        expires_at  TIMESTAMPTZ NOT NULL DEFAULT (now() + INTERVAL '30 days')
    """),
    foreign_keys=(ForeignKey("shopping_carts_user_fkey", ("user_id",), "users", "region", "CASCADE"),),
    checks=(Check("cart_user_or_session", "user_id IS NOT NULL OR session_id IS NOT NULL"),),
    source="S12",
)

CART_ITEMS = Table(
    "cart_items",
    "regional",
    columns("""
        region            crdb_internal_region NOT NULL
        id                UUID NOT NULL DEFAULT gen_random_uuid()
        cart_id           UUID NOT NULL
        product_id        UUID NOT NULL
        variant_id        UUID
        variant_key       UUID NOT NULL GENERATED ALWAYS AS \
            (COALESCE(variant_id, '00000000-0000-0000-0000-000000000000'::UUID)) STORED
        quantity          BIGINT NOT NULL CHECK (quantity > 0)
        unit_price        DECIMAL(10,2) NOT NULL CHECK (unit_price >= 0)
        price_updated_at  TIMESTAMPTZ NOT NULL DEFAULT now()
        reserved          BOOLEAN NOT NULL DEFAULT false
        warehouse_id      UUID
        added_at          TIMESTAMPTZ NOT NULL DEFAULT now()
    """),
    uniques=(Unique("cart_items_item_key", ("cart_id", "product_id", "variant_key"), True),),
    foreign_keys=(
        ForeignKey("cart_items_cart_fkey", ("cart_id",), "shopping_carts", "region", "CASCADE"),
        ForeignKey("cart_items_product_fkey", ("product_id",), "products"),
        ForeignKey("cart_items_variant_fkey", ("variant_id",), "product_variants"),
        ForeignKey("cart_items_warehouse_fkey", ("warehouse_id",), "warehouses"),
    ),
    checks=(Check("cart_items_reservation_check", "NOT reserved OR warehouse_id IS NOT NULL"),),
    source="S13 S36 S37",
)

ORDERS = Table(
    "orders",
    "regional",
    columns("""
        region              crdb_internal_region NOT NULL
        id                  UUID NOT NULL DEFAULT gen_random_uuid()
        order_number        VARCHAR(50) NOT NULL
        idempotency_key     UUID NOT NULL
        user_id             UUID NOT NULL
        status              VARCHAR(20) NOT NULL DEFAULT 'pending'
        currency            VARCHAR(3) NOT NULL DEFAULT 'USD'
        subtotal            DECIMAL(10,2) NOT NULL CHECK (subtotal >= 0)
        tax_amount          DECIMAL(10,2) NOT NULL DEFAULT 0 CHECK (tax_amount >= 0)
        shipping_amount     DECIMAL(10,2) NOT NULL DEFAULT 0 CHECK (shipping_amount >= 0)
        discount_amount     DECIMAL(10,2) NOT NULL DEFAULT 0 CHECK (discount_amount >= 0)
        total_amount        DECIMAL(10,2) NOT NULL CHECK (total_amount >= 0)
        shipping_address    JSONB NOT NULL
        billing_address     JSONB NOT NULL
        payment_status      VARCHAR(20) NOT NULL DEFAULT 'pending'
        fulfillment_status  VARCHAR(20) NOT NULL DEFAULT 'unfulfilled'
        notes               TEXT
        created_at          TIMESTAMPTZ NOT NULL DEFAULT now()
        updated_at          TIMESTAMPTZ NOT NULL DEFAULT now()
    """),
    uniques=(
        Unique("orders_order_number_key", ("order_number",)),
        Unique("orders_idempotency_key", ("idempotency_key",)),
    ),
    foreign_keys=(ForeignKey("orders_user_fkey", ("user_id",), "users", "region"),),
    checks=(
        Check(
            "orders_status_check",
            "status IN ('pending', 'confirmed', 'processing', 'shipped', 'delivered', 'cancelled', 'refunded')",
        ),
        Check("orders_payment_check", "payment_status IN ('pending', 'paid', 'failed', 'refunded', 'partial')"),
        Check("orders_fulfillment_check", "fulfillment_status IN ('unfulfilled', 'partial', 'fulfilled')"),
    ),
    source="S9 S10",
)

ORDER_ITEMS = Table(
    "order_items",
    "regional",
    columns("""
        region            crdb_internal_region NOT NULL
        id                UUID NOT NULL DEFAULT gen_random_uuid()
        order_id          UUID NOT NULL
        product_id        UUID NOT NULL
        variant_id        UUID
        warehouse_id      UUID
        quantity          BIGINT NOT NULL CHECK (quantity > 0)
        unit_price        DECIMAL(10,2) NOT NULL CHECK (unit_price >= 0)
        total_price       DECIMAL(10,2) NOT NULL CHECK (total_price >= 0)
        product_snapshot  JSONB NOT NULL
    """),
    foreign_keys=(
        ForeignKey("order_items_order_fkey", ("order_id",), "orders", "region", "CASCADE"),
        ForeignKey("order_items_product_fkey", ("product_id",), "products"),
        ForeignKey("order_items_variant_fkey", ("variant_id",), "product_variants"),
        ForeignKey("order_items_warehouse_fkey", ("warehouse_id",), "warehouses"),
    ),
    source="S11",
)
