"""A session that plays for real and leaves no trace: one transaction around all that it does, rolled back at the end.

The workload's transactions are savepoints in it.  So a session of the workload can be played again and again from the same
state, with parameters that are right because the workload itself made them.  What is not undone: numbers taken from
sequences, and row versions that a vacuum has to remove.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal
from zlib import crc32

import psycopg

from bench.db.catalogue import Catalogue
from bench.db.connection import Connection
from bench.db.session import Effects, Params, Rows, Session
from bench.db.wire import Call, Prepared, Wire
from bench.units import NS_PER_MS

__all__ = ["Enough", "Params", "Rehearsal", "Spoilt", "Visit"]


class Enough(Exception):
    """Raised by a visitor that has seen all it came for: the rest of the session need not be played."""


class Spoilt(Exception):
    """The server gave the transaction up (SQLSTATE class 40): nothing of the session counts, and it may be played again.

    There is no way on from a savepoint.  CockroachDB refuses to roll back to one of before ("cannot rollback to savepoint
    after a transaction restart", [LT:txn]), and a snapshot of PostgreSQL's that was too old stays so.
    """


_GIVEN_UP = "40"

Level = Literal["transaction", "arm", "trial"]
Visit = Callable[["Rehearsal", str, Params], None]
"""Called before each statement of the workload with its name and parameters; leaves the transaction as it found it."""


class _Unheard:
    """An observer of a session of which nothing is recorded."""

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        """Record nothing."""


class Rehearsal(Session):
    """A user's session between ``raise_curtain`` and ``drop_curtain``; ``catalogue`` has the statements of bench.db, too."""

    def __init__(self, region: str, connector: Callable[[], Connection], catalogue: Catalogue, visit: Visit) -> None:
        self.connection: Connection | None = None

        def opened() -> Connection:
            connection = connector()
            self.connection = connection
            # Else psycopg deallocates all prepared statements after a DROP, those of the wire among them.
            connection.prepare_threshold = None
            return connection

        super().__init__(region, opened, catalogue, _Unheard(), Effects(time.perf_counter_ns, lambda _: None))
        self.visit = visit
        self._on_stage = False
        self._is_spoilt = False

    # -- the transaction around everything

    def raise_curtain(self) -> None:
        """Begin what will be undone; raises psycopg.Error when there is no connection to be had."""
        self.connect()
        self._is_spoilt = False
        self._send_named("rehearsal_begin")
        self._state, self._on_stage = "none", True

    def drop_curtain(self) -> None:
        """Undo everything since the curtain went up."""
        self._on_stage, self._state = False, "none"
        with suppress(psycopg.Error):
            self._send_named("rehearsal_end")
            return
        self.drop()

    # -- what the workload calls

    def execute(self, name: str, params: Params = None) -> Rows:
        """Show the statement to the visitor, then send it; outside a transaction it is one of its own."""
        if self.catalogue[name].sql.startswith("REFRESH"):
            # CockroachDB refuses it right after BEGIN, and later commits what is open first ([LT:materialized_view],
            # autocommit_before_ddl); no index of a table serves it.
            return []
        if self._state == "begun":
            self.visit(self, name, params)
            return self._send_named(name, params)
        with self.savepoint("transaction", keep=True):
            self.visit(self, name, params)
            return self._send_named(name, params)

    def batch(self, calls: Sequence[tuple[str, Params]], *, commit: bool = False) -> list[Rows]:
        """Send the statements one after another, so that each can be looked at."""
        found = [self.execute(name, params) for name, params in calls]
        if commit:
            self.commit()
        return found

    def begin(self, *, deferred: bool = False) -> None:  # noqa: ARG002  # there is nothing to save an exchange for
        """Begin a transaction of the workload."""
        self._send_named("open_transaction")
        self._state = "begun"

    def commit(self) -> None:
        """Keep what the transaction did, until the curtain falls."""
        self._send_named("keep_transaction")
        self._state = "committed"

    def rollback(self) -> None:
        """Undo the open transaction of the workload."""
        was, self._state = self._state, "none"
        if was == "begun" and self._wire is not None and not self._is_spoilt:
            self._send_named("undo_transaction")
            self._send_named("keep_transaction")

    # -- what a visitor uses

    @contextmanager
    def savepoint(self, level: Level, *, keep: bool = False) -> Iterator[None]:
        """Undo at the end what was done meanwhile, whatever happened, or with ``keep`` only what failed."""
        self._send_named(f"open_{level}")
        is_kept = False
        try:
            yield
            is_kept = keep
        finally:
            if self._wire is not None and self._wire.is_usable and not self._is_spoilt:
                if not is_kept:
                    self._send_named(f"undo_{level}")
                self._send_named(f"keep_{level}")

    def timed_ms(self, name: str, params: Params, times: int = 1, apart: str = "") -> float:
        """Return milliseconds per execution of a statement, sent so many times in one exchange, each of them undone.

        In one exchange the client's share and the switches between processes come once and not with each execution.
        ``apart`` names a side of a comparison, for which the statement is prepared by itself: PostgreSQL decides for or
        against a generic plan by what earlier executions of the same prepared statement were to cost.
        """
        statement = self._named(name)
        if apart:
            mark = b"/%08x" % crc32(apart.encode())
            statement = statement._replace(wire_name=statement.wire_name[: 63 - len(mark)] + mark)
        trial: list[Call] = [(self._named(word), None) for word in ("open_trial", "undo_trial", "keep_trial")]
        one = [trial[0], (statement, params), *trial[1:]]
        started = time.perf_counter_ns()
        self._exchange(one * times)
        return (time.perf_counter_ns() - started) / NS_PER_MS / times

    def explained(self, prefix: str, name: str, params: Params) -> Rows:
        """Return the rows of EXPLAIN for a statement and its values; the caller undoes what ANALYZE has done."""
        statement = self.catalogue[name]
        given: Any = params
        if params is not None and not isinstance(params, Mapping):
            given = {param.name: value for param, value in zip(statement.params, params, strict=True)}
        with self._noticing():
            cursor = self.require_connection().execute(f"{prefix} {statement.sql}", given, prepare=False)
            return cursor.fetchall()

    def require_connection(self) -> Connection:
        """Return the connection of the session; psycopg.OperationalError when there is none."""
        if self.connection is None:
            raise psycopg.OperationalError("the connection of the rehearsal is lost")
        return self.connection

    def drop(self) -> None:
        """Close the connection."""
        self.connection = None
        super().drop()

    def _connected(self) -> Wire:
        if self._wire is None and self._on_stage:
            # On another connection nothing would be undone.
            raise psycopg.OperationalError("the connection of the rehearsal is lost")
        return super()._connected()

    def _send(self, prepared: Prepared, params: Params) -> Rows:
        with self._noticing():
            return super()._send(prepared, params)

    def _exchange(self, calls: list[Call]) -> list[Rows]:
        with self._noticing():
            return super()._exchange(calls)

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            if self._on_stage and (error.sqlstate or "").startswith(_GIVEN_UP):
                self._is_spoilt = True
                raise Spoilt(str(error).partition("\n")[0]) from error
            raise

    def _send_named(self, name: str, params: Params = None) -> Rows:
        return self._send(self._named(name), params)

    def _named(self, name: str) -> Prepared:
        return self._prepared.get(name) or self._prepare(name)
