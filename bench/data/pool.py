"""Connections for everything in a load but its rows: the schema, statistics, checksums.

May import ``tally`` and ``db``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from threading import Event
from time import perf_counter
from typing import TypeVar

from bench.data.tally import Phase, Tally
from bench.db import bulk
from bench.db.connection import Connection, DriverError, connect
from bench.db.ddl import Ddl, Schema
from bench.db.dialects import dialect_named
from bench.db.journal import Journal, Unit, is_duplicate
from bench.errors import TargetError

Item = TypeVar("Item")
APPLICATION = "shopbench-seed"
"""How these sessions are named at the server."""
_DDL = "ddl"
"""The journal's part for statements of the schema; the unit is the statement's number."""


def _nothing() -> None:
    return None


@contextmanager
def open_pool(url: str, schema: Schema, connections: int, tally: Tally) -> "Iterator[Pool]":
    """Open the connections for everything but rows, and the journal."""
    with ExitStack() as stack:
        opened = [stack.enter_context(connect(url, application=APPLICATION)) for _ in range(max(1, connections))]
        for connection in opened:
            with bulk.explained("the connection"):
                bulk.prepare_session(connection, schema.dialect)
        with bulk.explained("the journal"):
            for connection in opened:
                Journal.of(connection, schema.dialect).share()
            number, done = Journal.of(opened[0], schema.dialect).open()
        yield Pool(opened, schema, number, done, tally)


class Pool:
    """Connections that work side by side, each on one thing at a time.

    ``load`` is the number of the load, ``done`` what it has committed before.
    """

    def __init__(
        self, connections: Sequence[Connection], schema: Schema, load: int, done: dict[Unit, int], tally: Tally
    ) -> None:
        self.load = load
        self.connections = connections
        self.schema = schema
        self.done = done
        self.tally = tally
        self._free: SimpleQueue[Connection] = SimpleQueue()
        for connection in connections:
            self._free.put(connection)

    def each(self, items: Iterable[Item], action: Callable[[Connection, Item], None]) -> float:
        """Do something for every item on whichever connection is free; return the seconds that it took."""

        def task(item: Item) -> None:
            connection = self._free.get()
            try:
                action(connection, item)
            finally:
                self._free.put(connection)

        return run_all(len(self.connections), [partial(task, item) for item in items], self.stop)

    def sequential(self, phase: Phase, statements: Sequence[Ddl]) -> float:
        """Execute statements one after the other; return the seconds."""
        started = perf_counter()
        for number, ddl in enumerate(statements, 1):
            self.apply(self.connections[0], ddl)
            self.tally.finished(phase, ddl.name, number, len(statements))
        return perf_counter() - started

    def stop(self) -> None:
        """Cancel what the server is doing for us: an index of a large table takes minutes."""
        for connection in self.connections:
            with suppress(DriverError):
                connection.cancel()

    def side_by_side(self, phase: Phase, groups: Sequence[Sequence[Ddl]]) -> float:
        """Execute groups of statements, a group on one connection; one after the other where the database wants it so."""
        if not dialect_named(self.schema.dialect).ddl_is_transactional:
            return self.sequential(phase, [ddl for group in groups for ddl in group])
        numbers = iter(range(1, len(groups) + 1))

        def build(connection: Connection, group: Sequence[Ddl]) -> None:
            for ddl in group:
                self.apply(connection, ddl)
            self.tally.finished(phase, group[-1].name, next(numbers), len(groups))

        return self.each(groups, build)

    def apply(self, connection: Connection, ddl: Ddl) -> None:
        """Execute a statement of the schema unless it has been, and enter it in the journal."""
        number = self.schema.statements.index(ddl)
        if (_DDL, number) in self.done:
            return
        journal = Journal.of(connection, self.schema.dialect, self.load)
        if dialect_named(self.schema.dialect).ddl_is_transactional:
            with bulk.explained(f"making {ddl.kind} {ddl.name}"), journal.once(_DDL, number, 0) as is_new:
                if is_new:
                    bulk.apply(connection, ddl)
            return
        # CockroachDB wants each schema change in a transaction of its own ([D:online-schema-changes]), so the entry comes
        # after it and may be missing.
        try:
            bulk.apply(connection, ddl)
        except TargetError as error:
            if not (isinstance(error.__cause__, DriverError) and is_duplicate(error.__cause__)):
                raise
        journal.enter(_DDL, number)


def run_all(threads: int, tasks: Iterable[Callable[[], None]], stop: Callable[[], None] = _nothing) -> float:
    """Run tasks in threads until all are done, or one fails and the others have been told to stop; return the seconds."""
    started, failed = perf_counter(), Event()

    def run(task: Callable[[], None]) -> None:
        # A thread takes its next task before we hear that its last one failed.
        if failed.is_set():
            return
        try:
            task()
        except BaseException:
            failed.set()
            raise

    executor = ThreadPoolExecutor(threads)
    try:
        for done in [executor.submit(run, task) for task in tasks]:
            done.result()
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        stop()
        raise
    finally:
        executor.shutdown()
    return perf_counter() - started
