"""Blocks: the same bytes however a data set is cut, and wherever it is made."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from bench.data.blocks import Block, DataSet
from bench.data.spec import row_counts
from bench.db.ddl import load_schema

from .conftest import AS_OF, REGIONS, TINY

PARTS = tuple(DataSet(TINY).parts)

DIGEST = """
import hashlib
from datetime import date
from bench.data.blocks import DataSet
from bench.data.spec import SeedSpec
data = DataSet(SeedSpec("tiny", 7, date(2026, 11, 1), ("us-east", "us-west", "eu-west", "asia-pac")))
digest = hashlib.sha256()
for block in reversed(list(data.blocks())):
    digest.update(data.make(block, "binary").body)
print(digest.hexdigest())
"""


@pytest.mark.parametrize("fmt", ["binary", "text"])
@pytest.mark.parametrize("part", PARTS)
def test_any_cut_gives_the_same_bytes(tiny_data: DataSet, part: str, fmt: str):
    units = tiny_data.parts[part].units
    whole = tiny_data.make(Block(part, 0, units), fmt)
    cuts = [0, *sorted({1, units // 3, units // 2 + 1, units - 1} - {0, units}), units]
    pieces = [tiny_data.make(Block(part, low, high - low), fmt) for low, high in pairwise(cuts)]
    assert b"".join(piece.body for piece in pieces) == whole.body
    assert sum(piece.count for piece in pieces) == whole.count > 0


def test_another_process_with_another_hash_seed_makes_the_same_bytes(tiny_data: DataSet):
    digest = hashlib.sha256()
    for block in reversed(list(tiny_data.blocks())):
        digest.update(tiny_data.make(block, "binary").body)
    done = subprocess.run(
        [sys.executable, "-c", DIGEST],
        env=os.environ | {"PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest.hexdigest()


def test_another_seed_makes_other_rows(tiny_data: DataSet):
    other, block = DataSet(replace(TINY, seed=8)), Block("users", 0, 20)
    assert other.make(block, "text").body != tiny_data.make(block, "text").body


def test_blocks_cover_every_unit_once_and_stay_in_one_region(small_data: DataSet):
    blocks = list(small_data.blocks())
    for part in small_data.parts.values():
        mine = [block for block in blocks if block.part == part.name]
        assert mine[0].first == 0
        assert all(one.first + one.count == two.first for one, two in pairwise(mine))
        assert mine[-1].first + mine[-1].count == part.units
        edges = set(part.starts)
        assert not any(edge in range(block.first + 1, block.first + block.count) for block in mine for edge in edges)


def test_columns_are_those_that_a_copy_fills(tiny_data: DataSet):
    model = load_schema("pg", REGIONS, AS_OF).model
    assert {part.table for part in tiny_data.parts.values()} == {table.name for table in model.tables}
    for part in tiny_data.parts.values():
        made = tiny_data.make(Block(part.name, 0, min(10, part.units)), "text")
        assert made.columns == tuple(column.name for column in model.table(part.table).writable_columns)


def test_row_counts_are_met(small_data: DataSet):
    found: Counter[str] = Counter()
    for block in small_data.blocks():
        rows = small_data.make(block, "binary")
        found[rows.table] += rows.count
    for table, count in row_counts(small_data.spec).items():
        assert found[table] == pytest.approx(count, rel=0.1), table
    assert sum(found.values()) >= 200_000


def test_a_table_of_one_region_or_of_unknown_ones_can_be_made():
    for regions in (("us-east",), ("mars", "venus-north", "io")):
        data = DataSet(replace(TINY, regions=regions))
        assert sum(data.make(block, "text").count for block in data.blocks()) > 1000


def test_identities_differ_across_the_blocks_of_a_table(tiny_data: DataSet):
    made = tiny_data.parts["movements:orders"].make(np.arange(400))["id"].values  # type: ignore[attr-defined]
    stock = tiny_data.parts["movements:stock"].make(np.arange(300))["id"].values  # type: ignore[attr-defined]
    both = np.concatenate((made, stock))
    assert len(np.unique(both, axis=0)) == len(both)
