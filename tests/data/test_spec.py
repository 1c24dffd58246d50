"""Scales and fingerprints."""

from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from bench.data.regions import codes, shares
from bench.data.spec import SCALES, SeedSpec, row_counts, scale_factor
from bench.errors import UsageError

from .conftest import TINY


@pytest.mark.parametrize("scale", ["0", "-1", "nan", "inf", "1e9", "smal", "", "2,5"])
def test_a_scale_that_is_none_is_refused(scale: str):
    with pytest.raises(UsageError) as caught:
        SeedSpec(scale, 1, date(2026, 1, 1), ("us-east",))
    assert scale in caught.value.message
    assert "\n" not in caught.value.message + str(caught.value.hint)


def test_a_misspelt_scale_is_corrected():
    with pytest.raises(UsageError) as caught:
        scale_factor("smal")
    assert caught.value.hint == "did you mean 'small'?"


@pytest.mark.parametrize(
    ("scale", "least", "most"), [("tiny", 4000, 6000), ("small", 200_000, 300_000), ("medium", 5_000_000, 6_000_000)]
)
def test_a_named_scale_has_the_documented_size(scale: str, least: int, most: int):
    assert least <= sum(row_counts(replace(TINY, scale=scale)).values()) <= most


def test_medium_has_a_million_orders_and_scales_are_multiples_of_it():
    medium = row_counts(replace(TINY, scale="medium"))
    assert (medium["orders"], medium["order_items"]) == (1_000_000, 2_500_000)
    assert row_counts(replace(TINY, scale="2.5"))["orders"] == 2_500_000
    assert [SCALES[name] / SCALES["medium"] for name in ("large", "xl")] == [10, 100]


def test_counts_grow_with_the_scale():
    sizes = [row_counts(replace(TINY, scale=scale)) for scale in SCALES]
    for smaller, larger in pairwise(sizes):
        assert all(smaller[table] <= larger[table] for table in smaller)


@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"scale": "small"}, {"as_of": date(2026, 11, 2)}, {"regions": ("us-east",)}, {"zipf": 1.1}]
)
def test_the_fingerprint_changes_with_every_field(change: dict[str, object]):
    assert replace(TINY, **change).fingerprint != TINY.fingerprint


def test_the_fingerprint_is_of_the_size_not_of_its_name():
    assert replace(TINY, scale="1").fingerprint == replace(TINY, scale="medium").fingerprint
    assert replace(TINY, zipf=1).fingerprint == TINY.fingerprint
    assert len(TINY.fingerprint) == 12


@pytest.mark.parametrize("zipf", [-0.1, 2.01, float("nan"), float("inf"), float("-inf")])
def test_an_exponent_out_of_range_is_refused(zipf: float):
    with pytest.raises(UsageError) as caught:
        replace(TINY, zipf=zipf)
    assert f"zipf {zipf} " in caught.value.message
    assert "\n" not in caught.value.message + str(caught.value.hint)


def test_the_exponents_at_both_ends_are_allowed():
    assert [replace(TINY, zipf=zipf).zipf for zipf in (0, 2)] == [0, 2]


def test_repeated_regions_are_refused():
    with pytest.raises(UsageError, match="repeat"):
        replace(TINY, regions=("a", "a"))
    with pytest.raises(UsageError, match="empty"):
        replace(TINY, regions=())
    with pytest.raises(UsageError, match="out of range"):
        replace(TINY, seed=-1)


def test_region_codes_differ():
    assert codes(("us-east", "us-east1", "us-east4", "eu-west", "asia-pac")) == ("USE", "USE1", "USE4", "EUW", "ASP")
    many = ("north", "norge", "nova", "us-east", "us-edge")
    assert len(set(codes(many))) == len(many)


def test_shares_sum_to_the_total_and_keep_the_least():
    assert shares(7, (1, 1, 1000), 2).tolist() == [2, 2, 3]
    with pytest.raises(ValueError, match="cannot be split"):
        shares(3, (1, 1), 2)


def test_the_documented_table_is_that_of_the_code():
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    counts = [row_counts(replace(TINY, scale=scale)) for scale in SCALES]
    for table in counts[0]:
        assert f"| {table} | {' | '.join(f'{count[table]:,}' for count in counts)} |" in text
    assert f"| **all** | {' | '.join(f'**{sum(count.values()):,}**' for count in counts)} |" in text
