"""Locust's own statistics, filled from our frames, for its web page and its CSV; the run store keeps the figures.

Locust rounds response times to two digits and keeps no intended start, so nothing of ours is computed from them.
"""

from typing import Any

import numpy as np

from bench.load import locust
from bench.metrics.frame import Frame, TransactionCell
from bench.metrics.histogram import Histogram
from bench.units import NS_PER_MS

_SESSION = "session:"


def feed(stats: "locust.stats.RequestStats", frame: Frame) -> None:
    """Add a frame's transactions to Locust's statistics: by name, the region in the place of the method."""
    for cell in frame.transactions:
        if not cell.name.startswith(_SESSION):
            entry = _entry(stats, cell, frame.unix_s)
            stats.get(cell.name, cell.region).extend(entry)
            stats.total.extend(entry)
            if cell.kind == "failure":
                _failures(stats, cell)


def _entry(stats: Any, cell: TransactionCell, unix_s: float) -> Any:
    second, failures = int(unix_s), cell.count if cell.kind == "failure" else 0
    entry: Any = locust.stats.StatsEntry(stats, cell.name, cell.region)
    entry.start_time = entry.last_request_timestamp = unix_s
    entry.num_requests, entry.num_failures = cell.count, failures
    entry.num_reqs_per_sec = {second: cell.count}
    entry.num_fail_per_sec = {second: failures} if failures else {}
    entry.total_response_time = cell.response.sum_ns / NS_PER_MS
    entry.min_response_time = cell.response.min_ns / NS_PER_MS
    entry.max_response_time = cell.response.max_ns / NS_PER_MS
    entry.response_times = _rounded(cell.response)
    return entry


def _rounded(times: Histogram) -> dict[int, int]:
    values_ms, shares = times.cumulative()
    counts = np.diff(np.rint(shares * times.count).astype(np.int64), prepend=0)
    rounded: dict[int, int] = {}
    for value_ms, count in zip(values_ms.tolist(), counts.tolist()):
        key = locust.stats.bucket_response_time(value_ms)
        rounded[key] = rounded.get(key, 0) + count
    return rounded


def _failures(stats: Any, cell: TransactionCell) -> None:
    key = locust.stats.StatsError.create_key(cell.region, cell.name, cell.outcome)
    error = stats.errors.setdefault(key, locust.stats.StatsError(cell.region, cell.name, cell.outcome))
    error.occurrences += cell.count
