"""The sums over all orders: right, the same however they are made and kept, and closed at the right orders."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from bench.data import baskets, blocks, counter, ledger, orders
from bench.data.blocks import Block, DataSet
from bench.data.counter import Ints
from bench.data.demand import DAY_US
from bench.data.ledger import Ledger
from bench.data.spec import ITEMS_PER_ORDER, SeedSpec
from bench.data.world import World

from .conftest import REGIONS, TINY


def all_orders(data: DataSet) -> orders.Orders:
    return orders.orders_of(data.world, np.arange(data.world.orders.total))


def same(one: Ledger, two: Ledger) -> bool:
    arrays = ("sums", "sold", "used", "refused", "zipf")
    rules = [np.array_equal(getattr(one.rules, f.name), getattr(two.rules, f.name)) for f in fields(one.rules)]
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in arrays) and all(rules)


def test_orders_end_before_they_are_settled(small_data: DataSet):
    found = all_orders(small_data)
    settled = found.created_us < ledger.close_us(small_data.world)
    assert 0.85 < settled.mean() < 0.95
    assert set(found.status[settled]) == {orders.DELIVERED, orders.CANCELLED, orders.REFUNDED}
    assert found.updated_us[settled].max() < small_data.world.as_of_us


def test_the_slowest_order_ends_before_it_is_settled(monkeypatch: pytest.MonkeyPatch):
    """With all random bits set, an order takes as long as it can at every stage and is sent back as late as it can."""
    # A world of its own, as orders_of remembers what it found in one.
    world, ones = World(TINY), np.uint64(2**64 - 1)
    monkeypatch.setattr(counter.Stream, "bits", lambda _, rows: np.full(rows.shape, ones))
    slowest = orders.orders_of(world, np.array([0]))
    assert slowest.status.tolist() == [orders.REFUNDED]
    days = (slowest.ended_us - slowest.created_us) / DAY_US
    assert ledger.OPEN_DAYS - 0.5 < days < ledger.OPEN_DAYS


def test_the_open_orders_are_the_last_ones_of_each_region(small_data: DataSet):
    found, close = all_orders(small_data), ledger.close_us(small_data.world)
    numbers = np.concatenate([np.array(tail) for tail in ledger.open_orders(small_data.world)])
    np.testing.assert_array_equal(numbers, np.flatnonzero(found.created_us >= close))
    assert len(ledger.open_orders(small_data.world)) == len(REGIONS)


def test_what_is_carried_forward_and_what_is_open_add_up(small_data: DataSet):
    """By another way: no columns of sums, but one count for each question."""
    world, found = small_data.world, all_orders(small_data)
    picked = orders.lines_of(world, found)
    row = baskets.inventory_rows(world, picked.warehouse, picked.lines.sku)
    status, units = found.status[picked.lines.basket], picked.lines.quantity
    settled = (found.created_us < ledger.close_us(world))[picked.lines.basket]

    def of(lines: np.ndarray) -> Ints:
        return np.bincount(row[lines], units[lines], minlength=world.inventory_rows).astype(np.int64)

    shipped = np.isin(status, (orders.SHIPPED, orders.DELIVERED, orders.REFUNDED))
    cancelled, refunded = status == orders.CANCELLED, status == orders.REFUNDED
    rows = np.arange(world.inventory_rows)
    carried = small_data.ledger.carried(rows)
    for place, lines in enumerate((settled, settled & shipped, settled & cancelled, settled & refunded)):
        np.testing.assert_array_equal(carried[:, place], of(lines))
    taken = small_data.ledger.taken(rows)
    held = taken.held - of(status < orders.SHIPPED)
    assert 0 < held.sum() < 1000  # what carts hold
    np.testing.assert_array_equal(taken.gross, of(status >= 0) + held)
    np.testing.assert_array_equal(taken.back, of(cancelled | refunded))
    assert taken.moves.sum() > 1.9 * len(row)


def test_the_size_of_the_chunks_changes_nothing(small_data: DataSet, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ledger, "CHUNK", 999)
    assert same(ledger.add_up(small_data.world), small_data.ledger)


def test_a_ledger_survives_its_files_and_is_mapped(small_data: DataSet, tmp_path: Path):
    small_data.ledger.save(tmp_path / "sums")
    loaded = Ledger.load(tmp_path / "sums")
    assert same(loaded, small_data.ledger)
    assert loaded.facts() == small_data.ledger.facts()
    assert isinstance(loaded.sums.base, np.memmap)
    assert not loaded.sums.flags.writeable


def test_a_data_set_makes_the_same_rows_of_a_ledger_given_or_adopted(
    tiny_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tiny_data.ledger.save(tmp_path)
    given, adopted = DataSet(TINY, Ledger.load(tmp_path)), DataSet(TINY)
    adopted.adopt_ledger(tmp_path)
    monkeypatch.setattr(blocks, "add_up", None)
    other = replace(tiny_data.ledger, sums=tiny_data.ledger.sums + 1)
    for name, part in tiny_data.parts.items():
        block = Block(name, 0, part.units)
        made = [data.make(block, "binary").body for data in (tiny_data, given, adopted, DataSet(TINY, other))]
        assert made[0] == made[1] == made[2]
        assert (made[0] == made[3]) == (name not in ("inventory", "movements:stock", "movements:carried"))


def test_an_overflow_is_no_wrong_number(monkeypatch: pytest.MonkeyPatch):
    world, fill = World(TINY), baskets.fill

    def many(*arguments: object) -> baskets.Lines:
        lines = fill(*arguments)  # type: ignore[arg-type]
        return replace(lines, quantity=np.full_like(lines.quantity, 2**30))

    monkeypatch.setattr(orders, "fill", many)
    with pytest.raises(OverflowError, match="31 bits"):
        ledger.add_up(world)


def test_refused_uses_are_the_second_ones_of_a_user(small_data: DataSet):
    found = small_data.ledger
    assert len(found.refused) > 10
    assert (np.diff(found.refused) > 0).all()
    assert found.used.sum() > 20 * len(found.refused)


@pytest.mark.parametrize("zipf", [1.0, 2.0])
def test_the_largest_named_scale_fits(zipf: float):
    """The hottest row: all units of the top product, if one region has one warehouse and the product one SKU."""
    spec = SeedSpec("xl", 1, TINY.as_of, ("us-east",), zipf)
    world = World(replace(spec, scale="tiny"))
    weights = np.arange(1, 316_229.0) ** -zipf
    units_per_line = baskets.fill(world, "order_items", np.arange(400)).quantity.mean()
    units = 100_000_000 * ITEMS_PER_ORDER * units_per_line / weights.sum()
    assert units < 2**31 / 2
