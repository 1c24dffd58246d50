"""Everything that the blocks of one data set share: sizes, layouts by region, words, catalogue, curves.

May import every module of the package that makes no rows.  A ``World`` is made from a ``SeedSpec`` alone, so another process
makes the same one.
"""

from collections.abc import Mapping

import numpy as np

from bench.data import regions as known_regions
from bench.data.catalogue import Catalogue
from bench.data.columns import Column
from bench.data.counter import Ints, Streams
from bench.data.demand import DAY_US, Demand, midnight_us, year_before
from bench.data.people import People
from bench.data.regions import Split
from bench.data.spec import SeedSpec, sizes
from bench.data.vocabulary import Vocabulary

Columns = Mapping[str, Column]
"""The columns of a block by name, in the order in which COPY sends them."""

EARLY_USERS = 0.6
"""Users of a region who signed up before the year of history began."""


class World:
    """What a data set is made from; reading it is safe from several threads."""

    def __init__(self, spec: SeedSpec) -> None:
        self.spec = spec
        self.streams = Streams(spec.seed)
        self.sizes = sizes(spec)
        self.as_of_us = midnight_us(spec.as_of)
        self.start_us = midnight_us(year_before(spec.as_of))
        self.regions = Vocabulary(spec.regions)
        self.demand = tuple(Demand.of(region, spec.as_of, self.streams) for region in spec.regions)
        self.users = Split.of(self.sizes["users"], spec.weights, 10)
        self.orders = Split.of(self.sizes["orders"], spec.weights, 20)
        self.carts = Split.of(self.sizes["carts"], spec.weights, 5)
        self.catalogue = Catalogue(self.sizes["products"], self.streams, spec.zipf)
        self.people = People(spec.regions, self.streams)
        self.warehouses = Warehouses(spec.regions)
        self.tax_permille = np.array([known_regions.profile(region).tax_permille for region in spec.regions])

    @property
    def inventory_rows(self) -> int:
        """Rows of inventory: row ``warehouse * skus + sku``, so that the rows of a region are neighbours."""
        return self.warehouses.count * self.catalogue.skus

    def early_users(self, region: int) -> int:
        """Return how many users of a region were there before the history begins."""
        return max(1, int(self.users.size(region) * EARLY_USERS))

    def ago(self, table: str, column: str, rows: Ints, days: tuple[float, float]) -> Ints:
        """Return instants (µs) a uniform number of days in [low, high) before ``as_of``."""
        low, high = days
        draw = self.streams(table, column).uniform(rows)
        return self.as_of_us - 1 - ((low + (high - low) * draw) * DAY_US).astype(np.int64)


class Warehouses:
    """Warehouses of the regions: two in the first, third, … region, one in the others; numbered region after region."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        counts = np.array([2 if number % 2 == 0 else 1 for number in range(len(regions))], np.int64)
        self.count = int(counts.sum())
        self.region = np.repeat(np.arange(len(regions), dtype=np.int64), counts)
        self.first = np.cumsum(counts) - counts
        self.per_region = counts
        codes = known_regions.codes(regions)
        self.codes = tuple(
            f"{codes[region]}{number - self.first[region] + 1}" for number, region in enumerate(self.region.tolist())
        )

    def in_region(self, regions: Ints, lanes: Ints) -> Ints:
        """Return a warehouse of each region by a 16-bit number."""
        return self.first[regions] + (lanes * self.per_region[regions] >> 16)
