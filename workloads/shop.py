"""The whole shop: one user class with every session, and the same on the day of a sale.

Which sessions occur, and how often, is the scenario's: ``browse``, ``account``, ``cart``, ``checkout``, ``steady``, ``soak``,
``follow-the-sun`` use ``ShopperUser``; ``black-friday`` uses ``BlackFridayUser``, which also has a sale to open.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, field_validator

from bench.load.user import Setup
from bench.units import NS_PER_S

from . import flash_sale
from .account import Accounts
from .back_office import BackOffice, Batches
from .cache import Cache
from .cart import Carting
from .holding import DEFAULT_HOLD_S
from .reserving import STRATEGIES, Strategy
from .returning import Returning
from .world import World, read_world


class ShopSettings(Batches):
    """What every session of the shop may be told in ``[workload.settings]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: str = "guarded"
    coupon_share: float = Field(default=0.2, ge=0, le=1)
    declined_share: float = Field(default=0.02, ge=0, le=1)
    zipf_exponent: float = Field(default=1.0, gt=0, le=3)
    pipeline: bool = False
    """Whether checkout sends together what needs no decision in between."""
    cache: bool = False
    """Whether the application keeps categories, products and ratings for a while."""
    cache_ttl: float = Field(default=60.0, gt=0)
    """Seconds."""
    reserve_share: float = Field(default=0.1, ge=0, le=1)
    """Share of the lines of guests' carts that hold their stock."""
    hold_s: int = Field(default=DEFAULT_HOLD_S, ge=1)
    """Seconds after which a cart that holds stock expires."""
    wrong_password_share: float = Field(default=0.05, ge=0, le=1)
    taken_share: float = Field(default=0.05, ge=0, le=1)
    """Share of registrations with somebody else's e-mail address or user name."""

    @field_validator("strategy")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in STRATEGIES:
            raise ValueError(f"'{value}' is not a strategy (want {', '.join(STRATEGIES)})")
        return value


@dataclass(frozen=True, slots=True)
class State:
    """What all users of the run share."""

    world: World
    settings: ShopSettings
    strategy: Strategy
    run_tag: str
    cache: Cache | None


class ShopperUser(Accounts, Carting, flash_sale.Shopping, Returning, BackOffice):
    """Shoppers of every kind, and those who work for the shop."""

    abstract = True
    sessions: ClassVar = {
        "browse": "browse",
        "register": "register",
        "log_in": "log_in",
        "history": "history",
        "review": "review",
        "fill_and_leave": "fill_and_leave",
        "change_mind": "change_mind",
        "guest_checkout": "guest_checkout",
        "shop": "shop_around",
        "cancel": "cancel_order",
        "refund": "refund_order",
        **BackOffice.sessions,
    }
    exchanges: ClassVar[Mapping[str, int]] = {
        **flash_sale.Shopping.exchanges,
        **Accounts.exchanges,
        **Carting.exchanges,
        **Returning.exchanges,
        **BackOffice.exchanges,
    }
    settings_model = ShopSettings

    @classmethod
    def prepare(cls, setup: Setup) -> Any:
        """Read the shop; nothing is written, and the same database gives the same picture to every process."""
        settings = cls.settings_model.model_validate(setup.settings)
        world = read_world(setup.session, setup.regions, settings.zipf_exponent)
        return State(world, settings, STRATEGIES[settings.strategy], setup.run_tag, _cache(settings))


class SaleSettings(flash_sale.Settings, ShopSettings):
    """The shop's settings and those of the sale."""


@dataclass(frozen=True, slots=True)
class SaleState(flash_sale.State):
    """The state of the sale with the shop's cache."""

    cache: Cache | None = None


class BlackFridayUser(ShopperUser, flash_sale.FlashSaleUser):
    """The whole shop, with those who came for the sale."""

    abstract = True
    sessions: ClassVar = {**ShopperUser.sessions, **flash_sale.FlashSaleUser.sessions}
    exchanges: ClassVar[Mapping[str, int]] = {**flash_sale.FlashSaleUser.exchanges, **ShopperUser.exchanges}
    settings_model = SaleSettings

    @classmethod
    def prepare(cls, setup: Setup) -> SaleState:
        """Stock the sale as the flash sale does, and read the shop around it."""
        settings = SaleSettings.model_validate(setup.settings)
        own = {key: value for key, value in setup.settings.items() if key in flash_sale.Settings.model_fields}
        sale = flash_sale.FlashSaleUser.prepare(replace(setup, settings=own))
        values = {field.name: getattr(sale, field.name) for field in fields(sale)}
        return SaleState(**{**values, "settings": settings, "cache": _cache(settings)})


def _cache(settings: ShopSettings) -> Cache | None:
    return Cache(int(settings.cache_ttl * NS_PER_S), time.perf_counter_ns) if settings.cache else None
