"""Fixtures: one embedded server for the whole session, and an empty database for each test that asks."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from tests_support import HANG_S, command, drop_database

from bench.target.embedded import EmbeddedServer, ServerOptions

# Short of durability, which no test here is about: the tests' own server may forget what it wrote when the machine dies.
_SETTINGS = {
    "max_connections": "200",
    "fsync": "off",
    "checkpoint_timeout": "1h",
    "max_locks_per_transaction": "256",
    "jit": "off",
}


def _open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="shopbench-tests-", dir="/var/tmp" if os.path.isdir("/var/tmp") else None))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A BENCH_HOME that an ordinary account may enter, also where the tests run as root."""
    yield from _open_folder()


@pytest.fixture
def own_home() -> Iterator[Path]:
    """The same for one test alone, which may do to its server what it likes."""
    yield from _open_folder()


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer.start(home, ServerOptions(_SETTINGS, start_timeout_s=HANG_S)) as running:
        yield running


@pytest.fixture(scope="session")
def pg_url(server: EmbeddedServer) -> str:
    """The server's own database."""
    return server.url()


@pytest.fixture
def fresh_database(server: EmbeddedServer) -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield server.url(name)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        drop_database(connection, name)


Bench = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def bench(home: Path, tmp_path: Path) -> Bench:
    """Run the real command in a folder of its own and return what it said."""

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [command(), *arguments],
            cwd=tmp_path,
            env={**os.environ, "BENCH_HOME": str(home), "NO_COLOR": "1", **environment},
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )

    return run
