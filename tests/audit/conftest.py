"""One database per variant for the module; each test works in a transaction that is rolled back."""

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from tests_support import drop_database

from tests.audit.shop import Shop, create_schema

Opener = Callable[[str], Shop]


@pytest.fixture(scope="session")
def shop_url(pg_url: str) -> Iterator[Callable[[str], str]]:
    """The URL of a database that holds a variant of the schema and no rows."""
    names: dict[str, str] = {}

    def url(variant: str) -> str:
        if variant not in names:
            names[variant] = f"test_audit_{uuid.uuid4().hex[:8]}"
            with psycopg.connect(pg_url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {names[variant]}")
            create_schema(psycopg.conninfo.make_conninfo(pg_url, dbname=names[variant]), variant)
        return psycopg.conninfo.make_conninfo(pg_url, dbname=names[variant])

    yield url
    with psycopg.connect(pg_url, autocommit=True) as connection:
        for name in names.values():
            drop_database(connection, name)


@pytest.fixture
def open_shop(shop_url: Callable[[str], str]) -> Iterator[Opener]:
    """A shop that has traded, on a variant."""
    connections = []

    def opened(variant: str) -> Shop:
        connections.append(psycopg.connect(shop_url(variant)))
        return Shop(connections[-1]).open().trade()

    yield opened
    for connection in connections:
        connection.close()


@pytest.fixture
def shop(open_shop: Opener) -> Shop:
    """A shop that has traded, on the plain variant."""
    return open_shop("pg")
