"""What a page is made of, before it becomes HTML or Markdown: sections of texts, tables, figures and code.

To add a section to the report of a run: write ``name(facts: Facts) -> tuple[Section, ...]`` in a module of its own, which
returns nothing where it has nothing to show (``facts.folder`` is the run's), and put ``*name(facts)`` at its place in
``sections.sections``.  HTML, Markdown and CSV then have it.

To make a page of its own: build a ``Page`` and give it to ``html.render_page``, ``markdown.render_markdown`` and
``tables.write_tables``.  Figures come from ``drawing`` (``canvas``, ``legend``, ``time_scale``) and ``svg.to_svg``, which put
the page's colours into them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Row = tuple["Cell | str", ...]
"""A row before its bare strings are cells."""

CellKind = Literal["text", "number", "region", "code", "good", "caution", "bad"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: a text and how to show it; ``beside`` is smaller, such as the interval of a figure.

    ``link`` is where the text leads, as a path relative to the page; empty for nowhere.
    """

    text: str
    kind: CellKind = "text"
    beside: str = ""
    link: str = ""


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


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure above the fold with its name and, below it, what it is to be compared with."""

    name: str
    value: str
    beside: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its verdict (``level``, ``heading``, ``reasons``, ``result``), then tiles and ``top``, then its sections.

    ``regions`` in the order of the scenario give the colours; ``name`` is the title of the window, ``source`` the last line.
    """

    name: str
    kicker: str
    level: Literal["good", "caution", "bad"]
    heading: str
    reasons: tuple[str, ...]
    result: str
    small: str
    tiles: tuple[Tile, ...]
    top: tuple[Block, ...]
    sections: tuple[Section, ...]
    regions: tuple[str, ...]
    source: str


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
