"""Where variants differ: localities, partitions, and which columns make a row unique."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from bench.db.model import Table

MONTHS_BEFORE = 13
MONTHS_AFTER = 2


@dataclass(frozen=True, slots=True)
class Layout:
    """The physical choices of a variant; the default is a plain table on either database."""

    regions: tuple[str, ...]
    as_of: date
    inline_keys: bool = False
    """Keys inside CREATE TABLE: CockroachDB stores a table by its primary key, so adding it later rewrites the table
    ([D:primary-key])."""
    is_multi_region: bool = False
    global_unique: bool = False
    """Keys without the region, as the seed has them: each insert then looks in every other region."""
    partitioned: frozenset[str] = frozenset()
    """Tables with PostgreSQL's declarative LIST partitions."""
    monthly: frozenset[str] = frozenset()
    """Those of them whose regional partitions are split again by month."""
    zone_partitioned: bool = False
    """CockroachDB's PARTITION BY LIST with a zone configuration per partition ([D:partitioning]), the seed's S2 and S10 in a
    valid form."""

    @property
    def region_default(self) -> str:
        """The DEFAULT of a region column ([D:alter-table]), or nothing where the client always sends it."""
        if not self.is_multi_region:
            return ""
        return "default_to_database_primary_region(gateway_region())::crdb_internal_region"

    @property
    def hash_suffix(self) -> str:
        """The clause that spreads an index led by a timestamp ([D:hash-sharded-indexes])."""
        return " USING HASH WITH (bucket_count = 8)" if self.is_multi_region else ""

    def table_suffix(self, table: Table) -> str:
        """Return what follows the closing parenthesis of CREATE TABLE ([D:table-localities])."""
        if self.is_multi_region:
            return " LOCALITY REGIONAL BY ROW AS region" if table.is_regional else " LOCALITY GLOBAL"
        return " PARTITION BY LIST (region)" if table.name in self.partitioned else ""

    def partitions(self, table: Table) -> Iterator[tuple[str, str]]:
        """Yield (name, statement) of each PostgreSQL partition of a table."""
        if table.name not in self.partitioned:
            return
        by_month = " PARTITION BY RANGE (created_at)" if table.name in self.monthly else ""
        for label, values in (*((label_of(r), f"FOR VALUES IN ('{r}')") for r in self.regions), ("default", "DEFAULT")):
            name = f"{table.name}_{label}"
            yield name, f"CREATE TABLE {name} PARTITION OF {table.name} {values}{by_month}"
            if by_month:
                yield from self._months(name)

    def _months(self, parent: str) -> Iterator[tuple[str, str]]:
        for number in range(-MONTHS_BEFORE, MONTHS_AFTER + 1):
            start, end = _month(self.as_of, number), _month(self.as_of, number + 1)
            name = f"{parent}_{start:%Y%m}"
            yield name, f"CREATE TABLE {name} PARTITION OF {parent} FOR VALUES FROM ('{start}') TO ('{end}')"
        yield f"{parent}_other", f"CREATE TABLE {parent}_other PARTITION OF {parent} DEFAULT"

    def partition_by(self, table: Table) -> Iterator[tuple[str, str]]:
        """Yield (name, statement) of CockroachDB's partitions and their zone configurations."""
        if not (self.zone_partitioned and table.is_regional):
            return
        lists = [f"PARTITION {label_of(region)} VALUES IN ('{region}')" for region in self.regions]
        lists.append('PARTITION "default" VALUES IN (DEFAULT)')
        body = ",\n  ".join(lists)
        yield table.name, f"ALTER TABLE {table.name} PARTITION BY LIST (region) (\n  {body}\n)"
        for region in self.regions:
            label = label_of(region)
            yield (
                f"{table.name}_{label}",
                f"ALTER PARTITION {label} OF TABLE {table.name} CONFIGURE ZONE USING "
                f"constraints = '[+region={region}]', lease_preferences = '[[+region={region}]]'",
            )


def label_of(region: str) -> str:
    """Return a region's name as an SQL identifier.

    >>> label_of("us-east")
    'us_east'
    """
    return region.replace("-", "_")


def _month(day: date, offset: int) -> date:
    months = day.year * 12 + day.month - 1 + offset
    return date(months // 12, months % 12 + 1, 1)
