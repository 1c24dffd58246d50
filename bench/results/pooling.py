"""Merging rows of the store that have the same labels: counts are added, histograms pooled."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from bench.metrics.histogram import Histogram
from bench.stats.merge import Pool


def pool_rows(rows: Iterable[tuple[Any, ...]], labels: int, counts: int) -> Iterator[tuple[Any, ...]]:
    """Yield one row for each combination of the first ``labels`` columns, sorted by them.

    The next ``counts`` columns are summed, the rest are packed histograms and come out as one ``Histogram`` each.
    """
    sums: defaultdict[tuple[Any, ...], np.ndarray[Any, Any]] = defaultdict(lambda: np.zeros(counts, np.int64))
    pools: defaultdict[tuple[Any, ...], list[Pool]] = defaultdict(list)
    for row in rows:
        label = row[:labels]
        sums[label] += row[labels : labels + counts]
        mine = pools[label] = pools[label] or [Pool() for _ in row[labels + counts :]]
        for pool, packed in zip(mine, row[labels + counts :], strict=True):
            pool.add(Histogram.from_bytes(packed))
    for label in sorted(sums):
        yield (*label, *sums[label].tolist(), *(pool.histogram() for pool in pools[label]))
