"""What a load will cost before anything is done: rows, bytes and seconds, from a sample that is made and measured.

May import ``blocks``, ``spec`` and ``db``.  On PostgreSQL the sample is loaded, measured and rolled back (``db.probe``), once
without rows and once with them: what the rows cost is the difference.  From there rows are scaled, per relation and per
statement.  On CockroachDB, where DDL does not belong into transactions, only the making of rows is measured.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter, thread_time

from bench.data.blocks import BLOCK_ROWS, Block, DataSet
from bench.data.spec import SeedSpec, row_counts
from bench.db import bulk
from bench.db.bulk import Connection
from bench.db.ddl import Ddl, Schema, Stage
from bench.db.probe import PAGE, Probe, Relation, Timed, open_probe
from bench.errors import TargetError
from bench.units import format_bytes

PROBE_ROWS = 30_000
"""Rows aimed at in the sample: the whole probe takes one to two seconds."""
FEWEST_ROWS = 200
"""A table with fewer rows in the sample is too small to time; it is given the mean cost per byte of the others."""
MAX_WAL_BYTES = 4 * 2**30
"""``max_wal_size`` of the embedded server."""
UPPER_BYTES_PER_ROW = 1000
"""Over twice what a row takes on average with its share of all indexes (measured at 0.025 and 0.1: 360-410 bytes)."""
UPPER_BYTES_EMPTY = 16_000_000
"""A database without rows (measured: 8 MB)."""
UPPER_BYTES_REGION = 8_000_000
"""The empty and half-filled pages of a region's partitions by month and their indexes (measured: 2 MB)."""
NOT_MEASURED = "not measured on CockroachDB"

# A heap with rows has a free space map of three pages and a visibility map of one; a page of them covers 4,000 and 32,000.
_MAPS_PAGES = 4
_MAPS_PER_PAGE = 1 / 4000 + 1 / 32000
_ENTRY_BYTES = 45
"""Of a row in an index (measured: 25-80)."""
_ANALYZED = 30_000
"""Rows that ANALYZE looks at, however many there are."""
_BUILD: tuple[Stage, ...] = ("keys", "indexes", "foreign_keys")
VACUUM_SHARE = 0.1
"""VACUUM, which no transaction may run, in parts of COPY."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """Seconds of work for one table; None is not measured.

    ``generate`` is CPU of the client; the others are the server's: ``copy``; ``build`` keys, indexes and foreign keys;
    ``finish`` statistics, views that mostly read this table, and its checksum.
    """

    generate: float
    copy: float | None = None
    build: float | None = None
    finish: float | None = None

    @property
    def total(self) -> float:
        """The sum of what is measured."""
        return sum(part for part in (self.generate, self.copy, self.build, self.finish) if part is not None)


@dataclass(frozen=True, slots=True)
class TableEstimate:
    """One table: ``wire_bytes`` that COPY sends, ``disk_bytes`` of heap, TOAST and indexes (None is not measured)."""

    table: str
    rows: int
    wire_bytes: int
    disk_bytes: int | None
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Work:
    """Seconds of work in one phase of a load, and of the longest piece that one connection does alone."""

    phase: str
    seconds: float
    longest: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a load will cost.  Bytes on disk and of the WAL, and seconds of the server, are None where not measured.

    ``sort_bytes`` is the temporary space of the largest indexes that are built at once; ``prepare_seconds`` is CPU before the
    first row; ``note`` says what is missing.
    """

    spec: SeedSpec
    tables: tuple[TableEstimate, ...]
    view_bytes: int | None
    wal_bytes: int | None
    sort_bytes: int | None
    prepare_seconds: float
    work: tuple[Work, ...]
    connections: int
    probe_rows: int
    probe_seconds: float
    note: str | None = None

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def wire_bytes(self) -> int:
        """Bytes that COPY sends."""
        return sum(table.wire_bytes for table in self.tables)

    @property
    def disk_bytes(self) -> int | None:
        """Bytes of all tables with their indexes, and of the materialized views."""
        sizes = [*(table.disk_bytes for table in self.tables), self.view_bytes]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def seconds(self, connections: int | None = None) -> float:
        """Return the wall seconds of a load over so many connections, by default those of the estimate.

        No more work is done at once than this machine has cores, and no phase ends before its longest piece.  What is not
        measured is not in it.
        """
        width = max(1, min(connections or self.connections, os.cpu_count() or 1))
        return self.prepare_seconds + sum(max(work.seconds / width, work.longest) for work in self.work)


def estimate(connect: Callable[[], Connection], schema: Schema, spec: SeedSpec, *, connections: int) -> Estimate:
    """Measure a sample of the data and return what loading all of it will cost; nothing is left behind.

    ``connect`` returns a connection in autocommit mode; it is not called for CockroachDB.  TargetError when the server
    refuses something, e.g. because the role may not create a schema.
    """
    started = perf_counter()
    sample = _make_sample(spec, schema)
    if schema.dialect != "postgres":
        return _without_server(spec, sample, connections, started)
    with connect() as connection, open_probe(connection, schema) as probe:
        measured = _measure(probe, sample)
    return _extrapolated(spec, sample, measured, connections, started)


def disk_needed(found: Estimate, copies: int, *, max_wal_bytes: int = MAX_WAL_BYTES) -> int:
    """Return the bytes of disk that a load needs, with ``copies`` of the database kept (the embedded server keeps two).

    ValueError for an estimate without the server's side.
    """
    if found.disk_bytes is None or found.wal_bytes is None or found.sort_bytes is None:
        raise ValueError(f"the disk space is {found.note}")
    return copies * found.disk_bytes + min(max_wal_bytes, found.wal_bytes) + found.sort_bytes


def upper_bound_bytes(spec: SeedSpec, copies: int = 1) -> int:
    """Return bytes that a load surely does not exceed, without a probe: where these are free, nothing need be measured.

    A thousand bytes a row for each copy, for the WAL and for sorting.
    """
    rows = sum(row_counts(spec).values())
    one = rows * UPPER_BYTES_PER_ROW + UPPER_BYTES_EMPTY + len(spec.regions) * UPPER_BYTES_REGION
    return one * (copies + 2)


def require_disk(free_bytes: int, needed_bytes: int, place: str, scale: str) -> None:
    """TargetError when ``place`` (a path) has fewer bytes free than loading the scale needs."""
    if free_bytes >= needed_bytes:
        return
    raise TargetError(
        f"scale {scale} needs about {format_bytes(needed_bytes)}, {place} has {format_bytes(free_bytes)} free",
        cause="the tables with their indexes, as often as they are kept, the WAL and the sorting of the largest index",
        hint="pass a smaller --scale, or set BENCH_HOME to a folder on another disk",
    )


# ---- the sample ----


@dataclass(frozen=True, slots=True)
class _Made:
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
class _Sample:
    """The data set of a reduced scale; ``words_s`` are spent once in a process, ``ledger_s`` grow with the orders."""

    spec: SeedSpec
    tables: Mapping[str, _Made]
    words_s: float
    ledger_s: float

    @property
    def rows(self) -> int:
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


def _make_sample(spec: SeedSpec, schema: Schema) -> _Sample:
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
    return _Sample(data.spec, tables, max(0.0, words_s), ledger_s)


def _made(
    data: DataSet, blocks: Sequence[Block], table: str, fmt: bulk.CopyFormat, fixed: Mapping[str, float]
) -> _Made:
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
    return _Made(
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


# ---- the server's side ----


@dataclass(frozen=True, slots=True)
class _Built:
    """One pass over an empty or a filled schema: wall seconds of each statement, and the relations."""

    timed: Mapping[str, Timed]
    relations: Mapping[str, Relation]


@dataclass(frozen=True, slots=True)
class _Measured:
    """What the server took for the sample; seconds by table."""

    empty: _Built
    filled: _Built
    schema_s: float
    copy: Mapping[str, float]
    analyze: Mapping[str, float]
    checksum: Mapping[str, float]
    wal_bytes: int


def _measure(probe: Probe, sample: _Sample) -> _Measured:
    with probe.forgotten():
        probe.build("prepare", "tables")
        empty = _built(probe, probe.build(*_BUILD, "views"), ())
    wal = probe.wal_bytes()
    schema_s = sum(one.seconds for one in probe.build("prepare", "tables"))
    filled = {table: made for table, made in sample.tables.items() if made.rows}
    copy = {
        table: sum(probe.copy(table, columns, body) for columns, body in made.bodies.items() if body)
        for table, made in filled.items()
    }
    timed = list(probe.build(*_BUILD))
    analyze = {table: probe.analyze(table) for table in filled}
    timed += probe.build("views")
    checksum = {table: probe.checksum(table) for table in filled}
    built = _built(probe, timed, tuple(filled))
    return _Measured(empty, built, schema_s, copy, analyze, checksum, probe.wal_bytes() - wal)


def _built(probe: Probe, timed: Iterable[Timed], filled: Sequence[str]) -> _Built:
    return _Built(
        {one.ddl.name: one for one in timed}, {relation.name: relation for relation in probe.relations(filled)}
    )


# ---- from the sample to the whole ----


@dataclass(frozen=True, slots=True)
class _Scaling:
    """What the sample's rows become at full scale."""

    sample: _Sample
    rows: Mapping[str, int]
    is_whole: bool

    @classmethod
    def of(cls, spec: SeedSpec, sample: _Sample) -> "_Scaling":
        is_whole = sample.spec == spec
        rows = {table: made.rows for table, made in sample.tables.items()} if is_whole else row_counts(spec)
        return cls(sample, rows, is_whole)

    def growth(self, table: str) -> float:
        """Rows at full scale to rows of the sample."""
        return self.rows[table] / max(1, self.sample.tables[table].rows)

    def sorting(self, table: str) -> float:
        """The same for n·log n."""
        before = max(2, self.sample.tables[table].rows)
        return self.growth(table) * math.log2(max(2, self.rows[table])) / math.log2(before)

    def is_small(self, table: str) -> bool:
        """Whether the sample has too few rows to be timed."""
        return self.sample.tables[table].rows < FEWEST_ROWS and not self.is_whole

    def wire(self, table: str) -> int:
        """Bytes that COPY sends."""
        return round(self.sample.tables[table].wire_bytes * self.growth(table))

    def wires(self) -> dict[str, int]:
        """The same of every table."""
        return {table: self.wire(table) for table in self.sample.tables}

    def generate(self) -> dict[str, float]:
        """CPU seconds of making the rows, by table."""
        return self.spread({table: self._generate(table) for table in self.sample.tables}, self.wires())

    def _generate(self, table: str) -> float:
        made = self.sample.tables[table]
        blocks = max(made.blocks, self.rows[table] / BLOCK_ROWS)
        return made.fixed_s * blocks / max(1, made.blocks) + (made.seconds - made.fixed_s) * self.growth(table)

    @property
    def ledger_s(self) -> float:
        """CPU seconds of adding up all orders."""
        return self.sample.ledger_s * max(1.0, self.growth("orders"))

    def spread(self, seconds: Mapping[str, float], sizes: Mapping[str, int]) -> dict[str, float]:
        """Return the seconds by table, with the mean per byte of the others for tables too small to be timed."""
        timed = [table for table in seconds if not self.is_small(table)]
        mean = sum(seconds[table] for table in timed) / max(1, sum(sizes[table] for table in timed))
        return {table: mean * sizes[table] if self.is_small(table) else seconds[table] for table in seconds}


def _without_server(spec: SeedSpec, sample: _Sample, connections: int, started: float) -> Estimate:
    scaling = _Scaling.of(spec, sample)
    making = scaling.generate()
    tables = tuple(
        TableEstimate(table, scaling.rows[table], scaling.wire(table), None, Seconds(making[table])) for table in making
    )
    return Estimate(
        spec=spec,
        tables=tables,
        view_bytes=None,
        wal_bytes=None,
        sort_bytes=None,
        prepare_seconds=sample.words_s,
        work=(Work("copy", sum(making.values()) + scaling.ledger_s, 0.0),),
        connections=connections,
        probe_rows=sample.rows,
        probe_seconds=perf_counter() - started,
        note=NOT_MEASURED,
    )


def _extrapolated(spec: SeedSpec, sample: _Sample, measured: _Measured, connections: int, started: float) -> Estimate:
    scaling = _Scaling.of(spec, sample)
    sizes = _sizes(scaling, measured)
    disk = {
        table: sum(sizes[relation.name] for relation in measured.filled.relations.values() if relation.table == table)
        for table in sample.tables
    }
    views = sum(sizes[relation.name] for relation in measured.filled.relations.values() if relation.is_view)
    costs = _Costs(scaling, measured, disk)
    total = sum(disk.values()) + views
    largest = sorted(
        (sizes[relation.name] for relation in measured.filled.relations.values() if not relation.is_heap), reverse=True
    )
    return Estimate(
        spec=spec,
        tables=tuple(costs.table(table) for table in sample.tables),
        view_bytes=views,
        wal_bytes=_wal_bytes(measured, total, sum(scaling.wires().values())),
        sort_bytes=sum(largest[:connections]),
        prepare_seconds=sample.words_s,
        work=costs.work(),
        connections=connections,
        probe_rows=sample.rows,
        probe_seconds=perf_counter() - started,
    )


def _wal_bytes(measured: _Measured, disk_bytes: int, wire_bytes: int) -> int:
    """Return the WAL in proportion to the pages written.

    At least the rows: with wal_level minimal COPY into a table of the same transaction, as in the probe, writes none.  At
    most one and a half times the pages: what is beyond that others have written meanwhile.
    """
    written = sum(relation.pages * PAGE + relation.toast_bytes for relation in measured.filled.relations.values())
    share = measured.wal_bytes / max(1, written)
    return max(wire_bytes, round(disk_bytes * min(1.5, share)))


def _sizes(scaling: _Scaling, measured: _Measured) -> dict[str, int]:
    """Return the bytes of each relation at full scale, by name."""
    found: dict[str, int] = {}
    for name, relation in measured.filled.relations.items():
        # Views have a row for each product, but for the daily sales, which are few.
        growth = scaling.growth("products" if relation.is_view else relation.table)
        found[name] = _relation_bytes(
            relation, measured.empty.relations[name], growth, _lone_page(scaling, measured, relation)
        )
    return found


def _lone_page(scaling: _Scaling, measured: _Measured, relation: Relation) -> float:
    """Return how full the only page of a relation is, from its rows and what a row takes there: pages tell no more."""
    made = scaling.sample.tables.get(relation.table)
    if made is None or not made.rows:
        return 0.5
    heaps = [
        one for one in measured.filled.relations.values() if one.table == relation.table and one.is_heap and one.pages
    ]
    each = made.wire_bytes / made.rows if relation.is_heap else _ENTRY_BYTES
    return min(0.95, made.rows / len(heaps) * each / PAGE)


def _relation_bytes(relation: Relation, empty: Relation, growth: float, lone_page: float) -> int:
    """Return a relation's bytes when its rows grow: what it has without rows stays, the last page is half full."""
    if relation.method == "gin":
        # Its words are soon all there, and what grows are lists of a byte or two a row (measured: exponents of 0.3-0.5).
        growth = math.sqrt(growth)
    # Above its leaves a B-tree has a root; of the levels below it there is one page for some two hundred.
    root = 1 if relation.method == "btree" and relation.pages > empty.pages + 1 else 0
    filled = relation.pages - empty.pages - root
    pages: float = relation.pages
    if filled > 0 and growth != 1:
        payload = (lone_page if filled == 1 else filled - 0.5) * growth
        grown_root = 1 if relation.method == "btree" and payload > 1 else 0
        pages = empty.pages + grown_root + max(1, math.ceil(payload + 0.5 if payload > 1 else payload))
    if relation.is_heap and pages > empty.pages:
        pages += _MAPS_PAGES + math.floor(pages * _MAPS_PER_PAGE)
    toast = empty.toast_bytes + (relation.toast_bytes - empty.toast_bytes) * growth
    return round(pages * PAGE + toast)


class _Costs:
    """Seconds of the server at full scale, by statement and by table."""

    def __init__(self, scaling: _Scaling, measured: _Measured, disk: Mapping[str, int]) -> None:
        self.scaling = scaling
        self.measured = measured
        self.disk = disk
        wires = scaling.wires()
        self.generate = scaling.generate()
        self.copy = scaling.spread(self._grown(measured.copy), wires)
        self.checksum = scaling.spread(self._grown(measured.checksum), wires)
        self.statistics = {table: self._statistics(table) for table in scaling.sample.tables}
        self.build = {stage: self._stage(stage) for stage in _BUILD}
        self.views = self._views()

    def table(self, table: str) -> TableEstimate:
        """Return all of one table."""
        build = sum(seconds for stage in self.build.values() for ddl, seconds in stage if ddl.table == table)
        views = sum(seconds for of, seconds in self.views if of == table)
        finish = self.statistics[table] + self.checksum[table] + views
        return TableEstimate(
            table,
            self.scaling.rows[table],
            self.scaling.wire(table),
            self.disk[table],
            Seconds(self.generate[table], self.copy[table], build, finish),
        )

    def work(self) -> tuple[Work, ...]:
        """Return the phases of a load: blocks, indexes and views go side by side, keys and references by table."""
        copying = sum(self.generate.values()) + sum(self.copy.values()) + self.scaling.ledger_s
        by_table = {
            stage: [sum(seconds for ddl, seconds in self.build[stage] if ddl.table == table) for table in self.generate]
            for stage in _BUILD
        }
        return (
            Work("schema", self.measured.schema_s, self.measured.schema_s),
            Work("copy", copying, 0.0),
            _work("keys", by_table["keys"]),
            _work("indexes", [seconds for _, seconds in self.build["indexes"]]),
            _work("foreign_keys", by_table["foreign_keys"]),
            _work("statistics", self.statistics.values()),
            _work("views", [seconds for _, seconds in self.views]),
            _work("checksums", self.checksum.values()),
        )

    def _grown(self, seconds: Mapping[str, float]) -> dict[str, float]:
        return {table: seconds.get(table, 0.0) * self.scaling.growth(table) for table in self.scaling.sample.tables}

    def _statistics(self, table: str) -> float:
        """VACUUM (ANALYZE): ANALYZE looks at a limited number of rows, VACUUM at every page."""
        before, after = self.scaling.sample.tables[table].rows, self.scaling.rows[table]
        analyze = self.measured.analyze.get(table, 0.0) * max(
            1.0, min(after, _ANALYZED) / max(1, min(before, _ANALYZED))
        )
        return analyze + VACUUM_SHARE * self.copy[table]

    def _stage(self, stage: Stage) -> list[tuple[Ddl, float]]:
        """Return the seconds of each statement: what it takes without rows, and what grows with them."""
        found = [(one, self.measured.empty.timed[name].seconds) for name, one in self.measured.filled.timed.items()]
        chosen = [(one.ddl, base, max(0.0, one.seconds - base)) for one, base in found if one.ddl.stage == stage]
        grow = self.scaling.growth if stage == "foreign_keys" else self.scaling.sorting
        variable: dict[str, float] = {}
        count: dict[str, int] = {}
        for ddl, _, more in chosen:
            table = str(ddl.table)
            variable[table] = variable.get(table, 0.0) + more * grow(table)
            count[table] = count.get(table, 0) + 1
        spread = self.scaling.spread(variable, self.disk)
        small = self.scaling.is_small
        return [
            (ddl, base + (spread[t] / count[t] if small(t) else more * grow(t)))
            for ddl, base, more in chosen
            for t in (str(ddl.table),)
        ]

    def _views(self) -> list[tuple[str, float]]:
        """Return (the largest table that it reads, seconds with its indexes) of each view."""
        found: list[tuple[str, float]] = []
        for name, one in self.measured.filled.timed.items():
            if one.ddl.stage != "views":
                continue
            table = self._read_by(one.ddl) if one.ddl.kind == "view" else found[-1][0]
            base = self.measured.empty.timed[name].seconds
            seconds = base + max(0.0, one.seconds - base) * self.scaling.growth(table)
            if one.ddl.kind == "view":
                found.append((table, seconds))
            else:
                found[-1] = (table, found[-1][1] + seconds)
        return found

    def _read_by(self, view: Ddl) -> str:
        words = set(re.findall(r"\w+", view.sql))
        return max((table for table in self.disk if table in words), key=lambda table: self.scaling.rows[table])


def _work(phase: str, pieces: Iterable[float]) -> Work:
    listed = list(pieces)
    return Work(phase, sum(listed), max(listed, default=0.0))
