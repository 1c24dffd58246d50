"""The server's own counters, on connections that take no part in the load (docs/server.md)."""

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg

from bench.db.catalogue import Catalogue
from bench.db.connection import Connection, connect
from bench.db.statement_names import StatementNames
from bench.metrics.nodes import HOME, LEASE

OBSERVER = "shopbench-observer"
TIMEOUT_S = 5.0
"""What the server may spend on one reading."""

# What is read at the start and after each phase, and what its rows are of; a dialect has the statements of some.
_SOURCES = (
    ("database", "counters_database"),
    ("database", "counters_wal"),
    ("table", "counters_table"),
    ("index", "counters_index"),
    ("lock", "counters_contention"),
    ("statement", "counters_app_statement"),
)
PLACEMENT = ((LEASE, "leaseholders"), (HOME, "row_homes"))
"""Where the data is, for one look at the end of a run: too expensive for any other moment."""
PLACEMENT_TIMEOUT_S = 60.0
_STATEMENT_SOURCES = (("statement", "counters_statement"), ("database", "counters_statement_losses"))
_SAMPLED = (("wait", "sampled_waits"), ("lock", "sampled_locks"))
_NAMED_BY_SERVER = frozenset({"counters_app_statement"})
"""Of these the server has taken the constants out of the texts, and a fingerprint keeps apart those that begin alike."""
_NOT_ALLOWED = "42501"


class Reading(NamedTuple):
    """One counter as it stood when it was read."""

    region: str
    kind: str
    name: str
    metric: str
    value: float


@dataclass(slots=True)
class Observer:
    """Reads what is looked at once a second; says nothing while the server does not answer.

    ``prefix`` is how the names of the run's applications begin.
    """

    url: str
    catalogue: Catalogue
    prefix: str = ""
    _connection: Connection | None = None
    _samples: Tally[tuple[str, str, str]] = field(default_factory=Tally)

    def collect(self) -> dict[str, float]:
        """Return cumulative counters by name; empty when there is no statement for them or no answer."""
        if "server_counters" not in self.catalogue:
            return {}
        try:
            if self._connection is None:
                self._connection = connect(self.url, application=OBSERVER)
            self._sample(self._connection)
            cursor = self._connection.execute(self.catalogue["server_counters"].sql)
            found = cursor.fetchone()
        except psycopg.Error:
            self.close()
            return {}
        names = [column.name for column in cursor.description or ()]
        return {name: float(number) for name, number in zip(names, found or (), strict=True) if number is not None}

    def _sample(self, connection: Connection) -> None:
        for kind, statement in _SAMPLED:
            cursor = connection.execute(self.catalogue[statement].sql, {"prefix": self.prefix})
            for region, name, sessions in cursor.fetchall():
                self._samples[region, kind, name] += sessions

    def sampled(self) -> list[Reading]:
        """Return the sums of what was sampled so far: one session seen once is one sample."""
        return [Reading(*key, "samples", float(count)) for key, count in self._samples.items()]

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(slots=True)
class CounterReader:
    """Reads all counters that the server has and lets us read.  ``notes`` collects what it does not, each once.

    ``breathe`` lets others go on between two statements' texts, of which the first look takes 0.2 ms each.
    """

    url: str
    catalogue: Catalogue
    prefix: str = ""
    breathe: Callable[[], None] = lambda: None
    sources: Sequence[tuple[str, str]] = _SOURCES
    """Kinds of what is counted and the statements that read it."""
    timeout_s: float = TIMEOUT_S
    notes: list[str] = field(default_factory=list)
    _names: StatementNames = field(init=False)
    _connection: Connection | None = None
    _said: set[str] = field(default_factory=set)
    _values: dict[str, object] = field(default_factory=dict)
    _indexes: Mapping[str, str] = field(default_factory=dict)
    _columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _has_statements: bool = False

    def __post_init__(self) -> None:
        self._names = StatementNames(self.catalogue.values())

    def read(self) -> list[Reading]:
        """Return every counter; raises psycopg.OperationalError when the server does not answer."""
        connection = self._connection or self._connect()
        sources = [source for source in self.sources if source[1] in self.catalogue]
        if self._has_statements:
            sources += _STATEMENT_SOURCES
        sums: dict[tuple[str, str, str, str], float] = {}
        for kind, statement in sources:
            for reading in self._read(connection, kind, statement):
                # A statement may have several entries, of users or of plans.
                key = reading[:4]
                sums[key] = sums.get(key, 0.0) + reading.value
        return [Reading(*key, value) for key, value in sums.items()]

    def has_open_sessions(self) -> bool:
        """Whether sessions of the run are still open; False where the server cannot be asked."""
        if "open_sessions" not in self.catalogue:
            return False
        rows = self._rows(self._connection or self._connect(), "open_sessions")
        return bool(rows and rows[0][0])

    def close(self) -> None:
        """Close the connection; the next reading opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> Connection:
        options = [f"statement_timeout={int(self.timeout_s * 1000)}"]
        connection = self._connection = connect(self.url, application=OBSERVER, options=options)
        if not self._values:
            self._values = {"prefix": self.prefix, "since": self._rows(connection, "clock")[0][0]}
        if self.sources is not _SOURCES:
            return connection
        if "use_statement_statistics" in self.catalogue:
            self._has_statements = bool(self._rows(connection, "use_statement_statistics"))
            if not self._has_statements:
                self._say("pg_stat_statements is not installed in this database: no counters by statement")
        if "index_names" in self.catalogue and not self._indexes:
            self._indexes = {number: name for number, name in self._rows(connection, "index_names")}  # noqa: C416
        return connection

    def _read(self, connection: Connection, kind: str, statement: str) -> Iterator[Reading]:
        rows = self._rows(connection, statement)
        for region, name, *values in rows:
            if kind == "statement":
                self.breathe()
            shown = str(name) if statement in _NAMED_BY_SERVER else self._shown(kind, str(name))
            if shown is not None:
                for metric, value in zip(self._columns[statement][2:], values, strict=True):
                    if value is not None:
                        yield Reading(str(region), kind, shown, metric, float(value))

    def _shown(self, kind: str, name: str) -> str | None:
        """Return the name under which a counter is kept; None for one that is to be left out."""
        if kind == "index" and self._indexes:
            return self._indexes.get(name)
        return self._names.name(name) if kind == "statement" else name

    def _rows(self, connection: Connection, name: str) -> list[tuple[Any, ...]]:
        """Return a statement's rows, none when the server refuses it; raises when it does not answer."""
        statement = self.catalogue[name]
        values = {param.name: self._values[param.name] for param in statement.params}
        try:
            cursor = connection.execute(statement.sql, values or None)
        except psycopg.Error as error:
            if connection.broken or error.sqlstate is None:
                raise
            reason = "not allowed to" if error.sqlstate == _NOT_ALLOWED else "cannot"
            self._say(f"{reason} read {name}: {str(error).splitlines()[0]}")
            return []
        self._columns[name] = tuple(column.name for column in cursor.description or ())
        return cursor.fetchall() if cursor.description else []

    def _say(self, note: str) -> None:
        if note not in self._said:
            self._said.add(note)
            self.notes.append(note)
