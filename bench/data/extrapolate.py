"""From the sample to the whole: rows are scaled per relation and per statement; what does not grow with them stays.

May import ``sample`` and ``cost``.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter

from bench.data.blocks import BLOCK_ROWS
from bench.data.cost import Estimate, Seconds, TableEstimate, Work
from bench.data.sample import BUILD, Measured, Sample
from bench.data.spec import SeedSpec, row_counts
from bench.db.ddl import Ddl, Stage
from bench.db.probe import PAGE, Relation

FEWEST_ROWS = 200
"""A table with fewer rows in the sample is too small to time; it is given the mean cost per byte of the others."""
NOT_MEASURED = "not measured on CockroachDB"

# A heap with rows has a free space map of three pages and a visibility map of one; a page of them covers 4,000 and 32,000.
_MAPS_PAGES = 4
_MAPS_PER_PAGE = 1 / 4000 + 1 / 32000
_ENTRY_BYTES = 45
"""Of a row in an index (measured: 25-80)."""
_ANALYZED = 30_000
"""Rows that ANALYZE looks at, however many there are."""
VACUUM_SHARE = 0.1
"""VACUUM, which no transaction may run, in parts of COPY."""


@dataclass(frozen=True, slots=True)
class _Scaling:
    """What the sample's rows become at full scale."""

    sample: Sample
    rows: Mapping[str, int]
    is_whole: bool

    @classmethod
    def of(cls, spec: SeedSpec, sample: Sample) -> "_Scaling":
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


def without_server(spec: SeedSpec, sample: Sample, connections: int, started: float) -> Estimate:
    """Return what is known where the server was not measured."""
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


def extrapolated(spec: SeedSpec, sample: Sample, measured: Measured, connections: int, started: float) -> Estimate:
    """Return the estimate for a whole data set from what its sample took; ``started`` is when the probe began."""
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


def _wal_bytes(measured: Measured, disk_bytes: int, wire_bytes: int) -> int:
    """Return the WAL in proportion to the pages written.

    At least the rows: with wal_level minimal COPY into a table of the same transaction, as in the probe, writes none.  At
    most one and a half times the pages: what is beyond that others have written meanwhile.
    """
    written = sum(relation.pages * PAGE + relation.toast_bytes for relation in measured.filled.relations.values())
    share = measured.wal_bytes / max(1, written)
    return max(wire_bytes, round(disk_bytes * min(1.5, share)))


def _sizes(scaling: _Scaling, measured: Measured) -> dict[str, int]:
    """Return the bytes of each relation at full scale, by name."""
    found: dict[str, int] = {}
    for name, relation in measured.filled.relations.items():
        # Views have a row for each product, but for the daily sales, which are few.
        growth = scaling.growth("products" if relation.is_view else relation.table)
        found[name] = _relation_bytes(
            relation, measured.empty.relations[name], growth, _lone_page(scaling, measured, relation)
        )
    return found


def _lone_page(scaling: _Scaling, measured: Measured, relation: Relation) -> float:
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

    def __init__(self, scaling: _Scaling, measured: Measured, disk: Mapping[str, int]) -> None:
        self.scaling = scaling
        self.measured = measured
        self.disk = disk
        wires = scaling.wires()
        self.generate = scaling.generate()
        self.copy = scaling.spread(self._grown(measured.copy), wires)
        self.checksum = scaling.spread(self._grown(measured.checksum), wires)
        self.statistics = {table: self._statistics(table) for table in scaling.sample.tables}
        self.build = {stage: self._stage(stage) for stage in BUILD}
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
            for stage in BUILD
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
