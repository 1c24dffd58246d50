"""What pg_stat_statements costs: CPU of one server backend per statement, with the library and without, alternated.

``python tests/benchmarks/counters.py [--rounds N]``; figures in docs/server.md.
"""

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from common import cpu_s

from bench.cli.opening import SERVER_LIBRARIES, SERVER_SETTINGS
from bench.target.embedded import EmbeddedServer, ServerOptions

ROWS, STATEMENTS = 500, 500
READ = "SELECT units FROM stock WHERE id = %s"
WRITE = "UPDATE stock SET units = units - 1 WHERE id = %s"


@contextmanager
def server(libraries: tuple[str, ...]) -> Iterator[psycopg.Connection]:
    """A connection to a server of its own."""
    home = Path(tempfile.mkdtemp(prefix="shopbench-benchmark-", dir="/var/tmp"))
    home.chmod(0o755)
    options = ServerOptions({**SERVER_SETTINGS, "synchronous_commit": "off"}, libraries=libraries)
    try:
        with EmbeddedServer.start(home, options) as running, psycopg.connect(running.url(), autocommit=True) as made:
            made.execute("CREATE TABLE stock (id BIGINT PRIMARY KEY, units BIGINT NOT NULL)")
            made.execute("INSERT INTO stock SELECT n, 0 FROM generate_series(1, %s) n", (ROWS,))
            if libraries:
                made.execute("CREATE EXTENSION pg_stat_statements")
            yield made
    finally:
        shutil.rmtree(home, ignore_errors=True)


def cost_us(connection: psycopg.Connection, sql: str) -> float:
    """Return microseconds of the backend's CPU per statement."""
    pid = connection.info.backend_pid
    before = cpu_s(pid)
    for number in range(STATEMENTS):
        connection.execute(sql, (number % ROWS + 1,), prepare=True)
    return (cpu_s(pid) - before) / STATEMENTS * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(server(libs)) for name, libs in (("without", ()), ("with", SERVER_LIBRARIES))
        }
        for kind, sql in (("read by key", READ), ("update by key", WRITE)):
            costs: dict[str, list[float]] = {name: [] for name in servers}
            for number in range(rounds + 1):
                order = list(servers.items())
                for name, connection in order if number % 2 else order[::-1]:
                    cost = cost_us(connection, sql)
                    # The first round warms up.
                    costs[name] += [cost] if number else []
            # The lower quartile: what else the machine does can only add.
            without, with_it = (statistics.quantiles(costs[name], n=4)[0] for name in ("without", "with"))
            print(f"{kind:14} without {without:6.2f} us  with {with_it:6.2f} us  {with_it - without:+.2f} us")


if __name__ == "__main__":
    main()
