"""The metrics of CockroachDB's nodes that a run keeps, as each node exports them in Prometheus' text.

Names, types and units are those of the documentation's list: cockroachdb/docs, v26.2, ``metrics/metrics.yaml``
(``exported_name``).  They count all that a node does, other clients of it included; the server's own queries have counters
of their own (``…_internal``), which are left out.
"""

from dataclasses import dataclass
from typing import Literal

Topic = Literal["retries", "restarts", "contention", "distance", "waits", "processor"]

NODE = "node"
"""Kind of a counter that a node keeps; its name is the node's."""
HEALTH = "health"
"""Kind of a level that a node reports; it is not counted up, so no difference is taken."""
PROCESSOR = "processor"
"""Kind of what a node says of its CPU when it last looked, every ten seconds or so, and of when that was."""
LEASE, HOME = "lease", "home"
"""Kinds of what is looked at once, at the end: where leaseholders stand, and where rows live."""

USER_NS, SYS_NS, NOW_NS = "sys_cpu_user_ns", "sys_cpu_sys_ns", "sys_cpu_now_ns"
"""CPU time of the server's process, and when it was measured, all three in one look (nanoseconds)."""
USER_CORES, SYS_CORES = "sys_cpu_user_percent", "sys_cpu_sys_percent"
"""Cores' worth of CPU since the look before, one core being 1, whatever the names say."""
OF_CORES = "sys_cpu_combined_percent_normalized"
"""The two together as a share of all cores that the process may use (0 to 1)."""
CPU_LEVELS = (NOW_NS, USER_CORES, SYS_CORES, OF_CORES)


@dataclass(frozen=True, slots=True)
class NodeMetric:
    """One cumulative metric: what it says in a few words, and by what it is divided to be shown in ``unit``."""

    name: str
    topic: Topic
    says: str
    unit: Literal["", "s", "MiB"] = ""

    @property
    def divisor(self) -> float:
        """By what the exported value (nanoseconds, bytes, a count) is divided."""
        return {"": 1.0, "s": 1e9, "MiB": float(2**20)}[self.unit]


COUNTERS = (
    NodeMetric("sql_txn_auto_retry_count", "retries", "transactions retried by the server"),
    NodeMetric("sql_statements_auto_retry_count", "retries", "statements retried by the server"),
    NodeMetric("sql_txn_upgraded_iso_level_count", "retries", "transactions given a stricter isolation than asked"),
    NodeMetric("txn_restarts_serializable", "restarts", "pushed timestamp under SERIALIZABLE"),
    NodeMetric("txn_restarts_writetooold", "restarts", "a concurrent writer committed first"),
    NodeMetric("txn_restarts_readwithinuncertainty", "restarts", "a new value within the clocks' uncertainty"),
    NodeMetric("txn_restarts_txnaborted", "restarts", "aborted by another transaction (usually a deadlock)"),
    NodeMetric("txn_restarts_txnpush", "restarts", "a push failed"),
    NodeMetric("txn_restarts_asyncwritefailure", "restarts", "a pipelined write failed"),
    NodeMetric("txn_restarts_commitdeadlineexceeded", "restarts", "deadline of a schema lease passed"),
    NodeMetric("txn_restarts_exclusionviolation", "restarts", "an exclusion was violated"),
    NodeMetric("txn_restarts_unknown", "restarts", "other reasons"),
    NodeMetric("sql_txn_contended_count", "contention", "transactions that met contention"),
    NodeMetric("sql_distsql_cumulative_contention_nanos", "contention", "time in contention", "s"),
    NodeMetric("txnwaitqueue_deadlocks_total", "contention", "deadlocks"),
    NodeMetric("distsender_batch_requests_cross_region_bytes", "distance", "requests sent to other regions", "MiB"),
    NodeMetric("distsender_batch_responses_cross_region_bytes", "distance", "answers from other regions", "MiB"),
    NodeMetric("raft_sent_cross_region_bytes", "distance", "replication sent to other regions", "MiB"),
    NodeMetric("follower_reads_success_count", "distance", "reads that a follower answered"),
    NodeMetric("leases_transfers_success", "distance", "leases moved"),
    NodeMetric("admission_wait_durations_kv_sum", "waits", "admission: waited for CPU", "s"),
    NodeMetric("admission_wait_durations_kv_stores_sum", "waits", "admission: waited for the disk", "s"),
    NodeMetric("admission_wait_durations_sql_kv_response_sum", "waits", "admission: waited with answers of KV", "s"),
    NodeMetric(USER_NS, "processor", "CPU of the server's process, user", "s"),
    NodeMetric(SYS_NS, "processor", "CPU of the server's process, system", "s"),
)
"""In the order in which they are shown."""

UNDERREPLICATED, UNAVAILABLE = "ranges_underreplicated", "ranges_unavailable"
LEVELS = (UNDERREPLICATED, UNAVAILABLE)
"""Ranges with fewer live replicas than they are to have, and than a quorum needs."""

AUTO_RETRIES = frozenset({"sql_txn_auto_retry_count", "sql_statements_auto_retry_count"})
RESTARTS = frozenset(metric.name for metric in COUNTERS if metric.topic == "restarts")
