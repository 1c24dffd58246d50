"""Columns of a block, and the bytes of their values in each format of COPY.

May import nothing of the package but ``counter`` and ``vocabulary``.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from bench.data.counter import Bytes, Flags, Ints
from bench.data.vocabulary import Digits, Fixed, Format, Number, Part, Word, escape

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
            out += [length_prefix(word.lengths), word]
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


def length_prefix(lengths: int | np.int64 | Ints) -> Part:
    """Return lengths as binary COPY writes them before a value."""
    return Number(lengths, ">i4") if isinstance(lengths, np.ndarray) else struct.pack(">i", int(lengths))


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
