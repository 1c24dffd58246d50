"""Columns to the bytes of COPY, binary for PostgreSQL and text for CockroachDB, without a Python loop over rows.

May import nothing of the package but ``counter`` and ``vocabulary``.  A block is painted into one byte matrix, every field
at its greatest width; a second matrix says which bytes count, and one compressing copy makes the stream.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bench.data.counter import Bytes, Flags, Ints
from bench.data.vocabulary import DIGITS_4, Digits, Fixed, Format, Piece, Word, put_digits

Part = bytes | Piece
_Shown = tuple[Part, Flags | None]
_ROWS = 4096
"""Rows painted at a time: the matrix stays in the processor's second-level cache."""
_POSTGRES_EPOCH_US = 946_684_800_000_000
_NUMERIC_HEAD = struct.pack(">ihhHh", 14, 3, 1, 0, 2)
"""A numeric of three base-10,000 digits, weight 1, positive, two decimals: what DECIMAL(10,2) needs at most."""
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)
_HEX_AT = np.array([0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34])
_VARCHAR_OID = 1043


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
    """UUIDs, (n, 16) bytes."""

    values: Bytes
    null: Flags | None = None

    def parts(self, fmt: Format) -> Sequence[Part]:
        """Return 16 bytes, or the usual 36 characters."""
        if fmt == "binary":
            return [Fixed(self.values)]
        out = np.full((len(self.values), 36), ord("-"), np.uint8)
        pairs = _HEX[self.values]
        out[:, _HEX_AT] = pairs[:, :, 0]
        out[:, _HEX_AT + 1] = pairs[:, :, 1]
        return [Fixed(out)]


@dataclass(frozen=True, slots=True, eq=False)
class BigInt:
    """BIGINT values; only a column with ``is_signed`` may hold negative ones."""

    values: Ints
    null: Flags | None = None
    is_signed: bool = False

    def parts(self, fmt: Format) -> Sequence[Part]:
        """Return eight bytes, or the digits."""
        if fmt == "binary":
            return [Fixed(_big_endian(self.values, ">i8"))]
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
        """Return a numeric of three base-10,000 digits, or decimal text."""
        if fmt == "text":
            return decimal_text(self.cents)
        units, cents = np.divmod(self.cents, 100)
        digits = np.empty((len(units), 3), ">i2")
        digits[:, 0], digits[:, 1] = np.divmod(units, 10_000)
        digits[:, 2] = cents * 100
        return [_NUMERIC_HEAD[4:], Fixed(digits.view(np.uint8))]


@dataclass(frozen=True, slots=True, eq=False)
class Time:
    """TIMESTAMPTZ values in microseconds since 1970."""

    values_us: Ints
    null: Flags | None = None

    def parts(self, fmt: Format) -> Sequence[Part]:
        """Return eight bytes, or ``YYYY-MM-DD HH:MM:SS.ffffff+00``."""
        if fmt == "binary":
            return [Fixed(_big_endian(self.values_us - _POSTGRES_EPOCH_US, ">i8"))]
        return [*date_text(self.values_us, b"-"), b" ", Fixed(_clock_text(self.values_us)), b"+00"]


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
        """Return the parts with the escapes of the format."""
        return [part.in_format(fmt) if isinstance(part, Word) else part for part in self.pieces]


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
        if fmt == "text":
            for number, word in enumerate(self.words):
                out += [b"," if number else b"{", word]
            return [*out, b"}"]
        out.append(struct.pack(">iiIii", 1, 0, _VARCHAR_OID, len(self.words), 1))
        for word in self.words:
            out += [Fixed(_big_endian(np.asarray(word.lengths), ">i4")), word]
        return out


@dataclass(frozen=True, slots=True)
class Null:
    """A column that is NULL in every row."""

    null: Flags | None = None

    def parts(self, _: Format) -> Sequence[Part]:
        """Return nothing: the caller writes NULL."""
        return []


def decimal_text(cents: Ints) -> list[Part]:
    """Return cents as units, a point and two digits."""
    units, rest = np.divmod(cents, 100)
    return [Digits(units), b".", Digits(rest, 2)]


def date_text(values_us: Ints, separator: bytes = b"") -> list[Part]:
    """Return the UTC day of instants as ``YYYYMMDD`` with a separator between its parts."""
    day = (values_us // 86_400_000_000).astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    number = month.astype(np.int64)
    of_month = (day - month).astype(np.int64) + 1
    year = Digits(1970 + number // 12, 4)
    return [year, separator, Digits(number % 12 + 1, 2), separator, Digits(of_month, 2)]


def _clock_text(values_us: Ints) -> Bytes:
    seconds, micros = np.divmod(values_us % 86_400_000_000, 1_000_000)
    out = np.full((len(seconds), 15), ord(":"), np.uint8)
    out[:, 0:2] = DIGITS_4[seconds // 3600][:, 2:]
    out[:, 3:5] = DIGITS_4[seconds // 60 % 60][:, 2:]
    out[:, 6:8] = DIGITS_4[seconds % 60][:, 2:]
    out[:, 8] = ord(".")
    put_digits(out[:, 9:15], micros)
    return out


def _big_endian(values: Ints, kind: str) -> Bytes:
    return np.ascontiguousarray(values.astype(kind)).view(np.uint8).reshape(len(values), -1)


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a part stands in the matrix; ``shown`` marks the rows that have it, None for all."""

    start: int
    end: int
    part: Part
    shown: Flags | None
    is_ragged: bool


def encode(columns: Sequence[Column], rows: int, fmt: Format) -> bytes:
    """Return ``rows`` rows as COPY sends them, without the header and trailer of a binary stream."""
    slots = list(_slots(_merged(_binary(columns) if fmt == "binary" else _text(columns))))
    matrix = np.empty((min(rows, _ROWS), slots[-1].end), np.uint8)
    keep = np.ones(matrix.shape, np.bool_)
    for slot in slots:
        if isinstance(slot.part, bytes):
            matrix[:, slot.start : slot.end] = np.frombuffer(slot.part, np.uint8)
    is_dense = not any(slot.is_ragged or slot.shown is not None for slot in slots)
    out: list[bytes | memoryview] = []
    for first in range(0, rows, _ROWS):
        span = slice(first, min(first + _ROWS, rows))
        count = span.stop - span.start
        _paint(slots, span, matrix[:count], keep[:count])
        out.append(matrix[:count].tobytes() if is_dense else matrix[:count][keep[:count]].data)
    return b"".join(out)


def _slots(layout: Iterable[_Shown]) -> Iterator[_Slot]:
    at = 0
    for part, shown in layout:
        end = at + (len(part) if isinstance(part, bytes) else part.width)
        yield _Slot(at, end, part, shown, not isinstance(part, bytes) and not isinstance(part.lengths, int))
        at = end


def _paint(slots: list[_Slot], rows: slice, matrix: Bytes, keep: Flags) -> None:
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
        parts = column.parts("binary")
        if not parts:
            yield b"\xff\xff\xff\xff", None
            continue
        lengths = sum((_length(part) for part in parts), start=np.int64(0))
        shown = None if column.null is None else ~column.null
        yield _prefix(lengths, column.null), None
        for part in parts:
            yield part, shown


def _prefix(lengths: np.int64 | Ints, null: Flags | None) -> Part:
    if null is not None:
        return Fixed(_big_endian(np.where(null, -1, lengths), ">i4"))
    if isinstance(lengths, np.ndarray):
        return Fixed(_big_endian(lengths, ">i4"))
    return struct.pack(">i", int(lengths))


def _text(columns: Sequence[Column]) -> Iterator[_Shown]:
    for number, column in enumerate(columns):
        if number:
            yield b"\t", None
        parts = column.parts("text")
        if not parts or column.null is not None:
            yield b"\\N", column.null
        shown = None if column.null is None else ~column.null
        for part in parts:
            yield part, shown
    yield b"\n", None


def _merged(layout: Iterator[_Shown]) -> Iterator[_Shown]:
    """Join constants that stand side by side and are always shown."""
    held = b""
    for part, shown in layout:
        if isinstance(part, bytes) and shown is None:
            held += part
            continue
        if held:
            yield held, None
            held = b""
        yield part, shown
    if held:
        yield held, None


def _length(part: Part) -> np.int64 | Ints:
    lengths = len(part) if isinstance(part, bytes) else part.lengths
    return np.int64(lengths) if isinstance(lengths, int) else lengths
