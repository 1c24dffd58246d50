"""Refusals are counted under the server's own words."""

import pytest

from bench.db.taxonomy import classify

RESTART = "restart transaction: TransactionRetryWithProtoRefreshError: "


@pytest.mark.parametrize(
    ("sqlstate", "message", "at_commit", "reason", "action"),
    [
        ("40001", "could not serialize access due to concurrent update", False, "concurrent_update", "retry"),
        (
            "40001",
            "could not serialize access due to read/write dependencies among transactions",
            True,
            "read_write_dependencies",
            "retry",
        ),
        ("40001", RESTART + "WriteTooOldError: (RETRY_WRITE_TOO_OLD)", False, "RETRY_WRITE_TOO_OLD", "retry"),
        (
            "40001",
            RESTART + "TransactionAbortedError(ABORT_REASON_PUSHER_ABORTED): id=1",
            True,
            "ABORT_REASON_PUSHER_ABORTED",
            "retry",
        ),
        ("40001", RESTART + "ReadWithinUncertaintyIntervalError: read at", False, "READ_WITHIN_UNCERTAINTY", "retry"),
        (
            "40001",
            "restart transaction: read committed retry limit exceeded; set by max_retries_for_read_committed=100",
            False,
            "READ_COMMITTED_RETRY_LIMIT",
            "retry",
        ),
        ("40P01", "deadlock detected", False, "deadlock_detected", "retry"),
        ("40003", "result is ambiguous", True, "statement_completion_unknown", "ambiguous"),
        ("57014", "canceling statement due to statement timeout", False, "query_canceled", "fail"),
        ("57P01", "terminating connection", False, "admin_shutdown", "reconnect"),
        ("57P01", "terminating connection", True, "admin_shutdown", "ambiguous"),
        ("08006", "connection failure", False, "connection_lost", "reconnect"),
        (None, "server closed the connection unexpectedly", True, "connection_lost", "ambiguous"),
        ("XXC02", "No license installed.", False, "license_throttled", "invalidate"),
        ("22003", "numeric field overflow", False, "sqlstate_22003", "fail"),
    ],
)
def test_reason_and_action(sqlstate: str | None, message: str, at_commit: bool, reason: str, action: str) -> None:
    refusal = classify(sqlstate, message, at_commit=at_commit)
    assert (refusal.reason, refusal.action) == (reason, action)
