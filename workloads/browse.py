"""Looking around: reads only, each statement its own transaction."""

from random import Random
from typing import Any

from bench.db.retry import Transaction
from bench.db.session import Session
from bench.load.user import ShopUser

from .world import NO_VARIANT, Item, World


class Browsing(ShopUser):
    """Sessions that only read; mixed into every other workload."""

    abstract = True
    state: Any

    @property
    def world(self) -> World:
        """The shop."""
        return self.state.world  # type: ignore[no-any-return]  # each workload has its own state, all with a world

    def browse(self, rng: Random) -> None:
        """Home page, then two or three pages of what is popular."""
        self.transact("home", Transaction(home, explicit=False), rng)
        item = self.world.popular_item(rng)
        if rng.random() < 0.5:
            self.transact("search", Transaction(search(rng.choice(self.world.words)), explicit=False), rng)
        elif item.category_id is not None:
            self.transact("category_page", Transaction(category_page(item, rng), explicit=False), rng)
        self.view(item, rng)

    def view(self, item: Item, rng: Random) -> None:
        """Open a product page."""
        self.transact("product_page", Transaction(product_page(item), explicit=False), rng)


def home(session: Session) -> int:
    """Categories and best sellers."""
    return len(session.execute("list_categories")) + len(session.execute("top_sellers"))


def search(word: str) -> Any:
    """Full-text search for a word."""
    return lambda session: len(session.execute("search_products", {"words": word}))


def category_page(item: Item, rng: Random) -> Any:
    """One or two pages of the item's category, the second from where the first ended."""
    second = rng.random() < 0.4

    def body(session: Session) -> int:
        params = {"category_id": item.category_id, "after_price": -1, "after_id": NO_VARIANT}
        page = session.execute("category_page", params)
        if second and page:
            last = page[-1]
            page = session.execute("category_page", {**params, "after_price": last[3], "after_id": last[0]})
        return len(page)

    return body


def product_page(item: Item) -> Any:
    """A product, its variants and its stock by region."""

    def body(session: Session) -> int:
        session.execute("product_page", {"product_id": item.product_id})
        if item.variant_id is not None:
            session.execute("product_variants_of", {"product_id": item.product_id})
        stock = session.execute("stock_of_item", {"product_id": item.product_id, "variant_key": item.variant_key})
        return sum(units for _, units in stock)

    return body
