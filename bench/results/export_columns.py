"""The tables of a store as plain columns: numbers and text, a histogram as its count, sum, extremes and percentiles.

The columns are those of the store (``tables.DDL``), so a table that is added there is exported without a word here.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from types import NoneType
from typing import Any, Literal

from bench.errors import UsageError
from bench.results.export_times import EXACT, PERCENTILES, time_columns
from bench.results.read import Run
from bench.results.tables import DDL

Kind = Literal["integer", "real", "text"]
Value = int | float | str | None
Row = tuple[Value, ...]

_HISTOGRAM: tuple[tuple[str, Kind], ...] = (
    ("count", "integer"),
    *((name, "real") for name in (*EXACT[1:], *(name for name, _ in PERCENTILES))),
)
_KINDS: dict[str, Kind] = {"INTEGER": "integer", "REAL": "real", "TEXT": "text"}
_TYPES: dict[str, tuple[type, ...]] = {"INTEGER": (int,), "REAL": (float, int), "TEXT": (str,), "BLOB": (bytes,)}
_BATCH = 5_000
"""Rows in memory at once, and in a row group of a Parquet file."""
_BLOB = "BLOB"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an exported table; its name carries its unit (``_ms``, ``_s``, ``_ns``)."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the store; ``stored`` are its own columns with their declared types."""

    name: str
    stored: tuple[tuple[str, str], ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that are exported, in order."""
        return tuple(column for name, declared in self.stored for column in _columns(name, declared))


def _columns(name: str, declared: str) -> Iterator[Column]:
    if declared == _BLOB:
        yield from (Column(f"{name}_{part}", kind) for part, kind in _HISTOGRAM)
    else:
        yield Column(name, _KINDS[declared])


@cache
def store_tables() -> tuple[Table, ...]:
    """Return the tables of a store of today's format, in the order in which it declares them; sums of others aside."""
    db = sqlite3.connect(":memory:")
    try:
        db.executescript(DDL)
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")]
        names.remove("statement_sums")
        columns = "SELECT name, type FROM pragma_table_info(?) ORDER BY cid"
        return tuple(Table(name, tuple(db.execute(columns, (name,)))) for name in names)
    finally:
        db.close()


def read_batches(run: Run, table: Table) -> Iterator[list[Row]]:
    """Yield the rows of a table as they were written, some thousands at a time; UsageError when the store is damaged.

    A column that an older format has not is None.
    """
    there = {name for (name,) in run.rows("SELECT name FROM pragma_table_info(?)", table.name)}
    # Names are those of our own DDL; `left` is a word of SQL.
    wanted = ", ".join(f'"{name}"' if name in there else "NULL" for name, _ in table.stored)
    rows = run.rows(f"SELECT {wanted} FROM {table.name}")  # noqa: S608
    while batch := list(islice(rows, _BATCH)):
        try:
            columns = [
                column
                for (_, declared), stored in zip(table.stored, zip(*batch, strict=True), strict=True)
                for column in _read(declared, stored)
            ]
        except ValueError as error:
            raise damaged(run, table.name, error) from None
        yield list(zip(*columns, strict=True))


def damaged(run: Run, table: str, error: Exception) -> UsageError:
    """Return the error for a row that does not hold what its table promises."""
    return UsageError(
        f"'{run.path}' is damaged",
        cause=f"table {table}: {error}",
        hint="choose another run; this one cannot be read whole",
    )


def _read(declared: str, stored: Sequence[Any]) -> Sequence[Sequence[Value]]:
    """Return the columns that a column of the store becomes; ValueError for a value of another type than declared."""
    types = _TYPES[declared]
    if declared != _BLOB:
        types = (*types, NoneType)
    for value in stored:
        if not isinstance(value, types):
            raise ValueError(f"{declared.lower()} expected, found {value!r:.40}")
    return time_columns(stored) if declared == _BLOB else (stored,)
