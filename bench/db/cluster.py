"""A multi-region database on a cluster: made with its regions and survival goal, and checked against what was wanted.

May import ``admin``, ``connection``, ``ddl`` and ``dialects``.  CockroachDB only; sources are in ``sql/cluster.sql``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Literal

from bench.db.admin import Admin
from bench.db.connection import Connection, open_or_explain, with_database
from bench.db.ddl import Schema, load_schema
from bench.db.dialects import dialect_of
from bench.errors import TargetError

DATABASE = "shop"
VARIANT = "crdb_rbr"
"""The variant whose tables have localities, and so whose database has regions."""
SYSTEM_DATABASE = "defaultdb"
Goal = Literal["zone", "region"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing about a cluster: as it should be, and as it is."""

    what: str
    expected: str
    found: str

    @property
    def holds(self) -> bool:
        """Whether it is as it should be."""
        return self.expected == self.found


def make_database(gateway: str, regions: tuple[str, ...], goal: Goal) -> bool:
    """Make the database ``shop`` with its regions, the first of them primary, and its goal; return whether it was missing.

    One that is there keeps its data and its regions; its goal is set.
    """
    with closing(open_or_explain(with_database(gateway, SYSTEM_DATABASE))) as connection:
        dialect = dialect_of(connection)
        dialect.version(connection)
        if dialect.name != "cockroach":
            raise TargetError("the gateway is not a CockroachDB node", hint="see who listens on the port")
        admin = Admin.of(connection, dialect.name)
        is_missing = not admin.has_database(DATABASE)
        if is_missing:
            # The day is that of partitions, which this variant has none of.
            admin.create_for(load_schema(VARIANT, regions, date(2000, 1, 1)), DATABASE)
        connection.execute(admin.catalogue[f"survive_{goal}"].named(database=DATABASE).encode())
        return is_missing


def follow_goal(admin: Admin, schema: Schema, name: str) -> None:
    """Give a database that was made for a variant with regions the survival goal of the one that is connected to.

    A variant's own is that of a zone, which a cluster of fewer nodes cannot keep; nothing happens where there are no regions.
    """
    if "SURVIVE" not in schema.database:
        return
    [(goal,)] = admin.read("survival_goal")
    if goal:
        admin.connection.execute(admin.catalogue[f"survive_{goal}"].named(database=name).encode())


def cluster_facts(gateways: Mapping[str, Sequence[str]], zones_per_region: int, goal: Goal) -> Iterator[Fact]:
    """Yield what a cluster's database and its gateways are, beside what they should be."""
    regions = tuple(gateways)
    with closing(open_or_explain(gateways[regions[0]][0])) as connection:
        admin = Admin.of(connection, "cockroach")
        yield from region_facts(
            admin.read("cluster_regions"), admin.read("database_regions"), regions, zones_per_region
        )
        yield Fact("the database survives the loss of a", goal, str(admin.read("survival_goal")[0][0]))
    for region, urls in gateways.items():
        for url in urls:
            with closing(open_or_explain(url)) as connection:
                yield Fact(f"the gateway of {region} stands in", f"region={region}", _region_of(connection))


def region_facts(
    cluster: Sequence[tuple[str, str]], database: Sequence[tuple[str, str]], regions: tuple[str, ...], zones: int
) -> Iterator[Fact]:
    """Yield what the rows of SHOW REGIONS say: region and zones of the cluster, region and role of the database."""
    yield Fact("regions of the nodes", _listed(regions), _listed(region for region, _ in cluster))
    for region, found in cluster:
        wanted = _listed(f"{region}-{letter}" for letter in "abc"[:zones])
        yield Fact(f"zones of {region}", wanted, _listed(found.split(", ")))
    yield Fact("regions of the database", _listed(regions), _listed(region for region, _ in database))
    yield Fact("its primary region", regions[0], _listed(region for region, role in database if role))


def has_license(gateway: str) -> bool:
    """Whether a licence was set on the cluster; without one it is throttled after seven days."""
    with closing(open_or_explain(gateway)) as connection:
        return bool(Admin.of(connection, "cockroach").read("license_key")[0][0])


def _region_of(connection: Connection) -> str:
    locality = str(Admin.of(connection, "cockroach").read("node_locality")[0][0])
    return locality.partition(",")[0]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
