"""One connection on ``psycopg.pq``: catalogue statements prepared by name, several in one exchange, rows as psycopg's.

It stands beside psycopg's cursors because they cost more than the answer: a cursor's ``execute`` about twice as much CPU as
``PQsendQueryPrepared``, and psycopg's own pipeline more than none (docs/performance.md).  Values are dumped and loaded by
psycopg's ``Transformer``, always as text, so every type comes back as from a cursor.  A statement is prepared with its
first use, in the same exchange, with no types given: the server takes them from the casts.  It stays prepared until the
connection closes, whatever is rolled back.
"""

import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple
from zlib import crc32

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from bench.db.catalogue import Statement
from bench.db.connection import Connection
from bench.db.dumping import dump

Rows = list[tuple[Any, ...]]
Params = Mapping[str, Any] | Sequence[Any] | None
"""Values by name, or in the order of the statement's ``params``."""

_OK, _TUPLES, _EMPTY = int(pq.ExecStatus.COMMAND_OK), int(pq.ExecStatus.TUPLES_OK), int(pq.ExecStatus.EMPTY_QUERY)
_FINE = (_TUPLES, _OK, _EMPTY)
_ERROR, _SYNC = int(pq.ExecStatus.FATAL_ERROR), int(pq.ExecStatus.PIPELINE_SYNC)
_ABORTED = int(pq.ExecStatus.PIPELINE_ABORTED)
_CONNECTED, _IN_ERROR = int(pq.ConnStatus.OK), int(pq.TransactionStatus.INERROR)
_NO_TRANSACTION = int(pq.TransactionStatus.IDLE)
_NAME_BYTES = 63
"""What PostgreSQL keeps of a name (NAMEDATALEN - 1)."""
_LOST = "the connection is lost"
_SILENT = "the server gave no answer"
_NO_SUCH_STATEMENT = "26000"


class Waits(NamedTuple):
    """How to block until a socket is ready."""

    readable: Callable[[], object]
    either: Callable[[], object]
    """Until it can be read from or written to."""


def select_waits(fd: int) -> Waits:
    """Return waits by ``select``, which under gevent's patches lets other greenlets run, at some cost."""
    return Waits(lambda: select.select([fd], [], []), lambda: select.select([fd], [fd], []))


waits_of: Callable[[int], Waits] = select_waits
"""Replaced once by those who know better, as ``bench.load.waiting`` does for gevent."""


class Prepared(NamedTuple):
    """A statement as it travels: its name on the server, its text, and how to pick its values."""

    name: str
    wire_name: bytes
    sql: bytes
    params: tuple[str, ...] = ()
    pick: Callable[[Any], Sequence[Any]] | None = None

    @classmethod
    @lru_cache(1024)
    def of(cls, statement: Statement) -> "Prepared":
        """Return a statement of the catalogue in this form."""
        names = tuple(param.name for param in statement.params)
        wire_name = statement.name.encode()
        if len(wire_name) > _NAME_BYTES:
            wire_name = wire_name[: _NAME_BYTES - 9] + b"_%08x" % crc32(wire_name)
        return cls(statement.name, wire_name, statement.numbered.encode(), names, _picker(names))

    def values(self, params: Params) -> Sequence[Any]:
        """Return the values in order; psycopg.ProgrammingError when some are missing."""
        pick = self.pick
        if pick is None:
            return ()
        if isinstance(params, (dict, Mapping)):
            try:
                return pick(params)
            except KeyError as error:
                raise psycopg.ProgrammingError(f"'{self.name}' lacks its parameter {error}") from None
        if params is None or len(params) != len(self.params):
            wanted = ", ".join(self.params)
            raise psycopg.ProgrammingError(f"'{self.name}' takes {len(self.params)} parameters ({wanted})")
        return params


def _picker(names: tuple[str, ...]) -> Callable[[Any], Sequence[Any]] | None:
    if len(names) == 1:
        [name] = names
        return lambda params: (params[name],)
    return itemgetter(*names) if names else None


Call = tuple[Prepared, Params]


class Wire:
    """An open connection and what is prepared on it.  One greenlet at a time; errors are psycopg's, by SQLSTATE."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._waits = waits_of(self._pg.socket)
        self._transformer = Transformer(connection)
        self._prepared: set[bytes] = set()
        self._idle = True

    @property
    def is_usable(self) -> bool:
        """False once the connection is lost, or was left in the middle of an exchange (a killed greenlet)."""
        return self._idle and self._pg.status == _CONNECTED

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return bool(self._pg.status != _CONNECTED)

    @property
    def is_in_error(self) -> bool:
        """Whether the server waits for ROLLBACK: it would answer COMMIT by rolling back, without an error."""
        return bool(self._pg.transaction_status == _IN_ERROR)

    @property
    def is_idle(self) -> bool:
        """Whether no transaction is open."""
        return bool(self._pg.transaction_status == _NO_TRANSACTION)

    def close(self) -> None:
        """Close the connection, also in the middle of an exchange."""
        self._connection.close()

    def execute(self, prepared: Prepared, params: Params = None) -> Rows:
        """Return a statement's rows (none for a statement without); raises psycopg.Error."""
        name = prepared.wire_name
        if name not in self._prepared:
            # To the end, not the first of it: the exchange ends with its Sync.
            [rows] = self.batch(((prepared, params),))
            return rows
        pg = self._pg
        values = self._dump(prepared, params)
        self._idle = False
        pg.send_query_prepared(name, values)
        if pg.flush():
            self._flush()
        readable = self._waits.readable
        readable()
        pg.consume_input()
        while pg.is_busy():
            readable()
            pg.consume_input()
        result = pg.get_result()
        if result is None:
            raise psycopg.OperationalError(_SILENT)
        status = result.status
        if status not in _FINE:
            self._refuse(result)
        while pg.is_busy():
            readable()
            pg.consume_input()
        second = pg.get_result()
        if second is not None:
            # Outside BEGIN the statement is committed at Sync, and may be refused there, after its answer.
            self._refuse(second)
        self._idle = True
        return self._load(result) if status == _TUPLES else []

    def batch(self, calls: Sequence[Call]) -> Iterator[Rows]:
        """Send statements in one exchange and yield the rows of each as its answer comes; raises psycopg.Error.

        The server skips what follows a statement that it refuses.  Outside BEGIN they are one transaction, as they end
        with one Sync.
        """
        pg = self._pg
        dumped = [(prepared, self._dump(prepared, params)) for prepared, params in calls]
        self._idle = False
        pg.enter_pipeline_mode()
        fresh: set[bytes] = set()
        # What each result of the exchange is: a statement's answer, or that of its Parse.
        parses: list[bytes | None] = []
        for prepared, values in dumped:
            name = prepared.wire_name
            if name not in self._prepared and name not in fresh:
                fresh.add(name)
                pg.send_prepare(name, prepared.sql)
                parses.append(name)
            pg.send_query_prepared(name, values)
            parses.append(None)
        pg.pipeline_sync()
        if pg.flush():
            self._flush()
        readable = self._waits.readable
        for parse in parses:
            while pg.is_busy():
                if pg.status != _CONNECTED:
                    raise psycopg.OperationalError(_LOST)
                readable()
                pg.consume_input()
            result = pg.get_result()
            if result is None:
                raise psycopg.OperationalError(_SILENT)
            # Behind each result of a pipeline stands a None, which is there as soon as the result is.
            pg.get_result()
            status = result.status
            if status not in _FINE:
                self._abandon(result)
            if parse is not None:
                self._prepared.add(parse)
            else:
                yield self._load(result) if status == _TUPLES else []
        self._end_pipeline()

    # -- sending

    def _dump(self, prepared: Prepared, params: Params) -> Sequence[Any] | None:
        if prepared.pick is None:
            return None
        return dump(prepared.values(params), self._transformer)

    def _flush(self) -> None:
        pg = self._pg
        while pg.flush():
            self._waits.either()
            # What is not read may keep the server from reading.
            pg.consume_input()

    # -- receiving

    def _load(self, result: Any) -> Rows:
        count = result.ntuples
        if not count:
            return []
        transformer = self._transformer
        transformer.set_pgresult(result)
        return transformer.load_rows(0, count, tuple)

    def _next(self) -> Any:
        """Return libpq's next result, or None at the end of one statement's."""
        pg = self._pg
        while pg.is_busy():
            if pg.status != _CONNECTED:
                raise psycopg.OperationalError(_LOST)
            self._waits.readable()
            pg.consume_input()
        return pg.get_result()

    def _result(self) -> Any:
        """Return the next result of the exchange; each is followed by a None, but for that of the Sync."""
        result = self._next() or self._next()
        if result is None:
            raise psycopg.OperationalError(_SILENT)
        return result

    def _end_pipeline(self) -> None:
        """Read up to the answer to Sync; raises what was refused on the way: outside BEGIN, Sync is the commit."""
        refused = None
        while (result := self._result()).status != _SYNC:
            if result.status == _ERROR and refused is None:
                refused = result
        self._pg.exit_pipeline_mode()
        self._idle = True
        if refused is not None:
            raise self._error(refused)

    def _refuse(self, result: Any) -> None:
        """Raise what the server refused, once the rest of its answer is read."""
        self._check(result)
        error = self._error(result)
        # A server that ends the connection has said why, and then closes it.
        with suppress(psycopg.OperationalError):
            while self._next() is not None:
                pass
            self._idle = True
        raise error

    def _abandon(self, result: Any) -> None:
        """Raise what the server refused in a pipeline, once all that it skipped is read."""
        self._check(result)
        error = self._error(result)
        with suppress(psycopg.Error):
            self._end_pipeline()
        raise error

    def _check(self, result: Any) -> None:
        if result.status not in (_ERROR, _ABORTED):
            raise psycopg.NotSupportedError(f"a catalogue statement cannot end as {pq.ExecStatus(result.status).name}")

    def _error(self, result: Any) -> psycopg.Error:
        error = psycopg.errors.error_from_result(result, encoding=self._connection.info.encoding)
        if error.sqlstate == _NO_SUCH_STATEMENT:
            # Somebody has deallocated them (DISCARD ALL by a pooler): prepare anew.
            self._prepared.clear()
        return error
