"""The record that a load keeps in the database it fills: what is committed, and that only one load is at work.

A block of rows and its entry are one transaction, so after any end, of the loader or of the server, the entries are exactly
the rows that are there.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import psycopg

from bench.db.admin import admin_catalogue
from bench.db.catalogue import Catalogue
from bench.db.connection import Connection, rows, value
from bench.db.ddl import Dialect
from bench.errors import TargetError

Unit = tuple[str, int]
"""A part of the data set and the first of its units in the block."""

_LOAD = "load"
_LOCK_KEY = 0x73686F70
"""Of the advisory lock; such locks are per database, so any constant of our own does."""
_LOCK_WAIT_S = 30.0
_LOCK_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal as one connection sees it; each loading connection has its own.

    ``load`` is the number of the load at work: another one's entries are none of its own.
    """

    connection: Connection
    catalogue: Catalogue
    load: int = 0

    @classmethod
    def of(cls, connection: Connection, dialect: Dialect, load: int = 0) -> "Journal":
        """Return the journal of the connected database."""
        return cls(connection, admin_catalogue(dialect), load)

    def open(self) -> tuple[int, dict[Unit, int]]:
        """Make the journal where there is none; return the number of the load, and the rows by unit of work committed."""
        self._rows("load_journal_make")
        self._rows("load_begin", load=secrets.randbits(62))
        held = {(str(part), int(unit)): int(count) for part, unit, count in self._rows("load_journal_read")}
        load = next(unit for part, unit in held if part == _LOAD)
        return load, {unit: count for unit, count in held.items() if unit[0] != _LOAD}

    def exists(self) -> bool:
        """Whether a load has begun here and not been closed."""
        return bool(self._rows("load_journal_exists"))

    def drop(self) -> None:
        """Remove the journal: the load is complete, and said so elsewhere."""
        self._rows("load_journal_drop")

    @contextmanager
    def once(self, part: str, first_unit: int, row_count: int) -> Iterator[bool]:
        """A transaction that enters a unit of work; False when it was entered before, and nothing is to be done."""
        with self.connection.transaction():
            yield self._claim(part, first_unit, row_count)

    def enter(self, part: str, first_unit: int) -> None:
        """Enter a unit of work that could not be part of a transaction."""
        self._claim(part, first_unit, 0)

    def _claim(self, part: str, first_unit: int, row_count: int) -> bool:
        if self._rows("load_claim", load=self.load, part=part, first_unit=first_unit, row_count=row_count):
            return True
        if not self._rows("load_is_at_work", load=self.load):
            raise TargetError("another load has taken over this database", hint="wait for it to end, or end it")
        return False

    def lock(self, waiting: Callable[[], None]) -> None:
        """Hold the database for this load until the connection ends; TargetError while another one is at work.

        ``waiting`` is called once when sessions of an earlier load are still ending.
        """
        if "load_lock_alone" not in self.catalogue:
            return
        deadline, told = monotonic() + _LOCK_WAIT_S, False
        while not value(self.connection, self.catalogue["load_lock_alone"].sql, {"key": _LOCK_KEY}):
            if monotonic() > deadline:
                raise TargetError("another load is at work in this database", hint="wait for it to end, or end it")
            if not told:
                waiting()
            told = True
            sleep(_LOCK_POLL_S)
        self.share()
        self._rows("load_unlock_alone", key=_LOCK_KEY)

    def share(self) -> None:
        """Be a session of the load at work: until it ends, no other load begins."""
        if "load_lock_shared" in self.catalogue:
            self._rows("load_lock_shared", key=_LOCK_KEY)

    def _rows(self, statement: str, **params: Any) -> list[tuple[Any, ...]]:
        return rows(self.connection, self.catalogue[statement].sql, params)


def is_duplicate(error: psycopg.Error) -> bool:
    """Whether a statement failed because its object is there already: duplicate table, object or function."""
    return error.sqlstate in ("42P07", "42710", "42723")
