"""Many packed histograms as columns of numbers: count, sum, extremes and percentiles of each."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.metrics.histogram import ROUNDING, bucket_middles
from bench.metrics.packed import Unpacked, unpack

Floats = npt.NDArray[np.float64]

PERCENTILES = (("p50_ms", 50.0), ("p95_ms", 95.0), ("p99_ms", 99.0), ("p999_ms", 99.9))
EXACT = ("count", "sum_ms", "min_ms", "max_ms")


def time_columns(packed: Sequence[bytes]) -> list[list[int | float | None]]:
    """Return a list for each of ``EXACT`` and ``PERCENTILES``, with an entry for each histogram.

    Of an empty histogram all but count and sum are None.  ValueError when one is not a histogram.
    """
    found = unpack(packed)
    full = found.totals > 0
    exact = [_known(values / 1e6, full) for values in (found.mins_ns, found.maxs_ns)]
    percentiles = [_known(percentiles_ns(found, percent) / 1e6, full) for _, percent in PERCENTILES]
    return [found.totals.tolist(), (found.sums_ns / 1e6).tolist(), *exact, *percentiles]


def percentiles_ns(found: Unpacked, percent: float) -> Floats:
    """Return what ``Histogram.percentile_ns`` gives for each, to the bit; NaN for an empty one."""
    totals, ends = found.totals, np.cumsum(found.sizes)
    running = np.concatenate([[0], np.cumsum(found.counts)])
    ranks = np.maximum(1, np.ceil(percent / 100 * totals - ROUNDING * totals)).astype(np.int64)
    answers = found.maxs_ns.astype(np.float64)
    inner = ranks < totals
    before = running[(ends - found.sizes)[inner]]
    places = np.searchsorted(running, before + ranks[inner]) - 1
    middles = bucket_middles(found.indices[places])
    answers[inner] = np.minimum(np.maximum(middles, found.mins_ns[inner]), found.maxs_ns[inner])
    return np.where(totals > 0, answers, np.nan)


def _known(values: Floats, full: npt.NDArray[np.bool_]) -> list[int | float | None]:
    return [value if known else None for value, known in zip(values.tolist(), full.tolist(), strict=True)]
