"""Users and their addresses."""

from bench.db.model import Check, ForeignKey, Table, Unique, columns

USERS = Table(
    "users",
    "regional",
    columns("""
        region         crdb_internal_region NOT NULL
        id             UUID NOT NULL DEFAULT gen_random_uuid()
        email          VARCHAR(255) NOT NULL
        username       VARCHAR(100) NOT NULL
        password_hash  VARCHAR(255) NOT NULL
        first_name     VARCHAR(100)
        last_name      VARCHAR(100)
        phone          VARCHAR(20)
        status         VARCHAR(20) NOT NULL DEFAULT 'active'
        created_at     TIMESTAMPTZ NOT NULL DEFAULT now()
        updated_at     TIMESTAMPTZ NOT NULL DEFAULT now()
    """),
    uniques=(Unique("users_email_key", ("email",)), Unique("users_username_key", ("username",))),
    checks=(Check("users_status_check", "status IN ('active', 'inactive', 'suspended')"),),
    source="S1 S2",
)

USER_ADDRESSES = Table(
    "user_addresses",
    "regional",
    columns("""
        region          crdb_internal_region NOT NULL
        id              UUID NOT NULL DEFAULT gen_random_uuid()
        user_id         UUID NOT NULL
        address_type    VARCHAR(20) NOT NULL DEFAULT 'shipping'
        street_address  VARCHAR(255) NOT NULL
        city            VARCHAR(100) NOT NULL
        state           VARCHAR(100)
        postal_code     VARCHAR(20)
        country         VARCHAR(100) NOT NULL
        is_default      BOOLEAN NOT NULL DEFAULT false
        created_at      TIMESTAMPTZ NOT NULL DEFAULT now()
    """),
    foreign_keys=(ForeignKey("user_addresses_user_fkey", ("user_id",), "users", "region", "CASCADE"),),
    checks=(Check("user_addresses_type_check", "address_type IN ('shipping', 'billing')"),),
    source="S3",
)
