"""A server that outlives ``bench run`` and can be stopped, killed and started again on the same port and data."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from tests_support import HANG_S, command

from bench.target.embedded import EmbeddedServer, ServerOptions
from bench.target.supervisor import is_alive

# Durable: a server that is killed must not forget what it has acknowledged.
SETTINGS = {"max_connections": "300", "max_locks_per_transaction": "256", "jit": "off", "shared_buffers": "128MB"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Standing:
    """A server of the test's own, with a seeded database that each run gets a copy of."""

    home: Path
    settings: Mapping[str, str] = field(default_factory=lambda: SETTINGS)
    port: int = field(default_factory=_free_port)
    _server: EmbeddedServer | None = None
    _copies: int = 0

    def start(self) -> None:
        """Start it, on the data that it was stopped with."""
        self._server = EmbeddedServer.start(self.home, ServerOptions(self.settings, self.port, start_timeout_s=HANG_S))

    def stop(self) -> None:
        """A fast shutdown: every session is ended with 57P01."""
        self.running.stop()

    def kill(self) -> None:
        """An immediate shutdown: sessions end with 57P02 or without a word, and the next start recovers from the log."""
        pid = self.running.pid
        os.kill(pid, signal.SIGQUIT)
        self.running.stop()
        assert not is_alive(pid)

    @property
    def running(self) -> EmbeddedServer:
        assert self._server is not None
        return self._server

    def seed(self) -> None:
        """Load the data that runs begin with."""
        self.query("postgres", "CREATE DATABASE seed")
        subprocess.run(
            [command(), "seed", "--url", self.running.url("seed"), "--scale", "tiny"],
            env={**os.environ, "BENCH_HOME": str(self.home), "NO_COLOR": "1"},
            capture_output=True,
            timeout=HANG_S,
            check=True,
        )

    def fresh(self) -> str:
        """Return the URL of an unused copy of the seeded database; a test that failed may have left the server stopped."""
        if not self.running.is_running():
            self.start()
        self._copies += 1
        name = f"copy_{self._copies}"
        with psycopg.connect(self.running.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE seed").format(sql.Identifier(name)))
        return self.running.url(name)

    def query(self, database: str, text: str) -> None:
        """Run one statement on a connection of its own."""
        with psycopg.connect(self.running.url(database), autocommit=True) as connection:
            connection.execute(text)
