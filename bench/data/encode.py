"""Columns to the bytes of COPY, binary for PostgreSQL, text or CSV for CockroachDB, without a Python loop over rows.

May import nothing of the package but ``counter`` and ``vocabulary``.  Rows whose parts are all as long as one another's are
painted into a byte matrix without gaps, and each is copied to its place in the stream as one cell.  The few other rows, and
tables where hardly two rows are alike, are painted with every part at its greatest width; a second matrix says which bytes
count, and a compressing copy leaves out the others.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from bench.data.counter import Bytes, Flags, Ints
from bench.data.vocabulary import Digits, Fixed, Format, Number, Part, Word, cells, escape

_Shown = tuple[Part, Flags | None]
_PAGE_BYTES = 1 << 20
"""Bytes painted at a time: the matrix stays in the processor's second-level cache."""
_LEAST_ALIKE = 100
"""Rows of one shape that are worth being painted apart, without a mask."""
_MOST_LEFT = 0.25
"""Share of rows in no such group with which the groups are worth it: the others are put in between one by one."""
_MOST_SHAPES = 1 << 16
_POSTGRES_EPOCH_US = 946_684_800_000_000
_DAY_S = 86_400
_NUMERIC_HEAD = struct.pack(">hhH", 3, 1, 0)
"""A numeric of three base-10,000 digits, weight 1, positive: what DECIMAL(10,2) needs at most.  Its scale follows."""
_UNIT_DIGITS = 8
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)
_HEX_4 = (
    np.stack(np.broadcast_arrays(_HEX[None, :], _HEX[:, None]), axis=2).reshape(65_536, 2).copy().view(np.uint32)[:, 0]
)
"""Four hexadecimal digits by a pair of bytes, read as a number whose low byte is the first."""
_HEX_RUNS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
_VARCHAR_OID = 1043
# What stands between two values, and what is NULL.
_SEPARATOR: dict[Format, bytes] = {"text": b"\t", "csv": b","}
_NULL: dict[Format, bytes] = {"text": b"\\N", "csv": b"", "binary": b"\xff\xff\xff\xff"}


class Column(Protocol):
    """One column of a block; ``null`` marks its NULL rows, None where there is none."""

    @property
    def null(self) -> Flags | None:
        """Which rows are NULL."""
        ...

    def parts(self, fmt: Format, /) -> Sequence[Part]:
        """Return the value's bytes in a format, without length or separator."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Uuid:
    """UUIDs, (n, 16) bytes; with ``numbers`` a row has that one of them."""

    values: Bytes
    null: Flags | None = None
    numbers: Ints | None = None

    def parts(self, fmt: Format) -> Sequence[Part]:
        """Return 16 bytes, or the usual 36 characters."""
        if fmt == "binary":
            return [Fixed(self.values, self.numbers)]
        digits = _HEX_4[np.ascontiguousarray(self.values).view("<u2")].view(np.uint8)
        runs = [Fixed(digits[:, start:end], self.numbers) for start, end in _HEX_RUNS]
        return [runs[0], b"-", runs[1], b"-", runs[2], b"-", runs[3], b"-", runs[4]]


@dataclass(frozen=True, slots=True, eq=False)
class BigInt:
    """BIGINT values; only a column with ``is_signed`` may hold negative ones."""

    values: Ints
    null: Flags | None = None
    is_signed: bool = False

    def parts(self, fmt: Format) -> Sequence[Part]:
        """Return eight bytes, or the digits."""
        if fmt == "binary":
            return [Number(self.values, ">i8")]
        if not self.is_signed:
            return [Digits(self.values)]
        signs = np.where(self.values < 0, ord("-"), ord("+")).astype(np.uint8)
        return [Fixed(signs[:, None]), Digits(np.abs(self.values))]


@dataclass(frozen=True, slots=True, eq=False)
class Money:
    """DECIMAL(…,2) values in cents, 0 <= cents < 10**10."""

    cents: Ints
    null: Flags | None = None

    def parts(self, fmt: Format) -> Sequence[Part]:
        """Return a numeric of three base-10,000 digits, or decimal text with leading zeros, which is always as wide."""
        units = self.cents // 100
        if fmt != "binary":
            return [Digits(units, _UNIT_DIGITS), b".", Digits(self.cents - units * 100, 2)]
        high = units // 10_000
        # Scale and digits, each of 16 bits, as one number: 2, high, units - high * 10,000, (cents - units * 100) * 100.
        digits = (2 << 48) + (high << 32) + ((units - high * 10_000) << 16) + (self.cents - units * 100) * 100
        return [_NUMERIC_HEAD, Number(digits, ">i8")]


@dataclass(frozen=True, slots=True, eq=False)
class Time:
    """TIMESTAMPTZ values in microseconds since 1970, before 2200."""

    values_us: Ints
    null: Flags | None = None

    def parts(self, fmt: Format) -> Sequence[Part]:
        """Return eight bytes, or ``YYYY-MM-DD HH:MM:SS.ffffff+00``."""
        if fmt == "binary":
            return [Number(self.values_us - _POSTGRES_EPOCH_US, ">i8")]
        seconds = self.values_us // 1_000_000
        day = seconds // _DAY_S
        clock = Fixed(_clocks(), seconds - day * _DAY_S)
        return [Fixed(_days("-"), day), b" ", clock, b".", Digits(self.values_us - seconds * 1_000_000, 6), b"+00"]


@dataclass(frozen=True, slots=True, eq=False)
class Bool:
    """BOOLEAN values."""

    values: Flags
    null: Flags | None = None

    def parts(self, fmt: Format) -> Sequence[Part]:
        """Return one byte, or ``t`` and ``f``."""
        yes, no = (1, 0) if fmt == "binary" else (ord("t"), ord("f"))
        return [Fixed(np.where(self.values, yes, no).astype(np.uint8)[:, None])]


class Text:
    """Text, or a label of an enum, made of parts: constant bytes, words, digits."""

    __slots__ = ("null", "pieces")

    def __init__(self, *pieces: Part, null: Flags | None = None) -> None:
        self.pieces = pieces
        self.null = null

    def parts(self, fmt: Format) -> Sequence[Part]:
        """Return the parts with the escapes of the format, between quotes in CSV."""
        return _quoted([_escaped(part, fmt) for part in self.pieces], fmt)


class Json(Text):
    """JSONB; its words must come from ``Vocabulary.json``."""

    __slots__ = ()

    def parts(self, fmt: Format) -> Sequence[Part]:
        """Return the document, after its version byte in binary."""
        body = super().parts(fmt)
        return [b"\x01", *body] if fmt == "binary" else body


class TextArray:
    """VARCHAR[] with the same number of words in each row; the words hold nothing that an array literal would quote."""

    __slots__ = ("null", "words")

    def __init__(self, *words: Word) -> None:
        self.words = words
        self.null = None

    def parts(self, fmt: Format) -> Sequence[Part]:
        """Return the binary array, or ``{a,b}``."""
        out: list[Part] = []
        if fmt != "binary":
            for number, word in enumerate(self.words):
                out += [b"," if number else b"{", word]
            return _quoted([*out, b"}"], fmt)
        out.append(struct.pack(">iiIii", 1, 0, _VARCHAR_OID, len(self.words), 1))
        for word in self.words:
            out += [_prefix(word.lengths), word]
        return out


@dataclass(frozen=True, slots=True)
class Null:
    """A column that is NULL in every row."""

    null: Flags | None = None

    def parts(self, _: Format) -> Sequence[Part]:
        """Return nothing: the caller writes NULL."""
        return []


def _escaped(part: Part, fmt: Format) -> Part:
    if isinstance(part, bytes):
        return escape(part.decode(), fmt).encode()
    return part.in_format(fmt) if isinstance(part, Word) else part


def _quoted(parts: list[Part], fmt: Format) -> list[Part]:
    return [b'"', *parts, b'"'] if fmt == "csv" else parts


def date_text(values_us: Ints) -> Fixed:
    """Return the UTC day of instants, from 1970 to 2199, as ``YYYYMMDD``."""
    return Fixed(_days(""), values_us // (_DAY_S * 1_000_000))


@lru_cache
def _days(separator: str) -> Bytes:
    days = np.arange("1970-01-01", "2200-01-01", dtype="datetime64[D]").astype("S10")
    digits = days.view(np.uint8).reshape(len(days), 10)
    return digits if separator else np.ascontiguousarray(digits[:, [0, 1, 2, 3, 5, 6, 8, 9]])


@lru_cache
def _clocks() -> Bytes:
    seconds = np.arange(_DAY_S).astype("datetime64[s]").astype("S19")
    return np.ascontiguousarray(seconds.view(np.uint8).reshape(_DAY_S, 19)[:, 11:])


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
            yield _prefix(sum((_length(part) for part in parts), start=np.int64(0))), shown
        for part in parts:
            yield part, shown


def _prefix(lengths: int | np.int64 | Ints) -> Part:
    return Number(lengths, ">i4") if isinstance(lengths, np.ndarray) else struct.pack(">i", int(lengths))


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
