"""Blocks: the same bytes however a data set is cut, and wherever it is made."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pytest

from bench.data import blocks
from bench.data.blocks import Block, DataSet
from bench.data.ledger import open_orders
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
    made = list(small_data.blocks())
    for part in small_data.parts.values():
        covered = [
            unit for block in made if block.part == part.name for unit in (block.first, block.first + block.count)
        ]
        # Where one block ends and the next begins is no edge.
        edges = [unit for unit, times in Counter(covered).items() if times == 1]
        spans = Counter(edge for span in part.spans for edge in (span.first, span.stop))
        assert sorted(edges) == sorted(edge for edge, times in spans.items() if times == 1)
        inner = {unit for span in part.spans for unit in (span.first, span.stop)}
        assert not any(
            edge in range(b.first + 1, b.first + b.count) for b in made if b.part == part.name for edge in inner
        )
    assert small_data.parts["users"].starts == tuple(small_data.world.users.starts[:-1])


def test_columns_are_those_that_a_copy_fills(tiny_data: DataSet):
    model = load_schema("pg", REGIONS, AS_OF).model
    assert {part.table for part in tiny_data.parts.values()} == {table.name for table in model.tables}
    for part in tiny_data.parts.values():
        made = tiny_data.make(Block(part.name, 0, min(10, part.units)), "text")
        assert made.columns == tuple(column.name for column in model.table(part.table).writable_columns)


def test_blocks_over_orders_are_cut_alike(small_data: DataSet):
    """What is found out about a range of orders serves all parts, so they are made one after the other."""
    names = [name for name, part in small_data.parts.items() if part.family == "orders"]
    assert len(names) == 5
    made = [block for block in small_data.blocks() if block.part in names]
    cuts = {(block.first, block.count) for block in made}
    assert {block.count <= 10_000 for block in made} == {True}
    for cut, family in groupby(made, lambda block: (block.first, block.count)):
        cuts.remove(cut)
        is_open = any(cut[0] in span for span in open_orders(small_data.world))
        assert [block.part for block in family] == (names if is_open else names[:-1])
    assert cuts == set()


def test_the_largest_blocks_have_some_25_000_rows():
    """At medium, where the limits bind: nearly five movements an open order, and two and a half lines any other."""
    data = DataSet(replace(TINY, scale="medium"))
    sizes = {part: [block.count for block in data.parts[part].blocks()] for part in ("order_items", "movements:orders")}
    assert 4000 < max(sizes["movements:orders"]) <= 5000
    assert 9000 < max(sizes["order_items"]) <= 10_000


def test_blocks_come_catalogue_first_and_sums_last(small_data: DataSet):
    parts = list(dict.fromkeys(block.part for block in small_data.blocks()))
    assert parts == list(small_data.parts)
    assert parts[:4] == ["categories", "products", "product_variants", "warehouses"]
    families = [small_data.parts[part].family for part in parts]
    last = len(families) - families[::-1].index("orders")
    assert all(small_data.parts[part].needs_ledger for part in parts[last:])
    assert not any(small_data.parts[part].needs_ledger for part in parts[: families.index("orders")])


def test_blocks_of_some_tables(small_data: DataSet):
    tables = frozenset({"users", "product_reviews", "inventory_movements"})
    chosen = list(small_data.blocks(tables))
    assert {small_data.parts[block.part].table for block in chosen} == tables
    assert chosen == [block for block in small_data.blocks() if small_data.parts[block.part].table in tables]


@pytest.mark.parametrize("part", PARTS)
def test_only_the_parts_that_say_so_wait_for_the_ledger(part: str, tiny_data: DataSet, monkeypatch: pytest.MonkeyPatch):
    waits = []
    # Made before: tiny_data would ask the one below for it, which would ask tiny_data.
    data, ledger = DataSet(TINY), tiny_data.ledger
    monkeypatch.setattr(blocks, "add_up", lambda _: waits.append(part) or ledger)
    data.make(Block(part, 0, 2), "binary")
    assert bool(waits) == data.parts[part].needs_ledger


def test_a_block_is_of_the_region_that_its_rows_are_of(tiny_data: DataSet):
    for block in tiny_data.blocks():
        lines = tiny_data.make(block, "text").body.splitlines()
        regions = Counter(line.split(b"\t")[0].decode() for line in lines)
        if not tiny_data.parts[block.part].starts:
            assert tiny_data.region_of(block) == REGIONS[0]
        elif block.part == "movements:orders":
            assert regions.most_common(1)[0][0] == tiny_data.region_of(block)
        else:
            assert set(regions) <= {tiny_data.region_of(block)}
    assert {tiny_data.region_of(block) for block in tiny_data.blocks()} == set(REGIONS)


def test_row_counts_are_met(small_data: DataSet):
    found = counted(small_data)
    for table, count in row_counts(small_data.spec).items():
        assert found[table] == pytest.approx(count, rel=0.05), table
    assert sum(found.values()) >= 200_000


@pytest.mark.parametrize("zipf", [0, 0.5, 1.5])
def test_the_movements_are_those_expected_at_other_exponents(small_data: DataSet, zipf: float):
    """Beyond, orders have fewer lines, because baskets merge those of one SKU."""
    data = DataSet(replace(small_data.spec, zipf=zipf))
    expected = row_counts(data.spec)["inventory_movements"]
    assert counted(data, "inventory_movements")["inventory_movements"] == pytest.approx(expected, rel=0.05)


def counted(data: DataSet, *tables: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for block in data.blocks(frozenset(tables) or None):
        rows = data.make(block, "binary")
        found[rows.table] += rows.count
    return found


def test_a_table_of_one_region_or_of_unknown_ones_can_be_made():
    for regions in (("us-east",), ("mars", "venus-north", "io")):
        data = DataSet(replace(TINY, regions=regions))
        assert sum(data.make(block, "text").count for block in data.blocks()) > 1000


@pytest.mark.parametrize("table", ["inventory_movements", "product_reviews"])
def test_identities_differ_across_the_parts_of_a_table(tiny_data: DataSet, table: str):
    parts = [part for part in tiny_data.parts.values() if part.table == table]
    made = [part.make(np.arange(part.units))["id"].values for part in parts]  # type: ignore[attr-defined]
    assert len(np.unique(np.concatenate(made), axis=0)) == sum(map(len, made))
    assert len(parts) == {"inventory_movements": 4, "product_reviews": 2}[table]
