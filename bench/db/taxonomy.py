"""What a server's refusal means: SQLSTATE and message → reason and action.  Pure; knows no driver.

CockroachDB reports every retryable conflict as 40001 and says which kind in the message ([D:transaction-retry-error-
reference]); what is ambiguous is in [D:common-errors].  PostgreSQL says it by SQLSTATE.  Reasons are the server's own words,
so that they can be looked up.
"""

import re
from dataclasses import dataclass
from typing import Literal

Action = Literal["retry", "reconnect", "ambiguous", "fail", "invalidate"]
"""``retry`` the whole transaction; ``reconnect`` and retry; ``ambiguous``: the commit may have happened, look before
anything else; ``fail``: give up; ``invalidate``: the measurement itself is spoilt."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason of an attempt's end, as reports count it, and what to do about it."""

    reason: str
    action: Action


# Keys of the rows follow in the message, and may hold anything: the first word counts.
_COCKROACH_REASON = re.compile(
    r"ABORT_REASON_[A-Z_]+|RETRY_[A-Z_]+|ReadWithinUncertaintyIntervalError|WriteTooOldError"
    r"|ExclusionViolationError|write exclusion on key"
    r"|transaction deadline exceeded|read committed retry limit exceeded|injected|force_retry"
)
_COCKROACH_WORDS = {
    "ReadWithinUncertaintyIntervalError": "READ_WITHIN_UNCERTAINTY",
    "WriteTooOldError": "RETRY_WRITE_TOO_OLD",
    # Locks that were lost and written over meanwhile; metric txn.restarts.exclusionviolation.
    "ExclusionViolationError": "EXCLUSION_VIOLATION",
    "write exclusion on key": "EXCLUSION_VIOLATION",
    "transaction deadline exceeded": "RETRY_COMMIT_DEADLINE_EXCEEDED",
    "read committed retry limit exceeded": "READ_COMMITTED_RETRY_LIMIT",
    "injected": "INJECTED",
    "force_retry": "INJECTED",
}

_BY_STATE: dict[str, Refusal] = {
    "40P01": Refusal("deadlock_detected", "retry"),
    "40003": Refusal("statement_completion_unknown", "ambiguous"),
    "53300": Refusal("too_many_connections", "reconnect"),
    "53200": Refusal("out_of_memory", "retry"),
    "55P03": Refusal("lock_not_available", "fail"),
    "57014": Refusal("query_canceled", "fail"),
    "57P01": Refusal("admin_shutdown", "reconnect"),
    "57P02": Refusal("crash_shutdown", "reconnect"),
    "57P03": Refusal("cannot_connect_now", "reconnect"),
    "25P03": Refusal("idle_in_transaction_timeout", "reconnect"),
    "23505": Refusal("unique_violation", "fail"),
    "23503": Refusal("foreign_key_violation", "fail"),
    "23514": Refusal("check_violation", "fail"),
    "42501": Refusal("insufficient_privilege", "fail"),
    # A body went on after a statement had failed: ours to mend, nothing to repeat.
    "25P02": Refusal("in_failed_sql_transaction", "fail"),
    # CockroachDB: the transaction was committed, a schema change in it was not ([D:online-schema-changes]).
    "XXA00": Refusal("schema_change_not_atomic", "fail"),
    # CockroachDB without a licence: five transactions at a time ([SRC:pkg/server/license/enforcer.go]), so every
    # figure would be of the throttle.
    "XXC02": Refusal("license_throttled", "invalidate"),
}

# A server that refuses a connection says why in words alone: libpq has no SQLSTATE of a connection that never was.
_AT_CONNECT = (
    (re.compile(r"too many clients already|too many connections for|connection slots are reserved"), "53300"),
    (re.compile(r"database system is (?:starting up|shutting down|not yet accepting|in recovery mode)"), "57P03"),
    (re.compile(r"server is not accepting clients"), "57P03"),
)


def classify(sqlstate: str | None, message: str, *, at_commit: bool) -> Refusal:
    """Return what a refusal means; ``at_commit`` says that COMMIT had been sent and not answered.

    >>> classify("40P01", "deadlock detected", at_commit=False)
    Refusal(reason='deadlock_detected', action='retry')
    >>> classify(None, "server closed the connection unexpectedly", at_commit=True).action
    'ambiguous'
    """
    if sqlstate == "40001":
        return Refusal(_serialization_reason(message), "retry")
    if sqlstate in (None, "57P01"):
        # CockroachDB's draining nodes refuse new connections with 57P01, too ([SRC:pkg/sql/pgwire/server.go]); nothing was
        # begun on them.
        sqlstate = next((state for words, state in _AT_CONNECT if words.search(message)), sqlstate)
    known = _BY_STATE.get(sqlstate or "")
    lost = sqlstate is None or sqlstate.startswith("08")
    refusal = known or Refusal("connection_lost" if lost else f"sqlstate_{sqlstate}", "reconnect" if lost else "fail")
    # A COMMIT that is cancelled may have been done: the server sends the same for one that was only waiting to say so.
    if at_commit and (refusal.action == "reconnect" or sqlstate == "57014"):
        return Refusal(refusal.reason, "ambiguous")
    return refusal


def _serialization_reason(message: str) -> str:
    found = _COCKROACH_REASON.search(message)
    if found:
        word = found.group()
        return _COCKROACH_WORDS.get(word, word)
    if "concurrent" in message:
        return "concurrent_update"
    if "read/write dependencies" in message:
        return "read_write_dependencies"
    return "serialization_failure"
