"""Bulk loading: COPY of blocks of bytes, and the statements before and after it.

May import ``ddl``, ``errors`` and psycopg.  PostgreSQL takes binary (measured: 1.8 times cheaper for the server than text),
CockroachDB text, which has no widths to match.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import psycopg
from psycopg import sql

from bench.db.ddl import Ddl, Dialect
from bench.errors import TargetError

CopyFormat = Literal["binary", "text"]
Connection = psycopg.Connection[Any]

_BINARY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_BINARY_TAIL = b"\xff\xff"
_COPY = {"binary": "COPY {} ({}) FROM STDIN WITH (FORMAT binary)", "text": "COPY {} ({}) FROM STDIN"}

# A load is repeated, not repaired, after a crash of the server, so its commits need not wait for the disk.
_SESSION: dict[Dialect, tuple[str, ...]] = {
    "postgres": (
        "SET synchronous_commit = off",
        "SET maintenance_work_mem = '256MB'",
        # The connections work side by side already; more workers for one index only contend for the same cores.
        "SET max_parallel_maintenance_workers = 0",
        "SET max_parallel_workers_per_gather = 0",
        "SET jit = off",
        "SET statement_timeout = 0",
    ),
    # Otherwise COPY runs at background priority and is throttled under load ([D:admission-control]).
    "cockroach": ("SET copy_transaction_quality_of_service = 'regular'", "SET statement_timeout = 0"),
}


def copy_format(dialect: Dialect) -> CopyFormat:
    """Return the format that a database takes fastest."""
    return "binary" if dialect == "postgres" else "text"


def prepare_session(connection: Connection, dialect: Dialect) -> None:
    """Set a connection up for loading."""
    with _explained("the connection"):
        for statement in _SESSION[dialect]:
            connection.execute(statement)


def copy_block(connection: Connection, table: str, columns: Sequence[str], body: bytes, fmt: CopyFormat) -> None:
    """Send one block of rows as one COPY, which is one transaction; TargetError when the server refuses it."""
    names = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    statement = sql.SQL(_COPY[fmt]).format(sql.Identifier(table), names)
    with _explained(f"COPY to {table}"), connection.cursor() as cursor, cursor.copy(statement) as copy:
        if fmt == "binary":
            copy.write(_BINARY_HEAD)
        copy.write(body)
        if fmt == "binary":
            copy.write(_BINARY_TAIL)


def apply(connection: Connection, statements: Sequence[Ddl]) -> None:
    """Execute statements of a schema, each in a transaction of its own; TargetError names the one that failed."""
    for ddl in statements:
        with _explained(f"making {ddl.kind} {ddl.name}"):
            connection.execute(ddl.sql.encode())


def analyze(connection: Connection, table: str, dialect: Dialect) -> None:
    """Collect a table's statistics; on PostgreSQL also set its visibility map, without which no scan is index-only."""
    command = "VACUUM (ANALYZE)" if dialect == "postgres" else "ANALYZE"
    with _explained(f"{command} of {table}"):
        connection.execute(sql.SQL("{} {}").format(sql.SQL(command), sql.Identifier(table)))


def set_sequence(connection: Connection, name: str, value: int, dialect: Dialect) -> None:
    """Let a sequence go on after ``value``, and wait until everything committed before is on disk.

    PostgreSQL's VACUUM marks no page as visible to all whose commits it does not know to be on disk.
    """
    with _explained(f"sequence {name}"):
        if dialect == "postgres":
            connection.execute("SET synchronous_commit = on")
        connection.execute("SELECT setval(%s, %s)", (name, value))


@contextmanager
def _explained(action: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        text = str(error).strip().splitlines()
        detail = error.diag.message_detail or ""
        cause = f"{text[0] if text else type(error).__name__} {detail}".strip()
        raise TargetError(f"{action} failed", cause=cause, hint="run `bench seed --fresh` to begin again") from error
