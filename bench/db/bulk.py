"""Bulk loading: COPY of blocks of bytes, and the statements before and after it.

May import ``admin``, ``ddl``, ``errors`` and psycopg.  PostgreSQL takes binary (measured: 1.8 times cheaper for the server
than text), CockroachDB text, which has no widths to match: its INT is of eight bytes ([D:copy], [D:int]).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from bench.db.admin import admin_catalogue
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


def copy_format(dialect: Dialect) -> CopyFormat:
    """Return the format that a database takes fastest."""
    return "binary" if dialect == "postgres" else "text"


def prepare_session(connection: Connection, dialect: Dialect) -> None:
    """Set a connection up for loading; raises the driver's errors."""
    catalogue = admin_catalogue(dialect)
    for statement in catalogue.values():
        if statement.name.startswith("load_set_"):
            connection.execute(statement.sql)
    if "load_notice_loss" in catalogue:
        with suppress(psycopg.errors.InvalidParameterValue):
            connection.execute(catalogue["load_notice_loss"].sql)


def copy_block(connection: Connection, table: str, columns: Sequence[str], body: bytes, fmt: CopyFormat) -> None:
    """Send one block of rows as one COPY; psycopg.Error when the server refuses it or is lost."""
    copy_from = admin_catalogue("postgres")[f"copy_{fmt}"]  # which are the same for both
    with connection.cursor() as cursor, cursor.copy(copy_from.named(table=table, columns=columns)) as copy:
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
    with explained(f"ANALYZE of {table}"):
        connection.execute(admin_catalogue(dialect)["analyze"].named(table=table))


def set_sequence(connection: Connection, name: str, value: int, dialect: Dialect) -> None:
    """Let a sequence go on after ``value``, and wait until everything committed before is on disk.

    PostgreSQL's VACUUM marks no page as visible to all whose commits it does not know to be on disk.
    """
    with explained(f"sequence {name}"):
        catalogue = admin_catalogue(dialect)
        if "load_on_disk" in catalogue:
            connection.execute(catalogue["load_on_disk"].sql)
        connection.execute(catalogue["set_sequence"].sql, {"name": name, "value": value})


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
