"""The retry loop against a real server: forced conflicts, lost answers, the same inputs again."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg
import pytest
from tests_support import HANG_S

from bench.db.catalogue import Catalogue
from bench.db.connection import connect
from bench.db.retry import Business, Conflict, Outcome, Retrier, RetryPolicy, Transaction
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
UPDATE stock SET units = units - 1 WHERE id = %(id)s

-- name: die
SELECT pg_terminate_backend(pg_backend_pid())

-- name: divide
SELECT 1 / 0
"""


@dataclass
class Log:
    statements: list[tuple[str, bool]] = field(default_factory=list)
    retries: list[tuple[str, str, int, str]] = field(default_factory=list)
    attempts: list[bool] = field(default_factory=list)
    ends: list[tuple[str, int]] = field(default_factory=list)
    """When the last statement of a name, or an attempt, ended."""

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        assert ended_ns >= started_ns
        self.statements.append((name, ok))
        self.ends.append((name, ended_ns))

    def attempt(self, started_ns: int, ended_ns: int, ok: bool) -> None:
        self.attempts.append(ok)
        self.ends.append(("attempt", ended_ns))

    def retry(self, statement: str, reason: str, wasted_ns: int, key: str) -> None:
        self.retries.append((statement, reason, wasted_ns, key))


@dataclass
class Shop:
    url: str
    catalogue: Catalogue
    isolation: str = "serializable"
    sessions: list[Session] = field(default_factory=list)

    def retrier(self, policy: RetryPolicy | None = None) -> tuple[Retrier, Log]:
        log = Log()
        effects = Effects(time.perf_counter_ns, time.sleep)
        options = [f"default_transaction_isolation={self.isolation}"]
        session = Session("us-east", lambda: connect(self.url, options=options), self.catalogue, log, effects)
        self.sessions.append(session)
        return Retrier(session, policy or RetryPolicy(budget_s=HANG_S), effects, log), log

    def units(self, row: int) -> int:
        with psycopg.connect(self.url) as connection:
            found = connection.execute("SELECT units FROM stock WHERE id = %s", (row,)).fetchone()
            assert found is not None
            return int(found[0])


@pytest.fixture
def shop(fresh_database: str, tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "stock.sql").write_text(SQL)
    catalogue = Catalogue.load([tmp_path], "postgres")
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(catalogue["make"].sql)
        connection.execute(catalogue["fill"].sql)
    made = Shop(fresh_database, catalogue)
    yield made
    for session in made.sessions:
        session.drop()


def take(meanwhile: Callable[[int], None]) -> Callable[[Session], int]:
    attempts = 0

    def body(session: Session) -> int:
        nonlocal attempts
        attempts += 1
        units: int = session.execute("read", {"id": 1})[0][0]
        meanwhile(attempts)
        session.execute("take", {"id": 1})
        return units

    return body


def elsewhere(shop: Shop) -> None:
    with psycopg.connect(shop.url) as connection:
        connection.execute("UPDATE stock SET units = units - 1 WHERE id = 1")


def test_a_conflict_is_retried_and_counted_by_reason(shop: Shop) -> None:
    retrier, log = shop.retrier()
    done = retrier.run(Transaction(take(lambda n: elsewhere(shop) if n <= 2 else None)), Random(1))
    assert (done.outcome, done.kind, done.attempts, done.value) == ("ok", "ok", 3, 8)
    assert [(statement, reason) for statement, reason, *_ in log.retries] == [("take", "concurrent_update")] * 2
    assert all(wasted > 0 for _, _, wasted, _ in log.retries)
    assert log.attempts == [False, False, True]
    assert shop.units(1) == 7


def test_it_gives_up_after_the_last_attempt(shop: Shop) -> None:
    retrier, log = shop.retrier(RetryPolicy(max_attempts=3))
    done = retrier.run(Transaction(take(lambda _: elsewhere(shop))), Random(1))
    assert (done.outcome, done.kind, done.attempts) == ("concurrent_update", "failure", 3)
    assert len(log.retries) == 3


def test_the_budget_ends_it(shop: Shop) -> None:
    retrier, _ = shop.retrier(RetryPolicy(budget_s=0.0))
    done = retrier.run(Transaction(take(lambda _: elsewhere(shop))), Random(1))
    assert (done.kind, done.attempts) == ("failure", 1)


def test_a_fault_that_is_no_conflict_is_not_retried(shop: Shop) -> None:
    retrier, log = shop.retrier()
    done = retrier.run(Transaction(lambda session: session.execute("divide")), Random(1))
    assert (done.outcome, done.kind, done.attempts) == ("sqlstate_22012", "failure", 1)
    assert ("ROLLBACK", True) in log.statements


def test_a_business_no_undoes_the_transaction(shop: Shop) -> None:
    def body(session: Session) -> None:
        session.execute("take", {"id": 1})
        raise Business("sold_out")

    retrier, log = shop.retrier()
    done = retrier.run(Transaction(body), Random(1))
    assert (done.outcome, done.kind, log.retries) == ("sold_out", "business", [])
    # As after a conflict, ROLLBACK is a statement beside the attempt: what takes a transaction apart relies on it.
    assert [name for name, _ in log.ends[-3:]] == ["take", "attempt", "ROLLBACK"]
    assert done.ended_ns >= log.ends[-1][1]
    assert shop.units(1) == 10


def test_another_outcome_commits(shop: Shop) -> None:
    def body(session: Session) -> Outcome:
        session.execute("take", {"id": 1})
        return Outcome("declined", 5)

    retrier, _ = shop.retrier()
    done = retrier.run(Transaction(body), Random(1))
    assert (done.outcome, done.kind, done.value) == ("declined", "business", 5)
    assert shop.units(1) == 9


def test_the_body_may_ask_for_a_repeat(shop: Shop) -> None:
    attempts = []

    def body(session: Session) -> None:
        attempts.append(1)
        session.execute("take", {"id": 1})
        if len(attempts) == 1:
            raise Conflict("version_changed")

    retrier, log = shop.retrier()
    assert retrier.run(Transaction(body), Random(1)).attempts == 2
    assert log.retries[0][1] == "version_changed"
    assert shop.units(1) == 9


def test_a_deadlock_is_retried(shop: Shop) -> None:
    """Two transactions take the rows crosswise; the server ends one, and whichever it is, ours commits."""
    shop.isolation = "read committed"
    other = psycopg.connect(shop.url)
    other.execute("SET deadlock_timeout = '600s'")
    other.execute("UPDATE stock SET units = units - 1 WHERE id = 2")
    crossing: list[threading.Thread] = []

    def cross() -> None:
        # Waits for row 1 until our transaction, the only one to look for deadlocks in time, has been ended.
        other.execute("UPDATE stock SET units = units - 1 WHERE id = 1")
        other.commit()

    def body(session: Session) -> None:
        if crossing:
            # The other was woken; before it runs, we could take row 1 from it again and meet it crosswise once more.
            crossing[0].join()
        session.execute("take", {"id": 1})
        if not crossing:
            crossing.append(threading.Thread(target=cross))
            crossing[0].start()
            # The server looks for a deadlock once, so the other has to wait before we do.
            waits = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
            with psycopg.connect(shop.url, autocommit=True) as third:
                while not third.execute(waits, (other.info.backend_pid,)).fetchall():
                    pass
        session.execute("take", {"id": 2})

    retrier, log = shop.retrier()
    done = retrier.run(Transaction(body), Random(1))
    crossing[0].join()
    other.close()
    assert (done.kind, done.attempts) == ("ok", 2)
    assert [entry[:2] for entry in log.retries] == [("take", "deadlock_detected")]
    assert (shop.units(1), shop.units(2)) == (8, 8)


def test_an_unknown_commit_is_looked_up_and_not_repeated(shop: Shop) -> None:
    """The server commits, but its answer is lost: the transaction must not be played a second time."""
    retrier, log = shop.retrier()
    bodies = []

    def body(s: Session) -> str:
        bodies.append(1)
        s.execute("take", {"id": 1})
        return "first"

    real = Session.commit

    def losing(self: Session) -> None:
        real(self)
        self.current = "COMMIT"
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    Session.commit = losing  # type: ignore[method-assign]
    try:
        lookup = lambda s: f"found {s.execute('read', {'id': 1})[0][0]}"  # noqa: E731
        done = retrier.run(Transaction(body, resolve=lookup), Random(1))
    finally:
        Session.commit = real  # type: ignore[method-assign]
    assert (done.kind, done.value, bodies) == ("ok", "found 9", [1])
    assert log.retries[0][:2] == ("COMMIT", "connection_lost")
    assert shop.units(1) == 9


def test_a_cut_connection_is_replaced(shop: Shop) -> None:
    cut = []

    def body(session: Session) -> None:
        if not cut:
            cut.append(1)
            session.execute("die")
        session.execute("take", {"id": 1})

    retrier, log = shop.retrier()
    done = retrier.run(Transaction(body), Random(1))
    assert (done.kind, done.attempts) == ("ok", 2)
    assert log.retries[0][:2] == ("die", "admin_shutdown")
    assert shop.units(1) == 9


def test_a_refused_connection_is_a_failure_with_its_own_reason(shop: Shop) -> None:
    shop.url = "postgresql://postgres@127.0.0.1:1/none"
    retrier, _ = shop.retrier(RetryPolicy(max_attempts=2, budget_s=0.0))
    done = retrier.run(Transaction(lambda session: session.execute("divide")), Random(1))
    assert (done.outcome, done.kind) == ("connection_refused", "failure")


def test_without_a_server_only_the_budget_counts_and_the_back_off_is_soon_at_its_cap(shop: Shop) -> None:
    """Conflicts use up the attempts; a server that is away for many of them is waited for, and not asked all the time."""
    slept: list[float] = []
    url, shop.url = shop.url, "postgresql://postgres@127.0.0.1:1/none"

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 40:
            shop.url = url

    retrier, log = shop.retrier(RetryPolicy(max_attempts=2))
    retrier.effects = Effects(time.perf_counter_ns, sleep)
    done = retrier.run(Transaction(take(lambda n: elsewhere(shop) if n == 1 else None)), Random(1))
    assert (done.kind, done.attempts) == ("ok", 42)
    assert [reason for _, reason, *_ in log.retries] == ["connection_refused"] * 40 + ["concurrent_update"]
    assert slept[0] <= 0.05
    assert 0.15 < sum(slept[4:40]) / 36 < 0.35
    assert max(slept) <= 0.5
    assert slept[40] <= 0.004, "a conflict has its own back-off, from its own first"


def test_what_the_driver_refuses_is_a_bug_and_not_retried(shop: Shop) -> None:
    retrier, log = shop.retrier()
    with pytest.raises(psycopg.ProgrammingError):
        retrier.run(Transaction(lambda session: session.execute("read", {"misspelt": 1})), Random(1))
    assert log.retries == []


def test_an_unknown_commit_is_looked_up_before_giving_up(shop: Shop) -> None:
    """The last attempt's answer is lost: what it did must not be reported as a failure."""
    retrier, _ = shop.retrier(RetryPolicy(budget_s=0.0))
    real = Session.commit

    def losing(self: Session) -> None:
        real(self)
        self.current = "COMMIT"
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    Session.commit = losing  # type: ignore[method-assign]
    try:
        body = lambda s: s.execute("take", {"id": 1})  # noqa: E731
        done = retrier.run(Transaction(body, resolve=lambda s: s.execute("read", {"id": 1})[0][0]), Random(1))
    finally:
        Session.commit = real  # type: ignore[method-assign]
    assert (done.kind, done.value) == ("ok", 9)
