"""A tiny shop, seeded once; a copy for each module, on which sessions are played in a process of their own."""

import json
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests_support import HANG_S, drop_database

from bench.data.blocks import DataSet
from bench.data.loader import LoadOptions, load
from bench.data.spec import SeedSpec
from bench.db.ddl import load_schema

REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
# The data ends today, as that of a run does: its carts and coupons have not all expired.
SPEC = SeedSpec("tiny", 7, date.today(), REGIONS)
PLAYER = Path(__file__).with_name("player.py")


@dataclass(frozen=True)
class Shop:
    """A seeded database."""

    url: str

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, query: str, *values: object) -> Any:
        return self.rows(query, *values)[0][0]

    def act(self, script: str) -> Any:
        """Run a script of the player; returns what it said."""
        command = [sys.executable, str(PLAYER), textwrap.dedent(script), self.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def seeded(pg_url: str) -> Iterator[str]:
    """The name of a database that nobody writes to."""
    name = f"workloads_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = psycopg.conninfo.make_conninfo(pg_url, dbname=name)
    load(dict.fromkeys(REGIONS, url), load_schema("pg", REGIONS, SPEC.as_of), DataSet(SPEC), LoadOptions(1, 2))
    yield name
    with psycopg.connect(pg_url, autocommit=True) as connection:
        drop_database(connection, name)


@pytest.fixture(scope="session")
def copy(pg_url: str, seeded: str) -> Iterator[Callable[[], Shop]]:
    """Make a copy of the seeded shop."""
    names = []

    def made() -> Shop:
        names.append(f"{seeded}_{len(names)}")
        with psycopg.connect(pg_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {names[-1]} TEMPLATE {seeded}")
        return Shop(psycopg.conninfo.make_conninfo(pg_url, dbname=names[-1]))

    yield made
    with psycopg.connect(pg_url, autocommit=True) as connection:
        for name in names:
            drop_database(connection, name)


@pytest.fixture(scope="module")
def shop(copy: Callable[[], Shop]) -> Shop:
    """A shop for the tests of a module."""
    return copy()
