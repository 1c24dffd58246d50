"""Words as byte matrices, so that a column of text is one numpy look-up; and text of digits.

May import nothing of the package but ``counter``.  A ``Piece`` is a run of bytes in each row of a block: at most ``width``
wide, of which ``lengths`` bytes a row are kept.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from bench.data.counter import Bytes, Flags, Ints

Format = Literal["binary", "text"]

_TEXT_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
DIGITS_4 = np.frombuffer("".join(f"{number:04d}" for number in range(10_000)).encode(), np.uint8).reshape(10_000, 4)
_TENS = 10 ** np.arange(1, 19, dtype=np.int64)


class Piece(Protocol):
    """Bytes of every row; ``rows`` selects the rows that are written, ``out`` is (rows, width)."""

    @property
    def width(self) -> int:
        """The most bytes that a row can have."""
        ...

    @property
    def lengths(self) -> int | Ints:
        """Bytes kept: one number when every row keeps all of ``width``."""
        ...

    def paint(self, rows: slice, out: Bytes) -> None:
        """Write the bytes."""
        ...

    def mask(self, rows: slice, out: Flags, /) -> None:
        """Write which bytes are kept; called only where lengths differ by row."""
        ...


@dataclass(frozen=True, slots=True)
class _Table:
    matrix: Bytes
    keep: Flags
    lengths: Ints


def _table(words: Sequence[str]) -> _Table:
    encoded = [word.encode() for word in words]
    lengths = np.array([len(word) for word in encoded], np.int64)
    width = max(1, int(lengths.max(initial=1)))
    matrix = np.frombuffer(b"".join(word.ljust(width) for word in encoded), np.uint8).reshape(len(words), width)
    return _Table(matrix, np.arange(width) < lengths[:, None], lengths)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words to choose from; a word's number is its position."""

    words: tuple[str, ...] = field(repr=False)

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
        return Vocabulary(tuple(json.dumps(word, ensure_ascii=False)[1:-1] for word in self.words))

    @cached_property
    def plain(self) -> _Table:
        """The bytes for COPY BINARY."""
        return _table(self.words)

    @cached_property
    def escaped(self) -> _Table:
        """The bytes for COPY in text format."""
        words = tuple(word.translate(_TEXT_ESCAPES) for word in self.words)
        return self.plain if words == self.words else _table(words)

    def table(self, fmt: Format) -> _Table:
        """Return the bytes for a format."""
        return self.plain if fmt == "binary" else self.escaped


class Word:
    """A piece that is one word of a vocabulary a row."""

    __slots__ = ("numbers", "table", "vocabulary")

    def __init__(self, vocabulary: Vocabulary, numbers: Ints) -> None:
        self.vocabulary = vocabulary
        self.numbers = numbers
        self.table = vocabulary.plain

    def in_format(self, fmt: Format) -> "Word":
        """Return the same words with the escapes of a format."""
        other = Word(self.vocabulary, self.numbers)
        other.table = self.vocabulary.table(fmt)
        return other

    @property
    def width(self) -> int:
        """The longest word."""
        return int(self.table.matrix.shape[1])

    @property
    def lengths(self) -> int | Ints:
        """The length of each row's word."""
        return self.table.lengths[self.numbers]

    def paint(self, rows: slice, out: Bytes) -> None:
        """Write the words."""
        out[:] = self.table.matrix[self.numbers[rows]]

    def mask(self, rows: slice, out: Flags) -> None:
        """Keep as many bytes as the words have."""
        out[:] = self.table.keep[self.numbers[rows]]


class Fixed:
    """A piece given as its bytes, (n, width), all kept."""

    __slots__ = ("matrix",)

    def __init__(self, matrix: Bytes) -> None:
        self.matrix = matrix

    @property
    def width(self) -> int:
        """Bytes of a row."""
        return int(self.matrix.shape[1])

    @property
    def lengths(self) -> int | Ints:
        """All of them."""
        return self.width

    def paint(self, rows: slice, out: Bytes) -> None:
        """Write the bytes."""
        out[:] = self.matrix[rows]

    def mask(self, _: slice, out: Flags) -> None:
        """Keep every byte."""
        out[:] = True


class Digits:
    """A piece that is a number >= 0 in decimal; with ``width`` it has leading zeros, without it has none.

    Leading zeros are left out because CockroachDB reads an integer that starts with 0 as octal.
    """

    __slots__ = ("is_padded", "values", "width")

    def __init__(self, values: Ints, width: int | None = None) -> None:
        self.values = values
        self.is_padded = width is not None
        self.width = width or len(str(int(values.max(initial=0))))

    @property
    def lengths(self) -> int | Ints:
        """How many digits each number has."""
        if self.is_padded:
            return self.width
        return np.searchsorted(_TENS, self.values, side="right") + 1

    def paint(self, rows: slice, out: Bytes) -> None:
        """Write the digits, right-aligned."""
        put_digits(out, self.values[rows])

    def mask(self, rows: slice, out: Flags) -> None:
        """Keep the digits from the first that is not a leading zero."""
        lengths = np.searchsorted(_TENS, self.values[rows], side="right") + 1
        out[:] = np.arange(self.width, 0, -1) <= lengths[:, None]


def put_digits(out: Bytes, values: Ints) -> None:
    """Write numbers with leading zeros over the whole width of ``out``, four digits a look-up."""
    end = out.shape[1]
    while end > 4:
        values, low = np.divmod(values, 10_000)
        out[:, end - 4 : end] = DIGITS_4[low]
        end -= 4
    out[:, :end] = DIGITS_4[values % 10_000][:, 4 - end :]
