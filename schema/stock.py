"""Warehouses, inventory and its movements.  The region of an inventory row is its warehouse's."""

from bench.db.model import Check, ForeignKey, Table, Unique, columns

WAREHOUSES = Table(
    "warehouses",
    "global",
    # The seed's warehouse_id references nothing; without this table stock has no place.
    columns("""
        id          UUID NOT NULL DEFAULT gen_random_uuid()
        region      crdb_internal_region NOT NULL
        code        VARCHAR(20) NOT NULL
        name        VARCHAR(255) NOT NULL
        is_active   BOOLEAN NOT NULL DEFAULT true
        created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
    """),
    uniques=(Unique("warehouses_code_key", ("code",)),),
)

INVENTORY = Table(
    "inventory",
    "regional",
    columns("""
        region              crdb_internal_region NOT NULL
        id                  UUID NOT NULL DEFAULT gen_random_uuid()
        product_id          UUID NOT NULL
        variant_id          UUID
        variant_key         UUID NOT NULL GENERATED ALWAYS AS \
            (COALESCE(variant_id, '00000000-0000-0000-0000-000000000000'::UUID)) STORED
        warehouse_id        UUID NOT NULL
        quantity_available  BIGINT NOT NULL DEFAULT 0 CHECK (quantity_available >= 0)
        quantity_reserved   BIGINT NOT NULL DEFAULT 0 CHECK (quantity_reserved >= 0)
        quantity_incoming   BIGINT NOT NULL DEFAULT 0 CHECK (quantity_incoming >= 0)
        reorder_point       BIGINT NOT NULL DEFAULT 10
        reorder_quantity    BIGINT NOT NULL DEFAULT 50
        version             BIGINT NOT NULL DEFAULT 0
        last_updated        TIMESTAMPTZ NOT NULL DEFAULT now()
    """),
    uniques=(Unique("inventory_item_key", ("product_id", "variant_key", "warehouse_id"), True),),
    foreign_keys=(
        ForeignKey("inventory_product_fkey", ("product_id",), "products", None, "CASCADE"),
        ForeignKey("inventory_variant_fkey", ("variant_id",), "product_variants", None, "CASCADE"),
        ForeignKey("inventory_warehouse_fkey", ("warehouse_id",), "warehouses"),
    ),
    source="S7",
)

INVENTORY_MOVEMENTS = Table(
    "inventory_movements",
    "regional",
    # 'in', 'out' and 'adjustment' change what is stocked; 'reserved' and 'released' move it between the two quantities.
    columns("""
        region             crdb_internal_region NOT NULL
        id                 UUID NOT NULL DEFAULT gen_random_uuid()
        inventory_id       UUID NOT NULL
        movement_type      VARCHAR(20) NOT NULL
        quantity           BIGINT NOT NULL
        reference_type     VARCHAR(50)
        reference_region   crdb_internal_region
        reference_id       UUID
        reason             TEXT
        created_at         TIMESTAMPTZ NOT NULL DEFAULT now()
        created_by_region  crdb_internal_region
        created_by         UUID
    """),
    foreign_keys=(
        ForeignKey("inventory_movements_inventory_fkey", ("inventory_id",), "inventory", "region"),
        ForeignKey("inventory_movements_user_fkey", ("created_by",), "users", "created_by_region"),
    ),
    checks=(
        Check(
            "inventory_movements_type_check",
            "movement_type IN ('in', 'out', 'adjustment', 'reserved', 'released')",
        ),
        Check("inventory_movements_sign_check", "movement_type = 'adjustment' OR quantity > 0"),
    ),
    source="S8",
)
