"""One user's connection on the hot path: execute a catalogue statement by name, timed, with the distance it has to travel.

A cursor is reused and every statement prepared from its first use (measured: 6-19 µs a statement less than
``connection.execute``).  BEGIN and COMMIT are statements like any other: they are timed and they travel.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg

from bench.db.catalogue import Catalogue, Statement
from bench.db.connection import Connection
from bench.db.taxonomy import Refusal, classify

BEGIN, COMMIT, ROLLBACK, CONNECT = "BEGIN", "COMMIT", "ROLLBACK", "CONNECT"

Rows = list[tuple[Any, ...]]


class StatementObserver(Protocol):
    """Told of each statement as it ends; times are ``clock`` nanoseconds."""

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        """Record one statement."""
        ...


@dataclass(frozen=True, slots=True)
class Effects:
    """The clock and the sleep that a session uses; passed in so that tests and gevent can have their own."""

    clock: Callable[[], int]
    """Nanoseconds, monotonic."""
    sleep: Callable[[float], None]
    """Seconds."""


@dataclass(slots=True)
class Session:
    """A region's user at its gateway.  ``distance_s`` is the emulated round trip paid before each exchange."""

    region: str
    connector: Callable[[], Connection]
    catalogue: Catalogue
    observer: StatementObserver
    effects: Effects
    distance_s: float = 0.0
    current: str = CONNECT
    """The statement last sent: where an attempt stood when it ended."""
    _connection: Connection | None = None
    _cursor: psycopg.Cursor[tuple[Any, ...]] | None = None
    _open: bool = field(default=False)

    def connect(self) -> None:
        """Open the connection if there is none; raises psycopg.Error."""
        if self._connection is None:
            self.current = CONNECT
            started = self.effects.clock()
            self._connection = self.connector()
            self.observer.statement(CONNECT, started, self.effects.clock(), True)
            # Prepared from the first use: a load test has no cold statements worth saving.
            self._connection.prepare_threshold = 0
            self._cursor = self._connection.cursor()

    def execute(self, name: str, params: Mapping[str, Any] | Sequence[Any] | None = None) -> Rows:
        """Send a statement of the catalogue and return its rows (none for a statement without); raises psycopg.Error."""
        statement: Statement = self.catalogue[name]
        return self._send(name, statement.sql, params)

    def begin(self) -> None:
        """Start an explicit transaction, connecting first where needed."""
        self.connect()
        self._send(BEGIN, BEGIN, None)
        self._open = True

    def commit(self) -> None:
        """Commit; a connection lost while waiting for the answer leaves the outcome unknown."""
        self._send(COMMIT, COMMIT, None)
        self._open = False

    def rollback(self) -> None:
        """Undo the open transaction; drops the connection when even that fails."""
        if self._connection is not None and self._connection.closed:
            self.drop()
        if not self._open:
            return
        self._open = False
        at = self.current
        try:
            self._send(ROLLBACK, ROLLBACK, None)
        except psycopg.Error:
            self.drop()
        self.current = at

    def drop(self) -> None:
        """Close the connection; the next statement opens another."""
        connection, self._connection, self._cursor, self._open = self._connection, None, None, False
        if connection is not None:
            connection.close()

    def refusal(self, error: psycopg.Error) -> Refusal:
        """Return what an error of this session's last statement means."""
        found = classify(error.sqlstate, str(error), at_commit=self.current == COMMIT)
        if self.current == CONNECT and found.reason == "connection_lost":
            return Refusal("connection_refused", "reconnect")
        return found

    def _send(self, name: str, sql: str, params: Any) -> Rows:
        self.connect()
        cursor = self._cursor
        assert cursor is not None
        self.current = name
        effects = self.effects
        started = effects.clock()
        ok = False
        try:
            if self.distance_s:
                effects.sleep(self.distance_s)
            cursor.execute(sql, params, prepare=True)
            found = cursor.fetchall() if cursor.description else []
            ok = True
            return found
        finally:
            self.observer.statement(name, started, effects.clock(), ok)
