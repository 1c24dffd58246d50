"""Loading a data set: tables, COPY over several lanes, then keys, indexes, references, statistics, views and checksums.

May import ``crew``, ``db`` and the rest of the package.  On PostgreSQL rows are loaded into bare tables and the keys built
afterwards, each connection at its own table (measured: 2.4 times faster than with the keys in place).  Every step is entered
in the journal as it is committed, so a load goes on where an earlier one ended, however that ended.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter

from bench.data.blocks import Block, DataSet
from bench.data.crew import crew
from bench.data.lanes import Loader, Plan
from bench.data.pool import Pool, open_pool, run_all
from bench.data.spec import row_counts
from bench.data.tally import Phase, Progress, Tally
from bench.db import bulk
from bench.db.bulk import Checksum
from bench.db.connection import Connection, connect
from bench.db.ddl import BEFORE_LOAD, Ddl, Schema, Stage
from bench.db.dialects import dialect_named
from bench.db.journal import Journal, Unit
from bench.db.model import Model
from bench.errors import TargetError


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load.  ``tables`` limits the rows to some tables, which must include what those refer to."""

    processes: int = 1
    connections: int = 2
    tables: frozenset[str] | None = None


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
    tally = Tally(progress)
    with ExitStack() as stack:
        pool = stack.enter_context(open_pool(gateways[data.spec.regions[0]], schema, options.connections, tally))
        seconds = {"schema": pool.sequential("schema", _stages(schema, BEFORE_LOAD))}
        seconds |= _copy(Plan(gateways, schema.dialect, data.spec, pool.load), data, pool.done, options, tally)
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


def _stages(schema: Schema, stages: Sequence[Stage]) -> tuple[Ddl, ...]:
    return tuple(ddl for stage in stages for ddl in schema.stage(stage))


def _copy(plan: Plan, data: DataSet, done: Mapping[Unit, int], options: LoadOptions, tally: Tally) -> dict[str, float]:
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
        run_all(len(lanes), [partial(task, group) for group in groups])
    return {"copy": perf_counter() - started}


def _kin(data: DataSet, block: Block) -> tuple[str, int]:
    return data.parts[block.part].family or block.part, block.first


def _add_up(data: DataSet, folder: Path | None) -> None:
    ledger = data.ledger
    if folder:
        ledger.save(folder)


def _with_ledger(plan: Plan, folder: Path) -> Plan:
    return replace(plan, ledger=folder)


def _finish(pool: Pool, tally: Tally, orders: int) -> dict[str, float]:
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
    names = [group[0].name for group in views if dialect_named(schema.dialect).analyzes_views]
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


def _checksums(pool: Pool, tally: Tally) -> tuple[dict[str, Checksum], float]:
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
