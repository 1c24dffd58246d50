"""What a load costs: the figures of an estimate, and whether a disk has room for them.

May import ``spec``, ``errors`` and ``units``.  ``estimate`` makes the figures.
"""

import os
from dataclasses import dataclass

from bench.data.spec import SeedSpec, row_counts
from bench.errors import TargetError
from bench.units import format_bytes

MAX_WAL_BYTES = 4 * 2**30
"""``max_wal_size`` of the embedded server."""
UPPER_BYTES_PER_ROW = 1000
"""Over twice what a row takes on average with its share of all indexes (measured at 0.025 and 0.1: 360-410 bytes)."""
UPPER_BYTES_EMPTY = 16_000_000
"""A database without rows (measured: 8 MB)."""
UPPER_BYTES_REGION = 8_000_000
"""The empty and half-filled pages of a region's partitions by month and their indexes (measured: 2 MB)."""


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
