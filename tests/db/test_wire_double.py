"""Documented messages of CockroachDB, replayed by a test double to the real driver through our session and retry loop.

Texts: ``src/current/v26.2`` of cockroachdb/docs, transaction-retry-error-reference.md and common-errors.md; of
cockroachdb/cockroach the logic test ``txn``, ``pkg/sql/pgwire/server.go`` and ``pkg/server/license``.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg
import pytest
from tests_support import HANG_S

from bench.cli.frame import _show_unforeseen
from bench.db.admin import admin_catalogue
from bench.db.bulk import copy_block, prepare_session
from bench.db.catalogue import Catalogue
from bench.db.connection import connect, open_or_explain
from bench.db.dialects import Cockroach, Postgres, dialect_of
from bench.db.observe import CounterReader
from bench.db.retry import Body, Done, Retrier, RetryPolicy, Transaction
from bench.db.session import Effects, Session
from bench.errors import BenchError, ExitCode, TargetError
from bench.metrics.frame import COMMIT_UNKNOWN, LOST_CONNECTION
from tests.db.wire_double import Answer, Refusal, Reply, Silence, WireDouble

VERSION = "CockroachDB CCL v26.2.1 (x86_64-pc-linux-gnu, built 2026/05/04 14:31:02, go1.25.5)"
HERE = {"crdb_version": VERSION}

RESTART = "restart transaction: TransactionRetryWithProtoRefreshError: "
META = "meta={id=07d42834 key=/Table/106/1/918951292305211393/0 iso=Serializable pri=0.01253025 epo=0 ts=1700512229.37 seq=2}"
SEE = "See: https://www.cockroachlabs.com/docs/v26.2/transaction-retry-error-reference.html"
ABORTS = (
    "ABORT_REASON_ABORTED_RECORD_FOUND",
    "ABORT_REASON_CLIENT_REJECT",
    "ABORT_REASON_PUSHER_ABORTED",
    "ABORT_REASON_ABORT_SPAN",
    "ABORT_REASON_NEW_LEASE_PREVENTS_TXN",
    "ABORT_REASON_TIMESTAMP_CACHE_REJECTED",
)
RESTARTS = {
    "RETRY_WRITE_TOO_OLD": RESTART
    + f'TransactionRetryError: retry txn (RETRY_WRITE_TOO_OLD - WriteTooOld flag converted): "sql txn" {META}',
    "RETRY_SERIALIZABLE": RESTART
    + "TransactionRetryError: retry txn (RETRY_SERIALIZABLE  - failed preemptive refresh due to conflicting locks on "
    f'/Table/106/1/918951292305080321/0 [reason=wait_policy] - conflicting txn: {META}): "sql txn" {META} lock=true',
    "RETRY_ASYNC_WRITE_FAILURE": RESTART
    + f"TransactionRetryError: retry txn (RETRY_ASYNC_WRITE_FAILURE - missing intent on: /Table/106/1/1/0): {META}",
    "READ_WITHIN_UNCERTAINTY": RESTART
    + "ReadWithinUncertaintyIntervalError: read at time 1591009232.376925064,0 encountered previous write with future "
    "timestamp 1591009232.493830170,0 within uncertainty interval `t <= 1591009232.587671686,0`; observed timestamps: "
    f"[{{1 1591009232.587671686,0}} {{5 1591009232.376925064,0}}] {META}",
    "EXCLUSION_VIOLATION": RESTART
    + f"ExclusionViolationError: write exclusion on key /Table/106/1/1/0 expected since 1.0 but written at 2.0: {META}",
    "RETRY_COMMIT_DEADLINE_EXCEEDED": RESTART + f"TransactionRetryError: transaction deadline exceeded by 5s {META}",
    **{abort: RESTART + f'TransactionAbortedError({abort}): "sql txn" {META}' for abort in ABORTS},
    "READ_COMMITTED_RETRY_LIMIT": "restart transaction: read committed retry limit exceeded; set by "
    f"max_retries_for_read_committed=100: TransactionRetryWithProtoRefreshError: WriteTooOldError: write for key {META}",
}

SQL = """
-- name: read
-- params: id bigint
SELECT units FROM stock WHERE id = %(id)s

-- name: take
-- params: id bigint
UPDATE stock SET units = units - 1 WHERE id = %(id)s

-- name: find
-- params: id bigint
SELECT number FROM orders WHERE id = %(id)s
"""
READ, TAKE = "SELECT units", "UPDATE"
POLICY = RetryPolicy(max_attempts=4, base_ms=0.1, cap_ms=1, budget_s=HANG_S, reconnect_ms=1)
COMMIT_LOST = Refusal(
    "40003", "result is ambiguous: error=ba: EndTxn(commit) RPC error: grpc: connection reset by peer"
)
DRAINING = Refusal("57P01", "server is shutting down", closes=True)
NOT_ACCEPTING = "server is not accepting clients, try another node"
THROTTLED = Refusal(
    "XXC02",
    "No license installed. The maximum number of concurrently open transactions has been reached.",
    hint="Obtain and install a valid license to continue.",
)
RESTRICTED = Refusal(
    "42501",
    "Access to crdb_internal and system is restricted.",
    hint="These interfaces are unsupported in production. To proceed, set the session variable "
    "allow_unsafe_internals = true (not recommended), or contact Cockroach Labs for a supported alternative.",
)


@dataclass
class Stage:
    """A double, one session to it with its retry loop, and what they report."""

    double: WireDouble
    catalogue: Catalogue
    statements: list[tuple[str, bool]] = field(default_factory=list)
    retries: list[tuple[str, str]] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        self.statements.append((name, ok))

    def attempt(self, started_ns: int, ended_ns: int, ok: bool) -> None:
        pass

    def retry(self, statement: str, reason: str, wasted_ns: int, key: str) -> None:
        self.retries.append((statement, reason))

    def run(self, body: Body, **how: object) -> Done:
        effects = Effects(time.perf_counter_ns, time.sleep)
        session = Session("us-east", lambda: connect(self.double.url()), self.catalogue, self, effects)
        self.sessions.append(session)
        transaction = Transaction(body, **how)  # type: ignore[arg-type]
        return Retrier(session, POLICY, effects, self).run(transaction, Random(1))

    @property
    def sent(self) -> list[str]:
        """The first words of everything that the double was sent."""
        return [text.split()[0] for text in self.double.sent]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    (tmp_path / "s.sql").write_text(SQL)
    with WireDouble(statuses=HERE) as double:
        made = Stage(double, Catalogue.load([tmp_path], "cockroach"))
        yield made
        for session in made.sessions:
            session.drop()


def told(error: BenchError) -> list[str]:
    """The lines that a user reads."""
    return [line for line in (error.message, error.cause, error.hint) if line]


def buy(session: Session) -> str:
    session.execute("read", {"id": 1})
    session.execute("take", {"id": 1})
    return "bought"


def buy_in_one(session: Session) -> str:
    session.batch((("read", {"id": 1}), ("take", {"id": 1})), commit=True)
    return "bought"


ONCE = ["BEGIN", "SELECT", "UPDATE", "COMMIT"]


# -- conflicts


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("at", [READ, TAKE, "COMMIT"])
@pytest.mark.parametrize("reason", RESTARTS)
def test_a_restart_is_repeated_once_on_the_same_connection(stage: Stage, reason: str, at: str, pipelined: bool) -> None:
    stage.double.script = {at: [Refusal("40001", RESTARTS[reason], SEE), Answer()]}
    done = stage.run(buy_in_one if pipelined else buy, pipelined=pipelined)
    assert (done.outcome, done.kind, done.attempts, done.value) == ("ok", "ok", 2, "bought")
    assert stage.retries == [({READ: "read", TAKE: "take"}.get(at, at), reason)]
    place = {READ: 1, TAKE: 2, "COMMIT": 3}[at]
    # What was refused at COMMIT is over: ROLLBACK would be an error there ("there is no transaction in progress").
    undone = [] if at == "COMMIT" else ["ROLLBACK"]
    assert stage.sent == [*ONCE[: place + 1], *undone, *ONCE]
    assert stage.double.connections == 1
    assert ("ROLLBACK", False) not in stage.statements


def test_a_restart_outside_a_transaction_is_repeated(stage: Stage) -> None:
    stage.double.script = {TAKE: [Refusal("40001", RESTARTS["RETRY_WRITE_TOO_OLD"], SEE), Answer()]}
    done = stage.run(lambda session: session.execute("take", {"id": 1}), explicit=False)
    assert (done.kind, done.attempts, stage.sent) == ("ok", 2, ["UPDATE", "UPDATE"])


def test_after_the_last_attempt_the_reason_is_the_outcome(stage: Stage) -> None:
    stage.double.script = {TAKE: [Refusal("40001", RESTARTS["RETRY_SERIALIZABLE"])] * 4}
    done = stage.run(buy)
    assert (done.outcome, done.kind, done.attempts) == ("RETRY_SERIALIZABLE", "failure", 4)
    assert stage.retries == [("take", "RETRY_SERIALIZABLE")] * 4
    assert stage.sent.count("COMMIT") == 0


@pytest.mark.parametrize(
    ("refusal", "outcome", "attempts"),
    [
        (
            Refusal("53200", "root: memory budget exceeded: 10240 bytes requested, 134217728 currently allocated"),
            "ok",
            2,
        ),
        (RESTRICTED, "insufficient_privilege", 1),
        (Refusal("57014", "query execution canceled due to statement timeout"), "query_canceled", 1),
        (Refusal("55P03", "could not obtain lock on row (id)=(1) in stock@stock_pkey"), "lock_not_available", 1),
        (Refusal("XXA00", "transaction committed but schema change aborted with error"), "schema_change_not_atomic", 1),
    ],
    ids=lambda value: getattr(value, "sqlstate", None),
)
def test_what_is_repeated_and_what_is_given_up(stage: Stage, refusal: Refusal, outcome: str, attempts: int) -> None:
    stage.double.script = {TAKE: [refusal, Answer()]}
    done = stage.run(buy)
    assert (done.outcome, done.attempts, stage.double.connections) == (outcome, attempts, 1)


# -- outcomes that nobody knows


@pytest.mark.parametrize("reply", [COMMIT_LOST, Silence(), DRAINING], ids=["40003", "closed", "57P01"])
@pytest.mark.parametrize("pipelined", [False, True])
def test_a_lost_answer_to_commit_is_looked_up_before_anything_else(stage: Stage, reply: Reply, pipelined: bool) -> None:
    stage.double.script = {"COMMIT": [reply, Answer()], "SELECT number": [Answer(("number",), (("7",),))]}
    done = stage.run(
        buy_in_one if pipelined else buy, resolve=lambda s: s.execute("find", {"id": 1})[0][0], pipelined=pipelined
    )
    assert (done.outcome, done.kind, done.attempts, done.value) == ("ok", "ok", 2, "7")
    # Bought once: after the COMMIT only the look-up was sent, on another connection.
    assert stage.sent == [*ONCE, "SELECT"]
    assert stage.double.sent[-1].startswith("SELECT number")
    assert stage.double.connections == 2
    assert [statement for statement, _ in stage.retries] == ["COMMIT"]


@pytest.mark.parametrize("reply", [COMMIT_LOST, Silence(), DRAINING], ids=["40003", "closed", "57P01"])
def test_a_lost_answer_that_cannot_be_looked_up_is_never_repeated(stage: Stage, reply: Reply) -> None:
    stage.double.script = {"COMMIT": [reply, Answer()]}
    done = stage.run(buy)
    assert (done.outcome, done.kind, done.attempts) == (COMMIT_UNKNOWN, "failure", 1)
    assert stage.sent == ONCE


@pytest.mark.parametrize("reply", [COMMIT_LOST, Silence(), DRAINING], ids=["40003", "closed", "57P01"])
def test_the_same_for_a_statement_outside_a_transaction(stage: Stage, reply: Reply) -> None:
    """The documentation: ambiguity is only possible for the last statement of a transaction, or outside one."""
    stage.double.script = {TAKE: [reply, Answer()]}
    done = stage.run(lambda session: session.execute("take", {"id": 1}), explicit=False)
    assert (done.outcome, done.attempts, stage.sent) == (COMMIT_UNKNOWN, 1, ["UPDATE"])
    assert stage.run(lambda session: session.execute("take", {"id": 1}), explicit=False, repeatable=True).kind == "ok"


TIMED_OUT = Refusal("57014", "query execution canceled due to statement timeout")


def test_a_statement_outside_a_transaction_that_ran_out_of_time_may_have_been_committed(stage: Stage) -> None:
    """CockroachDB sends the same whether the commit was done when the time ran out or not."""
    take = lambda session: session.execute("take", {"id": 1})  # noqa: E731
    find = lambda session: session.execute("find", {"id": 1})[0][0]  # noqa: E731
    stage.double.script = {TAKE: [TIMED_OUT, Answer()], "SELECT number": [Answer(("number",), (("7",),))]}
    done = stage.run(take, explicit=False, resolve=find)
    assert (done.outcome, done.kind, done.value) == ("ok", "ok", "7")
    assert stage.sent == ["UPDATE", "SELECT"], "taken once, then looked up"
    stage.double.script[TAKE] = [TIMED_OUT, Answer()]
    done = stage.run(take, explicit=False)
    assert (done.outcome, done.kind, done.attempts) == (COMMIT_UNKNOWN, "failure", 1)
    # What may be done twice is given up, as within BEGIN: its time is what is told of it.
    stage.double.script[TAKE] = [TIMED_OUT, Answer()]
    done = stage.run(take, explicit=False, repeatable=True)
    assert (done.outcome, done.attempts) == ("query_canceled", 1)


# -- nodes that go away


@pytest.mark.parametrize("reply", [DRAINING, Silence()], ids=["57P01", "closed"])
def test_a_node_that_drains_in_the_middle_is_left_and_the_transaction_repeated(stage: Stage, reply: Reply) -> None:
    stage.double.script = {TAKE: [reply, Answer()]}
    done = stage.run(buy)
    assert (done.kind, done.attempts, stage.double.connections) == ("ok", 2, 2)
    assert stage.sent == ["BEGIN", "SELECT", "UPDATE", *ONCE]
    [(statement, reason)] = stage.retries
    assert statement == "take"
    # What a run counts as an interruption of the region.
    assert reason in LOST_CONNECTION


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (Refusal("57P01", NOT_ACCEPTING), "cannot_connect_now"),
        (Refusal("57P03", NOT_ACCEPTING), "cannot_connect_now"),
        (Refusal("53300", "sorry, too many clients already"), "too_many_connections"),
    ],
    ids=lambda value: getattr(value, "sqlstate", None),
)
def test_a_node_that_lets_nobody_in_is_tried_again(stage: Stage, greeting: Refusal, reason: str) -> None:
    stage.double.greetings = [greeting, greeting, None]
    done = stage.run(buy)
    assert (done.kind, done.attempts) == ("ok", 3)
    assert stage.retries == [("CONNECT", reason)] * 2
    assert stage.sent == ONCE


# -- the licence


@pytest.mark.parametrize("at", ["BEGIN", READ, "COMMIT"])
@pytest.mark.parametrize("pipelined", [False, True])
def test_a_throttled_transaction_ends_the_run(stage: Stage, at: str, pipelined: bool) -> None:
    stage.double.script = {at: [THROTTLED] * 9}
    with pytest.raises(TargetError) as caught:
        stage.run(buy_in_one if pipelined else buy, pipelined=pipelined)
    assert told(caught.value) == [
        "the server throttles transactions because it has no licence (XXC02)",
        "No license installed. The maximum number of concurrently open transactions has been reached.",
        "set cluster.organization and enterprise.license, or recreate the test cluster (docs/cluster.md, Licence)",
    ]


# -- who answers


@pytest.mark.parametrize(
    ("status", "version"),
    [
        (VERSION, "v26.2.1"),
        ("CockroachDB CCL v25.2.0 (aarch64-unknown-linux-gnu, built 2025/05/09)", "v25.2.0"),
        ("CockroachDB CCL v26.3.0-alpha.1 (x86_64-pc-linux-gnu)", "v26.3.0"),
        ("CockroachDB CCL v26.3.0-alpha.00000000-dev-1f2e (x86_64)", "v26.3.0"),
    ],
)
def test_the_version_is_that_of_the_status(status: str, version: str) -> None:
    with WireDouble(statuses={"crdb_version": status}) as double, connect(double.url()) as connection:
        assert isinstance(dialect_of(connection), Cockroach)
        assert dialect_of(connection).version(connection) == version


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (
            {"crdb_version": "CockroachDB CCL v25.1.9 (x86_64)"},
            "the server is CockroachDB v25.1.9, too old for this schema",
        ),
        ({"crdb_version": "CockroachDB OSS vNext"}, "cannot tell the server's version from 'CockroachDB OSS vNext'"),
        ({"crdb_version": "v26.x"}, "cannot tell the server's version from 'v26.x'"),
        ({}, "the server is PostgreSQL 13, too old for this schema"),
    ],
)
def test_a_version_that_will_not_do_is_refused(statuses: dict[str, str], said: str) -> None:
    with WireDouble(statuses=statuses) as double, connect(double.url()) as connection:
        dialect = dialect_of(connection)
        assert isinstance(dialect, Cockroach if statuses else Postgres)
        with pytest.raises(TargetError) as caught:
            dialect.version(connection)
    assert told(caught.value)[0] == said
    assert caught.value.hint


def test_a_gateway_says_where_it_is() -> None:
    script: dict[str, list[Reply]] = {"SELECT gateway_region()": [Answer(("gateway_region",), (("eu-west",),))]}
    with WireDouble(script, HERE) as double, connect(double.url()) as connection:
        assert dialect_of(connection).gateway_region(connection) == "eu-west"


def test_a_node_without_a_place_has_no_region() -> None:
    nowhere = Refusal("F0000", "gateway_region(): no region set on the locality flag on this node")
    with WireDouble({"SELECT gateway_region()": [nowhere]}, HERE) as double, connect(double.url()) as connection:
        assert dialect_of(connection).gateway_region(connection) is None
        assert connection.execute("SELECT 1").rowcount == 0, "and the connection goes on"


# -- what people read


@pytest.mark.parametrize(
    "greeting",
    [
        Refusal("57P01", NOT_ACCEPTING),
        Refusal("53300", "sorry, too many clients already", "the maximum number of allowed connections is 500"),
        Refusal("28P01", "password authentication failed for user shop"),
        Refusal("08P01", "node is running secure mode, SSL connection required"),
        Refusal("3D000", 'database "shop" does not exist'),
        Refusal("28000", "user shop does not exist\nwith secret in it"),
    ],
    ids=lambda value: value.sqlstate,
)
def test_a_refused_connection_is_told_in_three_lines_without_the_password(greeting: Refusal) -> None:
    with WireDouble(statuses=HERE, greetings=[greeting]) as double, pytest.raises(BenchError) as caught:
        open_or_explain(double.url("shop:s3cr3t"))
    lines = told(caught.value)
    assert len(lines) <= 3
    assert all("\n" not in line and "s3cr3t" not in line for line in lines)
    assert caught.value.hint


def test_counters_that_may_not_be_read_are_noted_and_the_others_read() -> None:
    prefix = "shopbench/run/"
    index = Answer(("region", "name", "scans"), (("", "106@2", "5"),))
    script: dict[str, list[Reply]] = {
        "SELECT clock_timestamp()": [Answer(("now",), (("2026-05-04 10:00:00+00",),))],
        "SELECT DISTINCT table_id": [Answer(("number", "name"), (("106@2", "orders@by_user"),))],
        "SELECT '' AS region, table_id": [index],
    }
    refused = [
        s for s in admin_catalogue("cockroach").values() if s.name in ("counters_app_statement", "counters_contention")
    ]
    script |= {statement.numbered.split("$")[0]: [RESTRICTED] * 9 for statement in refused}
    with WireDouble(script, HERE) as double:
        reader = CounterReader(double.url(), admin_catalogue("cockroach"), prefix)
        try:
            readings = reader.read()
        finally:
            reader.close()
    assert [(reading.name, reading.value) for reading in readings if reading.kind == "index"] == [
        ("orders@by_user", 5.0)
    ]
    said = [note for note in reader.notes if "restricted" in note]
    assert sorted(said) == [
        f"not allowed to read {statement.name}: Access to crdb_internal and system is restricted."
        for statement in refused
    ]


@pytest.mark.parametrize(
    ("refusal", "hint"),
    [
        (
            THROTTLED,
            "set cluster.organization and enterprise.license, or recreate the test cluster (docs/cluster.md, Licence)",
        ),
        (Refusal("3D000", 'database "shop" does not exist'), "make the database, or name another in the URL"),
        (RESTRICTED, "check the user's privileges, and that the server is up"),
    ],
    ids=lambda value: getattr(value, "sqlstate", ""),
)
def test_a_refusal_outside_the_load_is_told_in_three_lines(
    refusal: Refusal, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the outermost frame of the command line: before and after a run nothing else takes it."""
    clock = admin_catalogue("cockroach")["clock"].sql
    with (
        WireDouble({"SELECT clock": [refusal]}, HERE) as double,
        connect(double.url("shop:s3cr3t")) as connection,
        pytest.raises(psycopg.Error) as caught,
    ):
        connection.execute(clock)
    assert _show_unforeseen(caught.value, debug=False) == ExitCode.TARGET
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: the database refused what bench asked of it"
    assert lines[1].startswith("cause: ")
    assert lines[1].endswith(refusal.message)
    assert lines[2:] == [f"hint: {hint}"]


# -- loading


def test_a_load_sends_text_and_tells_why_it_was_refused() -> None:
    with WireDouble(statuses=HERE) as double, connect(double.url()) as connection:
        prepare_session(connection, "cockroach")
        assert double.sent == ["SET copy_transaction_quality_of_service = 'regular'", "SET statement_timeout = 0"]
        copy_block(connection, "stock", ("id", "units"), b"1\t5\n2\t5\n", "text")
        assert double.sent[2:] == ['COPY "stock" ("id", "units") FROM STDIN', "COPIED"]
        assert double.copied == b"1\t5\n2\t5\n"
        double.script = {"COPIED": [Refusal("40001", RESTARTS["RETRY_WRITE_TOO_OLD"], SEE)]}
        with pytest.raises(psycopg.errors.SerializationFailure):
            copy_block(connection, "stock", ("id", "units"), b"1\t5\n", "text")
