"""Columns to the bytes of COPY, binary for PostgreSQL, text or CSV for CockroachDB, without a Python loop over rows.

May import nothing of the package but ``columns``, ``counter`` and ``vocabulary``.  Rows whose parts are all as long as one
another's are painted into a byte matrix without gaps, and each is copied to its place in the stream as one cell.  The few
other rows, and tables where hardly two rows are alike, are painted with every part at its greatest width; a second matrix
says which bytes count, and a compressing copy leaves out the others.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.data.columns import Column, length_prefix
from bench.data.counter import Bytes, Flags, Ints
from bench.data.vocabulary import Format, Part, cells

_Shown = tuple[Part, Flags | None]
_PAGE_BYTES = 1 << 20
"""Bytes painted at a time: the matrix stays in the processor's second-level cache."""
_LEAST_ALIKE = 100
"""Rows of one shape that are worth being painted apart, without a mask."""
_MOST_LEFT = 0.25
"""Share of rows in no such group with which the groups are worth it: the others are put in between one by one."""
_MOST_SHAPES = 1 << 16
# What stands between two values, and what is NULL.
_SEPARATOR: dict[Format, bytes] = {"text": b"\t", "csv": b","}
_NULL: dict[Format, bytes] = {"text": b"\\N", "csv": b"", "binary": b"\xff\xff\xff\xff"}


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a part stands in the matrix; ``shown`` marks the rows that have it, None for all."""

    start: int
    end: int
    part: Part
    shown: Flags | None
    is_ragged: bool


def encode(columns: Sequence[Column], rows: int, fmt: Format) -> bytes:
    """Return ``rows`` rows as COPY sends them, without the header and trailer of a binary stream.

    CSV is that of RFC 4180 with lines that end in LF: text, JSON and arrays stand in quotes, so that nothing between the
    commas is NULL and ``""`` is not.
    """
    layout = list(_merged(_binary(columns) if fmt == "binary" else _text(columns, fmt)))
    groups, left = _by_shape(layout, rows)
    loose = _masked(layout, left)
    if not groups:
        return loose.tobytes()
    lengths = _row_lengths(layout, left)
    shapes = [list(_slots(layout, int(group[0]))) for group in groups]
    size = np.empty(rows, np.int64)
    size[left] = lengths
    for group, slots in zip(groups, shapes):
        size[group] = slots[-1].end
    end = np.cumsum(size)
    out = np.empty(int(end[-1]), np.uint8)
    for group, slots in zip(groups, shapes):
        _place(out, slots, group, end[group] - slots[-1].end)
    at = 0
    for stop, length in zip(end[left].tolist(), lengths.tolist()):
        out[stop - length : stop] = loose[at : at + length]
        at += length
    return out.tobytes()


def _by_shape(layout: Sequence[_Shown], rows: int) -> tuple[list[Ints], Ints]:
    """Return groups of rows that are alike in the lengths of all their parts, and the rows that are like few others."""
    traits: list[Ints | Flags] = list({id(shown): shown for _, shown in layout if shown is not None}.values())
    for part, shown in layout:
        if not isinstance(part, bytes) and not isinstance(part.lengths, int):
            traits.append(part.lengths if shown is None else part.lengths * shown)
    shape, shapes = np.zeros(rows, np.int64), 1
    for trait in traits:
        least, most = int(trait.min()), int(trait.max())
        shapes *= most - least + 1
        if shapes > _MOST_SHAPES:
            return [], np.arange(rows)
        shape = shape * (most - least + 1) + trait - least
    count = np.bincount(shape, minlength=shapes)
    order = np.argsort(shape.astype(np.uint16), kind="stable")
    stops = np.cumsum(count)[count >= _LEAST_ALIKE]
    starts = stops - count[count >= _LEAST_ALIKE]
    left = np.flatnonzero((count < _LEAST_ALIKE)[shape])
    if len(left) > rows * _MOST_LEFT:
        return [], np.arange(rows)
    return [order[start:stop] for start, stop in zip(starts.tolist(), stops.tolist())], left


def _place(out: Bytes, slots: Sequence[_Slot], group: Ints, starts: Ints) -> None:
    """Write rows that are all as long to where they start in the stream."""
    width = slots[-1].end
    page = _page(slots, len(group))
    # The stream as cells of a row's length that begin at every byte: numpy copies a row to its place as one cell.
    places = np.lib.stride_tricks.as_strided(out, (len(out) - width + 1, width), (1, 1))
    for first in range(0, len(group), len(page)):
        rows = group[first : first + len(page)]
        for slot in slots:
            if not isinstance(slot.part, bytes):
                slot.part.paint(rows, page[: len(rows), slot.start : slot.end])
        cells(places)[starts[first : first + len(page)]] = cells(page)[: len(rows)]


def _row_lengths(layout: Sequence[_Shown], rows: Ints) -> Ints:
    total = np.zeros(len(rows), np.int64)
    for part, shown in layout:
        lengths = _length(part)
        of_rows = lengths[rows] if isinstance(lengths, np.ndarray) else lengths
        total += of_rows if shown is None else of_rows * shown[rows]
    return total


def _masked(layout: Sequence[_Shown], group: Ints) -> Bytes:
    """Return the bytes of rows of different lengths."""
    if not len(group):
        return np.empty(0, np.uint8)
    slots = list(_slots(layout))
    page = _page(slots, len(group))
    keep = np.ones(page.shape, np.bool_)
    out = []
    for first in range(0, len(group), len(page)):
        rows = group[first : first + len(page)]
        painted, kept = page[: len(rows)], keep[: len(rows)]
        _paint(slots, rows, painted, kept)
        out.append(painted[kept])
    return np.concatenate(out)


def _page(slots: Sequence[_Slot], rows: int) -> Bytes:
    """Return a matrix for some rows at a time, with the constant parts in it."""
    width = slots[-1].end
    page = np.empty((min(rows, max(64, _PAGE_BYTES // width)), width), np.uint8)
    for slot in slots:
        if isinstance(slot.part, bytes):
            cells(page[:, slot.start : slot.end])[:] = np.frombuffer(slot.part, f"V{len(slot.part)}")
    return page


def _slots(layout: Iterable[_Shown], row: int | None = None) -> Iterator[_Slot]:
    """Give the parts their places: those of rows that are all like ``row``, or of any rows, at their greatest width."""
    at = 0
    for part, shown in layout:
        if row is not None and shown is not None and not shown[row]:
            continue
        width, lengths = (len(part), 0) if isinstance(part, bytes) else (part.width, part.lengths)
        is_ragged = row is None and not isinstance(lengths, int)
        if row is not None and not isinstance(lengths, int):
            width = int(lengths[row])
        if width:
            yield _Slot(at, at + width, part, shown if row is None else None, is_ragged)
        at += width


def _paint(slots: list[_Slot], rows: Ints, matrix: Bytes, keep: Flags) -> None:
    for slot in slots:
        place = keep[:, slot.start : slot.end]
        if not isinstance(slot.part, bytes):
            slot.part.paint(rows, matrix[:, slot.start : slot.end])
            if slot.is_ragged:
                slot.part.mask(rows, place)
        if slot.shown is not None:
            visible = slot.shown[rows][:, None]
            place[:] = place & visible if slot.is_ragged else visible


def _binary(columns: Sequence[Column]) -> Iterator[_Shown]:
    yield struct.pack(">h", len(columns)), None
    for column in columns:
        parts, null = column.parts("binary"), column.null
        shown = None if null is None else ~null
        if null is not None or not parts:
            yield _NULL["binary"], null
        if parts:
            yield length_prefix(sum((_length(part) for part in parts), start=np.int64(0))), shown
        for part in parts:
            yield part, shown


def _text(columns: Sequence[Column], fmt: Format) -> Iterator[_Shown]:
    for number, column in enumerate(columns):
        if number:
            yield _SEPARATOR[fmt], None
        parts = column.parts(fmt)
        if _NULL[fmt] and (not parts or column.null is not None):
            yield _NULL[fmt], column.null
        shown = None if column.null is None else ~column.null
        for part in parts:
            yield part, shown
    yield b"\n", None


def _merged(layout: Iterable[_Shown]) -> Iterator[_Shown]:
    """Join constants that stand side by side and are shown in the same rows."""
    held: tuple[bytes, Flags | None] = (b"", None)
    for part, shown in layout:
        if isinstance(part, bytes) and shown is held[1]:
            held = held[0] + part, shown
            continue
        if held[0]:
            yield held
        held = (part, shown) if isinstance(part, bytes) else (b"", None)
        if not isinstance(part, bytes):
            yield part, shown
    if held[0]:
        yield held


def _length(part: Part) -> np.int64 | Ints:
    lengths = len(part) if isinstance(part, bytes) else part.lengths
    return np.int64(lengths) if isinstance(lengths, int) else lengths
