"""Every refusal that PostgreSQL can be brought to, for real, through a session and the retry loop."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests_support import HANG_S

from bench.db.catalogue import Catalogue
from bench.db.connection import connect
from bench.db.retry import Done, Retrier, RetryPolicy, Transaction
from bench.db.session import Effects, Session
from tests.db.cutting import Proxy

SQL = """
-- name: read
-- params: id bigint
SELECT units FROM stock WHERE id = %(id)s

-- name: read_all
SELECT sum(units)::BIGINT FROM stock

-- name: take
-- params: id bigint
UPDATE stock SET units = units - 1 WHERE id = %(id)s

-- name: put
-- params: id bigint
INSERT INTO stock VALUES (%(id)s, 1)

-- name: wait
SELECT pg_sleep(30)
"""
FOUR = RetryPolicy(max_attempts=4, base_ms=1, cap_ms=5, budget_s=HANG_S)


@dataclass
class Log:
    """What the loop reports."""

    retries: list[tuple[str, str]] = field(default_factory=list)
    attempts: list[bool] = field(default_factory=list)

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        pass

    def attempt(self, started_ns: int, ended_ns: int, ok: bool) -> None:
        self.attempts.append(ok)

    def retry(self, statement: str, reason: str, wasted_ns: int, key: str = "") -> None:
        assert wasted_ns > 0
        self.retries.append((statement, reason))


@dataclass
class Buyer:
    """A session and its retry loop."""

    retrier: Retrier
    log: Log
    rng: Random

    def run(self, body: Callable[[Session], object], resolve: Callable[[Session], object] | None = None) -> Done:
        return self.retrier.run(Transaction(body, resolve=resolve), self.rng)


@dataclass
class Shop:
    url: str
    catalogue: Catalogue
    made: list[Session] = field(default_factory=list)

    def buyer(self, *options: str, url: str = "", policy: RetryPolicy = FOUR) -> Buyer:
        log, effects = Log(), Effects(time.perf_counter_ns, time.sleep)
        session = Session("us-east", lambda: connect(url or self.url, options=options), self.catalogue, log, effects)
        self.made.append(session)
        return Buyer(Retrier(session, policy, effects, log), log, Random(len(self.made)))

    def sql(self, text: str) -> object:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(text)
            found = cursor.fetchone() if cursor.description else None
            return found[0] if found else None

    def units(self, row: int = 1) -> object:
        return self.sql(f"SELECT units FROM stock WHERE id = {row}")

    def pid(self, session: Session) -> int:
        assert session._wire is not None
        return session._wire._connection.info.backend_pid


@pytest.fixture
def shop(fresh_database: str, tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "stock.sql").write_text(SQL)
    shop = Shop(fresh_database, Catalogue.load([tmp_path], "postgres"))
    shop.sql("CREATE TABLE stock (id BIGINT PRIMARY KEY, units BIGINT NOT NULL)")
    shop.sql("INSERT INTO stock VALUES (1, 10), (2, 10)")
    yield shop
    for session in shop.made:
        session.drop()


def first_time(act: Callable[[], object]) -> Callable[[], None]:
    """Return a function that acts when it is called for the first time."""
    left = [act]
    return lambda: left.pop()() if left else None  # type: ignore[func-returns-value]


def test_40001_of_a_row_changed_meanwhile(shop: Shop) -> None:
    buyer = shop.buyer("default_transaction_isolation=repeatable read")
    meanwhile = first_time(lambda: shop.sql("UPDATE stock SET units = units - 1 WHERE id = 1"))

    def body(session: Session) -> None:
        session.execute("read", {"id": 1})
        meanwhile()
        session.execute("take", {"id": 1})

    done = buyer.run(body)
    assert (done.kind, done.attempts, buyer.log.retries) == ("ok", 2, [("take", "concurrent_update")])
    assert shop.units() == 8


def test_40001_of_reads_and_writes_that_cross(shop: Shop) -> None:
    """Write skew: each reads everything and writes what the other has read; one of the two cannot be serialised."""
    buyer, other = (shop.buyer("default_transaction_isolation=serializable") for _ in range(2))

    def cross(session: Session) -> None:
        session.execute("read_all")
        session.execute("take", {"id": 2})

    meanwhile = first_time(lambda: other.run(cross))

    def body(session: Session) -> None:
        session.execute("read_all")
        meanwhile()
        session.execute("take", {"id": 1})

    done = buyer.run(body)
    assert (done.kind, done.attempts) == ("ok", 2)
    assert [reason for _, reason in buyer.log.retries] == ["read_write_dependencies"]
    assert other.log.retries == []
    assert (shop.units(1), shop.units(2)) == (9, 9)


def test_40p01_is_counted_as_often_as_the_server_counts_it(shop: Shop) -> None:
    """Two buyers take two rows in opposite order until both have done it ten times."""
    buyers = [
        shop.buyer("deadlock_timeout=20ms", policy=RetryPolicy(max_attempts=100, base_ms=1, cap_ms=4, budget_s=HANG_S))
        for _ in range(2)
    ]
    outcomes: list[Done] = []
    met = threading.Barrier(2)

    def work(buyer: Buyer, order: tuple[int, int]) -> None:
        crossing = [True]

        def body(session: Session) -> None:
            session.execute("take", {"id": order[0]})
            if crossing and crossing.pop():
                met.wait(HANG_S)
            time.sleep(0.01)
            session.execute("take", {"id": order[1]})

        outcomes.extend(buyer.run(body) for _ in range(10))

    orders = ((1, 2), (2, 1))
    threads = [threading.Thread(target=work, args=pair) for pair in zip(buyers, orders, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for session in shop.made:
        session.drop()
    counted = [reason for buyer in buyers for _, reason in buyer.log.retries]
    assert counted
    assert set(counted) == {"deadlock_detected"}
    assert all(done.kind == "ok" for done in outcomes)
    assert sum(done.attempts - 1 for done in outcomes) == len(counted)
    assert (shop.units(1), shop.units(2)) == (-10, -10)
    # A backend hands in what it counted when it ends, which is after the client has closed.
    deadline = time.monotonic() + HANG_S
    while shop.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") != len(counted):
        assert time.monotonic() < deadline, (
            counted,
            shop.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"),
        )
        time.sleep(0.02)


@pytest.mark.parametrize("explicit", [True, False])
def test_57014_of_the_statement_timeout(shop: Shop, explicit: bool) -> None:
    """Outside BEGIN as well: PostgreSQL says it only of what was undone."""
    buyer = shop.buyer("statement_timeout=1000")
    done = buyer.retrier.run(Transaction(lambda session: session.execute("wait"), explicit=explicit), buyer.rng)
    assert (done.outcome, done.kind, done.attempts) == ("query_canceled", "failure", 1)
    assert buyer.log.retries == [("wait", "query_canceled")]


def test_57014_of_a_cancel(shop: Shop) -> None:
    buyer = shop.buyer()
    beside: list[threading.Thread] = []

    def body(session: Session) -> None:
        beside.append(threading.Thread(target=until_active, args=(shop, "pg_cancel_backend", shop.pid(session))))
        beside[0].start()
        session.execute("wait")

    done = buyer.run(body)
    beside[0].join()
    assert (done.outcome, done.kind, done.attempts) == ("query_canceled", "failure", 1)


def until_active(shop: Shop, function: str, pid: int) -> None:
    """End a backend's statement or the backend, once it sleeps."""
    while shop.sql(f"SELECT wait_event FROM pg_stat_activity WHERE pid = {pid}") != "PgSleep":
        time.sleep(0.01)
    shop.sql(f"SELECT {function}({pid})")


def test_57p01_is_reconnected_and_repeated(shop: Shop) -> None:
    buyer = shop.buyer()
    sleeping = [True]
    beside: list[threading.Thread] = []

    def body(session: Session) -> None:
        session.execute("take", {"id": 1})
        if sleeping.pop():
            sleeping.append(False)
            beside.append(threading.Thread(target=until_active, args=(shop, "pg_terminate_backend", shop.pid(session))))
            beside[0].start()
            session.execute("wait")
        sleeping.append(False)

    done = buyer.run(body)
    beside[0].join()
    assert (done.kind, done.attempts, buyer.log.retries) == ("ok", 2, [("wait", "admin_shutdown")])
    assert shop.units() == 9


@pytest.mark.parametrize("at", [b"take", b"COMMIT"])
def test_a_connection_that_is_reset(shop: Shop, at: bytes) -> None:
    """In a statement the transaction is repeated; in COMMIT, which the server has carried out, it is looked up."""
    cuts = [at]

    def cut(data: bytes) -> bool:
        if cuts and cuts[0] in data:
            cuts.clear()
            return True
        return False

    bodies = []

    def body(session: Session) -> str:
        bodies.append(1)
        session.execute("read", {"id": 1})
        session.execute("take", {"id": 1})
        return "bought"

    def look(session: Session) -> str | None:
        deadline = time.monotonic() + HANG_S
        while time.monotonic() < deadline:
            if session.execute("read", {"id": 1})[0][0] == 9:
                return "found"
        return None

    with Proxy(shop.url, cut) as proxy:
        buyer = shop.buyer(url=proxy.through)
        done = buyer.run(body, look)
        buyer.retrier.session.drop()
    assert not cuts
    assert buyer.log.retries == [(at.decode(), "connection_lost")]
    assert (done.kind, done.attempts) == ("ok", 2)
    assert (done.value, len(bodies)) == (("found", 1) if at == b"COMMIT" else ("bought", 2))
    assert shop.units() == 9


@pytest.mark.parametrize(
    ("transaction", "cut", "told"),
    [
        (Transaction(lambda s: s.execute("take", {"id": 1})), b"COMMIT", ("commit_unknown", 1, 9)),
        (Transaction(lambda s: s.execute("take", {"id": 1}), repeatable=True), b"COMMIT", ("ok", 2, 8)),
        # Outside BEGIN the server commits by itself, answered or not.
        (Transaction(lambda s: s.execute("take", {"id": 1}), explicit=False), b"take", ("commit_unknown", 1, 9)),
        (Transaction(lambda s: s.execute("read_all"), explicit=False, repeatable=True), b"read_all", ("ok", 2, 10)),
    ],
)
def test_what_may_have_happened_is_repeated_only_where_that_does_no_harm(
    shop: Shop, transaction: Transaction, cut: bytes, told: tuple[str, int, int]
) -> None:
    cuts = [cut]
    with Proxy(shop.url, lambda data: bool(cuts) and cuts[0] in data and bool(cuts.clear() or True)) as proxy:
        buyer = shop.buyer(url=proxy.through)
        done = buyer.retrier.run(transaction, buyer.rng)
        buyer.retrier.session.drop()
        # Within the proxy, whose end would reset the server's side before it has read what it was sent.
        deadline = time.monotonic() + HANG_S
        while shop.units() != told[2] and time.monotonic() < deadline:
            time.sleep(0.01)
    assert buyer.log.retries == [(cut.decode(), "connection_lost")]
    assert (done.outcome, done.attempts, shop.units()) == told


def test_what_was_never_sent_is_not_in_doubt(shop: Shop) -> None:
    buyer = shop.buyer(url="postgresql://postgres@127.0.0.1:1/none", policy=RetryPolicy(budget_s=0.0))
    done = buyer.retrier.run(Transaction(lambda s: s.execute("take", {"id": 1}), explicit=False), buyer.rng)
    assert (done.outcome, done.attempts) == ("connection_refused", 1)


def test_53300_is_backed_off_from_until_there_is_room(shop: Shop) -> None:
    role = "crowd_" + shop.url.rpartition("_")[2][:8]
    shop.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'crowd' CONNECTION LIMIT 1")
    try:
        shop.sql(f"GRANT ALL ON stock TO {role}")
        url = make_conninfo(shop.url, user=role, password="crowd")
        first = psycopg.connect(url)
        buyer = shop.buyer(url=url, policy=RetryPolicy(max_attempts=1000, base_ms=20, cap_ms=40, budget_s=HANG_S))
        told = threading.Event()
        buyer.log.retry = lambda statement, reason, wasted_ns, key="": (  # type: ignore[method-assign]
            buyer.log.retries.append((statement, reason)),
            told.set() if len(buyer.log.retries) >= 3 else None,
        )
        leaver = threading.Thread(target=lambda: (told.wait(HANG_S), first.close()))
        leaver.start()
        done = buyer.run(lambda session: session.execute("take", {"id": 1}))
        leaver.join()
        assert told.is_set()
        assert (done.kind, done.attempts) == ("ok", len(buyer.log.retries) + 1)
        assert set(buyer.log.retries) == {("CONNECT", "too_many_connections")}
        assert shop.units() == 9
        buyer.retrier.session.drop()
    finally:
        shop.sql(f"DROP OWNED BY {role}")
        shop.sql(f"DROP ROLE {role}")


def test_55p03_and_25p02_end_the_transaction(shop: Shop) -> None:
    with psycopg.connect(shop.url) as holder:
        holder.execute("UPDATE stock SET units = units WHERE id = 1")
        buyer = shop.buyer("lock_timeout=50")
        done = buyer.run(lambda session: session.execute("take", {"id": 1}))
        assert (done.outcome, done.kind, done.attempts) == ("lock_not_available", "failure", 1)

        def careless(session: Session) -> None:
            try:
                session.execute("take", {"id": 1})
            except psycopg.Error:
                session.execute("read", {"id": 2})

        done = buyer.run(careless)
        assert (done.outcome, done.kind, done.attempts) == ("in_failed_sql_transaction", "failure", 1)


def test_integrity_and_privileges_are_not_retried(shop: Shop) -> None:
    buyer = shop.buyer()
    done = buyer.run(lambda session: session.execute("put", {"id": 1}))
    assert (done.outcome, done.attempts) == ("unique_violation", 1)
    buyer = shop.buyer("role=pg_monitor")
    done = buyer.run(lambda session: session.execute("take", {"id": 1}))
    assert (done.outcome, done.attempts) == ("insufficient_privilege", 1)
