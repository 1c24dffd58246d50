"""Bytes of COPY in all formats, read back from a server; CSV also by Python."""

import csv
import io
import json
import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import psycopg
import pytest

from bench.data.blocks import DataSet
from bench.data.columns import BigInt, Bool, Column, Json, Money, Null, Text, TextArray, Time, Uuid
from bench.data.counter import Ints
from bench.data.encode import _binary, _by_shape, _text, encode
from bench.data.vocabulary import Digits, Format, Vocabulary
from bench.db.bulk import copy_block

HOSTILE = (
    "plain, and simple",
    "tab\tand\nnew line\r",
    "back\\slash \\N",
    "quote \" and '",
    "日本語のみ",
    "",
    "ÄÖÜ ß é",
    "\\.",
)
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
    body = encode(columns, ROWS, fmt)
    with psycopg.connect(url, autocommit=True) as connection:
        listed = ", ".join(f"{name} {kind}" for name, kind in zip(names, types))
        connection.execute(f"CREATE TEMPORARY TABLE t ({listed}, place serial)")
        if fmt == "csv":
            with connection.cursor().copy(f"COPY t ({', '.join(names)}) FROM STDIN WITH (FORMAT csv)") as copy:
                copy.write(body)
        else:
            copy_block(connection, "t", names, body, fmt)
        return connection.execute(f"SELECT {', '.join(names)} FROM t ORDER BY place").fetchall()


def lines_of_text(body: bytes) -> list[list[str | None]]:
    """Read COPY's text format."""
    plain = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    return [
        [
            None if field == "\\N" else re.sub(r"\\(.)", lambda match: plain[match[1]], field)
            for field in line.split("\t")
        ]
        for line in body.decode().split("\n")[:-1]
    ]


@pytest.mark.parametrize("fmt", ["binary", "text", "csv"])
def test_every_kind_of_column_comes_back_as_it_was(pg_url: str, fmt: str):
    types, columns, expected = zip(*CASES.values())
    found = copied(pg_url, types, columns, fmt)
    assert len(found) == ROWS
    for name, one, other in zip(CASES, zip(*found), expected):
        assert list(one) == list(other), f"{name} in {fmt}"


def lines_of_csv(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))


def without_nulls(lines: list[list[str | None]]) -> list[list[str]]:
    """To Python's reader a NULL is an empty string; what tells them apart is another test's matter."""
    return [[field or "" for field in line] for line in lines]


def test_csv_says_what_text_says():
    columns = [column for _, column, _ in CASES.values()]
    as_text = lines_of_text(encode(columns, ROWS, "text"))
    assert lines_of_csv(encode(columns, ROWS, "csv")) == without_nulls(as_text)


def test_csv_of_the_shop_says_what_its_text_says(tiny_data: DataSet):
    for block in tiny_data.blocks():
        as_text = lines_of_text(tiny_data.make(block, "text").body)
        assert lines_of_csv(tiny_data.make(block, "csv").body) == without_nulls(as_text), block.part


def test_csv_quotes_text_so_that_an_empty_one_is_not_null():
    words = Vocabulary.of("", 'a"b', "c,\n\\d", "é")
    columns = [
        Text(words[np.arange(4)], null=np.array([False, False, True, False])),
        BigInt(np.arange(4), null=np.array([True, False, False, False])),
        Text(b'5" ', words[np.arange(4)]),
        Json(b'{"a": "', words.json[np.arange(4)], b'"}'),
        TextArray(TAGS[np.arange(4) % 2], TAGS[np.arange(4) % 3]),
        Bool(np.arange(4) > 0),
        Null(),
    ]
    assert encode(columns, 4, "csv").decode() == (
        '"",,"5"" ","{""a"": """"}","{a,a}",f,\n'
        '"a""b",1,"5"" a""b","{""a"": ""a\\""b""}","{long-tag,long-tag}",t,\n'
        ',2,"5"" c,\n\\d","{""a"": ""c,\\n\\\\d""}","{a,x}",t,\n'
        '"é",3,"5"" é","{""a"": ""é""}","{long-tag,a}",t,\n'
    )


def test_integers_in_text_have_no_leading_zero_and_money_is_always_as_wide():
    body = encode([BigInt(np.array([0, 7, 1234])), Money(np.array([5, 100, 9_999_999_999]))], 3, "text")
    assert body == b"0\t00000000.05\n7\t00000001.00\n1234\t99999999.99\n"


def test_words_of_json_are_escaped_twice_in_text():
    body = encode([Json(b'"', Vocabulary.of('a"b\\c').json[np.array([0])], b'"')], 1, "text")
    assert body == b'"a\\\\"b\\\\\\\\c"\n'
    assert json.loads(body.decode().replace("\\\\", "\\")) == 'a"b\\c'


@pytest.mark.parametrize("fmt", ["binary", "text", "csv"])
def test_rows_are_encoded_alone_as_together(fmt: str):
    """Painting in chunks must not show: row by row gives the bytes of the whole."""
    some = NUMBERS[:40]
    columns = [Text(WORDS[some % 8], null=NULLS[:40]), BigInt(some)]
    alone = [
        encode([Text(WORDS[some[i : i + 1] % 8], null=NULLS[i : i + 1]), BigInt(some[i : i + 1])], 1, fmt) for i in some
    ]
    assert b"".join(alone) == encode(columns, 40, fmt)


@pytest.mark.parametrize("fmt", ["binary", *(pytest.param(name, marks=pytest.mark.slow) for name in ("text", "csv"))])
def test_rows_of_few_shapes_are_encoded_alone_as_together(fmt: str):
    """Rows that are alike in their lengths are painted apart from the others, and the rare ones with a mask."""

    def columns(some: Ints) -> list[Column]:
        words = Vocabulary.of("a", "bb", "cccc", "a rare one")
        kind = np.where(some % 997 == 5, 3, some * some % 7 % 3)
        return [
            Uuid(IDS[some], null=some % 3 == 1),
            Text(words[kind], null=some % 5 == 2),
            Json(b'{"name": ', words.json_start[kind], b" ", words.json_end[kind], b"}"),
            Money(CENTS[some]),
            Uuid(IDS, numbers=some[::-1]),
            Time(TIMES[some]),
        ]

    whole = columns(NUMBERS)
    groups, left = _by_shape(list(_binary(whole)), ROWS)
    assert len(groups) > 2
    assert 0 < len(left) < 100
    assert sorted(np.concatenate((*groups, left)).tolist()) == NUMBERS.tolist()
    alone = [
        encode([*columns(NUMBERS[i : i + 1])[:4], Uuid(IDS[ROWS - 1 - i : ROWS - i]), Time(TIMES[i : i + 1])], 1, fmt)
        for i in NUMBERS
    ]
    assert b"".join(alone) == encode(whole, ROWS, fmt)


def test_names_in_json_are_all_as_wide_and_what_they_were():
    words = Vocabulary(HOSTILE)
    some = NUMBERS[:64]
    body = encode([Json(b"[", words.json_start[some // 8], b" ", words.json_end[some % 8], b"]")], 64, "text")
    lines = body.decode().split("\n")[:-1]
    assert len({len(line.encode()) for line in lines}) == 1
    found = [json.loads(line.replace("\\\\", "\\"))[0] for line in lines]
    assert found == [f"{HOSTILE[i // 8]} {HOSTILE[i % 8]}" for i in some]


@pytest.mark.parametrize("fmt", ["binary", "text", "csv"])
@pytest.mark.parametrize("table", ["orders", "order_items"])
def test_orders_and_their_lines_are_of_few_shapes(small_data: DataSet, table: str, fmt: Format):
    """What the rate of their making rests on: nearly all rows are painted without a mask."""
    columns = tuple(small_data.parts[table].make(np.arange(5000)).values())
    rows = len(columns[1].values)  # type: ignore[attr-defined]
    layout = _binary(columns) if fmt == "binary" else _text(columns, fmt)
    _, left = _by_shape(list(layout), rows)
    assert len(left) < rows / 6
