"""Products and their stock-keeping units (SKUs) as arrays that every other table looks up.

May import ``counter``, ``demand``, ``vocabulary`` and ``wares``.  A SKU is a product without variants or one variant of a
product; SKUs are numbered product after product.  These arrays are the only ones that grow with the catalogue.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from faker import Faker
from numpy.typing import NDArray

from bench.data.counter import Alias, Choice, Flags, Floats, Ints, Streams, lane
from bench.data.demand import DAY_US
from bench.data.vocabulary import Digits, Part, Vocabulary
from bench.data.wares import SCHEMES, TREE

BRANDS_PER_ROOT = 40
SHARE_WITH_VARIANTS = 0.598
"""Of the products whose category has variants, so that 55 % of all products have 2 to 6."""
OVERRIDDEN_PRICES = 0.25
PRICE_DAYS = 60
"""How long a price holds."""
PRICE_PERIODS = 8
"""Prices that a product has had; the first ones hold for all the time before."""

_BRAND_ENDINGS = ("", " & Co", " Works", " Supply", " Goods", " Studio")
_BRAND_SEED = 7
_CENTS = np.array([99, 49, 0, 95, 50])
_CENTS_SHARES = Choice.of(48, 16, 14, 14, 8)
_ROOT_CODES = Vocabulary(tuple(root.code for root in TREE.roots))
_SUFFIXES = Vocabulary.of("", *(f"-{place}" for place in range(1, 7)))
_PAST_FACTORS = np.array([100, 95, 90, 105, 85], np.uint8)
_PAST_SHARES = Choice.of(45, 20, 12, 15, 8)


@dataclass(frozen=True, slots=True)
class Nested:
    """Groups of words in one vocabulary; the words of group ``g`` begin at ``starts[g]``."""

    words: Vocabulary
    starts: Ints
    counts: Ints

    @classmethod
    def of(cls, groups: Iterable[Iterable[str]]) -> "Nested":
        """Return the groups end to end."""
        lists = [list(group) for group in groups]
        counts = np.array([len(group) for group in lists], np.int64)
        words = Vocabulary(tuple(word for group in lists for word in group))
        return cls(words, np.cumsum(counts) - counts, counts)

    def pick(self, groups: Ints, lanes: Ints) -> Ints:
        """Return the number of a word of each group, chosen by a 16-bit number."""
        return self.starts[groups] + (lanes * self.counts[groups] >> 16)


@lru_cache(maxsize=1)
def brands() -> tuple[tuple[str, ...], ...]:
    """Return the brands of each root: Faker's family names with the endings that firms have."""
    faker = Faker("en_US", use_weighting=False)
    faker.seed_instance(_BRAND_SEED)
    names: dict[str, None] = {}
    while len(names) < BRANDS_PER_ROOT * len(TREE.roots):
        names[f"{faker.last_name()}{faker.random_element(_BRAND_ENDINGS)}"] = None
    listed = tuple(names)
    return tuple(listed[number :: len(TREE.roots)] for number in range(len(TREE.roots)))


@dataclass(frozen=True, slots=True)
class Words:
    """The words that products are made of, grouped by root, or by leaf where they belong to a category."""

    brands: Nested
    nouns: Nested
    materials: Nested
    things: Nested
    """By leaf: each material with each noun."""
    features: Nested
    uses: Nested

    @classmethod
    def of_tree(cls) -> "Words":
        """Return the words of the shop's tree."""
        return cls(
            Nested.of(brands()),
            Nested.of(leaf.nouns for _, leaf in TREE.leaves),
            Nested.of(root.materials for root in TREE.roots),
            Nested.of(
                [f"{material} {noun}" for material in TREE.roots[leaf.root].materials for noun in leaf.nouns]
                for _, leaf in TREE.leaves
            ),
            Nested.of(root.features for root in TREE.roots),
            Nested.of(root.uses for root in TREE.roots),
        )


class Catalogue:
    """The arrays of ``count`` products (p,) and their SKUs (s,); ``exponent`` is that of Zipf's law of their popularity."""

    def __init__(self, count: int, streams: Streams, exponent: float) -> None:
        self.count = count
        self._streams = streams
        rows = np.arange(count, dtype=np.int64)
        self.words = Words.of_tree()
        self._describe(streams("products", "words").bits(rows))
        self.base_cents = _prices(self.leaf, streams, rows)
        self.quality = 2.3 + 2.5 * streams("products", "quality").uniform(rows)
        """The hidden quality that ratings follow, 2.3-4.8 stars."""
        order = np.argsort(streams("products", "rank").bits(rows), kind="stable").astype(np.int64)
        self.rank = np.empty_like(order)
        self.rank[order] = rows
        weights = (rows + 1.0) ** -exponent
        self.popularity: Floats = weights[self.rank] / weights.sum()
        """Each product's expected share of order lines."""
        self._by_popularity = Alias.of(self.popularity)
        self._price_day = streams("products", "price day").below(rows, PRICE_DAYS).astype(np.int8)
        periods = np.arange(count * PRICE_PERIODS, dtype=np.int64)
        self._past_percent = _PAST_FACTORS[_PAST_SHARES.pick(lane(streams("products", "past").bits(periods), 0))]
        self._past_percent[::PRICE_PERIODS] = 100
        self._number_skus(rows)
        self._suffix = np.where(self.is_variant, self.place_of_sku + 1, 0)

    def _describe(self, bits: NDArray[np.uint64]) -> None:
        leaves = TREE.leaves
        self.leaf = lane(bits, 0) * len(leaves) >> 16
        self.category = np.array([number for number, _ in leaves])[self.leaf]
        self.root = np.array([leaf.root for _, leaf in leaves])[self.leaf]
        self.is_digital = np.array([leaf.scheme == "digital" for _, leaf in leaves])[self.leaf]
        self.brand = self.words.brands.pick(self.root, lane(bits, 1))
        self.noun = self.words.nouns.pick(self.leaf, lane(bits, 2))
        self.material = self.words.materials.pick(self.root, lane(bits, 3))
        material = self.material - self.words.materials.starts[self.root]
        noun = self.noun - self.words.nouns.starts[self.leaf]
        self.thing = self.words.things.starts[self.leaf] + material * self.words.nouns.counts[self.leaf] + noun

    def _number_skus(self, rows: Ints) -> None:
        bits = self._streams("product_variants", "count").bits(rows)
        has_scheme = np.array([bool(SCHEMES[leaf.scheme]) for _, leaf in TREE.leaves])[self.leaf]
        self.has_variants = has_scheme & (lane(bits, 0) < SHARE_WITH_VARIANTS * 65536)
        self.sku_count = np.where(self.has_variants, 2 + (lane(bits, 1) * 5 >> 16), 1)
        self.sku_first = np.cumsum(self.sku_count) - self.sku_count
        self.skus = int(self.sku_count.sum())
        self.product_of_sku = np.repeat(rows, self.sku_count)
        self.place_of_sku = np.arange(self.skus, dtype=np.int64) - self.sku_first[self.product_of_sku]
        self.is_variant: Flags = self.has_variants[self.product_of_sku]
        draw = self._streams("product_variants", "price").uniform(np.arange(self.skus, dtype=np.int64))
        self.is_overridden: Flags = self.is_variant & (draw < OVERRIDDEN_PRICES)
        base = self.base_cents[self.product_of_sku]
        dearer = base // 100 * (104 + 4 * self.place_of_sku) // 100 * 100 + base % 100
        self.sku_cents = np.where(self.is_overridden, dearer, base)

    def name(self, products: Ints) -> list[Part]:
        """Return the parts of products' names: brand, material, noun."""
        return [self.words.brands.words[self.brand[products]], b" ", self.words.things.words[self.thing[products]]]

    def name_json(self, products: Ints) -> list[Part]:
        """Return products' names as JSON strings, all as long."""
        brand = self.words.brands.words.json_start[self.brand[products]]
        return [brand, b" ", self.words.things.words.json_end[self.thing[products]]]

    def sku_code(self, skus: Ints) -> list[Part]:
        """Return the parts of SKUs' codes: that of the product, and the variant's place."""
        return [*self.product_code(self.product_of_sku[skus]), _SUFFIXES[self._suffix[skus]]]

    def sku_json(self, skus: Ints) -> list[Part]:
        """Return SKUs' codes as JSON strings, all as long."""
        return [b'"', *self.product_code(self.product_of_sku[skus]), _SUFFIXES.json_end[self._suffix[skus]]]

    def product_code(self, products: Ints) -> list[Part]:
        """Return the parts of products' codes, which are the SKU codes of those without variants."""
        return [_ROOT_CODES[self.root[products]], b"-", Digits(products + 1, 7)]

    def by_popularity(self, draws: Floats) -> Ints:
        """Return the product that each uniform number falls on under Zipf's law."""
        return self._by_popularity.pick(draws)

    def sku_of(self, products: Ints, lanes: Ints) -> Ints:
        """Return one SKU of each product by a 16-bit number; the first variants sell best."""
        share = lanes / 65536
        share *= np.sqrt(share)
        return self.sku_first[products] + (share * self.sku_count[products]).astype(np.int64)

    def cents_at(self, skus: Ints, times_us: Ints, as_of_us: int) -> Ints:
        """Return what SKUs cost at given instants: the price of today, or one of the earlier ones of its product.

        Prices change every ``PRICE_DAYS`` days, on a day of the product's own; whole units change, the ending stays.
        """
        products = self.product_of_sku[skus]
        periods_ago = ((as_of_us - times_us) // DAY_US + self._price_day[products]) // PRICE_DAYS
        percent = self._past_percent[products * PRICE_PERIODS + np.minimum(periods_ago, PRICE_PERIODS - 1)]
        cents = self.sku_cents[skus]
        units = cents // 100
        return np.asarray(units * percent // 100 * 100 + (cents - units * 100))


def _prices(leaf: Ints, streams: Streams, rows: Ints) -> Ints:
    """Return prices in cents, log-uniform in the range of each product's category, with a shop's endings."""
    low = np.array([leaf.price[0] for _, leaf in TREE.leaves], np.float64)[leaf]
    high = np.array([leaf.price[1] for _, leaf in TREE.leaves], np.float64)[leaf]
    units = np.floor(low * (high / low) ** streams("products", "price").uniform(rows)).astype(np.int64)
    return np.asarray(units * 100 + _CENTS[_CENTS_SHARES.pick(lane(streams("products", "ending").bits(rows), 0))])
