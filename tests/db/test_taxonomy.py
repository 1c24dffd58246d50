"""Refusals are counted under the server's own words; the shapes of messages are those of its documentation and sources."""

import pytest

from bench.db.taxonomy import classify

RESTART = "restart transaction: TransactionRetryWithProtoRefreshError: "
PUSHED = (
    "TransactionRetryError: retry txn (RETRY_SERIALIZABLE - failed preemptive refresh due to conflicting locks on "
    '/Table/106/1/"us-east" [reason=wait_policy] - conflicting txn: meta={id=7c2b1f9a key=/Table/106/1 '
    'iso=Serializable pri=0.01 epo=0 ts=1.0 min=1.0 seq=1}): "sql txn" meta={id=9}'
)
HINT = (
    "\nHINT:  See: https://www.cockroachlabs.com/docs/v26.2/transaction-retry-error-reference.html#retry_serializable"
)
ABORTS = ("ABORTED_RECORD_FOUND", "CLIENT_REJECT", "PUSHER_ABORTED", "ABORT_SPAN", "NEW_LEASE_PREVENTS_TXN")
ABORTS += ("TIMESTAMP_CACHE_REJECTED",)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (RESTART + PUSHED + HINT, "RETRY_SERIALIZABLE"),
        (
            RESTART + "TransactionRetryError: retry txn (RETRY_WRITE_TOO_OLD - WriteTooOld flag converted): x",
            "RETRY_WRITE_TOO_OLD",
        ),
        (
            RESTART + "WriteTooOldError: write for key /Table/106/1/1/0 at timestamp 1.0 too old; must write at 2.0",
            "RETRY_WRITE_TOO_OLD",
        ),
        (
            RESTART + "TransactionRetryError: retry txn (RETRY_ASYNC_WRITE_FAILURE - missing intent on: /Table/1): x",
            "RETRY_ASYNC_WRITE_FAILURE",
        ),
        (
            RESTART + "ReadWithinUncertaintyIntervalError: read at time 1.0 encountered previous write with future "
            "timestamp 2.0 within uncertainty interval `t <= (local=3.0, global=4.0)`",
            "READ_WITHIN_UNCERTAINTY",
        ),
        (
            RESTART + "TransactionRetryError: retry txn (RETRY_COMMIT_DEADLINE_EXCEEDED - txn timestamp pushed too "
            "much; deadline exceeded by 5s)",
            "RETRY_COMMIT_DEADLINE_EXCEEDED",
        ),
        (RESTART + "transaction deadline exceeded", "RETRY_COMMIT_DEADLINE_EXCEEDED"),
        *(
            (
                RESTART + f'TransactionAbortedError(ABORT_REASON_{abort}): "sql txn" meta={{id=1}}',
                f"ABORT_REASON_{abort}",
            )
            for abort in ABORTS
        ),
        (
            "restart transaction: read committed retry limit exceeded; set by max_retries_for_read_committed=100: "
            "TransactionRetryWithProtoRefreshError: WriteTooOldError: write for key /Table/106/1/1/0",
            "READ_COMMITTED_RETRY_LIMIT",
        ),
        (RESTART + "injected by `inject_retry_errors_enabled` session variable", "INJECTED"),
        (RESTART + "forced by crdb_internal.force_retry()", "INJECTED"),
        (
            RESTART + 'WriteTooOldError: write for key /Table/106/1/"ABORT_REASON_PUSHER_ABORTED"/0 too old',
            "RETRY_WRITE_TOO_OLD",
        ),
        (RESTART + "cannot rollback to savepoint after a transaction restart", "serialization_failure"),
        ("could not serialize access due to concurrent update", "concurrent_update"),
        ("could not serialize access due to concurrent delete", "concurrent_update"),
        (
            "could not serialize access due to read/write dependencies among transactions\n"
            "DETAIL:  Reason code: Canceled on identification as a pivot, during commit attempt.",
            "read_write_dependencies",
        ),
    ],
)
@pytest.mark.parametrize("at_commit", [False, True])
def test_every_kind_of_restart_is_retried_under_its_own_name(message: str, reason: str, at_commit: bool) -> None:
    refusal = classify("40001", message, at_commit=at_commit)
    assert (refusal.reason, refusal.action) == (reason, "retry")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("FATAL:  sorry, too many clients already", "too_many_connections"),
        ('FATAL:  too many connections for role "shop"', "too_many_connections"),
        ('FATAL:  too many connections for database "shop"', "too_many_connections"),
        (
            "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "too_many_connections",
        ),
        ("FATAL:  the database system is starting up", "cannot_connect_now"),
        ("FATAL:  the database system is shutting down", "cannot_connect_now"),
        ("FATAL:  the database system is not yet accepting connections", "cannot_connect_now"),
        ("FATAL:  the database system is in recovery mode", "cannot_connect_now"),
        ("ERROR:  server is not accepting clients, try another node", "cannot_connect_now"),
        ("connection is bad: Connection refused", "connection_lost"),
    ],
)
def test_a_connection_that_is_refused_has_words_only(message: str, reason: str) -> None:
    refusal = classify(
        None, f'connection failed: connection to server at "127.0.0.1", port 1 failed: {message}', at_commit=False
    )
    assert (refusal.reason, refusal.action) == (reason, "reconnect")


@pytest.mark.parametrize(
    ("sqlstate", "message", "at_commit", "reason", "action"),
    [
        ("40P01", "deadlock detected", False, "deadlock_detected", "retry"),
        ("40003", "result is ambiguous: error=rpc error", False, "statement_completion_unknown", "ambiguous"),
        ("40003", "result is ambiguous", True, "statement_completion_unknown", "ambiguous"),
        ("57014", "canceling statement due to statement timeout", False, "query_canceled", "fail"),
        ("57014", "query execution canceled due to statement timeout", True, "query_canceled", "ambiguous"),
        ("57P01", "terminating connection due to administrator command", False, "admin_shutdown", "reconnect"),
        ("57P01", "terminating connection due to administrator command", True, "admin_shutdown", "ambiguous"),
        ("57P01", "server is shutting down", False, "admin_shutdown", "reconnect"),
        ("57P01", "server is shutting down", True, "admin_shutdown", "ambiguous"),
        ("57P01", "server is not accepting clients, try another node", False, "cannot_connect_now", "reconnect"),
        ("57P03", "server is not accepting clients, try another node", False, "cannot_connect_now", "reconnect"),
        ("53300", "sorry, too many clients already", False, "too_many_connections", "reconnect"),
        ("53200", "root: memory budget exceeded: 10240 bytes requested", False, "out_of_memory", "retry"),
        ("55P03", "could not obtain lock on row (k)=(1) in t@t_pkey", False, "lock_not_available", "fail"),
        ("55P03", "canceling statement due to lock timeout", False, "lock_not_available", "fail"),
        ("25P02", "current transaction is aborted, commands ignored", False, "in_failed_sql_transaction", "fail"),
        ("42501", "Access to crdb_internal and system is restricted.", False, "insufficient_privilege", "fail"),
        ("XXA00", "transaction committed but schema change aborted", False, "schema_change_not_atomic", "fail"),
        ("08006", "connection failure", False, "connection_lost", "reconnect"),
        (None, "server closed the connection unexpectedly", True, "connection_lost", "ambiguous"),
        ("XXC02", "No license installed.", False, "license_throttled", "invalidate"),
        ("22003", "numeric field overflow", False, "sqlstate_22003", "fail"),
    ],
)
def test_reason_and_action(sqlstate: str | None, message: str, at_commit: bool, reason: str, action: str) -> None:
    refusal = classify(sqlstate, message, at_commit=at_commit)
    assert (refusal.reason, refusal.action) == (reason, action)
