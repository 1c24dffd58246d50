"""The random numbers: uniform, independent, and the same for a row wherever it is made."""

import threading
import uuid

import numpy as np
import pytest
from scipy import stats

from bench.data.counter import Alias, Choice, Ints, Stream, Streams, lane, remembered, scatter

ROWS = np.arange(200_000, dtype=np.int64)
STREAM = Streams(3)("table", "column")
# One test in a million of a sound generator falls below it; the seed is fixed, so a test passes always or never.
P_VALUE = 1e-6


def is_uniform(counts: np.ndarray) -> bool:
    return stats.chisquare(counts).pvalue > P_VALUE


@pytest.mark.parametrize("number", range(4))
def test_each_lane_is_uniform(number: int):
    assert is_uniform(np.bincount(lane(STREAM.bits(ROWS), number) >> 8, minlength=256))


def test_uniform_numbers_are_uniform():
    assert is_uniform(np.histogram(STREAM.uniform(ROWS), bins=50, range=(0, 1))[0])


def test_the_uniformity_test_sees_a_bias():
    assert not is_uniform(np.histogram(STREAM.uniform(ROWS) ** 1.02, bins=50, range=(0, 1))[0])


def test_neighbouring_rows_and_columns_are_independent():
    here, there = STREAM.uniform(ROWS), Streams(3)("table", "other").uniform(ROWS)
    for one, two in ((here, there), (here[1:], here[:-1]), (here, Streams(4)("table", "column").uniform(ROWS))):
        assert abs(np.corrcoef(one, two)[0, 1]) < 5 / len(one) ** 0.5


def test_below_reaches_both_ends():
    drawn = STREAM.below(ROWS, 7)
    assert is_uniform(np.bincount(drawn, minlength=7))
    assert (drawn.min(), drawn.max()) == (0, 6)
    assert set(STREAM.between(ROWS, -2, 2).tolist()) == {-2, -1, 0, 1, 2}


def test_normal_numbers_have_mean_0_and_deviation_1():
    drawn = STREAM.normal(ROWS)
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.std() - 1) < 0.01


def test_a_choice_keeps_its_weights():
    weights = np.array([70, 22, 7.5, 0.5])
    counts = np.bincount(Choice.of(*weights).pick(lane(STREAM.bits(ROWS), 0)), minlength=4)
    assert stats.chisquare(counts, weights / weights.sum() * len(ROWS)).pvalue > P_VALUE


def test_a_cell_depends_on_its_row_alone():
    shuffled = np.random.default_rng(1).permutation(ROWS)
    np.testing.assert_array_equal(STREAM.bits(ROWS)[shuffled], STREAM.bits(shuffled))
    np.testing.assert_array_equal(STREAM.uuids(ROWS[5:9]), STREAM.uuids(ROWS)[5:9])


def test_uuids_are_of_version_4_and_differ():
    made = STREAM.uuids(ROWS)
    assert len(np.unique(made, axis=0)) == len(ROWS)
    assert {(u.version, u.variant) for u in (uuid.UUID(bytes=bytes(row)) for row in made[:500])} == {(4, uuid.RFC_4122)}


def test_known_bits():
    """The reference values of splitmix64 for the state 0: a change here changes every data set."""
    assert Stream(np.uint64(0)).bits(np.array([1, 2])).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@pytest.mark.parametrize("size", [1, 2, 3, 10, 97, 1000, 12_345])
def test_scatter_is_a_permutation(size: int):
    assert sorted(scatter(np.arange(size), size).tolist()) == list(range(size))


@pytest.mark.parametrize(("size", "exponent"), [(1, 1.0), (2, 0.0), (7, 1.0), (629, 0.0), (629, 1.3), (20_000, 1.0)])
def test_an_alias_table_holds_its_weights(size: int, exponent: float):
    weights = np.random.default_rng(size).permutation((np.arange(size) + 1.0) ** -exponent)
    table = Alias.of(weights)
    own, other = table.outcome[::2], table.outcome[1::2]
    shares = np.bincount(own, table.share, size) + np.bincount(other, 1 - table.share, size)
    np.testing.assert_allclose(shares / size, weights / weights.sum(), atol=1e-12)
    assert ((table.share >= 0) & (table.share <= 1)).all()


def test_an_alias_table_is_drawn_from_as_it_says():
    weights = np.array([5.0, 1, 1, 0.5, 2.5])
    counts = np.bincount(Alias.of(weights).pick(STREAM.uniform(ROWS)), minlength=5)
    assert stats.chisquare(counts, weights / weights.sum() * len(ROWS)).pvalue > P_VALUE
    assert Alias.of(weights).pick(np.array([np.nextafter(1, 0)])).max() < 5


def test_the_last_result_is_remembered_for_equal_arrays_only():
    calls = []

    @remembered
    def double(of: object, rows: Ints) -> Ints:
        calls.append(threading.get_ident())
        return rows * 2

    world, rows = object(), np.arange(5)
    first = double(world, rows)
    assert double(world, rows.copy()) is first
    assert double(world, rows + 1).tolist() == [2, 4, 6, 8, 10]
    assert double(world, rows).tolist() == first.tolist()
    double(object(), rows)
    double(world, rows)
    assert len(calls) == 5
    other = threading.Thread(target=double, args=(world, rows))
    other.start()
    other.join()
    double(world, rows)
    assert len(calls) == 6
    assert len(set(calls)) == 2
