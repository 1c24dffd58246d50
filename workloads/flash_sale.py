"""The flash sale: eager shoppers view a hot product, put it in the cart and check out, beside the shop's ordinary life."""

from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.db.session import Session
from bench.load.user import Setup
from bench.metrics.outcome import StockRow

from .checkout import CheckingOut
from .reserving import STRATEGIES, Strategy
from .world import Item, World, read_world


class Settings(BaseModel):
    """``[workload.settings]`` of a flash sale."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Literal["guarded", "pessimistic", "optimistic", "naive"] = "guarded"
    hot_items: int = Field(default=3, ge=1, le=100)
    units_per_region: int = Field(default=25, ge=1)
    coupon_share: float = Field(default=0.2, ge=0, le=1)
    declined_share: float = Field(default=0.02, ge=0, le=1)
    zipf_exponent: float = Field(default=1.0, gt=0, le=3)


@dataclass(frozen=True, slots=True)
class State:
    """What all users of the run share."""

    world: World
    hot: tuple[Item, ...]
    settings: Settings
    strategy: Strategy
    run_tag: str
    prepared_at: datetime


class FlashSaleUser(CheckingOut):
    """Browsers, ordinary shoppers, and those who came for the sale."""

    abstract = True
    sessions: ClassVar = {"browse": "browse", "shop": "shop_around", "buy": "buy_hot"}
    settings_model = Settings
    state: State

    @classmethod
    def prepare(cls, setup: Setup) -> State:
        """Put the sale's units on the shelves of one warehouse a region, with the movement that explains them."""
        settings = Settings.model_validate(setup.settings)
        session = setup.session
        world = read_world(session, setup.regions, settings.zipf_exponent)
        hot = world.items[: settings.hot_items]
        prepared_at = session.execute("server_time")[0][0]
        for item in hot:
            _stock_item(session, item, settings.units_per_region)
        rest = tuple(item for item in world.items if item not in hot)
        weights = world.cumulative[: len(rest)]
        # The background shops around the sale: it must not eat what the sale is measured on.
        ordinary = World(world.shoppers, rest, weights, world.coupons, world.words, world.distances)
        return State(ordinary, hot, settings, STRATEGIES[settings.strategy], setup.run_tag, prepared_at)

    def shop_around(self, rng: Random) -> None:
        """An ordinary purchase of one to three popular things."""
        wanted = {self.world.popular_item(rng): rng.choice((1, 1, 1, 2)) for _ in range(rng.choice((1, 1, 2, 3)))}
        for item in wanted:
            self.view(item, rng)
        self._buy(wanted, rng)

    def buy_hot(self, rng: Random) -> None:
        """One unit of what is on sale."""
        item = rng.choice(self.state.hot)
        self.view(item, rng)
        self._buy({item: 1}, rng)

    def _buy(self, wanted: dict[Item, int], rng: Random) -> None:
        shopper = self.world.shopper(self.region, rng)
        cart_id = self.fill_cart(shopper, wanted, rng)
        if cart_id is not None:
            self.check_out(shopper, cart_id, rng)

    @classmethod
    def account(cls, session: Session, state: State, regions: tuple[str, ...]) -> tuple[StockRow, ...]:
        """Return what the sale offered, sold and left, per item and warehouse region."""
        rows = []
        for item in state.hot:
            key = {"product_id": item.product_id, "variant_key": item.variant_key}
            left: dict[str, int] = {}
            for region, _, available in session.execute("sale_stock", key):
                left[region] = left.get(region, 0) + available
            counted = session.execute("sold_since", {**key, "since": state.prepared_at})
            sold: dict[str, int] = dict(counted)
            offered = state.settings.units_per_region
            rows += [_stock_row(item, region, offered, sold.get(region, 0), left.get(region, 0)) for region in regions]
        return tuple(rows)


def _stock_row(item: Item, region: str, offered: int, sold: Any, left: int) -> StockRow:
    units = int(sold)
    return StockRow(item.name, str(item.product_id), region, offered, units, max(0, units - offered), left, None)


def _stock_item(session: Session, item: Item, units: int) -> None:
    seen: set[str] = set()
    key = {"product_id": item.product_id, "variant_key": item.variant_key}
    for region, inventory_id, available in session.execute("sale_stock", key):
        target = 0 if region in seen else units
        seen.add(region)
        if target != available:
            session.begin()
            where = {"region": region, "inventory_id": inventory_id}
            session.execute("set_sale_stock", {**where, "units": target})
            change = {"quantity": target - available, "reason": "stock for the sale"}
            session.execute("insert_adjustment", {**where, **change})
            session.commit()
