"""What users know of the shop before they enter it: who they are, what is sold, where it lies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from bench.db.session import Session
from bench.errors import TargetError

from .passwords import password_of

NO_VARIANT = UUID(int=0)
"""The key of a product without variants, as the generated column ``variant_key`` has it."""

USERS_PER_REGION = 2000
ITEMS = 2000


class Shopper(NamedTuple):
    """A registered user with the address that orders go to."""

    id: UUID
    street: str
    city: str
    postal_code: str
    country: str
    name: str
    email: str = ""
    username: str = ""
    password: str = ""
    """The clear text, which the shopper knows and the database does not; empty where the data's is not known to us."""

    def address(self) -> dict[str, str]:
        """Return the address as orders store it."""
        return {
            "name": self.name,
            "street": self.street,
            "city": self.city,
            "postal_code": self.postal_code,
            "country": self.country,
        }


class Item(NamedTuple):
    """Something to buy: a product, in one variant where it has any."""

    product_id: UUID
    variant_id: UUID | None
    sku: str
    name: str
    slug: str
    category_id: UUID | None
    brand: str | None
    tag: str | None

    @property
    def variant_key(self) -> UUID:
        """The variant as inventory and cart lines are keyed by it."""
        return self.variant_id or NO_VARIANT


class Coupon(NamedTuple):
    """A coupon that may still be used."""

    id: UUID
    code: str
    type: str
    value: Decimal
    minimum_amount: Decimal
    maximum_discount: Decimal | None


@dataclass(frozen=True, slots=True)
class World:
    """The shop as all users of a run know it; ``items`` by popularity, the best seller first."""

    shoppers: Mapping[str, tuple[Shopper, ...]]
    items: tuple[Item, ...]
    cumulative: tuple[float, ...]
    """Cumulative Zipf weights of ``items``."""
    coupons: Mapping[str, tuple[Coupon, ...]]
    words: tuple[str, ...]
    distances: Mapping[str, tuple[str, ...]]
    """For each region the others, in the order in which their stock is asked."""
    categories: Mapping[UUID, str] = field(default_factory=dict)
    """The slug of each category, by id."""
    coupon_codes: tuple[str, ...] = ()
    """Codes that shoppers have heard of, whether or not they still hold."""

    def popular_item(self, rng: Random) -> Item:
        """Return an item with the probability of its rank (Zipf)."""
        return rng.choices(self.items, cum_weights=self.cumulative)[0]

    def shopper(self, region: str, rng: Random) -> Shopper:
        """Return one of the region's users."""
        return rng.choice(self.shoppers[region])


def read_world(session: Session, regions: tuple[str, ...], exponent: float = 1.0) -> World:
    """Return the shop as the database has it; TargetError when there is nothing to sell or nobody to buy."""
    shoppers = {region: _shoppers(session, region) for region in regions}
    items = tuple(Item(*row) for row in session.execute("world_items", {"count": ITEMS}))
    empty = [region for region, found in shoppers.items() if not found]
    if not items or empty:
        what = f"no users in {', '.join(empty)}" if empty else "no products"
        raise TargetError(f"the database has {what}", hint="run `bench seed --fresh` for these regions")
    return World(
        shoppers=shoppers,
        items=items,
        cumulative=_zipf(len(items), exponent),
        coupons={region: _coupons(session, region) for region in regions},
        words=tuple(word for (word,) in session.execute("world_search_words") if word) or ("new",),
        distances={region: tuple(other for other in regions if other != region) for region in regions},
        categories=dict(session.execute("world_category_slugs")),
        coupon_codes=tuple(code for (code,) in session.execute("world_coupon_codes")),
    )


def _shoppers(session: Session, region: str) -> tuple[Shopper, ...]:
    rows: list[tuple[Any, ...]] = session.execute("world_users", {"region": region, "count": USERS_PER_REGION})
    return tuple(Shopper(*row)._replace(password=password_of(row[-1])) for row in rows)


def _coupons(session: Session, region: str) -> tuple[Coupon, ...]:
    return tuple(Coupon(*row) for row in session.execute("world_coupons", {"region": region}))


def _zipf(count: int, exponent: float) -> tuple[float, ...]:
    total, sums = 0.0, []
    for rank in range(1, count + 1):
        total += rank**-exponent
        sums.append(total)
    return tuple(sums)
