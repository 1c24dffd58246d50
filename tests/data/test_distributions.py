"""Realism as numbers: every share, curve and tail is held to a bound, none to the eye."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bench.data import carts, customers, orders, stock
from bench.data.baskets import fill
from bench.data.blocks import DataSet
from bench.data.counter import Ints
from bench.data.demand import DAY_US, GROWTH, HOUR_US, HOURS, WEEKDAYS
from bench.data.reviews import stars
from bench.data.spec import ADDRESSES_PER_USER, ITEMS_PER_ORDER
from bench.data.world import World

from .conftest import REGIONS

P_VALUE = 1e-6


@pytest.fixture(scope="module")
def all_orders(small_data: DataSet) -> orders.Orders:
    return orders.orders_of(small_data.world, np.arange(small_data.world.orders.total))


def fits(counts: Ints, expected: np.ndarray) -> bool:
    return bool(stats.chisquare(counts, expected / expected.sum() * counts.sum()).pvalue > P_VALUE)


@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.2])
def test_products_sell_by_zipfs_law(small_data: DataSet, exponent: float):
    """Drawn before baskets merge repeated SKUs, which takes a little from the most popular."""
    world = World(replace(small_data.spec, zipf=exponent))
    goods = world.catalogue
    rows = np.arange(300_000)
    ranks = goods.rank[goods.by_popularity(world.streams("test", "zipf").uniform(rows))]
    counts = np.bincount(ranks, minlength=goods.count)
    law = np.arange(1, goods.count + 1) ** -exponent
    assert fits(counts, law)
    assert not fits(counts, law**1.02)


def test_without_an_exponent_all_products_sell_alike(small_data: DataSet):
    goods = World(replace(small_data.spec, zipf=0)).catalogue
    np.testing.assert_allclose(goods.popularity, 1 / goods.count)


def test_the_shares_recorded_are_those_of_the_lines(small_data: DataSet):
    world, facts = small_data.world, small_data.ledger.facts()
    sold = np.bincount(
        fill(world, "order_items", np.arange(world.orders.total)).product, minlength=world.catalogue.count
    )
    ordered = np.sort(sold)[::-1]
    assert facts["top_1_share"] == ordered[0] / sold.sum()
    assert facts["top_100_share"] == ordered[:100].sum() / sold.sum()
    assert facts["zipf"] == small_data.spec.zipf
    # The top product has one SKU here, so baskets merge more of its lines than of any other.
    assert facts["top_1_share"] == pytest.approx(world.catalogue.popularity.max(), rel=0.15)


def test_a_few_users_order_often_and_most_seldom(all_orders: orders.Orders):
    per_user = np.sort(np.bincount(all_orders.user))[::-1]
    top_hundredth = per_user[: len(per_user) // 100].sum() / per_user.sum()
    assert 0.08 < top_hundredth < 0.25
    assert per_user.max() > 10 * per_user.mean()
    assert np.median(per_user) < per_user.mean()


def test_users_and_orders_are_split_as_the_regions_weigh(small_data: DataSet, all_orders: orders.Orders):
    weights = np.array(small_data.spec.weights)
    np.testing.assert_allclose(
        np.bincount(all_orders.region) / len(all_orders.rows), weights / weights.sum(), atol=0.002
    )
    assert (all_orders.region == small_data.world.users.region(all_orders.user)).all()


@pytest.mark.parametrize("region", range(len(REGIONS)))
def test_orders_follow_the_local_hours_and_days(small_data: DataSet, all_orders: orders.Orders, region: int):
    offset_h = (-5, -8, 1, 9)[region]
    local = all_orders.created_us[all_orders.region == region] + offset_h * HOUR_US
    hours = np.bincount(local // HOUR_US % 24, minlength=24)
    # Days differ by noise of 8 %, so the hours of all days together are held to a correlation and the weekdays to a bound.
    assert np.corrcoef(hours, HOURS)[0, 1] > 0.98
    assert np.corrcoef(hours, np.roll(HOURS, 3))[0, 1] < 0.9
    weekdays = np.bincount((local // DAY_US + 3) % 7, minlength=7)
    np.testing.assert_allclose(weekdays / weekdays.mean(), np.array(WEEKDAYS) / np.mean(WEEKDAYS), atol=0.06)


def test_demand_grows_over_the_year(small_data: DataSet, all_orders: orders.Orders):
    year = small_data.world.as_of_us - small_data.world.start_us
    tenths = np.bincount((all_orders.created_us - small_data.world.start_us) * 10 // year, minlength=10)
    assert tenths[-1] / tenths[0] == pytest.approx((1 + 0.95 * GROWTH) / (1 + 0.05 * GROWTH), rel=0.08)
    assert len(tenths) == 10


def test_orders_have_the_lines_they_should(small_data: DataSet, all_orders: orders.Orders):
    lines = fill(small_data.world, "order_items", all_orders.rows)
    assert len(lines.sku) / len(all_orders.rows) == pytest.approx(ITEMS_PER_ORDER, rel=0.02)
    sizes = np.bincount(lines.basket)
    assert (sizes.min(), sizes.max()) == (1, 8)
    pairs = lines.basket * small_data.world.catalogue.skus + lines.sku
    assert len(np.unique(pairs)) == len(pairs)


def test_most_lines_ship_from_the_users_region(small_data: DataSet, all_orders: orders.Orders):
    picked = orders.lines_of(small_data.world, all_orders)
    at_home = small_data.world.warehouses.region[picked.warehouse] == all_orders.region[picked.lines.basket]
    assert 0.93 < at_home.mean() < 0.97


def test_statuses_are_those_of_a_shop(all_orders: orders.Orders):
    shares = np.bincount(all_orders.status, minlength=7) / len(all_orders.rows)
    assert shares[orders.DELIVERED] > 0.88
    assert 0.04 < shares[orders.CANCELLED] < 0.06
    assert 0.025 < shares[orders.REFUNDED] < 0.04
    assert 0 < shares[orders.PENDING] < 0.002


def test_prices_were_different_once_and_are_todays_now(small_data: DataSet):
    world, skus = small_data.world, np.arange(small_data.world.catalogue.skus)
    today = world.catalogue.cents_at(skus, np.full(len(skus), world.as_of_us - 1), world.as_of_us)
    np.testing.assert_array_equal(today, world.catalogue.sku_cents)
    then = world.catalogue.cents_at(skus, np.full(len(skus), world.start_us), world.as_of_us)
    assert 0.3 < (then != today).mean() < 0.7
    assert (then % 100 == today % 100).all()


def test_prices_have_the_endings_of_a_shop(small_data: DataSet):
    endings = np.bincount(small_data.world.catalogue.base_cents % 100, minlength=100)
    assert set(np.flatnonzero(endings)) == {0, 49, 50, 95, 99}
    assert fits(endings[[99, 49, 0, 95, 50]], np.array([48, 16, 14, 14, 8]))


def test_products_have_no_variants_or_two_to_six(small_data: DataSet):
    goods = small_data.world.catalogue
    assert 0.5 < goods.has_variants.mean() < 0.6
    assert set(goods.sku_count[goods.has_variants]) == {2, 3, 4, 5, 6}
    assert (goods.sku_count[~goods.has_variants] == 1).all()
    assert 0.2 < goods.is_overridden[goods.is_variant].mean() < 0.3


def test_a_twentieth_of_the_stock_is_low_and_never_that_of_popular_items(small_data: DataSet):
    world = small_data.world
    held = stock.stock_of(world, small_data.ledger, np.arange(world.inventory_rows))
    is_low = held.available <= held.reorder_point
    assert 0.04 < is_low.mean() < 0.06
    assert min(held.available.min(), held.reserved.min(), held.initial.min() - 1, held.reorder_point.min()) >= 0
    rank = world.catalogue.rank[world.catalogue.product_of_sku[np.arange(world.inventory_rows) % world.catalogue.skus]]
    assert not is_low[rank < 10].any()
    assert np.median(held.available[rank < 10]) > 2 * np.median(held.available[rank > 300])


def test_ratings_follow_the_hidden_quality(small_data: DataSet):
    world, products = small_data.world, np.arange(small_data.world.catalogue.count)
    draws = world.streams("test", "stars").normal(np.arange(len(products) * 50))
    rated = stars(world, np.repeat(products, 50), draws).reshape(-1, 50).mean(axis=1)
    assert np.corrcoef(rated, world.catalogue.quality)[0, 1] > 0.9


def test_carts_are_open_abandoned_and_expired(small_data: DataSet):
    world = small_data.world
    found = carts.carts_of(world, np.arange(world.carts.total))
    assert fits(np.bincount(found.kind, minlength=3), np.array([45.0, 30, 25]))
    days = (found.expires_us - world.as_of_us) / DAY_US
    assert ((days >= 30) & (days <= 60))[found.kind == carts.OPEN].all()
    assert (days < 0)[found.kind == carts.EXPIRED].all()
    assert ((days > 0) & (days < 30))[found.kind == carts.ABANDONED].all()
    users = found.user[~found.is_guest]
    assert len(np.unique(users)) == len(users)
    held = carts.lines_of(world, found)
    assert 0.01 < held.is_reserved.mean() < 0.03
    assert (world.warehouses.region[held.warehouse] == found.region[held.lines.basket]).all()


def test_no_user_uses_a_coupon_twice(small_data: DataSet):
    """Some try at this size, so the refusal is at work."""
    rows = np.arange(small_data.world.orders.total)
    uses = small_data.parts["coupon_usages"].make(rows)
    pairs = np.concatenate((uses["coupon_id"].values, uses["user_id"].values), axis=1)  # type: ignore[attr-defined]
    assert len(np.unique(pairs, axis=0)) == len(pairs) == small_data.ledger.used.sum()
    assert len(small_data.ledger.refused) > 10
    discounts = small_data.parts["orders"].make(rows)["discount_amount"].cents  # type: ignore[attr-defined]
    assert (discounts[small_data.ledger.refused] == 0).all()
    assert np.sort(discounts[discounts > 0]).tolist() == np.sort(uses["discount_amount"].cents).tolist()  # type: ignore[attr-defined]


def test_addresses_and_sign_ups(small_data: DataSet):
    world, rows = small_data.world, np.arange(small_data.world.users.total)
    assert customers.has_second_address(world, rows).mean() + 1 == pytest.approx(ADDRESSES_PER_USER, rel=0.02)
    joined = customers.signed_up(world, rows, world.users.region(rows))
    assert (np.diff(joined[: world.users.size(0)]) >= 0).all()
    assert 0.55 < (joined < world.start_us).mean() < 0.65
    assert joined.max() < world.as_of_us
