"""A tiny data set, loaded once for the session; its tests only read it, or roll back."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
import pytest
from tests_support import drop_database

from bench.data.blocks import DataSet
from bench.data.loader import LoadOptions, LoadReport, load
from bench.data.spec import SeedSpec
from bench.data.tally import Progress
from bench.db import bulk
from bench.db.ddl import load_schema

REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
AS_OF = date(2026, 11, 1)
TINY = SeedSpec("tiny", 7, AS_OF, REGIONS)


@dataclass(frozen=True)
class Loaded:
    url: str
    spec: SeedSpec
    report: LoadReport
    progress: list[Progress]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]


def fill(url: str, spec: SeedSpec, variant: str = "pg", connections: int = 2, processes: int = 1) -> Loaded:
    progress: list[Progress] = []
    schema = load_schema(variant, spec.regions, spec.as_of)
    report = load(
        dict.fromkeys(spec.regions, url), schema, DataSet(spec), LoadOptions(processes, connections), progress.append
    )
    return Loaded(url, spec, report, progress)


def checksums(url: str) -> dict[str, tuple[int, str]]:
    """Return (rows, sum of the rows' hashes) of each table: the same for any order of loading."""
    found = {}
    with psycopg.connect(url) as connection:
        connection.execute("SET timezone = 'UTC'")
        for table in load_schema("pg", REGIONS, AS_OF).model.tables:
            query = (
                f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM {table.name} t"
            )
            found[table.name] = connection.execute(query).fetchone()
    return found


@pytest.fixture(scope="session")
def database(pg_url: str) -> Iterator[str]:
    """The URL of an empty database that lives as long as the session."""
    name = f"data_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    base, _, _ = pg_url.rpartition("/")
    yield f"{base}/{name}"
    with psycopg.connect(pg_url, autocommit=True) as connection:
        drop_database(connection, name)


@pytest.fixture(scope="session")
def tiny(database: str) -> Loaded:
    return fill(database, TINY)


@pytest.fixture(scope="session")
def copy_of_tiny(tiny: Loaded, pg_url: str) -> Iterator[str]:
    """The URL of a copy for tests that change rows, be it only to roll back."""
    base, _, name = tiny.url.rpartition("/")
    with psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}_copy TEMPLATE {name}")
    yield f"{base}/{name}_copy"
    with psycopg.connect(pg_url, autocommit=True) as connection:
        drop_database(connection, f"{name}_copy")


@pytest.fixture(scope="session")
def tiny_data() -> DataSet:
    return DataSet(TINY)


@pytest.fixture(scope="session")
def small_data() -> DataSet:
    return DataSet(SeedSpec("small", 7, AS_OF, REGIONS))


@pytest.fixture
def as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load in CockroachDB's format."""
    monkeypatch.setattr(bulk, "copy_format", lambda dialect: "text")
