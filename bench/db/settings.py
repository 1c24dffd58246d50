"""The settings that a run on CockroachDB was made under, for its manifest: runs with others are not compared.

PostgreSQL's are read by ``Admin.settings``.  bench sets the time zone, the search path, the statement timeout and, where
asked, the isolation level; all others are the server's, the role's, or the URL's (``options=-c name=value``), and recorded.
"""

from collections.abc import Collection
from contextlib import suppress

import psycopg

from bench.db.admin import Admin
from bench.db.connection import Connection
from bench.db.ddl import Dialect

SESSION_SETTINGS = frozenset(
    {
        "autocommit_before_ddl",
        "buffered_writes_implicit_txns_enabled",
        "default_transaction_isolation",
        "default_transaction_priority",
        "default_transaction_quality_of_service",
        "default_transaction_use_follower_reads",
        "disallow_full_table_scans",
        "distsql",
        "enable_durable_locking_for_serializable",
        "enable_implicit_fk_locking_for_serializable",
        "enable_implicit_select_for_update",
        "enable_shared_locking_for_serializable",
        "enforce_home_region",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "kv_transaction_buffered_writes_enabled",
        "large_full_scan_rows",
        "lock_timeout",
        "null_ordered_last",
        "optimizer_use_not_visible_indexes",
        "plan_cache_mode",
        "reorder_joins_limit",
        "results_buffer_size",
        "statement_timeout",
        "transaction_timeout",
        "vectorize",
    }
)
"""Session variables that decide how statements run (docs v26.2, session-variables; buffered writes: transaction-layer)."""

CLUSTER_SETTINGS = frozenset(
    {
        "kv.closed_timestamp.target_duration",
        "kv.transaction.max_refresh_spans_bytes",
        "kv.transaction.write_buffering.enabled",
        "sql.stats.automatic_collection.enabled",
        "sql.txn.read_committed_isolation.enabled",
        "sql.txn.repeatable_read_isolation.enabled",
    }
)
UNREADABLE = "not readable"


def session_settings(connection: Connection, dialect: Dialect) -> dict[str, str]:
    """Return what is in force in a session of the load; empty where ``Admin.settings`` has it."""
    return _found(Admin.of(connection, dialect), "session_settings", SESSION_SETTINGS)


def cluster_settings(connection: Connection, dialect: Dialect) -> dict[str, str]:
    """Return the cluster's settings; where the user may not see them, one entry that says so."""
    return _found(Admin.of(connection, dialect), "cluster_settings", CLUSTER_SETTINGS)


def _found(admin: Admin, statement: str, wanted: Collection[str]) -> dict[str, str]:
    if statement not in admin.catalogue:
        return {}
    with suppress(psycopg.Error):
        return {str(name): str(value) for name, value, *_ in admin.read(statement) if name in wanted}
    return {statement: UNREADABLE}
