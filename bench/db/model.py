"""The shape of a relational schema, as data: what ``bench.schema`` fills in and what ``ddl`` renders for a variant.

Column lines are SQL: a name, a type, then ``NOT NULL``, ``DEFAULT …``, ``CHECK (…)`` or ``GENERATED …``.  They hold what
is the same on both databases; keys, localities and partitions are kept apart, because that is where variants differ.
"""

import re
from dataclasses import dataclass
from typing import Literal

Home = Literal["global", "regional"]
"""``global`` rows are read everywhere and rarely written; ``regional`` rows belong to the region in their key."""

REGION = "region"
REGION_TYPE = "crdb_internal_region"
"""The name that CockroachDB gives the enum of a multi-region database ([D:multiregion-overview]); on PostgreSQL, and on a
CockroachDB database that is not multi-region, we create the type under that name so that one SQL text serves all."""

_TYPE_ENDS = re.compile(r"\s+(?:NOT NULL|NULL|DEFAULT|CHECK|GENERATED)\b")


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``definition`` is everything after the name."""

    name: str
    definition: str

    @classmethod
    def parse(cls, line: str) -> "Column":
        """Return the column of one SQL line such as ``email VARCHAR(255) NOT NULL``."""
        name, definition = line.split(maxsplit=1)
        return cls(name, " ".join(definition.split()))

    @property
    def type(self) -> str:
        """The SQL type, as written."""
        return _TYPE_ENDS.split(self.definition, maxsplit=1)[0]

    @property
    def is_nullable(self) -> bool:
        """Whether the column accepts NULL."""
        return "NOT NULL" not in self.definition

    @property
    def is_generated(self) -> bool:
        """Whether the server computes the column, so that an INSERT or COPY must leave it out."""
        return "GENERATED ALWAYS" in self.definition


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique constraint; ``columns`` without the region, which a variant may put first."""

    name: str
    columns: tuple[str, ...]
    is_arbiter: bool = False
    """Named by an ON CONFLICT, so that every variant must have it with the same columns: the region always first."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference; where both sides are regional the region is part of it, which keeps the check in one region."""

    name: str
    columns: tuple[str, ...]
    target: str
    region_column: str | None = None
    """The referencing side's region column, or None where the target is global."""
    on_delete: Literal["CASCADE", "NO ACTION"] = "NO ACTION"
    target_columns: tuple[str, ...] = ("id",)


@dataclass(frozen=True, slots=True)
class Check:
    """A named CHECK over more than one column."""

    name: str
    condition: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table.  ``key`` is the primary key; a variant may put the region first where it is not named."""

    name: str
    home: Home
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ("id",)
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    source: str = ""
    """The seed's statements that it comes from, e.g. ``S9 S10``."""

    @property
    def is_regional(self) -> bool:
        """Whether the rows carry the region that they belong to."""
        return self.home == "regional"

    @property
    def writable_columns(self) -> tuple[Column, ...]:
        """The columns that a COPY fills: all but those the server computes, in table order."""
        return tuple(column for column in self.columns if not column.is_generated)


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index; ``columns`` is the SQL list between the parentheses."""

    name: str
    table: str
    columns: str
    where: str = ""
    method: str = ""
    is_time_ordered: bool = False
    """Led by a constant and a timestamp: one hot range on CockroachDB, sharded where it may be ([D:hash-sharded-indexes])."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A materialized view with the unique index that a concurrent refresh needs on PostgreSQL."""

    name: str
    query: str
    key: tuple[str, ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """The logical schema, before any variant."""

    version: int
    tables: tuple[Table, ...]
    indexes: tuple[Index, ...]
    views: tuple[View, ...]
    sequence: str
    function: str

    def table(self, name: str) -> Table:
        """Return the table of that name; KeyError when there is none."""
        return next((table for table in self.tables if table.name == name), None) or _missing(name)


def _missing(name: str) -> Table:
    raise KeyError(name)


def columns(text: str) -> tuple[Column, ...]:
    """Return the columns of a block of SQL lines, one a line."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(Column.parse(line) for line in lines if line)
