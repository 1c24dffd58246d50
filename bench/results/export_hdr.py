"""Writing response and service times as HdrHistogram logs (V2, compressed), one file a region, transaction and kind.

The format is that of HdrHistogram's own ``HistogramLogWriter``: base time, legend, then start and length of an interval in
seconds, its maximum in milliseconds, and the histogram of nanoseconds as zlib-compressed base64.
"""

import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from bench.errors import UsageError
from bench.metrics.histogram import Histogram, bucket_middles
from bench.results.export_columns import damaged
from bench.results.read import Run
from bench.stats.merge import SESSION_PREFIX

Show = Callable[[str], None]
Label = tuple[str, str, bool, str]
"""Region, name, whether it was given up on, and ``response`` or ``service``."""

DIGITS = 3
LONGEST_NS = 7 * 24 * 3600 * 10**9
"""Highest value that a histogram takes: a week."""
_BUFFERED = 4_000
"""Lines in memory before files are appended to: hundreds of them need not be open at once."""


def write_logs(run: Run, folder: Path, show: Show) -> dict[str, int]:
    """Write the logs; return the intervals of each file by name.  What was given up on is in files of its own.

    Raises UsageError when the store is damaged or a time is longer than a week, OSError when the folder cannot be written.
    """
    spans = _spans(run)
    began_unix_s = next((unix_s - elapsed_s for elapsed_s, unix_s in run.rows(_FIRST)), 0.0)
    logs = _Logs(run, folder, began_unix_s)
    for frame, cells in _frames(run):
        if frame not in spans:
            raise damaged(run, "transactions", ValueError(f"frame {frame} is not in table frames"))
        for label, times in cells.items():
            logs.add(label, *spans[frame], times)
        show(f"{len(logs.intervals)} logs, {spans[frame][1]:,.0f} of {run.last_s:,.0f} s")
    logs.flush()
    return logs.intervals


_FIRST = "SELECT elapsed_s, unix_s FROM frames ORDER BY frame LIMIT 1"


def _spans(run: Run) -> dict[int, tuple[float, float]]:
    spans, before = {}, 0.0
    for frame, elapsed_s in run.rows("SELECT frame, elapsed_s FROM frames ORDER BY frame"):
        spans[frame] = before, elapsed_s
        before = elapsed_s
    return spans


def _frames(run: Run) -> Iterator[tuple[int, dict[Label, Histogram]]]:
    """Yield the times of each frame by label, those of several workers and outcomes pooled."""
    query = "SELECT frame, region, name, kind, response, service FROM transactions ORDER BY frame"
    for frame, rows in groupby(run.rows(query), itemgetter(0)):
        parts: defaultdict[Label, list[Histogram]] = defaultdict(list)
        for _, region, name, kind, *packed in rows:
            for which, blob in zip(("response", "service"), packed, strict=True):
                try:
                    parts[region, name, kind == "failure", which].append(Histogram.from_bytes(blob))
                except (ValueError, TypeError) as error:
                    raise damaged(run, "transactions", error) from None
        yield frame, {label: Histogram.merge(found) for label, found in parts.items()}


class _Logs:
    def __init__(self, run: Run, folder: Path, began_unix_s: float) -> None:
        self.run, self.folder, self.began_unix_s = run, folder, began_unix_s
        self.intervals: dict[str, int] = {}
        self._lines: defaultdict[str, list[str]] = defaultdict(list)
        self._buffered = 0
        self._new: Any = importlib.import_module("hdrh.histogram").HdrHistogram

    def add(self, label: Label, from_s: float, to_s: float, times: Histogram) -> None:
        name = log_name(*label)
        if name not in self.intervals:
            self.intervals[name] = 0
            self._lines[name] += self._head(label)
        payload = self._encode(times)
        self._lines[name].append(f"{from_s:.3f},{to_s - from_s:.3f},{times.max_ns / 1e6:.3f},{payload}\n")
        self.intervals[name] += 1
        self._buffered += 1
        if self._buffered >= _BUFFERED:
            self.flush()

    def flush(self) -> None:
        for name, lines in self._lines.items():
            with (self.folder / name).open("a", encoding="ascii", newline="") as file:
                file.writelines(lines)
        self._lines.clear()
        self._buffered = 0

    def _head(self, label: Label) -> Iterator[str]:
        region, name, failed, which = label
        of = f"{'given up' if failed else 'answered'}, region {quote(region, safe=' ')}, {quote(name, safe=' :')}"
        yield f"#[shopbench {quote(self.run.manifest.run_id)}: {which} time in ns, {of}]\n"
        yield "#[Histogram log format version 1.3]\n"
        yield f"#[StartTime: {self.began_unix_s:.3f} (seconds since epoch), {self.run.manifest.created_utc}]\n"
        yield f"#[BaseTime: {self.began_unix_s:.3f} (seconds since epoch)]\n"
        yield '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'

    def _encode(self, times: Histogram) -> str:
        """Record the middle of each bucket: within 0.05 % of the value, before HdrHistogram keeps three digits of it."""
        log = self._new(1, LONGEST_NS, DIGITS)
        middles = (
            bucket_middles(times.indices).clip(max(0, times.min_ns), max(0, times.max_ns)).round().astype(np.int64)
        )
        for value, count in zip(middles.tolist(), times.counts.tolist(), strict=True):
            if not log.record_value(value, count):
                raise UsageError(
                    f"a time of {value / 1e9:,.0f} s in '{self.run.path}' is longer than these logs can hold",
                    hint="export it with --format csv",
                )
        return str(log.encode(), "ascii")


def log_name(region: str, name: str, failed: bool, which: str) -> str:
    """Return the name of a log; the dots are ours, so two labels never share one.

    >>> log_name("us-east", "checkout", False, "response")
    'us-east.checkout.response.hlog'
    >>> log_name("eu-west", "session:buy", True, "service")
    'eu-west.session.buy.service.failed.hlog'
    """
    kind = ("session", name.removeprefix(SESSION_PREFIX)) if name.startswith(SESSION_PREFIX) else (name,)
    parts = [quote(part, safe="").replace(".", "%2E") for part in (region, *kind)]
    return ".".join([*parts, which, *(["failed"] if failed else []), "hlog"])
