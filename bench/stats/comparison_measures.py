"""What a comparison compares: the figures of one run, each with its own uncertainty.  Pure."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from bench.metrics.histogram import Histogram

Group = Literal["transaction", "statement", "server"]

MIN_COUNT = 30
"""A figure of fewer samples than this is not compared."""
_KEPT = 0.25


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of figure, and how it behaves from run to run.

    ``floor`` is how much two runs of the same thing differ beyond what their own samples say (relative standard deviation of
    one run; docs/gate.md has how it was measured).  ``scale`` is how much of the tolerance that is asked for this figure is
    given: a third more time is a slower statement, a third fewer commits is an outage.
    """

    label: str
    floor: float
    is_time: bool = False
    more_is_better: bool = False
    is_judged: bool = False
    scale: float = 1.0


METRICS: dict[str, Metric] = {
    "goodput_per_s": Metric("commits/s", 0.02, more_is_better=True, is_judged=True, scale=0.5),
    "answered_share": Metric("answered", 0.002, more_is_better=True, is_judged=True, scale=0.1),
    "attempts_per_commit": Metric("attempts/commit", 0.02, is_judged=True, scale=0.5),
    "response_p50_ms": Metric("response p50", 0.04, is_time=True),
    "response_p95_ms": Metric("response p95", 0.08, is_time=True),
    "response_p99_ms": Metric("response p99", 0.15, is_time=True),
    "service_p50_ms": Metric("service p50", 0.03, is_time=True),
    "service_p99_ms": Metric("service p99", 0.15, is_time=True),
    "calls": Metric("calls/transaction", 0.02, is_judged=True),
    "quick_ms": Metric("quick", 0.02, is_time=True, is_judged=True),
    "mean_ms": Metric("mean", 0.06, is_time=True),
    "p50_ms": Metric("p50", 0.04, is_time=True),
    "p95_ms": Metric("p95", 0.08, is_time=True),
    "exec_ms": Metric("server time/call", 0.40, is_time=True),
    "blocks": Metric("blocks/call", 0.03, is_judged=True),
    "rows": Metric("rows/call", 0.03),
    "wal_bytes": Metric("WAL/call", 0.10),
}
"""By name, in the order in which they are shown."""


class Key(NamedTuple):
    """Whose figure: ``region`` None is all of them, ``name`` of a statement is ``transaction/statement``."""

    group: Group
    name: str
    region: str | None
    metric: str


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of one run; ``error`` is the standard error of its logarithm that its own samples give, ``count`` they."""

    value: float
    error: float
    count: int


Measures = dict[Key, Measure]


def percentile_measure(times: Histogram, percent: float) -> Measure | None:
    """Return a percentile (ms); None with fewer than ``MIN_COUNT`` samples, or fewer than five beyond the percentile.

    The error is that of the share of samples below it, read back through the distribution (Woodruff, JASA 47, 1952).
    """
    count, share = times.count, percent / 100
    if count < MIN_COUNT or count * (1 - share) < 5:
        return None
    spread = math.sqrt(share * (1 - share) / count)
    middle = times.percentile_ms(percent)
    low, high = (times.percentile_ms(100 * min(1.0, max(0.0, share + side * spread))) for side in (-1, 1))
    if not middle or not low or not high:
        return None
    return Measure(middle, math.log(high / low) / 2, count)


def quick_measure(times: Histogram) -> Measure | None:
    """Return the mean (ms) of the fastest quarter of samples: what a statement takes when nothing stands in its way.

    What else a machine does makes samples slower and never faster, so of two runs of the same thing the fast ones differ
    least: half as much as medians did (docs/gate.md).  A change that makes every execution dearer moves them as much.

    Its error is that of a trimmed mean, by the winsorised variance (Tukey and McLaughlin, Sankhya A 25, 1963).
    """
    if times.count < MIN_COUNT:
        return None
    values = np.repeat(times.cumulative()[0], times.counts)
    kept = values[: max(2, int(_KEPT * len(values)))]
    middle = float(kept.mean())
    spread = float(np.minimum(values, kept[-1]).std(ddof=1))
    return Measure(middle, spread / (_KEPT * math.sqrt(len(values))) / middle, times.count)


def mean_measure(times: Histogram) -> Measure | None:
    """Return the mean (ms) of enough samples."""
    if times.count < MIN_COUNT or not times.mean_ms:
        return None
    spread = float(np.repeat(times.cumulative()[0], times.counts).std(ddof=1))
    return Measure(times.mean_ms, spread / times.mean_ms / math.sqrt(times.count), times.count)


def count_measure(value: float, events: float, count: int) -> Measure | None:
    """Return a figure that rests on a number of rare events among ``count`` (aborts among attempts, say)."""
    if count < MIN_COUNT or value <= 0:
        return None
    return Measure(value, math.sqrt(events) / count, count)
