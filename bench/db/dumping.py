"""Parameters as text, as the server reads it: what psycopg's dumpers make, for the types that load sends all the time.

psycopg looks for the dumper of a list through its elements, in Python, which costs more than the rest of a statement
(docs/performance.md).  Every other type goes through its ``Transformer``.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg.abc import Transformer
from psycopg.adapt import PyFormat

Values = list[Any]
"""Text as bytes, or None for NULL."""


def dump(values: Sequence[Any], transformer: Transformer) -> Values:
    """Return values as text; psycopg.DataError or ProgrammingError for what cannot be sent."""
    try:
        return [_DUMPERS[type(value)](value) for value in values]
    except KeyError:
        return list(transformer.dump_sequence(values, [PyFormat.TEXT] * len(values)))


def _text(value: str) -> bytes:
    if "\0" in value:
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return value.encode()


def _number(value: Decimal) -> bytes:
    # The server knows no signalling NaN.
    return b"NaN" if value.is_nan() else str(value).encode()


def _array(values: list[Any]) -> bytes:
    """Return a flat array; KeyError for elements of other types, and for lists in lists."""
    return f"{{{','.join([_ELEMENTS[type(value)](value) for value in values])}}}".encode()


def _quoted(value: str) -> str:
    if "\0" in value:
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_DUMPERS: dict[type, Callable[[Any], bytes | None]] = {
    type(None): lambda _: None,
    str: _text,
    int: lambda value: b"%d" % value,
    bool: lambda value: b"t" if value else b"f",
    UUID: lambda value: b"%032x" % value.int,
    Decimal: _number,
    list: _array,
}
_ELEMENTS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "NULL",
    str: _quoted,
    int: str,
    bool: lambda value: "t" if value else "f",
    UUID: lambda value: value.hex,
    Decimal: lambda value: _number(value).decode(),
}
