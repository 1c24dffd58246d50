"""Words as byte matrices, so that a column of text is one numpy look-up; and text of digits.

May import nothing of the package but ``counter``.  A ``Piece`` is a run of bytes in each row of a block: at most ``width``
wide, of which ``lengths`` bytes a row are kept.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.data.counter import Bytes, Flags, Ints

Format = Literal["binary", "text", "csv"]

# What stands for a character inside a value; one of CSV stands between quotes.
_ESCAPES: dict[Format, dict[int, str]] = {
    "binary": {},
    "text": str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}),
    "csv": str.maketrans({'"': '""'}),
}
_TENS = 10 ** np.arange(1, 19, dtype=np.int64)


def escape(text: str, fmt: Format) -> str:
    """Return text as it stands inside a value of a format.

    >>> escape('5" pipe', "csv")
    '5"" pipe'
    """
    return text.translate(_ESCAPES[fmt])


def cells(matrix: Bytes, kind: str = "V") -> NDArray[Any]:
    """Return the rows of a matrix as one cell each: numpy copies a cell at once, but the bytes of a row one by one."""
    return matrix.view(f"V{matrix.shape[1]}" if kind == "V" else kind)[:, 0]


_DIGITS_4 = np.frombuffer("".join(f"{number:04d}" for number in range(10_000)).encode(), np.uint8).reshape(10_000, 4)
_LAST_DIGITS = [np.empty(0)] + [cells(np.ascontiguousarray(_DIGITS_4[:, 4 - count :])) for count in range(1, 5)]


class Piece(Protocol):
    """Bytes of every row; ``rows`` are the positions of the rows that are written."""

    @property
    def width(self) -> int:
        """The most bytes that a row can have."""
        ...

    @property
    def lengths(self) -> int | Ints:
        """Bytes kept: one number when every row keeps all of ``width``."""
        ...

    def paint(self, rows: Ints, out: Bytes) -> None:
        """Write the bytes of some rows; ``out`` is narrower than ``width`` only where all these rows are just as long."""
        ...

    def mask(self, rows: Ints, out: Flags, /) -> None:
        """Write which bytes are kept; called only where lengths differ by row."""
        ...


Part = bytes | Piece


@dataclass(frozen=True, slots=True)
class _Table:
    matrix: Bytes
    keep: Flags
    lengths: Ints
    is_even: bool
    """Whether all words are as long."""


Pad = Literal["", "before", "after"]


def _table(words: Sequence[str], pad: Pad) -> _Table:
    encoded = [word.encode() for word in words]
    width = max(1, max(map(len, encoded), default=0))
    fitted = [word.rjust(width) if pad == "before" else word.ljust(width) for word in encoded]
    lengths = np.array([width if pad else len(word) for word in encoded], np.int64)
    matrix = np.frombuffer(b"".join(fitted), np.uint8).reshape(len(words), width)
    return _Table(matrix, np.arange(width) < lengths[:, None], lengths, bool((lengths == width).all()))


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words to choose from; a word's number is its position.  With ``pad`` they have blanks to the longest one's length."""

    words: tuple[str, ...] = field(repr=False)
    pad: Pad = ""

    @classmethod
    def of(cls, *words: str) -> "Vocabulary":
        """Return the vocabulary of the words given."""
        return cls(words)

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, numbers: Ints) -> "Word":
        return Word(self, numbers)

    @cached_property
    def json(self) -> "Vocabulary":
        """The words as they stand between the quotes of a JSON string."""
        return Vocabulary(tuple(map(json_text, self.words)))

    @cached_property
    def json_start(self) -> "Vocabulary":
        """The words as the start of a JSON string, after its quote and, to be all as long, blanks before that."""
        return Vocabulary(tuple(f'"{json_text(word)}' for word in self.words), "before")

    @cached_property
    def json_end(self) -> "Vocabulary":
        """The words as the end of a JSON string, with its quote and, to be all as long, blanks after that."""
        return Vocabulary(tuple(f'{json_text(word)}"' for word in self.words), "after")

    @cached_property
    def _tables(self) -> dict[Format, _Table]:
        return {"binary": _table(self.words, self.pad)}

    def table(self, fmt: Format) -> _Table:
        """Return the bytes for a format."""
        if fmt not in self._tables:
            words = tuple(escape(word, fmt) for word in self.words)
            self._tables[fmt] = self._tables["binary"] if words == self.words else _table(words, self.pad)
        return self._tables[fmt]


def json_text(word: str) -> str:
    """Return a word as it stands between the quotes of a JSON string."""
    return json.dumps(word, ensure_ascii=False)[1:-1]


class Word:
    """A piece that is one word of a vocabulary a row."""

    __slots__ = ("lengths", "numbers", "table", "vocabulary", "width")

    def __init__(self, vocabulary: Vocabulary, numbers: Ints, fmt: Format = "binary") -> None:
        self.vocabulary = vocabulary
        self.numbers = numbers
        self.table = vocabulary.table(fmt)
        self.width = int(self.table.matrix.shape[1])
        self.lengths: int | Ints = self.width if self.table.is_even else self.table.lengths[numbers]

    def in_format(self, fmt: Format) -> "Word":
        """Return the same words with the escapes of a format."""
        return Word(self.vocabulary, self.numbers, fmt)

    def paint(self, rows: Ints, out: Bytes) -> None:
        """Write the words."""
        cells(out)[:] = cells(self.table.matrix[:, : out.shape[1]])[self.numbers[rows]]

    def mask(self, rows: Ints, out: Flags) -> None:
        """Keep as many bytes as the words have."""
        cells(out.view(np.uint8))[:] = cells(self.table.keep.view(np.uint8))[self.numbers[rows]]


class Fixed:
    """A piece given as its bytes, (n, width), all kept; with ``numbers`` a row is that row of the matrix."""

    __slots__ = ("lengths", "matrix", "numbers", "width")

    def __init__(self, matrix: Bytes, numbers: Ints | None = None) -> None:
        self.matrix = matrix
        self.numbers = numbers
        self.width = int(matrix.shape[1])
        self.lengths: int | Ints = self.width

    def paint(self, rows: Ints, out: Bytes) -> None:
        """Write the bytes."""
        cells(out)[:] = cells(self.matrix)[rows if self.numbers is None else self.numbers[rows]]

    def mask(self, _: Ints, out: Flags) -> None:
        """Keep every byte."""
        out[:] = True


class Number:
    """A piece that is a number in binary, of a numpy type such as ``>i8``."""

    __slots__ = ("kind", "lengths", "values", "width")

    def __init__(self, values: Ints, kind: str) -> None:
        self.values = values
        self.kind = kind
        self.width = np.dtype(kind).itemsize
        self.lengths: int | Ints = self.width

    def paint(self, rows: Ints, out: Bytes) -> None:
        """Write the numbers."""
        cells(out, self.kind)[:] = self.values[rows]

    def mask(self, _: Ints, out: Flags) -> None:
        """Keep every byte."""
        out[:] = True


class Digits:
    """A piece that is a number >= 0 in decimal; with ``width`` it has leading zeros, without it has none.

    Integers have none because CockroachDB reads an integer that starts with 0 as octal.
    """

    __slots__ = ("lengths", "values", "width")

    def __init__(self, values: Ints, width: int | None = None) -> None:
        self.values = values
        self.width = width or len(str(int(values.max(initial=0))))
        self.lengths: int | Ints = self.width
        if width is None and self.width > 1:
            self.lengths = np.searchsorted(_TENS, values, side="right") + 1

    def paint(self, rows: Ints, out: Bytes) -> None:
        """Write the digits, right-aligned."""
        put_digits(out, self.values[rows])

    def mask(self, rows: Ints, out: Flags) -> None:
        """Keep the digits from the first that is not a leading zero."""
        lengths = np.broadcast_to(self.lengths, self.values.shape)[rows]
        out[:] = np.arange(out.shape[1], 0, -1) <= lengths[:, None]


def put_digits(out: Bytes, values: Ints) -> None:
    """Write numbers with leading zeros over the whole width of ``out``, four digits a look-up."""
    end = out.shape[1]
    while end > 4:
        higher = values // 10_000
        cells(out[:, end - 4 : end])[:] = _LAST_DIGITS[4][values - higher * 10_000]
        values, end = higher, end - 4
    cells(out[:, :end])[:] = _LAST_DIGITS[end][values]
