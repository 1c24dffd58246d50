"""The wire against psycopg's own cursor on a real server: the same values, the same errors, fewer exchanges."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from bench.db.catalogue import Catalogue, Statement
from bench.db.connection import Connection, connect
from bench.db.wire import Prepared, Wire

ID = UUID("0a000000-0000-4000-8000-00000000000b")
MOMENT = datetime(2026, 11, 27, 9, 30, 1, 123456, tzinfo=UTC)
VALUES: list[tuple[str, Any]] = [
    ("TEXT", 'it\'s; \\ "quoted" %s ü 🛒'),
    ("TEXT", ""),
    ("TEXT", None),
    ("BIGINT", -(2**63)),
    ("BOOLEAN", True),
    ("BOOLEAN", False),
    ("UUID", ID),
    ("UUID", UUID(int=0)),
    ("DECIMAL", Decimal("-1234567890.0100")),
    ("DECIMAL", Decimal("1E+5")),
    ("DECIMAL", Decimal("NaN")),
    ("FLOAT8", 0.1),
    ("TIMESTAMPTZ", MOMENT),
    ("DATE", date(2026, 11, 27)),
    ("INTERVAL", timedelta(days=3, seconds=1)),
    ("BYTEA", b"\x00\xff"),
    ("JSONB", '{"a": [1, null, "x"]}'),
    ("mood", "good"),
    ("BIGINT[]", [1, None, -3]),
    ("UUID[]", [ID, None]),
    ("DECIMAL[]", [Decimal("9.99"), None]),
    ("BOOLEAN[]", [True, False, None]),
    ("TEXT[]", ["", "NULL", "a,b", '{"x": "y\\n\\\\"}', " ", "ü", None]),
    ("TEXT[]", []),
    ("BIGINT[]", [[1, 2], [3, 4]]),
    ("TIMESTAMPTZ[]", [MOMENT]),
    ("mood[]", ["good", "bad"]),
]


@pytest.fixture
def connection(fresh_database: str) -> Iterator[Connection]:
    with connect(fresh_database) as opened:
        opened.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
        yield opened


def statements(folder: Path, text: str) -> Catalogue:
    (folder / "own.sql").write_text(text)
    return Catalogue.load([folder], "postgres")


def echo(folder: Path, kind: str) -> Statement:
    return statements(folder, f"-- name: echo\n-- params: value {kind.lower()}\nSELECT %(value)s::{kind}")["echo"]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=lambda v: repr(v)[:30])
def test_a_value_is_psycopgs_both_ways(connection: Connection, tmp_path: Path, kind: str, value: Any) -> None:
    statement = echo(tmp_path, kind)
    cursor = connection.execute(sql.SQL(statement.sql), {"value": value})  # type: ignore[arg-type]
    expected = cursor.fetchall()
    wire = Wire(connection)
    for _ in range(2):  # with its Parse, and prepared
        found = wire.execute(Prepared.of(statement), {"value": value})
        # repr, because NaN is not equal to itself and 1E+5 equals 100000.
        assert repr(found) == repr(expected)
        assert [type(cell) for row in found for cell in row] == [type(cell) for row in expected for cell in row]


def test_parameters_by_name_or_in_order(connection: Connection, tmp_path: Path) -> None:
    text = "-- name: pair\n-- params: a bigint, b text\nSELECT %(b)s::TEXT, %(a)s::BIGINT, '%%', %(b)s::TEXT"
    pair = Prepared.of(statements(tmp_path, text)["pair"])
    wire = Wire(connection)
    expected = [("x", 1, "%", "x")]
    assert wire.execute(pair, {"b": "x", "a": 1, "more": 2}) == wire.execute(pair, (1, "x")) == expected
    for wrong in ({"a": 1}, (1,), None):
        with pytest.raises(psycopg.ProgrammingError, match="'pair'"):
            wire.execute(pair, wrong)  # type: ignore[arg-type]
    with pytest.raises(psycopg.DataError):
        wire.execute(pair, (1, "nul\0"))
    with pytest.raises(psycopg.ProgrammingError):
        wire.execute(pair, (1, object()))
    assert wire.is_usable


def test_an_error_is_psycopgs(connection: Connection, tmp_path: Path) -> None:
    connection.execute("CREATE TABLE t (id BIGINT CONSTRAINT ids_once PRIMARY KEY)")
    put = statements(tmp_path, "-- name: put\n-- params: id bigint\nINSERT INTO t VALUES (%(id)s::BIGINT)")["put"]
    wire = Wire(connection)
    assert wire.execute(Prepared.of(put), {"id": 1}) == []
    with pytest.raises(psycopg.errors.UniqueViolation) as wired:
        wire.execute(Prepared.of(put), {"id": 1})
    with pytest.raises(psycopg.errors.UniqueViolation) as plain:
        connection.execute("INSERT INTO t VALUES (1)")
    assert str(wired.value) == str(plain.value)
    assert (wired.value.sqlstate, wired.value.diag.constraint_name) == ("23505", "ids_once")
    assert wire.is_usable
    assert wire.execute(Prepared.of(put), {"id": 2}) == []


def test_a_first_use_that_fails_leaves_the_connection_fit(connection: Connection, tmp_path: Path) -> None:
    """A Parse that the server refuses is not taken for done."""
    wire = Wire(connection)
    late = Prepared.of(statements(tmp_path, "-- name: late\nSELECT id FROM late")["late"])
    for _ in range(2):
        with pytest.raises(psycopg.errors.UndefinedTable):
            wire.execute(late)
    connection.execute("CREATE TABLE late AS SELECT 7 AS id")
    assert wire.execute(late) == [(7,)]


def test_what_is_prepared_outlives_a_rollback_and_is_parsed_once(connection: Connection, tmp_path: Path) -> None:
    one = Prepared.of(echo(tmp_path, "BIGINT"))
    begin, rollback = (Prepared(word, word.encode(), word.encode()) for word in ("BEGIN", "ROLLBACK"))
    wire = Wire(connection)
    for _ in range(3):
        wire.execute(begin)
        assert wire.execute(one, (5,)) == [(5,)]
        wire.execute(rollback)
    found = connection.execute("SELECT name, generic_plans + custom_plans FROM pg_prepared_statements").fetchall()
    # Prepared anew it would have been used once.
    assert ("echo", 3) in found


def test_statements_that_a_pooler_forgot_are_prepared_anew(connection: Connection, tmp_path: Path) -> None:
    one = Prepared.of(echo(tmp_path, "BIGINT"))
    wire = Wire(connection)
    wire.execute(one, (1,))
    connection.execute("DEALLOCATE ALL")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        wire.execute(one, (1,))
    assert wire.execute(one, (2,)) == [(2,)]


def test_long_names_do_not_clash(connection: Connection, tmp_path: Path) -> None:
    stem = "a" * 70
    text = f"-- name: {stem}_one\nSELECT 1\n\n-- name: {stem}_two\nSELECT 2\n"
    both = statements(tmp_path, text)
    wire = Wire(connection)
    assert [wire.execute(Prepared.of(both[name])) for name in both for _ in (1, 2)] == [[(1,)], [(1,)], [(2,)], [(2,)]]


def test_a_batch_is_one_transaction_and_skips_what_follows_an_error(connection: Connection, tmp_path: Path) -> None:
    text = (
        "-- name: make\nCREATE TABLE b (id BIGINT PRIMARY KEY)\n\n"
        "-- name: put\n-- params: id bigint\nINSERT INTO b VALUES (%(id)s::BIGINT) RETURNING id\n\n"
        "-- name: fail\nSELECT 1 / 0\n\n-- name: all_of_them\nSELECT id FROM b ORDER BY id\n"
    )
    catalogue = statements(tmp_path, text)
    make, put, fail, read = (Prepared.of(catalogue[name]) for name in ("make", "put", "fail", "all_of_them"))
    wire = Wire(connection)
    wire.execute(make)
    assert list(wire.batch([(put, (1,)), (put, (2,)), (read, None)])) == [[(1,)], [(2,)], [(1,), (2,)]]
    seen = []
    answers = wire.batch([(put, (3,)), (fail, None), (put, (4,)), (read, None)])
    with pytest.raises(psycopg.errors.DivisionByZero):
        seen.extend(answers)
    assert seen == [[(3,)]]
    assert wire.is_usable
    assert wire.execute(read) == [(1,), (2,)]


def test_what_is_refused_at_the_end_of_an_exchange_is_an_error(connection: Connection, tmp_path: Path) -> None:
    """Outside BEGIN an exchange commits at its end: there a deferred constraint is checked, after the statement's answer."""
    connection.execute("CREATE TABLE one (a INT, CONSTRAINT once UNIQUE (a) DEFERRABLE INITIALLY DEFERRED)")
    connection.execute("INSERT INTO one VALUES (1)")
    catalogue = statements(
        tmp_path, "-- name: put\n-- A row.\n-- params: a bigint\nINSERT INTO one VALUES (%(a)s::BIGINT) RETURNING a"
    )
    put, wire = Prepared.of(catalogue["put"]), Wire(connection)
    for _ in range(2):
        # Its first use travels as a batch, with its Parse, its second by itself.
        with pytest.raises(psycopg.errors.UniqueViolation):
            wire.execute(put, {"a": 1})
        assert wire.is_usable
    assert wire.execute(put, {"a": 2}) == [(2,)]
    assert connection.execute("SELECT count(*) FROM one").fetchall() == [(2,)]


def test_much_data_both_ways(connection: Connection, tmp_path: Path) -> None:
    """More than the sockets' buffers hold, also where the server answers while it is still being sent to."""
    text = (
        "-- name: rows_of\n-- params: count bigint\n"
        "SELECT repeat('x', 1000), n FROM generate_series(1, %(count)s::BIGINT) AS n\n\n"
        "-- name: back\n-- params: value text\nSELECT %(value)s::TEXT\n"
    )
    catalogue = statements(tmp_path, text)
    rows_of, back = Prepared.of(catalogue["rows_of"]), Prepared.of(catalogue["back"])
    wire = Wire(connection)
    found = wire.execute(rows_of, (50_000,))
    assert (len(found), found[-1]) == (50_000, ("x" * 1000, 50_000))
    big = "y" * 8_000_000
    assert [rows == [(big,)] for rows in wire.batch([(back, (big,))] * 4)] == [True] * 4


def test_a_timeout_and_a_connection_that_is_cut(connection: Connection, fresh_database: str, tmp_path: Path) -> None:
    catalogue = statements(tmp_path, "-- name: nap\nSELECT pg_sleep(30)\n\n-- name: one\nSELECT 1\n")
    nap, one = Prepared.of(catalogue["nap"]), Prepared.of(catalogue["one"])
    wire = Wire(connection)
    connection.execute("SET statement_timeout = '500ms'")
    with pytest.raises(psycopg.errors.QueryCanceled) as timed:
        wire.execute(nap)
    assert timed.value.sqlstate == "57014"
    assert wire.execute(one) == [(1,)]
    connection.execute("SET statement_timeout = 0")
    pid = connection.info.backend_pid
    cutter = threading.Thread(target=cut_when_active, args=(fresh_database, pid))
    cutter.start()
    with pytest.raises(psycopg.errors.AdminShutdown):
        wire.execute(nap)
    cutter.join()
    assert wire.is_lost
    assert not wire.is_usable
    with pytest.raises(psycopg.OperationalError) as lost:
        wire.execute(one)
    assert lost.value.sqlstate is None


def cut_when_active(url: str, pid: int) -> None:
    """End a backend once it sleeps."""
    with psycopg.connect(url, autocommit=True) as other:
        while not other.execute(
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", (pid,)
        ).fetchall():
            pass
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))
