"""A place on a PostgreSQL server to try the load out in: one transaction, a schema of its own, always rolled back.

May import ``bulk``, ``catalogue``, ``connection``, ``ddl``, ``errors`` and psycopg.  All statements of our PostgreSQL
variants may run in one transaction; VACUUM may not, so a probe only analyzes.  A client that dies leaves nothing either: the
server rolls back what nobody commits.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from time import perf_counter

import psycopg

from bench.db import bulk
from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import Connection, rows, value
from bench.db.ddl import Ddl, Schema, Stage
from bench.errors import TargetError

PAGE = 8192
"""Bytes of a page.  Another page size needs a server compiled for it, which we have never seen."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A heap or an index as it stands: ``pages`` that are in use, and bytes of TOAST.

    ``table`` is the table it belongs to, for a partition the one at the root.
    """

    table: str
    name: str
    method: str
    is_view: bool
    pages: int
    toast_bytes: int

    @property
    def is_heap(self) -> bool:
        """Whether this holds rows, not entries of an index."""
        return self.method not in ("btree", "gin")


@dataclass(frozen=True, slots=True)
class Timed:
    """A statement of the schema and the wall seconds that it took."""

    ddl: Ddl
    seconds: float


@dataclass(frozen=True, slots=True)
class Probe:
    """The open transaction; every method raises TargetError when the server refuses something."""

    connection: Connection
    schema: Schema

    def build(self, *stages: Stage) -> tuple[Timed, ...]:
        """Execute the statements of the stages in order."""
        found = []
        for ddl in (ddl for stage in stages for ddl in self.schema.stage(stage)):
            with _explained(f"{ddl.kind} {ddl.name}"):
                started = perf_counter()
                self.connection.execute(ddl.sql.encode())
                found.append(Timed(ddl, perf_counter() - started))
        return tuple(found)

    def copy(self, table: str, columns: Sequence[str], body: bytes) -> float:
        """Send rows as one COPY, and return the wall seconds."""
        with _explained(f"COPY to {table}"):
            started = perf_counter()
            bulk.copy_block(self.connection, table, columns, body, bulk.copy_format("postgres"))
            return perf_counter() - started

    def analyze(self, table: str) -> float:
        """Collect a table's statistics, and return the wall seconds."""
        with _explained(f"ANALYZE of {table}"):
            started = perf_counter()
            self.connection.execute(_statements()["probe_analyze"].named(table=table))
            return perf_counter() - started

    def checksum(self, table: str) -> float:
        """Add up the hashes of a table's rows as at the end of a load, and return the wall seconds."""
        with _explained(f"the checksum of {table}"):
            started = perf_counter()
            for name, statement in self.schema.checksums:
                if name == table:
                    self.connection.execute(statement.encode())
            return perf_counter() - started

    def relations(self, filled: Sequence[str] = ()) -> tuple[Relation, ...]:
        """Return what is there; of the heaps of the tables ``filled`` only the pages that hold rows.

        COPY into a table of the same transaction extends it by up to 64 pages at a time and leaves the last ones unused; the
        tables of a real load are of an earlier transaction, where later rows fill these pages.
        """
        with _explained("measuring sizes"):
            used = {oid: pages for table in filled for oid, pages in self._used_pages(table)}
            found = rows(self.connection, _statements()["probe_relations"].sql)
        return tuple(
            Relation(table, name, method, is_view, used.get(oid, size // PAGE), toast)
            for oid, table, name, method, is_view, size, toast in found
        )

    def _used_pages(self, table: str) -> list[tuple[int, int]]:
        found = self.connection.execute(_statements()["probe_used_pages"].named(table=table)).fetchall()
        return [(oid, int(place.strip("()").split(",")[0]) + 1) for oid, place in found]

    def wal_bytes(self) -> int:
        """Return the bytes of WAL that the server has ever written: a difference counts what others write as well."""
        with _explained("measuring the WAL"):
            return int(value(self.connection, _statements()["probe_wal"].sql))

    @contextmanager
    def forgotten(self) -> Iterator[None]:
        """Undo at the end whatever is done inside."""
        with self.connection.transaction(force_rollback=True):
            yield


@contextmanager
def open_probe(connection: Connection, schema: Schema) -> Iterator[Probe]:
    """Set an autocommit connection up as for loading, and lend a transaction on it that is rolled back in any case.

    TargetError when the server refuses something, e.g. a role that may not create a schema.  A second probe of the same
    database waits for the first.
    """
    with bulk.explained("the connection"):
        bulk.prepare_session(connection, schema.dialect)
    with connection.transaction(force_rollback=True):
        with _explained("making a schema for it"):
            for name in ("probe_schema", "probe_path"):
                connection.execute(_statements()[name].sql)
        yield Probe(connection, schema)


@cache
def _statements() -> Catalogue:
    return Catalogue.load([read_package("bench.db", "sql")], "postgres")


@contextmanager
def _explained(action: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        lines = str(error).strip().splitlines()
        raise TargetError(
            f"the sample load failed at {action}",
            cause=lines[0] if lines else type(error).__name__,
            hint="the role must be allowed to create schemas in the database; nothing was left behind",
        ) from error
