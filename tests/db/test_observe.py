"""The server's counters are those of what was done, and what cannot be read is said and not made up."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb
from tests_support import HANG_S

from bench.db.admin import admin_catalogue
from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import connect
from bench.db.observe import CounterReader, Observer
from bench.db.session import Effects, Session
from bench.db.statement_names import SHOWN, StatementNames, canonical
from bench.target.embedded import EmbeddedServer, ServerOptions

PREFIX = "shopbench/test/"
STATEMENTS = """
-- name: read_units
-- params: id bigint
SELECT units
  FROM stock -- a comment
 WHERE id = %(id)s AND units NOT IN (-1, -2, -3) AND true

-- name: take_units
-- params: id bigint, units bigint
UPDATE stock SET units = units - %(units)s, note = 'taken' WHERE id = %(id)s

-- name: full
SELECT count(*) FROM stock WHERE note IS NULL
"""


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[EmbeddedServer]:
    """A server as a run has it, with pg_stat_statements."""
    with EmbeddedServer.start(
        home, ServerOptions({"fsync": "off"}, start_timeout_s=HANG_S, libraries=("pg_stat_statements",))
    ) as running:
        yield running


@pytest.fixture
def shop(counting: EmbeddedServer, tmp_path: Path) -> Iterator[str]:
    with psycopg.connect(counting.url(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE counted")
    with psycopg.connect(counting.url("counted"), autocommit=True) as connection:
        connection.execute("CREATE TABLE stock (id BIGINT PRIMARY KEY, units BIGINT, note TEXT)")
        connection.execute("INSERT INTO stock SELECT n, 10 FROM generate_series(1, 1000) n")
        connection.execute("ANALYZE stock")
        # Else what building the key has counted may come in when the test counts already.
        connection.execute("SELECT pg_stat_force_next_flush()")
    (tmp_path / "shop.sql").write_text(STATEMENTS)
    yield counting.url("counted")
    with psycopg.connect(counting.url(), autocommit=True) as admin:
        admin.execute("DROP DATABASE counted WITH (FORCE)")


def catalogue(folder: Path) -> Catalogue:
    return Catalogue.load([folder, read_package("bench.db", "sql")], "postgres")


def install(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        # Elsewhere than in public, as an administrator may have it.
        connection.execute('CREATE SCHEMA IF NOT EXISTS "odd Place"')
        connection.execute('CREATE EXTENSION pg_stat_statements SCHEMA "odd Place"')


class _Nobody:
    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        pass


def session(url: str, folder: Path) -> Session:
    effects = Effects(time.perf_counter_ns, time.sleep)
    connector = lambda: connect(url, application=PREFIX + "eu-west")  # noqa: E731
    return Session("eu-west", connector, catalogue(folder), _Nobody(), effects)


def settled(reader: CounterReader) -> dict[tuple[str, str, str], float]:
    """Read once the run's sessions are closed, as after a run."""
    deadline = time.monotonic() + HANG_S
    while reader.has_open_sessions():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return {(each.kind, each.name, each.metric): each.value for each in reader.read()}


def test_differences_are_what_was_done(shop: str, tmp_path: Path) -> None:
    install(shop)
    reader = CounterReader(shop, catalogue(tmp_path), PREFIX)
    before = settled(reader)
    user = session(shop, tmp_path)
    for number in range(1, 8):
        user.begin()
        user.execute("read_units", {"id": number})
        user.execute("take_units", {"id": number, "units": 2})
        user.commit()
    user.execute("full")
    user.begin()
    user.execute("take_units", {"id": 1, "units": 1})
    user.rollback()
    user.drop()
    after = settled(reader)
    reader.close()
    did = {key: value - before.get(key, 0.0) for key, value in after.items()}
    assert did["statement", "read_units", "calls"] == 7
    assert did["statement", "take_units", "calls"] == 8
    assert did["statement", "take_units", "rows"] == 8
    assert did["statement", "take_units", "exec_ms"] > 0
    assert did["statement", "take_units", "wal_bytes"] > 0
    assert did["statement", "full", "calls"] == 1
    assert did["index", "stock_pkey", "scans"] == 15
    assert did["table", "stock", "seq_scans"] == 1
    assert did["table", "stock", "seq_tup_read"] == 1000
    assert did["table", "stock", "updated"] == 8
    assert did["database", "counted", "rollbacks"] == 1
    assert did["database", "counted", "commits"] >= 8
    assert did["database", "write-ahead log of the server", "wal_bytes"] > 0
    # Of prepared ones the server counts the first execution alone.
    assert not [
        name for kind, name, _ in did if kind == "statement" and name.upper() in ("BEGIN", "COMMIT", "ROLLBACK")
    ]
    assert reader.notes == []


def test_without_the_extension_the_rest_is_read_and_said(shop: str, tmp_path: Path) -> None:
    reader = CounterReader(shop, catalogue(tmp_path), PREFIX)
    kinds = {each.kind for each in reader.read()}
    assert kinds == {"database", "table", "index"}
    assert reader.notes == ["pg_stat_statements is not installed in this database: no counters by statement"]
    reader.read()
    assert len(reader.notes) == 1
    reader.close()


def test_what_is_not_allowed_is_said_once_and_the_rest_is_read(
    counting: EmbeddedServer, shop: str, tmp_path: Path
) -> None:
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute("CREATE ROLE onlooker LOGIN PASSWORD 'onlooker'")
        connection.execute("REVOKE SELECT ON pg_stat_user_tables FROM PUBLIC")
    try:
        url = make_conninfo(shop, user="onlooker", password="onlooker")
        reader = CounterReader(url, catalogue(tmp_path), PREFIX)
        for _ in range(2):
            kinds = {each.kind for each in reader.read()}
            assert kinds == {"database", "index"}
        refused = [note for note in reader.notes if "counters_table" in note]
        assert refused == ["not allowed to read counters_table: permission denied for view pg_stat_user_tables"]
        reader.close()
    finally:
        with psycopg.connect(shop, autocommit=True) as connection:
            connection.execute("DROP OWNED BY onlooker")
            connection.execute("DROP ROLE onlooker")


def test_a_server_that_is_gone_raises_and_the_next_reading_connects_anew(shop: str, tmp_path: Path) -> None:
    reader = CounterReader(shop, catalogue(tmp_path), PREFIX)
    assert reader.read()
    with psycopg.connect(shop, autocommit=True) as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shopbench-observer'"
        connection.execute(query)
    with pytest.raises(psycopg.OperationalError):
        reader.read()
    reader.close()
    assert reader.read()
    reader.close()


def test_waits_and_locks_are_summed_by_region_and_of_this_run_alone(shop: str, tmp_path: Path) -> None:
    observer = Observer(shop, catalogue(tmp_path), PREFIX)
    update = "UPDATE stock SET units = 0 WHERE id = 1"
    with psycopg.connect(shop) as holder:
        holder.execute(update)
        waiting = [
            psycopg.connect(shop, autocommit=True, application_name=name)
            for name in (PREFIX + "eu-west", "shopbench/other/eu-west")
        ]
        for connection in waiting:
            connection.pgconn.send_query(update.encode())
        count = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        deadline = time.monotonic() + HANG_S
        while holder.execute(count).fetchone() != (2,):
            assert time.monotonic() < deadline
            holder.execute("SELECT pg_stat_clear_snapshot()")
        for _ in range(3):
            assert observer.collect()["waiting_for_locks"] == 2
        samples = observer.sampled()
        holder.rollback()
    for connection in waiting:
        connection.close()
    observer.close()
    # The first in the queue waits for the transaction, the next for its turn at the row.
    assert {each.kind for each in samples} == {"wait", "lock"}
    assert all((each.region, each.metric, each.value) == ("eu-west", "samples", 3) for each in samples)
    assert len(samples) == 2


STATISTICS = """
CREATE SCHEMA crdb_internal;
CREATE TABLE crdb_internal.statement_statistics (app_name TEXT, fingerprint_id BYTEA, metadata JSONB, statistics JSONB)
"""


def executed(query: str | None, fingerprint: str, count: int, first: int, *, implicit: bool) -> tuple[object, ...]:
    """A row of CockroachDB's statistics as documented (crdb-internal.md): ``first`` of the executions were first attempts."""
    metadata = {"db": "shop", "implicitTxn": implicit} | ({} if query is None else {"query": query})
    numbers = {"cnt": count, "firstAttemptCnt": first, "failureCount": 0, "svcLat": {"mean": 0.002}}
    return PREFIX + "eu-west/steady", bytes.fromhex(fingerprint), Jsonb(metadata), Jsonb({"statistics": numbers})


def test_cockroach_statements_are_told_apart_and_retries_are_of_those_outside_begin(fresh_database: str) -> None:
    """The server's arithmetic is PostgreSQL's here: of a table with the names and contents of CockroachDB's view."""
    with psycopg.connect(fresh_database) as connection:
        connection.execute(STATISTICS)
        for row in (
            executed("SELECT _", "aaaaaa0000000001", 10, 7, implicit=True),
            # Of an explicit transaction that was retried once: what ran in it afterwards ran for the first time.
            executed("UPDATE _", "bbbbbb0000000002", 10, 4, implicit=False),
            executed(None, "cccccc0000000003", 2, 2, implicit=True),
            executed(None, "dddddd0000000004", 3, 3, implicit=True),
        ):
            connection.execute("INSERT INTO crdb_internal.statement_statistics VALUES (%s, %s, %s, %s)", row)
    sources = (("statement", "counters_app_statement"),)
    reader = CounterReader(fresh_database, admin_catalogue("cockroach"), PREFIX, sources=sources)
    found = {(each.name, each.metric): each.value for each in reader.read()}
    reader.close()
    assert reader.notes == []
    names = ["SELECT _ #aaaaaa", "UPDATE _ #bbbbbb", " #cccccc", " #dddddd"]
    assert {name: value for (name, metric), value in found.items() if metric == "calls"} == dict(
        zip(names, (10, 10, 2, 3), strict=True)
    )
    assert {name: value for (name, metric), value in found.items() if metric == "retries"} == {
        "SELECT _ #aaaaaa": 3,
        " #cccccc": 0,
        " #dddddd": 0,
    }


def test_observing_a_server_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "shop.sql").write_text(STATEMENTS)
    observer = Observer("postgresql://postgres@127.0.0.1:1/none", catalogue(tmp_path), PREFIX)
    assert observer.collect() == {}
    assert observer.sampled() == []


SERVED = ("bench.db", "bench.audit", "bench.workloads")


def test_no_two_texts_of_a_workload_pass_for_one_another() -> None:
    """Statements that differ in constants alone share a name that says so."""
    found = Catalogue.load([read_package(package, "sql") for package in SERVED], "postgres")
    names = StatementNames(found.values())
    for statement in found.values():
        name = names.name(statement.numbered)
        assert name is None or statement.name in name.split(" or ")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("SELECT a FROM t WHERE b = 'x' AND c > -5", "SELECT a FROM t WHERE b = $1 AND c > $2"),
        ("SELECT a FROM t WHERE b IN ('x', 'y', 'z')", "SELECT a FROM t WHERE b IN ($1 /*, ... */)"),
        ("SELECT a - 1, \"O''Brien 5\" FROM t2", "SELECT a - $1, \"O''Brien 5\" FROM t2"),
        ("SELECT COALESCE(a, NULL), 1.5e3, E'it\\'s'", "SELECT COALESCE(a, $1), $2, $3"),
        ("SELECT a\n  FROM t", "SELECT a FROM t"),
    ],
)
def test_a_text_and_what_the_server_keeps_of_it_are_one(sent: str, kept: str) -> None:
    assert canonical(sent) == canonical(kept)


def test_of_an_unknown_text_the_beginning_is_kept_without_literals() -> None:
    name = StatementNames([]).name("INSERT INTO cards (number) VALUES ('4111 1111 1111 1111', 'x') " + "-- y\n" * 30)
    assert name == "INSERT INTO cards (number) VALUES (?)"
    assert len(StatementNames([]).name("SELECT " + "a, " * 100) or "") == SHOWN
