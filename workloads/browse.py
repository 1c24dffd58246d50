"""Looking around: reads only, each statement its own transaction."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, ClassVar
from uuid import UUID

from bench.db.retry import Done, Transaction
from bench.db.session import Rows, Session
from bench.load.user import ShopUser

from .cache import Cache, through
from .world import NO_VARIANT, Item, World

FIRST_PAGE: dict[str, Any] = {"after_price": Decimal(-1), "after_id": NO_VARIANT}
"""Where a list by price begins."""
LATEST: dict[str, Any] = {"before": datetime(9999, 12, 31, tzinfo=UTC), "before_id": UUID(int=(1 << 128) - 1)}
"""Where a list by time begins."""

SECOND_PAGE = 0.4
"""Share of lists of which the second page is opened, too."""

Body = Callable[[Session], Any]


class Browsing(ShopUser):
    """Sessions that only read; mixed into every other workload."""

    abstract = True
    exchanges: ClassVar[Mapping[str, int]] = {"browse": 9}
    state: Any

    @property
    def world(self) -> World:
        """The shop."""
        return self.state.world  # type: ignore[no-any-return]  # each workload has its own state, all with a world

    @property
    def cache(self) -> Cache | None:
        """The application's cache, where the workload has one and it is switched on."""
        return getattr(self.state, "cache", None)

    def browse(self, rng: Random) -> None:
        """Home page, a list of products, and one or two of them, sometimes with their reviews."""
        self.read("home", home(self.region, self.cache), rng)
        item = self.world.popular_item(rng)
        self._find(item, rng)
        self.view(item, rng)
        if rng.random() < 0.3:
            self.read_reviews(item, rng)
        if rng.random() < 0.5:
            self.view(self.world.popular_item(rng), rng)

    def _find(self, item: Item, rng: Random) -> None:
        """Search for the item, or come across it on a category page or another list."""
        way = rng.random()
        if way < 0.4:
            self.read("search", search(rng.choice(self.world.words), rng), rng)
        elif way < 0.8 and item.category_id is not None:
            slug = self.world.categories.get(item.category_id)
            self.read("category_page", category_page(item, slug, self.region, self.cache, rng), rng)
        else:
            self.read("list_page", list_page(item, rng), rng)

    def view(self, item: Item, rng: Random) -> None:
        """Open a product page."""
        self.read("product_page", product_page(item, self.region, self.cache), rng)

    def read_reviews(self, item: Item, rng: Random) -> Rows:
        """Read what others think of a product; returns the reviews last shown."""
        done = self.read("reviews_page", reviews_page(item, self.region, self.cache, rng), rng)
        return done.value or []

    def read(self, name: str, body: Body, rng: Random) -> Done:
        """Run statements, each on its own, that read or do no harm when done twice."""
        return self.transact(name, Transaction(body, explicit=False, repeatable=True), rng)


def home(region: str, cache: Cache | None) -> Body:
    """Categories and best sellers."""

    def body(session: Session) -> int:
        tree = through(cache, (region, "categories"), lambda: session.execute("list_categories"))
        top = through(cache, (region, "top_sellers"), lambda: session.execute("top_sellers"))
        return len(tree) + len(top)

    return body


def search(word: str, rng: Random) -> Body:
    """Full-text search for a word, the best match first or by price."""
    if rng.random() < 0.7:
        return lambda session: len(session.execute("search_products", {"words": word}))
    return _pages("search_products_by_price", {"words": word}, rng)


def category_page(item: Item, slug: str | None, region: str, cache: Cache | None, rng: Random) -> Body:
    """One or two pages of the item's category, half of them filtered by price, brand or tag."""
    where = {"category_id": item.category_id}
    filters: list[tuple[str, dict[str, Any]]] = [("category_page", where)] * 3
    filters.append(("category_page_priced", {**where, "max_price": Decimal(rng.choice((25, 50, 100, 250)))}))
    if item.brand:
        filters.append(("category_page_branded", {**where, "brand": item.brand}))
    if item.tag:
        filters.append(("category_page_tagged", {**where, "tag": item.tag}))
    pages = _pages(*rng.choice(filters), rng)

    def body(session: Session) -> int:
        if slug is not None:
            through(cache, (region, "category", slug), lambda: session.execute("category_path", {"slug": slug}))
        return int(pages(session))

    return body


def list_page(item: Item, rng: Random) -> Body:
    """One or two pages over all categories: of the item's brand, of its tag, or of bargains."""
    lists: list[tuple[str, dict[str, Any]]] = [("price_page", {"max_price": Decimal(rng.choice((10, 20, 30)))})]
    if item.brand:
        lists.append(("brand_page", {"brand": item.brand}))
    if item.tag:
        lists.append(("tag_page", {"tag": item.tag}))
    return _pages(*rng.choice(lists), rng)


def _pages(statement: str, params: Mapping[str, Any], rng: Random) -> Body:
    """One page of a list by price, and sometimes the second, from where the first ended."""
    second = rng.random() < SECOND_PAGE

    def body(session: Session) -> int:
        page = session.execute(statement, {**params, **FIRST_PAGE})
        found = len(page)
        if second and page:
            last = page[-1]
            found += len(session.execute(statement, {**params, "after_price": last[3], "after_id": last[0]}))
        return found

    return body


def product_page(item: Item, region: str, cache: Cache | None) -> Body:
    """A product, its variants and its stock by region; the stock is never from the cache."""

    def body(session: Session) -> int:
        through(cache, (region, "product", item.slug), lambda: session.execute("product_page", {"slug": item.slug}))
        if item.variant_id is not None:
            key = {"product_id": item.product_id}
            through(cache, (region, "variants", item.slug), lambda: session.execute("product_variants_of", key))
        stock = session.execute("stock_of_item", {"product_id": item.product_id, "variant_key": item.variant_key})
        return sum(units for _, units in stock)

    return body


def reviews_page(item: Item, region: str, cache: Cache | None, rng: Random) -> Body:
    """The stars, and one or two pages of approved reviews, the latest first."""
    second = rng.random() < SECOND_PAGE
    key = {"product_id": item.product_id}

    def body(session: Session) -> Rows:
        through(cache, (region, "rating", item.slug), lambda: session.execute("rating_of_product", key))
        page = session.execute("reviews_page", {**key, **LATEST})
        if second and page:
            last = page[-1]
            page = session.execute("reviews_page", {**key, "before": last[7], "before_id": last[1]}) or page
        return page

    return body
