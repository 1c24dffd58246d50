"""A small shop whose books are right, written as the workloads write it, and the hands to spoil it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import NAMESPACE_OID, uuid5

import psycopg

from bench.db.catalogue import Catalogue, read_package
from bench.db.ddl import load_schema
from bench.metrics.frame import JournalEntry, Taken

REGIONS = ("us-east", "eu-west")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TAG = "aabbccddeeff"
NO_VARIANT = "00000000-0000-0000-0000-000000000000"
PRICE = Decimal("19.90")
TAX, SHIPPING = Decimal("1.60"), Decimal("4.00")


def uid(name: str) -> str:
    """The same UUID for the same name, always."""
    return str(uuid5(NAMESPACE_OID, name))


def key(name: str) -> str:
    """An idempotency key of the run."""
    return uid(name)[:24] + TAG


def create_schema(url: str, variant: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for ddl in load_schema(variant, REGIONS, START.date()).statements:
            connection.execute(ddl.sql)


@dataclass(frozen=True)
class Bought:
    """An order as it was placed."""

    region: str
    id: str
    number: str
    key: str
    total: Decimal
    lines: tuple[tuple[str, str, int], ...]
    """(product, region of the warehouse, units)"""


@dataclass
class Shop:
    """Writes through one connection, whose transaction the test rolls back."""

    connection: psycopg.Connection
    bought: list[Bought] = field(default_factory=list)
    clock: datetime = START

    def sql(self, text: str, *values: object) -> list[tuple]:
        cursor = self.connection.execute(text, values or None)
        return cursor.fetchall() if cursor.description else []

    def tick(self) -> datetime:
        self.clock += timedelta(seconds=1)
        return self.clock

    def open(self) -> "Shop":
        """Two products (one with a variant) in two warehouses, two users, a coupon."""
        for name in ("lamp", "shirt"):
            values = (uid(name), name, name, name, PRICE)
            self.sql("INSERT INTO products (id, sku, name, slug, price) VALUES (%s, %s, %s, %s, %s)", *values)
        self.sql(
            "INSERT INTO product_variants (id, product_id, sku, name, attributes) VALUES (%s, %s, 'shirt-m', 'M', '{}')",
            uid("shirt-m"),
            uid("shirt"),
        )
        period = (START, START + timedelta(days=30))
        self.sql(
            "INSERT INTO coupons (id, code, type, value, usage_limit, valid_from, valid_until)"
            " VALUES (%s, 'SPRING', 'fixed', 5, 10, %s, %s)",
            uid("spring"),
            *period,
        )
        for region in REGIONS:
            self._open_region(region)
        return self

    def _open_region(self, region: str) -> None:
        warehouse = uid(f"warehouse {region}")
        self.sql("INSERT INTO warehouses (id, region, code, name) VALUES (%s, %s, %s, 'W')", warehouse, region, region)
        self.sql(
            "INSERT INTO users (region, id, email, username, password_hash) VALUES (%s, %s, %s, %s, 'x')",
            region,
            uid(f"user {region}"),
            f"{region}@example.com",
            region,
        )
        self.sql("INSERT INTO coupon_allotments VALUES (%s, %s, 5, 0)", region, uid("spring"))
        for product, variant in (("lamp", None), ("shirt", uid("shirt-m"))):
            inventory = uid(f"{product} {region}")
            self.sql(
                "INSERT INTO inventory (region, id, product_id, variant_id, warehouse_id) VALUES (%s, %s, %s, %s, %s)",
                region,
                inventory,
                uid(product),
                variant,
                warehouse,
            )
            self.move(product, region, "in", 12, available=12, reference=("purchase", None, None))
            self.move(product, region, "adjustment", -2, available=-2, reference=("adjustment", None, None))

    def move(
        self,
        product: str,
        region: str,
        kind: str,
        units: int,
        available: int = 0,
        reserved: int = 0,
        reference: tuple[str | None, str | None, str | None] = (None, None, None),
    ) -> None:
        """A movement and what it does to the inventory row."""
        inventory = uid(f"{product} {region}")
        self.sql(
            "UPDATE inventory SET quantity_available = quantity_available + %s, quantity_reserved = quantity_reserved + %s"
            " WHERE region = %s AND id = %s",
            available,
            reserved,
            region,
            inventory,
        )
        self.record(product, region, kind, units, reference)

    def record(self, product: str, region: str, kind: str, units: int, reference: Sequence[str | None]) -> None:
        """A movement alone."""
        self.sql(
            "INSERT INTO inventory_movements (region, inventory_id, movement_type, quantity, reference_type,"
            " reference_region, reference_id, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            region,
            uid(f"{product} {region}"),
            kind,
            units,
            *reference,
            self.tick(),
        )

    def order(
        self,
        name: str,
        region: str,
        *lines: tuple[str, str, int],
        discount: Decimal = Decimal(0),
        takes_stock: bool = True,
    ) -> Bought:
        """A paid order of (product, region of the warehouse, units) lines, with everything that goes with it."""
        subtotal = sum((PRICE * units for _, _, units in lines), Decimal(0))
        total = subtotal - discount + TAX + SHIPPING
        bought = Bought(region, uid(f"order {name}"), f"ORD-{name}", key(name), total, lines)
        self.sql(
            "INSERT INTO orders (region, id, order_number, idempotency_key, user_id, status, payment_status, subtotal,"
            " tax_amount, shipping_amount, discount_amount, total_amount, shipping_address, billing_address, created_at)"
            " VALUES (%s, %s, %s, %s, %s, 'confirmed', 'paid', %s, %s, %s, %s, %s, '{}', '{}', %s)",
            *(region, bought.id, bought.number, bought.key, uid(f"user {region}")),
            *(subtotal, TAX, SHIPPING, discount, total, self.tick()),
        )
        for product, place, units in lines:
            self._line(bought, product, place, units)
            reference = ("order", region, bought.id)
            if takes_stock:
                self.move(product, place, "reserved", units, available=-units, reserved=units, reference=reference)
            else:
                self.record(product, place, "reserved", units, reference)
        if discount:
            self._use_coupon(bought, discount)
        self.bought.append(bought)
        return bought

    def _line(self, bought: Bought, product: str, place: str, units: int) -> None:
        self.sql(
            "INSERT INTO order_items (region, order_id, product_id, variant_id, warehouse_id, quantity, unit_price,"
            " total_price, product_snapshot) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, '{}')",
            *(bought.region, bought.id, uid(product), variant_of(product), uid(f"warehouse {place}")),
            *(units, PRICE, PRICE * units),
        )

    def _use_coupon(self, bought: Bought, discount: Decimal) -> None:
        values = (bought.region, uid("spring"))
        self.sql("UPDATE coupon_allotments SET used = used + 1 WHERE region = %s AND coupon_id = %s", *values)
        self.sql(
            "INSERT INTO coupon_usages (region, coupon_id, order_id, user_id, discount_amount) VALUES (%s, %s, %s, %s, %s)",
            *(*values, bought.id, uid(f"user {bought.region}"), discount),
        )

    def ship(self, bought: Bought) -> None:
        """The goods leave the warehouse."""
        for product, place, units in bought.lines:
            reference = ("order", bought.region, bought.id)
            self.move(product, place, "out", units, reserved=-units, reference=reference)
        self.set_order(bought, status="delivered", fulfillment_status="fulfilled")

    def decline(self, bought: Bought) -> None:
        """The payment is declined: the stock goes back."""
        for product, place, units in bought.lines:
            reference = ("order", bought.region, bought.id)
            self.move(product, place, "released", units, available=units, reserved=-units, reference=reference)
        self.set_order(bought, status="cancelled", payment_status="failed")

    def refund(self, bought: Bought) -> None:
        """A shipped order comes back."""
        self.ship(bought)
        for product, place, units in bought.lines:
            reference = ("return", bought.region, bought.id)
            self.move(product, place, "in", units, available=units, reference=reference)
        self.set_order(bought, status="refunded", payment_status="refunded")

    def set_order(self, bought: Bought, **columns: object) -> None:
        sets = ", ".join(f"{name} = %s" for name in columns)
        self.sql(f"UPDATE orders SET {sets} WHERE region = %s AND id = %s", *columns.values(), bought.region, bought.id)

    def reserve_in_cart(self, name: str, region: str, product: str, units: int, takes_stock: bool = True) -> None:
        """A cart that holds stock."""
        self.sql(
            "INSERT INTO shopping_carts (region, id, session_id) VALUES (%s, %s, %s)", region, uid(f"cart {name}"), name
        )
        self.sql(
            "INSERT INTO cart_items (region, cart_id, product_id, variant_id, quantity, unit_price, reserved, warehouse_id,"
            " added_at) VALUES (%s, %s, %s, %s, %s, %s, true, %s, %s)",
            *(region, uid(f"cart {name}"), uid(product), variant_of(product), units, PRICE),
            *(uid(f"warehouse {region}"), self.tick()),
        )
        if takes_stock:
            reference = ("cart", region, uid(f"cart {name}"))
            self.move(product, region, "reserved", units, available=-units, reserved=units, reference=reference)

    def trade(self) -> "Shop":
        """Orders confirmed, remote, delivered, declined and refunded, and a cart that holds stock."""
        self.order("confirmed", "us-east", ("lamp", "us-east", 2), ("shirt", "us-east", 1), discount=Decimal(5))
        self.order("remote", "eu-west", ("shirt", "us-east", 2))
        self.ship(self.order("delivered", "eu-west", ("lamp", "eu-west", 3)))
        self.decline(self.order("declined", "us-east", ("lamp", "us-east", 4)))
        self.refund(self.order("refunded", "eu-west", ("lamp", "eu-west", 1), ("shirt", "eu-west", 1)))
        self.reserve_in_cart("guest", "eu-west", "lamp", 2)
        # Somebody looked at the same thing without reserving it: of no concern to the stock.
        self.reserve_in_cart("browser", "us-east", "lamp", 9, takes_stock=False)
        self.sql("UPDATE cart_items SET reserved = false WHERE cart_id = %s", uid("cart browser"))
        return self

    def journal(self) -> list[JournalEntry]:
        """What the client was told."""
        return [self.entry(bought) for bought in self.bought]

    def entry(self, bought: Bought, **changes: object) -> JournalEntry:
        taken = tuple(Taken(uid(p), variant_of(p), place, units) for p, place, units in bought.lines)
        status = "cancelled" if bought.number == "ORD-declined" else "confirmed"
        values = {
            "region": bought.region,
            "order_id": bought.id,
            "order_number": bought.number,
            "idempotency_key": bought.key,
            "total_amount": str(bought.total),
            "status": status,
            "attempts": 1,
            "elapsed_s": 3.0,
            "taken": taken,
        }
        return JournalEntry(**{**values, **changes})

    def execute(self, name: str, values: Mapping[str, object]) -> tuple[list[str], list[tuple]]:
        """Run a statement of the audit, as ``run_audit`` wants it."""
        cursor = self.connection.execute(CATALOGUE[name].sql, values)
        return [column.name for column in cursor.description], cursor.fetchall()


CATALOGUE = Catalogue.load([read_package("bench.audit", "sql")], "postgres")


def variant_of(product: str) -> str | None:
    return uid("shirt-m") if product == "shirt" else None
