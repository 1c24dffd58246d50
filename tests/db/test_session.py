"""The session on a real server: batches, unknown commits, connections left in the middle, the order of statements."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from tests_support import HANG_S

from bench.db.catalogue import Catalogue
from bench.db.connection import connect
from bench.db.retry import Business, Retrier, RetryPolicy, Transaction
from bench.db.session import Effects, Session

SQL = """
-- name: make
CREATE TABLE stock (id BIGINT PRIMARY KEY, units BIGINT NOT NULL)

-- name: fill
INSERT INTO stock VALUES (1, 10), (2, 10)

-- name: read
-- params: id bigint
SELECT units FROM stock WHERE id = %(id)s

-- name: take
-- params: id bigint
UPDATE stock SET units = units - 1 WHERE id = %(id)s RETURNING units

-- name: divide
SELECT 1 / 0

-- name: pid
SELECT pg_backend_pid()
"""


@dataclass
class Log:
    statements: list[tuple[str, bool]] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    retries: list[tuple[str, str, str]] = field(default_factory=list)

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        self.statements.append((name, ok))
        self.spans.append((started_ns, ended_ns))

    def attempt(self, started_ns: int, ended_ns: int, ok: bool) -> None:
        pass

    def retry(self, statement: str, reason: str, wasted_ns: int, key: str) -> None:
        self.retries.append((statement, reason, key))


@dataclass
class Shop:
    url: str
    session: Session
    log: Log
    sleeps: list[float]

    def retrier(self) -> Retrier:
        return Retrier(self.session, RetryPolicy(budget_s=HANG_S), self.session.effects, self.log)

    def units(self) -> list[int]:
        with psycopg.connect(self.url) as connection:
            return [units for (units,) in connection.execute("SELECT units FROM stock ORDER BY id")]


@pytest.fixture
def shop(fresh_database: str, tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "stock.sql").write_text(SQL)
    catalogue = Catalogue.load([tmp_path], "postgres")
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(catalogue["make"].sql)
        connection.execute(catalogue["fill"].sql)
    log, sleeps = Log(), []
    effects = Effects(time.perf_counter_ns, sleeps.append)
    session = Session("us-east", lambda: connect(fresh_database), catalogue, log, effects, distance_s=0.01)
    yield Shop(fresh_database, session, log, sleeps)
    session.drop()


def buy(session: Session) -> Any:
    """Two exchanges: BEGIN with what is read, and the change with COMMIT."""
    [[(units,)]] = session.batch([("read", {"id": 1})])
    session.batch([("take", {"id": 1}), ("take", {"id": 2})], commit=True)
    return units


def test_begin_and_commit_travel_with_the_batches(shop: Shop) -> None:
    shop.session.connect()
    done = shop.retrier().run(Transaction(buy, pipelined=True), Random(1))
    assert (done.kind, done.value) == ("ok", 10)
    assert [name for name, _ in shop.log.statements] == ["CONNECT", "BEGIN", "read", "take", "take", "COMMIT"]
    assert shop.units() == [9, 9]
    # Each exchange travels the distance once.
    assert shop.sleeps == [0.01, 0.01]
    # A statement begins with the answer before it, so the times of a batch add up to its own.
    assert [start for start, _ in shop.log.spans[4:]] == [end for _, end in shop.log.spans[3:-1]]


def test_a_pipelined_body_may_leave_the_commit_to_others(shop: Shop) -> None:
    def body(session: Session) -> Any:
        return session.execute("take", {"id": 1})[0][0]

    assert shop.retrier().run(Transaction(body, pipelined=True), Random(1)).value == 9
    assert [name for name, _ in shop.log.statements] == ["CONNECT", "BEGIN", "take", "COMMIT"]
    assert shop.retrier().run(Transaction(lambda _: "nothing", pipelined=True), Random(1)).value == "nothing"
    assert len(shop.log.statements) == 4


def test_a_business_no_undoes_a_pipelined_transaction(shop: Shop) -> None:
    def body(session: Session) -> None:
        session.batch([("take", {"id": 1})])
        raise Business("sold_out")

    assert shop.retrier().run(Transaction(body, pipelined=True), Random(1)).outcome == "sold_out"
    assert shop.units() == [10, 10]


def test_an_error_before_commit_in_its_batch_is_no_unknown_commit(shop: Shop) -> None:
    def body(session: Session) -> None:
        session.batch([("take", {"id": 1}), ("divide", None), ("take", {"id": 2})], commit=True)

    done = shop.retrier().run(Transaction(body, pipelined=True, key="SKU-1"), Random(1))
    assert (done.kind, done.outcome) == ("failure", "sqlstate_22012")
    assert shop.log.retries == [("divide", "sqlstate_22012", "SKU-1")]
    assert shop.log.statements[1:] == [("BEGIN", True), ("take", True), ("divide", False), ("ROLLBACK", True)]
    assert shop.units() == [10, 10]


def test_a_connection_lost_in_a_batch_with_commit_leaves_the_outcome_unknown(shop: Shop) -> None:
    """The batch waits for a row that another holds; its backend is ended there, COMMIT sent and unanswered."""
    session, other = shop.session, psycopg.connect(shop.url)
    other.execute("UPDATE stock SET units = units WHERE id = 2")
    pid = session.execute("pid")[0][0]
    looked: list[int] = []

    def resolve(session: Session) -> Any:
        looked.append(session.execute("read", {"id": 1})[0][0])
        return None

    def end() -> None:
        with psycopg.connect(shop.url, autocommit=True) as third:
            waits = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
            while not third.execute(waits, (pid,)).fetchall():
                pass
            third.execute("SELECT pg_terminate_backend(%s)", (pid,))
            other.rollback()

    ending = threading.Thread(target=end)
    ending.start()
    done = shop.retrier().run(Transaction(buy, resolve=resolve, pipelined=True), Random(1))
    ending.join()
    other.close()
    assert (done.kind, done.attempts) == ("ok", 2)
    assert [entry[:2] for entry in shop.log.retries] == [("COMMIT", "admin_shutdown")]
    # Looked up before it was played again.
    assert looked == [10]
    assert shop.units() == [9, 9]


def test_a_failed_transaction_is_not_committed_in_name(shop: Shop) -> None:
    """To COMMIT of a failed transaction the server answers ROLLBACK, which is no error."""

    def body(session: Session) -> None:
        session.execute("take", {"id": 1})
        with pytest.raises(psycopg.errors.DivisionByZero):
            session.execute("divide")

    done = shop.retrier().run(Transaction(body), Random(1))
    assert (done.kind, done.outcome) == ("failure", "in_failed_sql_transaction")
    assert shop.units() == [10, 10]


def test_an_interruption_in_an_exchange_ends_the_transaction(shop: Shop) -> None:
    """What goes on after it must not be committed on another connection without what came before."""
    session = shop.session
    session.begin()
    session.execute("take", {"id": 1})
    wire = session._wire
    assert wire is not None

    def interrupt() -> None:
        raise KeyboardInterrupt

    wire._waits = wire._waits._replace(readable=interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.execute("take", {"id": 2})
    for going_on in (lambda: session.execute("take", {"id": 2}), session.commit):
        with pytest.raises(psycopg.OperationalError):
            going_on()
    session.rollback()
    assert shop.units() == [10, 10]
    assert session.execute("read", {"id": 1}) == [(10,)]


KILLED = """
import bench.load, sys, time, gevent
from pathlib import Path
from bench.db.catalogue import Catalogue
from bench.db.connection import connect
from bench.db.session import Effects, Session
from bench.load.waiting import install_native_wait
if sys.argv[3] == "native": install_native_wait()
class Log:
    def statement(self, *_): pass
url = sys.argv[1]
catalogue = Catalogue.load([Path(sys.argv[2])], "postgres")
session = Session("us-east", lambda: connect(url), catalogue, Log(), Effects(time.perf_counter_ns, gevent.sleep))
session.execute("nap", {"s": 0})
user = gevent.spawn(session.execute, "nap", {"s": 30})
gevent.sleep(0.1)
user.kill()
assert session._wire is None
assert session.execute("one") == [(1,)]
connector = lambda: connect(url, application="many")
many = [Session("us-east", connector, catalogue, Log(), session.effects) for _ in range(5)]
users = [gevent.spawn(each.execute, "nap", {"s": 600}) for each in many]
# One after another there would never be more than one of them.
asleep = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'many' AND wait_event = 'PgSleep'"
third = connect(url)
while third.execute(asleep).fetchone() != (5,):
    assert not any(user.ready() for user in users)
    gevent.sleep(0.01)
gevent.killall(users)
print("well")
"""


@pytest.mark.parametrize("wait", ["native", "select"])
def test_a_killed_greenlet_leaves_a_connection_that_is_dropped(fresh_database: str, tmp_path: Path, wait: str) -> None:
    (tmp_path / "own.sql").write_text(
        "-- name: nap\n-- params: s float8\nSELECT pg_sleep(%(s)s::FLOAT8)\n\n-- name: one\nSELECT 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", KILLED, fresh_database, str(tmp_path), wait],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.stdout == "well\n", done.stderr
