"""The tables of a page as CSV files: one a table, the figures as the page shows them."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.results.store import write_atomically

from .model import Block, Cell, Folded, Page, Table
from .numbers import MISSING

FOLDER = "csv"


def write_tables(page: Page, run_dir: Path) -> list[Path]:
    """Write csv/SECTION-CAPTION.csv for each table of a page into the folder of its run; return their paths.

    What was there before is removed, so that no table of an older report is left beside the new ones.  Raises UsageError when
    the folder cannot be written.
    """
    folder = run_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.csv"):
        old.unlink()
    paths: list[Path] = []
    parts = [("summary", page.top), *((section.anchor, section.blocks) for section in page.sections)]
    for anchor, blocks in parts:
        for table in _tables(blocks):
            path = _free(folder, _name(f"{anchor}-{table.caption}"), paths)
            write_atomically(path, _csv(table))
            paths.append(path)
    return paths


def _tables(blocks: Iterable[Block]) -> Iterator[Table]:
    for block in blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Folded):
            yield from _tables(block.blocks)


def _csv(table: Table) -> str:
    """Return a table as CSV (RFC 4180): figures of a column in one unit, named in its heading, empty where one is missing."""
    columns = [
        column
        for place, (name, is_number) in enumerate(table.columns)
        for column in _columns(name, [row[place] for row in table.rows], is_number=is_number)
    ]
    out = io.StringIO()
    csv.writer(out).writerows(zip(*columns, strict=True))
    return out.getvalue()


def _columns(name: str, cells: list[Cell], *, is_number: bool) -> Iterator[list[str]]:
    """Yield a column with its heading, then what stands beside its figures and which are bounds, where there is such."""
    texts = [cell.text for cell in cells]
    unit, figures = _figures([text.removeprefix(_BOUND) for text in texts]) if is_number else ("", texts)
    yield [f"{name} ({unit})" if unit else name, *figures]
    if any(cell.beside for cell in cells):
        yield [f"{name}: 95 % interval", *(cell.beside for cell in cells)]
    if is_number and any(text.startswith(_BOUND) for text in texts):
        yield [f"{name}: at least", *("yes" if text.startswith(_BOUND) else "" for text in texts)]


_BOUND = "≥ "
_IN_UNIT = {"ms": ("ms", 1.0), "s": ("ms", 1000.0), "%": ("%", 1.0), "": ("", 1.0)}


def _figures(texts: list[str]) -> tuple[str, list[str]]:
    """Return the unit of a column of figures and the figures in it; the texts as they are where they are not of one unit.

    >>> _figures(["1.5 s", "12 ms", "–"]), _figures(["1,234", "7"]), _figures(["3 s", "never"])
    (('ms', ['1500', '12', '']), ('', ['1234', '7']), ('', ['3 s', 'never']))
    """
    found = [re.fullmatch(r"([-+]?[\d,]*\.?\d+) ?(ms|s|%|)", text) for text in texts]
    units = {_IN_UNIT[match[2]][0] for match in found if match}
    if len(units) != 1 or any(match is None and text != MISSING for match, text in zip(found, texts, strict=True)):
        return "", texts
    values = [float(m[1].replace(",", "")) * _IN_UNIT[m[2]][1] if m else None for m in found]
    return units.pop(), ["" if value is None else f"{value:.12g}" for value in values]


def _name(text: str) -> str:
    """Return a file's name for a caption.

    >>> _name("tail-Response and service time, by region")
    'tail-response-and-service-time-by-region'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80].rstrip("-")


def _free(folder: Path, name: str, taken: list[Path]) -> Path:
    number = 1
    path = folder / f"{name}.csv"
    while path in taken:
        number += 1
        path = folder / f"{name}-{number}.csv"
    return path
