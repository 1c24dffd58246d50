"""The flash sale: eager shoppers view a hot product, put it in the cart and check out, beside the shop's ordinary life."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.db.retry import Done
from bench.db.session import Session
from bench.load.user import Setup
from bench.metrics.outcome import StockRow

from .checkout import CheckingOut
from .reserving import Strategy, strategy_of
from .shelves import Shelves, fill_shelves, restock
from .world import Item, World, read_world

SLOTS_AT_MOST = 1000


class Settings(BaseModel):
    """``[workload.settings]`` of a flash sale."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Literal["guarded", "pessimistic", "optimistic", "buckets", "skip_locked", "naive"] = "guarded"
    hot_items: int = Field(default=3, ge=1, le=100)
    units_per_region: int = Field(default=25, ge=1)
    bins: int = Field(default=8, ge=1, le=SLOTS_AT_MOST)
    """Rows over which ``buckets`` spreads the stock of an item in a region."""
    restock_units: int = Field(default=10, ge=1)
    """Units of each item that a session ``restock`` brings to its region while the sale goes on."""
    coupon_share: float = Field(default=0.2, ge=0, le=1)
    declined_share: float = Field(default=0.02, ge=0, le=1)
    zipf_exponent: float = Field(default=1.0, gt=0, le=3)
    pipeline: bool = False
    """Whether checkout sends together what needs no decision in between."""

    @model_validator(mode="after")
    def _few_slots(self) -> Self:
        if self.strategy == "skip_locked" and self.units_per_region > SLOTS_AT_MOST:
            raise ValueError(f"units_per_region: skip_locked keeps each unit in a row, at most {SLOTS_AT_MOST}")
        return self

    @property
    def bins_per_region(self) -> int:
        """Rows that the strategy wants for an item in a region beside the ordinary ones."""
        return {"buckets": self.bins, "skip_locked": self.units_per_region}.get(self.strategy, 0)


@dataclass(frozen=True, slots=True)
class State:
    """What all users of the run share."""

    world: World
    hot: tuple[Item, ...]
    settings: Settings
    strategy: Strategy
    shelves: Shelves
    run_tag: str
    prepared_at: datetime


class Shopping(CheckingOut):
    """Ordinary purchases."""

    abstract = True
    exchanges: ClassVar[Mapping[str, int]] = {**CheckingOut.exchanges, "shop": 19}

    def shop_around(self, rng: Random) -> None:
        """An ordinary purchase of one to three popular things."""
        wanted = {self.world.popular_item(rng): rng.choice((1, 1, 1, 2)) for _ in range(rng.choice((1, 1, 2, 3)))}
        for item in wanted:
            self.view(item, rng)
        self._buy(wanted, rng)

    def _buy(self, wanted: dict[Item, int], rng: Random) -> Done | None:
        shopper = self.world.shopper(self.region, rng)
        cart_id = self.fill_cart(shopper, wanted, rng)
        return None if cart_id is None else self.check_out(shopper, cart_id, rng)


class FlashSaleUser(Shopping):
    """Browsers, ordinary shoppers, and those who came for the sale."""

    abstract = True
    sessions: ClassVar = {"browse": "browse", "shop": "shop_around", "buy": "buy_hot", "restock": "restock_hot"}
    hot_sessions: ClassVar = frozenset({"buy", "restock"})
    exchanges: ClassVar[Mapping[str, int]] = {**Shopping.exchanges, "buy": 18, "restock": 8}
    settings_model = Settings
    state: State

    @classmethod
    def prepare(cls, setup: Setup) -> State:
        """Put the sale's units on the shelves of each region, with the movements that explain them.

        Nothing is written where the setup says so: another process has stocked the sale, and this one reads where.
        """
        settings = Settings.model_validate(setup.settings)
        session = setup.session
        world = read_world(session, setup.regions, settings.zipf_exponent)
        hot = world.items[: settings.hot_items]
        prepared_at = session.execute("server_time")[0][0]
        units = settings.units_per_region if getattr(setup, "writes", True) else None
        shelves = fill_shelves(session, hot, setup.regions, settings.bins_per_region, units)
        rest = tuple(item for item in world.items if item not in hot)
        weights = world.cumulative[: len(rest)]
        # The background shops around the sale: it must not eat what the sale is measured on.
        ordinary = replace(world, items=rest, cumulative=weights)
        strategy = strategy_of(settings.strategy, shelves if settings.bins_per_region else {}, setup.seed)
        return State(ordinary, hot, settings, strategy, shelves, setup.run_tag, prepared_at)

    def buy_hot(self, rng: Random) -> None:
        """One unit of what is on sale."""
        item = _wanted(self.state, rng)
        self.view(item, rng)
        done = None
        try:
            done = self._buy({item: 1}, rng)
        finally:
            # Also of a buyer who is cut off at the end of the run: who waits longest must not vanish.
            self.contend(_key(item, self.region), done)

    @classmethod
    def wish(cls, state: State, region: str, session: str, rng: Random) -> str | None:
        """Return what a buyer would have come for; a delivery competes with nobody."""
        return _key(_wanted(state, rng), region) if session == "buy" else None

    def restock_hot(self, rng: Random) -> None:
        """More of everything on sale arrives in the region, in one transaction."""
        key = UUID(int=rng.getrandbits(128))
        units = self.state.settings.restock_units
        job = restock(self.region, self.state.hot, self.state.shelves, units, key)
        self.transact("restock", job, rng)

    @classmethod
    def account(cls, session: Session, state: State, regions: tuple[str, ...]) -> tuple[StockRow, ...]:
        """Return what the sale offered, sold and left, per item and warehouse region.

        Offered is what was put out before the sale and what came to the shelves since, other than by the sale's own orders:
        deliveries, what older orders gave back, less what carts hold.
        """
        rows = []
        for item in state.hot:
            key = {"product_id": item.product_id, "variant_key": item.variant_key}
            left: dict[str, int] = {}
            for region, _, available, _, _ in session.execute("sale_stock", key):
                left[region] = left.get(region, 0) + available
            since = {**key, "since": state.prepared_at}
            sold: dict[str, int] = dict(session.execute("sold_since", since))
            more: dict[str, int] = dict(session.execute("added_since", since))
            for region in regions:
                offered = state.settings.units_per_region + int(more.get(region, 0))
                rows.append(_stock_row(item, region, offered, sold.get(region, 0), left.get(region, 0)))
        return tuple(rows)


def _wanted(state: State, rng: Random) -> Item:
    """Return what a buyer has come for: the first that is drawn of a session's random numbers."""
    return rng.choice(state.hot)


def _key(item: Item, region: str) -> str:
    return f"{item.sku}@{region}"


def _stock_row(item: Item, region: str, offered: int, sold: Any, left: int) -> StockRow:
    units = int(sold)
    beyond = max(0, units - offered)
    variant = str(item.variant_id) if item.variant_id else None
    return StockRow(item.name, str(item.product_id), region, offered, units, beyond, left, None, item.sku, variant)
