"""Loading a data set: tables, COPY over several connections, then keys, indexes, references, statistics and views.

May import ``db.bulk``, ``db.ddl`` and the rest of the package.  On PostgreSQL rows are loaded into bare tables and the keys
built afterwards, each connection at its own table (measured: 2.4 times faster than with the keys in place).  Threads are
enough: a block's bytes are made by numpy, and the server does most of the work.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Lock
from time import perf_counter
from typing import Literal, TypeVar

from bench.data.blocks import Block, DataSet
from bench.data.spec import SeedSpec, row_counts
from bench.db import bulk
from bench.db.bulk import Connection
from bench.db.ddl import BEFORE_LOAD, Ddl, Schema, Stage

Phase = Literal["schema", "copy", "keys", "indexes", "foreign_keys", "statistics", "views"]
Item = TypeVar("Item")
_WITH_LEDGER = frozenset({"coupons", "coupon_allotments", "inventory", "orders", "movements:stock", "coupon_usages"})
"""Parts that wait for the sums over all orders, so they are loaded last."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is: rows of the table at hand, or statements of a later phase; ``bytes`` counts what COPY has sent."""

    phase: Phase
    name: str
    done: int
    expected: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was loaded; ``seconds`` by phase, with ``generate`` the thread-seconds spent in making blocks."""

    rows: dict[str, int]
    seconds: dict[str, float]
    facts: dict[str, float]

    @property
    def total_rows(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())


def _nothing(*_: object) -> None:
    return None


@dataclass(slots=True)
class _Tally:
    """Counts that the threads share."""

    report: Callable[[Progress], None]
    started_s: float = field(default_factory=perf_counter)
    rows: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    generate_s: float = 0.0
    lock: Lock = field(default_factory=Lock)

    def loaded(self, table: str, rows: int, size: int, expected: int) -> None:
        with self.lock:
            self.rows[table] = self.rows.get(table, 0) + rows
            self.bytes += size
            self._report("copy", table, self.rows[table], expected)

    def finished(self, phase: Phase, name: str, done: int, expected: int) -> None:
        with self.lock:
            self._report(phase, name, done, expected)

    def _report(self, phase: Phase, name: str, done: int, expected: int) -> None:
        self.report(Progress(phase, name, done, expected, self.bytes, perf_counter() - self.started_s))


def load(
    connect: Callable[[], Connection],
    schema: Schema,
    spec: SeedSpec,
    *,
    connections: int = 2,
    progress: Callable[[Progress], None] = _nothing,
) -> LoadReport:
    """Make and fill an empty database; TargetError when the server refuses something.

    ``connect`` returns a connection in autocommit mode.
    """
    tally = _Tally(progress)
    with ExitStack() as stack:
        pool = _Pool([stack.enter_context(connect()) for _ in range(max(1, connections))], schema)
        seconds = {"schema": pool.sequential("schema", _stages(schema, BEFORE_LOAD), tally)}
        data = DataSet(spec)
        seconds["prepare"] = perf_counter() - tally.started_s - seconds["schema"]
        seconds["copy"] = _copy(pool, data, tally)
        seconds["generate"] = tally.generate_s
        seconds |= _finish(pool, tally, data.world.orders.total)
        rows = {table.name: tally.rows.get(table.name, 0) for table in schema.model.tables}
        seconds["total"] = perf_counter() - tally.started_s
    return LoadReport(rows, seconds, data.ledger.facts())


class _Pool:
    """Connections that work side by side, each on one thing at a time."""

    def __init__(self, connections: Sequence[Connection], schema: Schema) -> None:
        self.connections = connections
        self.schema = schema
        self._free: SimpleQueue[Connection] = SimpleQueue()
        for connection in connections:
            bulk.prepare_session(connection, schema.dialect)
            self._free.put(connection)

    def each(self, items: Iterable[Item], action: Callable[[Connection, Item], None]) -> float:
        """Do something for every item on whichever connection is free; return the seconds that it took."""
        started = perf_counter()

        def task(item: Item) -> None:
            connection = self._free.get()
            try:
                action(connection, item)
            finally:
                self._free.put(connection)

        executor = ThreadPoolExecutor(len(self.connections))
        try:
            for done in [executor.submit(task, item) for item in items]:
                done.result()
        finally:
            executor.shutdown(cancel_futures=True)
        return perf_counter() - started

    def sequential(self, phase: Phase, statements: Sequence[Ddl], tally: _Tally) -> float:
        """Execute statements one after the other; return the seconds."""
        started = perf_counter()
        for number, ddl in enumerate(statements, 1):
            bulk.apply(self.connections[0], [ddl])
            tally.finished(phase, ddl.name, number, len(statements))
        return perf_counter() - started

    def side_by_side(self, phase: Phase, groups: Sequence[Sequence[Ddl]], tally: _Tally) -> float:
        """Execute groups of statements, a group on one connection; one after the other where the database wants it so."""
        if self.schema.dialect != "postgres":
            return self.sequential(phase, [ddl for group in groups for ddl in group], tally)
        done = iter(range(1, len(groups) + 1))

        def build(connection: Connection, group: Sequence[Ddl]) -> None:
            bulk.apply(connection, group)
            tally.finished(phase, group[-1].name, next(done), len(groups))

        return self.each(groups, build)


def _stages(schema: Schema, stages: Sequence[Stage]) -> tuple[Ddl, ...]:
    return tuple(ddl for stage in stages for ddl in schema.stage(stage))


def _copy(pool: _Pool, data: DataSet, tally: _Tally) -> float:
    fmt, expected = bulk.copy_format(pool.schema.dialect), row_counts(data.spec)

    def send(connection: Connection, block: Block) -> None:
        started = perf_counter()
        rows = data.make(block, fmt)
        made_s = perf_counter() - started
        if rows.count:
            bulk.copy_block(connection, rows.table, rows.columns, rows.body, fmt)
        with tally.lock:
            tally.generate_s += made_s
        tally.loaded(rows.table, rows.count, len(rows.body), expected[rows.table])

    with ThreadPoolExecutor(1) as aside:
        sums = aside.submit(lambda: data.ledger)
        seconds = pool.each(sorted(data.blocks(), key=lambda block: block.part in _WITH_LEDGER), send)
        sums.result()
    return seconds


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
        seconds[stage] = pool.side_by_side(stage, groups, tally)
    bulk.set_sequence(pool.connections[0], "order_number_seq", orders, schema.dialect)
    tables = sorted(size, key=lambda table: -size[table])
    seconds["statistics"] = pool.each(tables, lambda connection, table: bulk.analyze(connection, table, schema.dialect))
    views = [group for group in _by_view(schema.stage("views")) if group]
    seconds["views"] = pool.side_by_side("views", views, tally)
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
