"""A stage for each test."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.indexes.stage import SCHEMA, Stage


@pytest.fixture
def stage(fresh_database: str, tmp_path: Path) -> Iterator[Stage]:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                connection.execute(statement)
    made = Stage(fresh_database, tmp_path)
    with closing(made.connection):
        yield made
        made.session.drop()
