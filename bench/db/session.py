"""One user's connection on the hot path: execute catalogue statements by name, timed, with the distance they have to travel.

A statement is an exchange of its own, as in most applications, or several travel in one (``batch``).  BEGIN and COMMIT are
statements like any other: they are timed and they travel.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import psycopg

from bench.db.catalogue import Catalogue
from bench.db.connection import Connection
from bench.db.taxonomy import Refusal, classify
from bench.db.wire import Call, Params, Prepared, Rows, Wire

__all__ = ["BEGIN", "COMMIT", "CONNECT", "ROLLBACK", "Effects", "Params", "Rows", "Session", "StatementObserver"]

BEGIN, COMMIT, ROLLBACK, CONNECT = "BEGIN", "COMMIT", "ROLLBACK", "CONNECT"

_GONE = "the connection was lost, and the transaction with it"
_BEGIN, _COMMIT, _ROLLBACK = (Prepared(word, word.encode(), word.encode()) for word in (BEGIN, COMMIT, ROLLBACK))


class StatementObserver(Protocol):
    """Told of each statement as it ends; times are ``clock`` nanoseconds.

    A statement of a batch runs from the answer before its own, the first from the sending of all.
    """

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
    """The statement last sent, of a batch the one that was refused: where an attempt stood when it ended."""
    key: str = ""
    """What the statements now sent contend for, as the workload names it."""
    _wire: Wire | None = None
    _state: Literal["none", "deferred", "begun", "committed", "lost"] = "none"
    """Of the explicit transaction; ``deferred``: BEGIN travels with the first statement; ``lost``: with its connection."""
    _prepared: dict[str, Prepared] = field(default_factory=dict)

    @property
    def is_committed(self) -> bool:
        """Whether the transaction last begun has been committed, and none begun since."""
        return self._state == "committed"

    def connect(self) -> None:
        """Open the connection if there is none; raises psycopg.Error."""
        self._connected()

    def execute(self, name: str, params: Params = None) -> Rows:
        """Send a statement of the catalogue and return its rows (none for a statement without); raises psycopg.Error."""
        if self._state == "deferred":
            return self.batch(((name, params),))[0]
        return self._send(self._prepared.get(name) or self._prepare(name), params)

    def batch(self, calls: Sequence[tuple[str, Params]], *, commit: bool = False) -> list[Rows]:
        """Send statements in one exchange and return the rows of each; raises psycopg.Error.

        The server skips what follows a statement that it refuses.  ``commit`` sends COMMIT with them, after which the
        transaction is over; a connection lost before COMMIT is answered leaves the outcome unknown.
        """
        sent: list[Call] = [(self._prepared.get(name) or self._prepare(name), params) for name, params in calls]
        skipped = 0
        if self._state == "deferred":
            skipped = 1
            sent.insert(0, (_BEGIN, None))
        if commit:
            self._require_begun()
            sent.append((_COMMIT, None))
        if not sent:
            return []
        if skipped:
            # From here on ROLLBACK is due, whatever becomes of BEGIN.
            self._state = "begun"
        found = self._exchange(sent)
        if commit:
            self._state = "committed"
        return found[skipped : skipped + len(calls)]

    def begin(self, *, deferred: bool = False) -> None:
        """Start an explicit transaction, connecting first where needed; ``deferred`` sends BEGIN with the first statement."""
        self._state = "none"
        self.connect()
        if deferred:
            self._state = "deferred"
            return
        self._send(_BEGIN, None)
        self._state = "begun"

    def commit(self) -> None:
        """Commit; a connection lost while waiting for the answer leaves the outcome unknown."""
        if self._state != "deferred":  # else nothing was sent, so nothing is to be committed
            wire = self._require_begun()
            if wire.is_in_error:
                # The server would roll back and call it a success.
                raise psycopg.errors.InFailedSqlTransaction(
                    "a statement failed, so the transaction cannot be committed"
                )
            self._send(_COMMIT, None)
        self._state = "committed"

    def rollback(self) -> None:
        """Undo the open transaction; drops the connection when even that fails."""
        if self._wire is not None and not self._wire.is_usable:
            self.drop()
        state, self._state = self._state, "none"
        # A COMMIT that was refused has ended the transaction on both databases (pkg/sql/conn_fsm.go), and to ROLLBACK without
        # one CockroachDB answers with an error ([LT:txn]), PostgreSQL with a warning.
        if state != "begun" or self._wire is None or self._wire.is_idle:
            return
        at = self.current
        try:
            self._send(_ROLLBACK, None)
        except psycopg.Error:
            self.drop()
        self.current = at

    def drop(self) -> None:
        """Close the connection; the next statement opens another."""
        wire, self._wire, self._state = self._wire, None, "none"
        if wire is not None:
            wire.close()

    def refusal(self, error: psycopg.Error) -> Refusal:
        """Return what an error of this session's last statement means."""
        found = classify(error.sqlstate, str(error), at_commit=self.current == COMMIT)
        if self.current == CONNECT and found.reason == "connection_lost":
            return Refusal("connection_refused", "reconnect")
        return found

    def _connected(self) -> Wire:
        if self._wire is None:
            if self._state == "lost":
                # On another connection the rest would be committed without what came before.
                raise psycopg.OperationalError(_GONE)
            self.current = CONNECT
            started = self.effects.clock()
            self._wire = Wire(self.connector())
            self.observer.statement(CONNECT, started, self.effects.clock(), True)
        return self._wire

    def _prepare(self, name: str) -> Prepared:
        made = self._prepared[name] = Prepared.of(self.catalogue[name])
        return made

    def _require_begun(self) -> Wire:
        """Return the wire of the open transaction; an error when it was lost meanwhile, and with it the transaction."""
        if self._wire is None or self._state not in ("begun", "deferred"):
            raise psycopg.OperationalError(_GONE)
        return self._wire

    def _send(self, prepared: Prepared, params: Params) -> Rows:
        wire = self._wire or self._connected()
        name = self.current = prepared.name
        clock = self.effects.clock
        started = clock()
        ok = False
        try:
            if self.distance_s:
                self.effects.sleep(self.distance_s)
            rows = wire.execute(prepared, params)
            ok = True
            return rows
        finally:
            self.observer.statement(name, started, clock(), ok)
            if not ok:
                self._leave(wire)

    def _exchange(self, calls: list[Call]) -> list[Rows]:
        """Send the calls in one exchange; ``current`` names the one that failed, or COMMIT where it got no answer."""
        wire = self._wire or self._connected()
        clock, record = self.effects.clock, self.observer.statement
        found: list[Rows] = []
        self.current = calls[0][0].name
        since = clock()
        try:
            if self.distance_s:
                self.effects.sleep(self.distance_s)
            # The answers come first: they are drawn to their end, which is that of the exchange.
            for rows, (prepared, _) in zip(wire.batch(calls), calls):
                now = clock()
                record(prepared.name, since, now, True)
                since = now
                found.append(rows)
            return found
        finally:
            if len(found) < len(calls):
                failed = calls[len(found)][0].name
                record(failed, since, clock(), False)
                self.current = COMMIT if wire.is_lost and calls[-1][0] is _COMMIT else failed
                self._leave(wire)
            else:
                self.current = calls[-1][0].name

    def _leave(self, wire: Wire) -> None:
        """Drop a connection that a killed greenlet left in the middle of an exchange; a lost one is the caller's to drop."""
        if wire is self._wire and not wire.is_usable and not wire.is_lost:
            is_open = self._state == "begun"
            self.drop()
            self._state = "lost" if is_open else "none"
