"""Bytes of COPY in both formats, read back from a server."""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import psycopg
import pytest

from bench.data.encode import BigInt, Bool, Column, Json, Money, Null, Text, TextArray, Time, Uuid, encode
from bench.data.vocabulary import Digits, Vocabulary
from bench.db.bulk import copy_block

HOSTILE = ("plain", "tab\tand\nnew line\r", "back\\slash \\N", "quote \" and '", "日本語のみ", "", "ÄÖÜ ß é", "\\.")
ROWS = 5000
NUMBERS = np.arange(ROWS, dtype=np.int64)
NULLS = NUMBERS % 3 == 1
WORDS = Vocabulary(HOSTILE)
TAGS = Vocabulary.of("a", "long-tag", "x")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = NUMBERS * 86_399_123_457 + 946_684_799_999_999 - 500 * 86_400_000_000
CENTS = NUMBERS**2 * 397 % 9_999_999_999
IDS = np.random.default_rng(1).integers(0, 256, (ROWS, 16), np.uint8)

CASES: dict[str, tuple[str, Column, list[object]]] = {
    "uuid": ("uuid", Uuid(IDS), [uuid.UUID(bytes=bytes(row)) for row in IDS]),
    "nullable uuid": (
        "uuid",
        Uuid(IDS, null=NULLS),
        [None if n else uuid.UUID(bytes=bytes(row)) for row, n in zip(IDS, NULLS)],
    ),
    "bigint": ("bigint", BigInt(NUMBERS**4), [int(n) ** 4 for n in NUMBERS]),
    "signed": ("bigint", BigInt(NUMBERS - 2500, is_signed=True), [int(n) - 2500 for n in NUMBERS]),
    "money": ("decimal(10,2)", Money(CENTS), [Decimal(int(c)).scaleb(-2) for c in CENTS]),
    "nullable money": (
        "decimal(10,2)",
        Money(CENTS, null=NULLS),
        [None if n else Decimal(int(c)).scaleb(-2) for c, n in zip(CENTS, NULLS)],
    ),
    "time": ("timestamptz", Time(TIMES), [EPOCH + timedelta(microseconds=int(t)) for t in TIMES]),
    "bool": ("boolean", Bool(NULLS), [bool(n) for n in NULLS]),
    "text": ("text", Text(WORDS[NUMBERS % 8]), [HOSTILE[n % 8] for n in NUMBERS]),
    "parts": (
        "text",
        Text(b"<", WORDS[NUMBERS % 8], b"|", Digits(NUMBERS), b"|", Digits(NUMBERS, 10), b">"),
        [f"<{HOSTILE[n % 8]}|{n}|{n:010d}>" for n in NUMBERS],
    ),
    "nullable text": (
        "text",
        Text(b"a ", WORDS[NUMBERS % 8], null=NULLS),
        [None if null else f"a {HOSTILE[n % 8]}" for n, null in zip(NUMBERS, NULLS)],
    ),
    "json": (
        "jsonb",
        Json(b'{"w": "', WORDS.json[NUMBERS % 8], b'", "n": ', Digits(NUMBERS), b"}"),
        [{"w": HOSTILE[n % 8], "n": n} for n in range(ROWS)],
    ),
    "array": (
        "varchar(255)[]",
        TextArray(TAGS[NUMBERS % 3], TAGS[NUMBERS % 2]),
        [[TAGS.words[n % 3], TAGS.words[n % 2]] for n in range(ROWS)],
    ),
    "null": ("text", Null(), [None] * ROWS),
}


def copied(url: str, types: Sequence[str], columns: Sequence[Column], fmt: str) -> list[tuple[object, ...]]:
    names = [f"c{number}" for number in range(len(types))]
    with psycopg.connect(url, autocommit=True) as connection:
        listed = ", ".join(f"{name} {kind}" for name, kind in zip(names, types))
        connection.execute(f"CREATE TEMPORARY TABLE t ({listed})")
        copy_block(connection, "t", names, encode(columns, ROWS, fmt), fmt)
        return connection.execute("SELECT * FROM t").fetchall()


@pytest.mark.parametrize("fmt", ["binary", "text"])
def test_every_kind_of_column_comes_back_as_it_was(pg_url: str, fmt: str):
    types, columns, expected = zip(*CASES.values())
    found = copied(pg_url, types, columns, fmt)
    assert len(found) == ROWS
    for name, one, other in zip(CASES, zip(*found), expected):
        assert list(one) == list(other), f"{name} in {fmt}"


def test_numbers_in_text_have_no_leading_zero():
    body = encode([BigInt(np.array([0, 7, 1234])), Money(np.array([5, 100, 123_456]))], 3, "text")
    assert body == b"0\t0.05\n7\t1.00\n1234\t1234.56\n"


def test_words_of_json_are_escaped_twice_in_text():
    body = encode([Json(b'"', Vocabulary.of('a"b\\c').json[np.array([0])], b'"')], 1, "text")
    assert body == b'"a\\\\"b\\\\\\\\c"\n'
    assert json.loads(body.decode().replace("\\\\", "\\")) == 'a"b\\c'


@pytest.mark.parametrize("fmt", ["binary", "text"])
def test_rows_are_encoded_alone_as_together(fmt: str):
    """Painting in chunks must not show: row by row gives the bytes of the whole."""
    some = NUMBERS[:40]
    columns = [Text(WORDS[some % 8], null=NULLS[:40]), BigInt(some)]
    alone = [
        encode([Text(WORDS[some[i : i + 1] % 8], null=NULLS[i : i + 1]), BigInt(some[i : i + 1])], 1, fmt) for i in some
    ]
    assert b"".join(alone) == encode(columns, 40, fmt)
