"""A sample of a data set: made here, loaded by a probe that is rolled back, and timed at both.

May import ``blocks``, ``spec`` and ``db``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import thread_time

from bench.data.blocks import Block, DataSet
from bench.data.spec import SeedSpec, row_counts
from bench.db import bulk
from bench.db.ddl import Schema, Stage
from bench.db.probe import Probe, Relation, Timed

PROBE_ROWS = 30_000
"""Rows aimed at in the sample: the whole probe takes one to two seconds."""
BUILD: tuple[Stage, ...] = ("keys", "indexes", "foreign_keys")


@dataclass(frozen=True, slots=True)
class Made:
    """The sample's rows of one table as COPY takes them, and the CPU seconds of making them.

    ``fixed_s`` of the seconds are for the blocks, however many rows they have.
    """

    rows: int
    wire_bytes: int
    blocks: int
    seconds: float
    fixed_s: float
    bodies: Mapping[tuple[str, ...], bytes]


@dataclass(frozen=True, slots=True)
class Sample:
    """The data set of a reduced scale; ``words_s`` are spent once in a process, ``ledger_s`` grow with the orders."""

    spec: SeedSpec
    tables: Mapping[str, Made]
    words_s: float
    ledger_s: float

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(made.rows for made in self.tables.values())


def sample_spec(spec: SeedSpec, rows: int = PROBE_ROWS) -> SeedSpec:
    """Return the same data set at a scale of about ``rows`` rows, or itself where it has no more."""
    low, high = 0.0, spec.factor
    if sum(row_counts(spec).values()) <= rows:
        return spec
    for _ in range(40):
        middle = (low + high) / 2
        small = sum(row_counts(replace(spec, scale=repr(middle))).values()) <= rows
        low, high = (middle, high) if small else (low, middle)
    # Very many regions have more rows than that at any scale.
    return replace(spec, scale=repr(low or high))


def make_sample(spec: SeedSpec, schema: Schema) -> Sample:
    """Make the rows of a reduced scale, and time it."""
    fmt = bulk.copy_format(schema.dialect)
    started = thread_time()
    data = DataSet(sample_spec(spec))
    data.ledger.facts()
    # Twice: the first one also pays for what the process does once.
    again = thread_time()
    DataSet(data.spec).ledger.facts()
    ledger_s = thread_time() - again
    blocks = list(data.blocks())
    ones = {block.part: replace(block, count=1) for block in blocks}
    for block in ones.values():
        data.make(block, fmt)
    words_s = thread_time() - started - 2 * ledger_s
    fixed = {part: _timed(lambda block=block: data.make(block, fmt)) for part, block in ones.items()}  # type: ignore[misc]
    tables = {table.name: _made(data, blocks, table.name, fmt, fixed) for table in schema.model.tables}
    return Sample(data.spec, tables, max(0.0, words_s), ledger_s)


def _made(data: DataSet, blocks: Sequence[Block], table: str, fmt: bulk.CopyFormat, fixed: Mapping[str, float]) -> Made:
    bodies: dict[tuple[str, ...], list[bytes]] = {}
    rows, seconds = 0, 0.0
    mine = [block for block in blocks if data.parts[block.part].table == table]
    for block in mine:
        started = thread_time()
        made = data.make(block, fmt)
        seconds += thread_time() - started
        rows += made.count
        bodies.setdefault(made.columns, []).append(made.body)
    # One body a table, because every COPY in the table's own transaction leaves pages unused at its end.
    joined = {columns: b"".join(parts) for columns, parts in bodies.items()}
    return Made(
        rows,
        sum(map(len, joined.values())),
        len(mine),
        seconds,
        min(0.8 * seconds, sum(fixed[block.part] for block in mine)),
        joined,
    )


def _timed(action: Callable[[], object]) -> float:
    started = thread_time()
    action()
    return thread_time() - started


@dataclass(frozen=True, slots=True)
class Built:
    """One pass over an empty or a filled schema: wall seconds of each statement, and the relations."""

    timed: Mapping[str, Timed]
    relations: Mapping[str, Relation]


@dataclass(frozen=True, slots=True)
class Measured:
    """What the server took for the sample; seconds by table."""

    empty: Built
    filled: Built
    schema_s: float
    copy: Mapping[str, float]
    analyze: Mapping[str, float]
    checksum: Mapping[str, float]
    wal_bytes: int


def measure(probe: Probe, sample: Sample) -> Measured:
    """Load the sample where it will be forgotten, and time every statement, first without rows and then with them."""
    with probe.forgotten():
        probe.build("prepare", "tables")
        empty = _built(probe, probe.build(*BUILD, "views"), ())
    wal = probe.wal_bytes()
    schema_s = sum(one.seconds for one in probe.build("prepare", "tables"))
    filled = {table: made for table, made in sample.tables.items() if made.rows}
    copy = {
        table: sum(probe.copy(table, columns, body) for columns, body in made.bodies.items() if body)
        for table, made in filled.items()
    }
    timed = list(probe.build(*BUILD))
    analyze = {table: probe.analyze(table) for table in filled}
    timed += probe.build("views")
    checksum = {table: probe.checksum(table) for table in filled}
    built = _built(probe, timed, tuple(filled))
    return Measured(empty, built, schema_s, copy, analyze, checksum, probe.wal_bytes() - wal)


def _built(probe: Probe, timed: Iterable[Timed], filled: Sequence[str]) -> Built:
    return Built(
        {one.ddl.name: one for one in timed}, {relation.name: relation for relation in probe.relations(filled)}
    )
