"""Bulk loading: COPY of blocks of bytes, and the statements before and after it.

May import ``ddl``, ``errors`` and psycopg.  PostgreSQL takes binary (measured: 1.8 times cheaper for the server than text),
CockroachDB text, which has no widths to match.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql

from bench.db.ddl import Ddl, Dialect
from bench.errors import TargetError

CopyFormat = Literal["binary", "text"]


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a table holds: its rows, and in 16 hex digits the sum of their hashes, which no order of loading changes.

    The two databases hash differently, so checksums compare between databases of one kind.
    """

    rows: int
    digest: str


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


# A loader that was killed leaves no statement behind that runs on for minutes; not every platform's server can do it.
_NOTICE_LOSS = "SET client_connection_check_interval = '1s'"


def copy_format(dialect: Dialect) -> CopyFormat:
    """Return the format that a database takes fastest."""
    return "binary" if dialect == "postgres" else "text"


def prepare_session(connection: Connection, dialect: Dialect) -> None:
    """Set a connection up for loading; raises the driver's errors."""
    for statement in _SESSION[dialect]:
        connection.execute(statement)
    if dialect == "postgres":
        with suppress(psycopg.errors.InvalidParameterValue):
            connection.execute(_NOTICE_LOSS)


def copy_block(connection: Connection, table: str, columns: Sequence[str], body: bytes, fmt: CopyFormat) -> None:
    """Send one block of rows as one COPY; psycopg.Error when the server refuses it or is lost."""
    names = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    statement = sql.SQL(_COPY[fmt]).format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        if fmt == "binary":
            copy.write(_BINARY_HEAD)
        copy.write(body)
        if fmt == "binary":
            copy.write(_BINARY_TAIL)


def apply(connection: Connection, ddl: Ddl) -> None:
    """Execute a statement of a schema; TargetError names what it should have made."""
    with explained(f"making {ddl.kind} {ddl.name}"):
        connection.execute(ddl.sql.encode())


def analyze(connection: Connection, table: str, dialect: Dialect) -> None:
    """Collect a table's statistics; on PostgreSQL also set its visibility map, without which no scan is index-only."""
    command = "VACUUM (ANALYZE)" if dialect == "postgres" else "ANALYZE"
    with explained(f"{command} of {table}"):
        connection.execute(sql.SQL("{} {}").format(sql.SQL(command), sql.Identifier(table)))


def set_sequence(connection: Connection, name: str, value: int, dialect: Dialect) -> None:
    """Let a sequence go on after ``value``, and wait until everything committed before is on disk.

    PostgreSQL's VACUUM marks no page as visible to all whose commits it does not know to be on disk.
    """
    with explained(f"sequence {name}"):
        if dialect == "postgres":
            connection.execute("SET synchronous_commit = on")
        connection.execute("SELECT setval(%s, %s)", (name, value))


def checksum(connection: Connection, table: str, statement: str) -> Checksum:
    """Return a table's rows and the sum of their hashes; ``statement`` is the schema's own for the table."""
    with explained(f"the checksum of {table}"):
        row = connection.execute(statement.encode()).fetchone()
    count, total = row or (0, "0")
    return Checksum(int(count), f"{int(total) % 2**64:016x}")


@contextmanager
def explained(action: str) -> Iterator[None]:
    """Turn the driver's errors into a TargetError that says what failed and how to go on."""
    try:
        yield
    except psycopg.Error as error:
        text = str(error).strip().splitlines()
        detail = error.diag.message_detail or ""
        cause = f"{text[0] if text else type(error).__name__} {detail}".strip()
        hint = "run `bench seed --resume` to go on, or --fresh to begin again"
        raise TargetError(f"{action} failed", cause=cause, hint=hint) from error
