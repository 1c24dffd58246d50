"""Histograms read and pooled by the thousand are those read and merged one by one."""

import zlib

import numpy as np
import pytest

from bench.metrics.histogram import HEADER, Histogram
from bench.metrics.packed import unpack
from bench.results.pooling import Pools


def samples(seed, number):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 60, number)
    return [Histogram.of((rng.lognormal(1, 1, size) * 1e6).astype(np.int64)) for size in sizes]


def same(one, other):
    assert (one.sum_ns, one.min_ns, one.max_ns) == (other.sum_ns, other.min_ns, other.max_ns)
    assert np.array_equal(one.indices, other.indices)
    assert np.array_equal(one.counts, other.counts)


@pytest.mark.parametrize("fold_at", [1, 10_000_000])
def test_pools_equal_merging(monkeypatch, fold_at):
    monkeypatch.setattr("bench.results.pooling._FOLD_AT", fold_at)
    made = samples(1, 3000)
    labels = np.random.default_rng(2).integers(0, 40, len(made))
    pools = Pools()
    for start in range(0, len(made), 500):
        pools.add(labels[start : start + 500], unpack([h.to_bytes() for h in made[start : start + 500]]))
    found = pools.histograms()
    for label in range(40):
        same(found[label], Histogram.merge(h for h, mine in zip(made, labels, strict=True) if mine == label))


def test_what_is_stored_small_is_what_zlib_reads():
    """Older versions of bench read it with zlib, and what they wrote is read here."""
    for made in samples(3, 200):
        packed = made.to_bytes()
        same(Histogram.from_bytes(packed), made)
        older = packed[: HEADER.size] + zlib.compress(zlib.decompress(packed[HEADER.size :]), 1)
        same(Histogram.from_bytes(older), made)
        found = unpack([older, packed])
        assert np.array_equal(found.indices, np.tile(made.indices, 2))
        assert np.array_equal(found.counts, np.tile(made.counts, 2))


def test_nothing_is_nothing():
    assert unpack([]).indices.size == 0
    assert Pools().histograms() == {}
