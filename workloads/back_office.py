"""The back office: orders shipped, goods received, prices changed, carts cleared, views refreshed, reports read.

Every session is of one region and works on that region's rows; any number of workers may do the same job at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, ClassVar, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from bench.db.retry import OK, Transaction
from bench.load.user import Setup, ShopUser

from . import jobs
from .flash_sale import Shopping
from .reserving import Strategy, guarded
from .returning import Returning
from .world import World, read_world

PRICE_FACTORS = tuple(map(Decimal, ("0.90", "0.95", "0.99", "1.01", "1.05", "1.10")))


class Batches(BaseModel):
    """How much work a job takes at once; a workload with these jobs mixes it into its settings."""

    order_batch: int = Field(default=20, ge=1)
    goods_batch: int = Field(default=20, ge=1)
    cart_batch: int = Field(default=100, ge=1)
    price_batch: int = Field(default=200, ge=1)
    price_age_s: int = Field(default=3600, ge=0)
    review_batch: int = Field(default=20, ge=1)
    report_rows: int = Field(default=50, ge=1)
    batches_per_session: int = Field(default=5, ge=1)


class Settings(Batches):
    """``[workload.settings]`` of the back office beside some shoppers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    coupon_share: float = Field(default=0.2, ge=0, le=1)
    declined_share: float = Field(default=0.02, ge=0, le=1)
    zipf_exponent: float = Field(default=1.0, gt=0, le=3)


@dataclass(frozen=True, slots=True)
class State:
    """What all users of the run share."""

    world: World
    settings: Settings
    strategy: Strategy
    run_tag: str


class BackOffice(ShopUser):
    """The jobs, as sessions; ``state`` has a world, and settings with the batches."""

    abstract = True
    state: Any
    sessions: ClassVar[Mapping[str, str]] = {
        "fulfil": "fulfil",
        "receive": "receive",
        "reorder": "reorder",
        "reprice": "reprice",
        "cart_prices": "refresh_cart_prices",
        "expire_carts": "expire_carts",
        "moderate": "moderate",
        "refresh_views": "refresh_views",
        "reports": "read_reports",
    }
    exchanges: ClassVar[Mapping[str, int]] = {
        "fulfil": 15,
        "receive": 8,
        "reorder": 8,
        "reprice": 4,
        "cart_prices": 10,
        "expire_carts": 10,
        "moderate": 7,
        "refresh_views": 3,
        "reports": 3,
    }

    @property
    def _batches(self) -> Batches:
        return cast("Batches", self.state.settings)

    def fulfil(self, rng: Random) -> None:
        """Pack, ship and deliver a batch each."""
        count = self._batches.order_batch
        self.transact("process_orders", jobs.process_orders(self.region, count), rng)
        self.transact("ship_orders", jobs.ship_orders(self.region, count), rng)
        self.transact("deliver_orders", jobs.deliver_orders(self.region, count), rng)

    def receive(self, rng: Random) -> None:
        """Put what has arrived on the shelves."""
        self._until_done("receive_goods", jobs.receive_goods(self.region, self._batches.goods_batch), rng)

    def reorder(self, rng: Random) -> None:
        """Look at what runs low, and order it."""
        self._report("low_stock_report", {"region": self.region, "count": self._batches.report_rows}, rng)
        self._until_done("order_goods", jobs.order_goods(self.region, self._batches.goods_batch), rng)

    def reprice(self, rng: Random) -> None:
        """Change the price of something popular."""
        item, factor = self.state.world.popular_item(rng), rng.choice(PRICE_FACTORS)
        params = {"product_id": item.product_id, "variant_id": item.variant_id}
        read = Transaction(lambda session: session.execute("price_of_item", params), explicit=False, repeatable=True)
        seen = self.transact("read_price", read, rng)
        if seen.value:
            self.transact("change_price", jobs.change_price(item, factor, seen.value[0]), rng)

    def refresh_cart_prices(self, rng: Random) -> None:
        """Put the prices of now into some batches of cart lines, from a random key on."""
        batches, after = self._batches, UUID(int=rng.getrandbits(128))
        for _ in range(batches.batches_per_session):
            job = jobs.refresh_cart_prices(self.region, after, batches.price_age_s, batches.price_batch)
            done = self.transact("refresh_cart_prices", job, rng)
            if done.kind != OK:
                break
            after = done.value

    def expire_carts(self, rng: Random) -> None:
        """Remove carts that have expired, and release what they held."""
        self._until_done("expire_carts", jobs.expire_carts(self.region, self._batches.cart_batch), rng)

    def moderate(self, rng: Random) -> None:
        """Approve what has waited longest."""
        self._until_done("moderate_reviews", jobs.moderate_reviews(self.region, self._batches.review_batch), rng)

    def refresh_views(self, rng: Random) -> None:
        """Refresh each view, outside any transaction."""
        for view in jobs.VIEWS:
            name = f"refresh_{view}"
            self.transact(name, Transaction(jobs.statement(name), explicit=False, repeatable=True), rng)

    def read_reports(self, rng: Random) -> None:
        """Sales by day, the last hours, and the products that earned most."""
        rows = self._batches.report_rows
        self._report("report_daily_sales", {"days": rows}, rng)
        self._report("report_last_hours", {"region": self.region, "hours": 24}, rng)
        self._report("report_products", {"count": rows}, rng)

    def _report(self, name: str, params: Mapping[str, Any], rng: Random) -> None:
        self.transact(name, Transaction(jobs.statement(name, params), explicit=False, repeatable=True), rng)

    def _until_done(self, name: str, job: Transaction, rng: Random) -> None:
        for _ in range(self._batches.batches_per_session):
            if self.transact(name, job, rng).kind != OK:
                break


class BackOfficeUser(BackOffice, Returning, Shopping):
    """The back office beside light shopping."""

    abstract = True
    sessions: ClassVar[Mapping[str, str]] = {
        "browse": "browse",
        "shop": "shop_around",
        "cancel": "cancel_order",
        "refund": "refund_order",
        **BackOffice.sessions,
    }
    exchanges: ClassVar[Mapping[str, int]] = {**Shopping.exchanges, **Returning.exchanges, **BackOffice.exchanges}
    settings_model = Settings
    state: State

    @classmethod
    def prepare(cls, setup: Setup) -> State:
        """Read the shop."""
        settings = Settings.model_validate(setup.settings)
        world = read_world(setup.session, setup.regions, settings.zipf_exponent)
        return State(world, settings, guarded, setup.run_tag)
