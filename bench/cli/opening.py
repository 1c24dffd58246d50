"""A connection to a database for commands that do not put load on it."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.cli.options import TargetOptions
from bench.db.admin import Admin
from bench.db.connection import Connection, connect, open_or_explain
from bench.db.ddl import Dialect
from bench.db.dialects import dialect_of
from bench.errors import TargetError
from bench.target.embedded import EmbeddedServer, ServerOptions
from bench.target.home import bench_home

RUN_DATABASE = "shop"
# Durable as a shop's database is; memory and connections as a laptop has them.
SERVER_SETTINGS = {
    "max_connections": "400",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_locks_per_transaction": "256",
    "jit": "off",
}
# What the server counts by statement; what that costs is in docs/server.md.
SERVER_LIBRARIES = ("pg_stat_statements",)


@contextmanager
def opened_database(options: TargetOptions) -> Iterator[tuple[Connection, Dialect]]:
    """Hand out a connection to the database that the options name, or to the last run's on the embedded server."""
    if options.url or options.gateways:
        connection = open_or_explain(options.url or options.gateways[0][1])
        dialect = dialect_of(connection)
        dialect.version(connection)
        yield connection, dialect.name
        return
    with EmbeddedServer.start(bench_home(), ServerOptions(SERVER_SETTINGS, options.port)) as server:
        with connect(server.url()) as admin_connection:
            if not Admin.of(admin_connection, "postgres").has_database(RUN_DATABASE):
                raise TargetError("the embedded server has no database yet", hint="run `bench run flash-sale` first")
        yield connect(server.url(RUN_DATABASE)), "postgres"
