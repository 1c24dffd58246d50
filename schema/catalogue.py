"""What the shop sells: categories, products, variants, coupons, reviews."""

from bench.db.model import Check, ForeignKey, Table, Unique, columns

CATEGORIES = Table(
    "categories",
    "global",
    columns("""
        id           UUID NOT NULL DEFAULT gen_random_uuid()
        parent_id    UUID
        name         VARCHAR(255) NOT NULL
        slug         VARCHAR(255) NOT NULL
        description  TEXT
        image_url    VARCHAR(500)
        sort_order   BIGINT NOT NULL DEFAULT 0
        is_active    BOOLEAN NOT NULL DEFAULT true
        created_at   TIMESTAMPTZ NOT NULL DEFAULT now()
    """),
    uniques=(Unique("categories_slug_key", ("slug",)),),
    foreign_keys=(ForeignKey("categories_parent_fkey", ("parent_id",), "categories"),),
    source="S4",
)

PRODUCTS = Table(
    "products",
    "global",
    columns("""
        id                 UUID NOT NULL DEFAULT gen_random_uuid()
        sku                VARCHAR(100) NOT NULL
        name               VARCHAR(255) NOT NULL
        slug               VARCHAR(255) NOT NULL
        description        TEXT
        short_description  TEXT
        price              DECIMAL(10,2) NOT NULL CHECK (price >= 0)
        compare_price      DECIMAL(10,2) CHECK (compare_price >= 0)
        cost_price         DECIMAL(10,2) CHECK (cost_price >= 0)
        weight             DECIMAL(8,2) NOT NULL DEFAULT 0
        dimensions         JSONB
        category_id        UUID
        brand              VARCHAR(100)
        status             VARCHAR(20) NOT NULL DEFAULT 'active'
        is_digital         BOOLEAN NOT NULL DEFAULT false
        requires_shipping  BOOLEAN NOT NULL DEFAULT true
        tags               VARCHAR(255)[]
        metadata           JSONB
        created_at         TIMESTAMPTZ NOT NULL DEFAULT now()
        updated_at         TIMESTAMPTZ NOT NULL DEFAULT now()
        search_vector      TSVECTOR GENERATED ALWAYS AS \
            (to_tsvector('english', name || ' ' || COALESCE(description, ''))) STORED
    """),
    uniques=(Unique("products_sku_key", ("sku",)), Unique("products_slug_key", ("slug",))),
    foreign_keys=(ForeignKey("products_category_fkey", ("category_id",), "categories"),),
    checks=(Check("products_status_check", "status IN ('active', 'inactive', 'discontinued')"),),
    source="S5",
)

PRODUCT_VARIANTS = Table(
    "product_variants",
    "global",
    columns("""
        id             UUID NOT NULL DEFAULT gen_random_uuid()
        product_id     UUID NOT NULL
        sku            VARCHAR(100) NOT NULL
        name           VARCHAR(255) NOT NULL
        price          DECIMAL(10,2) CHECK (price >= 0)
        compare_price  DECIMAL(10,2) CHECK (compare_price >= 0)
        attributes     JSONB NOT NULL
        image_url      VARCHAR(500)
        sort_order     BIGINT NOT NULL DEFAULT 0
        is_active      BOOLEAN NOT NULL DEFAULT true
        created_at     TIMESTAMPTZ NOT NULL DEFAULT now()
    """),
    uniques=(Unique("product_variants_sku_key", ("sku",)),),
    foreign_keys=(ForeignKey("product_variants_product_fkey", ("product_id",), "products", None, "CASCADE"),),
    source="S6",
)

COUPONS = Table(
    "coupons",
    "global",
    columns("""
        id                UUID NOT NULL DEFAULT gen_random_uuid()
        code              VARCHAR(50) NOT NULL
        type              VARCHAR(20) NOT NULL
        value             DECIMAL(10,2) NOT NULL CHECK (value >= 0)
        minimum_amount    DECIMAL(10,2) NOT NULL DEFAULT 0
        maximum_discount  DECIMAL(10,2)
        usage_limit       BIGINT CHECK (usage_limit >= 0)
        valid_from        TIMESTAMPTZ NOT NULL
        valid_until       TIMESTAMPTZ NOT NULL
        is_active         BOOLEAN NOT NULL DEFAULT true
        created_at        TIMESTAMPTZ NOT NULL DEFAULT now()
    """),
    uniques=(Unique("coupons_code_key", ("code",)),),
    checks=(
        Check("coupons_type_check", "type IN ('percentage', 'fixed', 'free_shipping')"),
        Check("coupons_percentage_check", "type <> 'percentage' OR value <= 100"),
        Check("coupons_period_check", "valid_from < valid_until"),
    ),
    source="S26",
)

COUPON_ALLOTMENTS = Table(
    "coupon_allotments",
    "regional",
    # One counter a region: the seed's single usage_count row would be a hot row that every region waits for.
    columns("""
        region     crdb_internal_region NOT NULL
        coupon_id  UUID NOT NULL
        allotted   BIGINT CHECK (allotted >= 0)
        used       BIGINT NOT NULL DEFAULT 0 CHECK (used >= 0)
    """),
    key=("region", "coupon_id"),
    foreign_keys=(ForeignKey("coupon_allotments_coupon_fkey", ("coupon_id",), "coupons"),),
    checks=(Check("coupon_allotments_limit_check", "allotted IS NULL OR used <= allotted"),),
    source="S26",
)

COUPON_USAGES = Table(
    "coupon_usages",
    "regional",
    columns("""
        region           crdb_internal_region NOT NULL
        id               UUID NOT NULL DEFAULT gen_random_uuid()
        coupon_id        UUID NOT NULL
        order_id         UUID NOT NULL
        user_id          UUID NOT NULL
        discount_amount  DECIMAL(10,2) NOT NULL CHECK (discount_amount >= 0)
        used_at          TIMESTAMPTZ NOT NULL DEFAULT now()
    """),
    uniques=(
        Unique("coupon_usages_order_key", ("coupon_id", "order_id")),
        Unique("coupon_usages_user_key", ("coupon_id", "user_id")),
    ),
    foreign_keys=(
        ForeignKey("coupon_usages_coupon_fkey", ("coupon_id",), "coupons"),
        ForeignKey("coupon_usages_order_fkey", ("order_id",), "orders", "region"),
        ForeignKey("coupon_usages_user_fkey", ("user_id",), "users", "region"),
    ),
    source="S27",
)

PRODUCT_REVIEWS = Table(
    "product_reviews",
    "regional",
    columns("""
        region         crdb_internal_region NOT NULL
        id             UUID NOT NULL DEFAULT gen_random_uuid()
        product_id     UUID NOT NULL
        user_id        UUID NOT NULL
        order_id       UUID
        order_key      UUID NOT NULL GENERATED ALWAYS AS \
            (COALESCE(order_id, '00000000-0000-0000-0000-000000000000'::UUID)) STORED
        rating         BIGINT NOT NULL CHECK (rating >= 1 AND rating <= 5)
        title          VARCHAR(255)
        review_text    TEXT
        is_verified    BOOLEAN NOT NULL DEFAULT false
        is_approved    BOOLEAN NOT NULL DEFAULT false
        helpful_count  BIGINT NOT NULL DEFAULT 0
        created_at     TIMESTAMPTZ NOT NULL DEFAULT now()
        updated_at     TIMESTAMPTZ NOT NULL DEFAULT now()
    """),
    uniques=(Unique("product_reviews_once_key", ("product_id", "user_id", "order_key")),),
    foreign_keys=(
        ForeignKey("product_reviews_product_fkey", ("product_id",), "products", None, "CASCADE"),
        ForeignKey("product_reviews_user_fkey", ("user_id",), "users", "region"),
        ForeignKey("product_reviews_order_fkey", ("order_id",), "orders", "region"),
    ),
    source="S28",
)
