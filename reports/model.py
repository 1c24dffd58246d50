"""What a page is made of, before it becomes HTML or Markdown: sections of texts, tables, figures and code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Row = tuple["Cell | str", ...]
"""A row before its bare strings are cells."""

CellKind = Literal["text", "number", "region", "code", "good", "caution", "bad"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: a text and how to show it."""

    text: str
    kind: CellKind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names the row; a heading that begins with ``#`` is a column of numbers."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    @property
    def columns(self) -> tuple[tuple[str, bool], ...]:
        """(heading, whether the column holds numbers) for each column."""
        return tuple((name.removeprefix("#"), name.startswith("#")) for name in self.head)


@dataclass(frozen=True, slots=True)
class Figure:
    """An inline SVG; ``alt`` says in words what it shows, ``caption`` what the reader needs in order to read it."""

    name: str
    title: str
    svg: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; ``level`` colours a statement that is good or bad news."""

    text: str
    level: Literal["plain", "good", "caution", "bad"] = "plain"


@dataclass(frozen=True, slots=True)
class Code:
    """Something to type or to run."""

    text: str
    language: str = "sql"


@dataclass(frozen=True, slots=True)
class Folded:
    """Detail that is closed until asked for."""

    title: str
    blocks: tuple["Block", ...]


Block = Table | Figure | Text | Code | Folded


@dataclass(frozen=True, slots=True)
class Section:
    """One question of the page and its answer."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


def table(caption: str, head: Sequence[str], rows: Sequence[Row], note: str = "") -> Table:
    """Return a table; bare strings become numbers under a ``#`` heading and texts elsewhere."""
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"a row of '{caption}' has {len(row)} cells for {len(head)} columns")
    cells = tuple(tuple(_cell(value, name) for value, name in zip(row, head, strict=True)) for row in rows)
    return Table(caption, tuple(head), cells, note)


def _cell(value: Cell | str, heading: str) -> Cell:
    if isinstance(value, Cell):
        return value
    return Cell(value, "number" if heading.startswith("#") else "text")


def region_cell(region: str | None) -> Cell:
    """Return the cell that names a region; None stands for all of them."""
    return Cell("all regions") if region is None else Cell(region, "region")
