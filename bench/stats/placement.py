"""Where the leaseholders stand against where the rows live, at the end of a run on CockroachDB.  Pure.

A row is read and written fastest from the region of its leaseholder.  Rows of a REGIONAL BY ROW table should have it in their
own region; a table without a locality has all of its in one.
"""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.metrics.frame import Counter
from bench.metrics.nodes import HOME, LEASE


@dataclass(frozen=True, slots=True)
class IndexPlaces:
    """One index: its ranges and live keys by the region of their leaseholder, and of a primary key the rows by their home.

    ``homes`` is empty where rows were not counted.  ``misplaced`` is the smallest share of rows that have their leaseholder
    elsewhere: rows of a region beyond the keys that are led there.  None without ``homes``.
    """

    name: str
    ranges: Mapping[str, int]
    keys: Mapping[str, int]
    homes: Mapping[str, int]

    @property
    def misplaced(self) -> float | None:
        """At least this share of the rows is led from another region than its own."""
        rows = sum(self.homes.values())
        if not rows:
            return None
        return sum(max(0, count - self.keys.get(region, 0)) for region, count in self.homes.items()) / rows


def index_places(counters: Iterable[Counter]) -> tuple[IndexPlaces, ...]:
    """Return the indexes in the order of their names, of the last look that was taken."""
    ranges: defaultdict[str, Tally[str]] = defaultdict(Tally)
    keys: defaultdict[str, Tally[str]] = defaultdict(Tally)
    homes: defaultdict[str, Tally[str]] = defaultdict(Tally)
    for counter in counters:
        if counter.kind == HOME:
            homes[counter.name][counter.region] = round(counter.value)
        elif counter.kind == LEASE and counter.metric in ("ranges", "live_keys"):
            into = ranges if counter.metric == "ranges" else keys
            into[counter.name][counter.region] = round(counter.value)
    return tuple(
        IndexPlaces(name, ranges[name], keys[name], homes[_table(name)] if _is_primary(name) else {})
        for name in sorted(ranges)
    )


def _table(name: str) -> str:
    return name.partition("@")[0]


def _is_primary(name: str) -> bool:
    # Keys are named in every variant (schema/variants.py).
    return name == f"{_table(name)}@{_table(name)}_pkey"
