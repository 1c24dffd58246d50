"""Loading a data set: tables, COPY over several lanes, then keys, indexes, references, statistics, views and checksums.

May import ``crew``, ``db`` and the rest of the package.  On PostgreSQL rows are loaded into bare tables and the keys built
afterwards, each connection at its own table (measured: 2.4 times faster than with the keys in place).  Every step is entered
in the journal as it is committed, so a load goes on where an earlier one ended, however that ended.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock
from time import perf_counter
from typing import Literal, TypeVar

from bench.data.blocks import Block, DataSet
from bench.data.crew import crew
from bench.data.lanes import Loaded, Loader, Plan
from bench.data.spec import row_counts
from bench.db import bulk
from bench.db.bulk import Checksum
from bench.db.connection import Connection, DriverError, connect
from bench.db.ddl import BEFORE_LOAD, Ddl, Schema, Stage
from bench.db.journal import Journal, Unit, is_duplicate
from bench.db.model import Model
from bench.errors import TargetError

Phase = Literal["wait", "schema", "copy", "keys", "indexes", "foreign_keys", "statistics", "views", "checksums"]
Item = TypeVar("Item")
APPLICATION = "shopbench-seed"
_DDL = "ddl"
"""The journal's part for statements of the schema; the unit is the statement's number."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load.  ``tables`` limits the rows to some tables, which must include what those refer to."""

    processes: int = 1
    connections: int = 2
    tables: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is: rows of the table at hand, or steps of a later phase; ``bytes`` are those sent for the table."""

    phase: Phase
    name: str
    done: int
    expected: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What is loaded; ``seconds`` by phase, with ``generate`` the lane-seconds spent in making blocks.

    ``resumed`` blocks were there before; ``retried`` were sent more than once, because a connection was lost.
    """

    checksums: Mapping[str, Checksum]
    seconds: Mapping[str, float]
    facts: Mapping[str, float]
    resumed: int
    retried: int

    @property
    def rows(self) -> dict[str, int]:
        """Rows by table, as the server counts them."""
        return {table: found.rows for table, found in self.checksums.items()}

    @property
    def total_rows(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())


def _nothing(*_: object) -> None:
    return None


def with_parents(model: Model, tables: Iterable[str]) -> frozenset[str]:
    """Return tables with all that they refer to, directly or not: what must be there for the references to hold."""
    found: set[str] = set()
    waiting = list(tables)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [key.target for key in model.table(name).foreign_keys]
    return frozenset(found)


def load(
    gateways: Mapping[str, str],
    schema: Schema,
    data: DataSet,
    options: LoadOptions = LoadOptions(),  # frozen
    progress: Callable[[Progress], None] = _nothing,
) -> LoadReport:
    """Make and fill a database, or finish what an earlier call of the same arguments began.

    ``gateways`` is the URL for each region's rows.  TargetError when the server refuses something, or another load is at
    work.  The journal is left behind: the caller closes it (``finish``) when it has noted that the load is complete.
    """
    tally = _Tally(progress)
    with ExitStack() as stack:
        pool = stack.enter_context(_pool(gateways[data.spec.regions[0]], schema, options.connections, tally))
        seconds = {"schema": pool.sequential("schema", _stages(schema, BEFORE_LOAD))}
        seconds |= _copy(Plan(gateways, schema.dialect, data.spec), data, pool.done, options, tally)
        seconds |= _finish(pool, tally, data.world.orders.total)
        checksums, seconds["checksums"] = _checksums(pool, tally)
    seconds["generate"] = tally.generate_s
    seconds["total"] = perf_counter() - tally.started_s
    _compare(checksums, tally.rows)
    return LoadReport(checksums, seconds, data.ledger.facts(), tally.resumed, tally.retried)


def finish(url: str, schema: Schema) -> None:
    """Remove the journal of a load that is complete."""
    with connect(url) as connection:
        Journal.of(connection, schema.dialect).drop()


@dataclass(slots=True)
class _Tally:
    """Counts that the threads share."""

    report: Callable[[Progress], None]
    started_s: float = field(default_factory=perf_counter)
    rows: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    generate_s: float = 0.0
    resumed: int = 0
    retried: int = 0
    lock: Lock = field(default_factory=Lock)

    def loaded(self, block: Loaded, expected: int) -> None:
        with self.lock:
            self._add(block.table, block.rows, block.bytes)
            self.generate_s += block.generate_s
            self.retried += block.retries > 0
            self._report("copy", block.table, self.rows[block.table], expected, self.bytes[block.table])

    def found(self, table: str, rows: int) -> None:
        with self.lock:
            self._add(table, rows, 0)
            self.resumed += 1

    def _add(self, table: str, rows: int, size: int) -> None:
        self.rows[table] = self.rows.get(table, 0) + rows
        self.bytes[table] = self.bytes.get(table, 0) + size

    def finished(self, phase: Phase, name: str, done: int, expected: int) -> None:
        with self.lock:
            self._report(phase, name, done, expected, 0)

    def _report(self, phase: Phase, name: str, done: int, expected: int, size: int) -> None:
        self.report(Progress(phase, name, done, expected, size, perf_counter() - self.started_s))


@contextmanager
def _pool(url: str, schema: Schema, connections: int, tally: _Tally) -> "Iterator[_Pool]":
    """Open the connections for everything but rows, the first of which holds the database for this load."""
    with ExitStack() as stack:
        opened = [stack.enter_context(connect(url, application=APPLICATION)) for _ in range(max(1, connections))]
        for connection in opened:
            bulk.prepare_session(connection, schema.dialect)
        journal = Journal.of(opened[0], schema.dialect)
        with bulk.explained("the journal"):
            journal.lock(lambda: tally.finished("wait", "the sessions of an earlier load", 0, 1))
            for other in opened[1:]:
                Journal.of(other, schema.dialect).share()
            done = journal.open()
        yield _Pool(opened, schema, done, tally)


class _Pool:
    """Connections that work side by side, each on one thing at a time; ``done`` is what an earlier load has committed."""

    def __init__(self, connections: Sequence[Connection], schema: Schema, done: dict[Unit, int], tally: _Tally) -> None:
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

        return _side_by_side(len(self.connections), [partial(task, item) for item in items], self.stop)

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
        if self.schema.dialect != "postgres":
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
        journal = Journal.of(connection, self.schema.dialect)
        if self.schema.dialect == "postgres":
            with bulk.explained(f"making {ddl.kind} {ddl.name}"), journal.once(_DDL, number, 0) as is_new:
                if is_new:
                    bulk.apply(connection, ddl)
            return
        # CockroachDB wants each schema change in a transaction of its own, so the entry comes after it and may be missing.
        try:
            bulk.apply(connection, ddl)
        except TargetError as error:
            if not (isinstance(error.__cause__, DriverError) and is_duplicate(error.__cause__)):
                raise
        journal.enter(_DDL, number)


def _side_by_side(threads: int, tasks: Iterable[Callable[[], None]], stop: Callable[[], None] = _nothing) -> float:
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


def _stages(schema: Schema, stages: Sequence[Stage]) -> tuple[Ddl, ...]:
    return tuple(ddl for stage in stages for ddl in schema.stage(stage))


def _copy(plan: Plan, data: DataSet, done: Mapping[Unit, int], options: LoadOptions, tally: _Tally) -> dict[str, float]:
    """Load every block that is not in the journal; return the seconds."""
    started = perf_counter()
    expected = row_counts(data.spec)
    waiting = []
    for block in data.blocks(options.tables):
        if (block.part, block.first) in done:
            tally.found(data.parts[block.part].table, done[block.part, block.first])
        else:
            waiting.append(block)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shopbench-")))
        lanes = stack.enter_context(crew(_with_ledger(plan, folder), data, options.processes, options.connections))
        aside = stack.enter_context(ThreadPoolExecutor(1))
        sums = aside.submit(_add_up, data, folder if options.processes > 1 else None)
        free: SimpleQueue[Loader] = SimpleQueue()
        for lane in lanes:
            free.put(lane)

        def task(blocks: Sequence[Block]) -> None:
            lane = free.get()
            try:
                for block in blocks:
                    if data.parts[block.part].needs_ledger:
                        sums.result()
                    tally.loaded(lane.load(block), expected[data.parts[block.part].table])
            finally:
                free.put(lane)

        # Blocks of one range of orders go down one lane, which remembers the facts that they share.
        groups = [list(group) for _, group in groupby(waiting, key=lambda block: _kin(data, block))]
        _side_by_side(len(lanes), [partial(task, group) for group in groups])
    return {"copy": perf_counter() - started}


def _kin(data: DataSet, block: Block) -> tuple[str, int]:
    return data.parts[block.part].family or block.part, block.first


def _add_up(data: DataSet, folder: Path | None) -> None:
    ledger = data.ledger
    if folder:
        ledger.save(folder)


def _with_ledger(plan: Plan, folder: Path) -> Plan:
    return Plan(plan.gateways, plan.dialect, plan.spec, folder)


def _finish(pool: _Pool, tally: _Tally, orders: int) -> dict[str, float]:
    """Build what comes after the rows, of which ``orders`` used up order numbers; return the seconds by phase."""
    schema, size = pool.schema, tally.rows
    seconds: dict[str, float] = {}
    stages: tuple[Phase, ...] = ("keys", "indexes", "foreign_keys")
    for stage in stages:
        statements = schema.stage(stage)  # type: ignore[arg-type]  # these three phases are named as their stages
        # Keys and references lock their table, indexes do not; the largest table first, so that none is left alone last.
        groups = _by_table(statements) if stage != "indexes" else [[ddl] for ddl in statements]
        groups.sort(key=lambda group: -size.get(group[0].table or "", 0))
        seconds[stage] = pool.side_by_side(stage, groups)
    bulk.set_sequence(pool.connections[0], "order_number_seq", orders, schema.dialect)
    tables = sorted((table.name for table in schema.model.tables), key=lambda table: -size.get(table, 0))
    seconds["statistics"] = pool.each(tables, lambda connection, table: bulk.analyze(connection, table, schema.dialect))
    views = [group for group in _by_view(schema.stage("views")) if group]
    seconds["views"] = pool.side_by_side("views", views)
    names = [group[0].name for group in views]
    seconds["views"] += pool.each(names, lambda connection, name: bulk.analyze(connection, name, schema.dialect))
    return seconds


def _by_table(statements: Sequence[Ddl]) -> list[list[Ddl]]:
    groups: dict[str | None, list[Ddl]] = {}
    for ddl in statements:
        groups.setdefault(ddl.table, []).append(ddl)
    return list(groups.values())


def _by_view(statements: Sequence[Ddl]) -> list[list[Ddl]]:
    groups: list[list[Ddl]] = []
    for ddl in statements:
        if ddl.kind == "view":
            groups.append([])
        groups[-1].append(ddl)
    return groups


def _checksums(pool: _Pool, tally: _Tally) -> tuple[dict[str, Checksum], float]:
    found: dict[str, Checksum] = {}
    statements = sorted(pool.schema.checksums, key=lambda pair: -tally.rows.get(pair[0], 0))

    def add_up(connection: Connection, pair: tuple[str, str]) -> None:
        table, statement = pair
        found[table] = bulk.checksum(connection, table, statement)
        tally.finished("checksums", table, len(found), len(statements))

    seconds = pool.each(statements, add_up)
    return {table: found[table] for table, _ in pool.schema.checksums}, seconds


def _compare(checksums: Mapping[str, Checksum], sent: Mapping[str, int]) -> None:
    """TargetError when the server holds other rows than were committed: somebody else has been writing."""
    for table, found in checksums.items():
        if found.rows != sent.get(table, 0):
            raise TargetError(
                f"table {table} holds {found.rows:,} rows where {sent.get(table, 0):,} were loaded",
                cause="something else has written to it during the load",
                hint="run `bench seed --fresh` to begin again",
            )
