"""Sales played by many buyers at once: the correct strategies never sell a unit twice, the naive one always does."""

from collections.abc import Callable
from typing import Any

import pytest

from .playing import act

SALE = """
settings = {"strategy": STRATEGY, "units_per_region": UNITS, "hot_items": 2, "bins": 3, "declined_share": 0.1}
stage = Troupe(URL, FlashSaleUser, ISOLATION, DISTANCE_MS, **settings)
stage.crowd(USERS, BUYS, lambda rng: "buy" if rng.random() < 0.9 else "shop", SEED)
say({"stock": stage.stock(), "broken": stage.broken(stage.state.prepared_at), "outcomes": stage.outcomes})
"""
QUICK = {"UNITS": 4, "USERS": 24, "BUYS": 3, "DISTANCE_MS": 3.0}
CORRECT = ("guarded", "pessimistic", "optimistic", "buckets", "skip_locked")
Copy = Callable[[], Any]


def sale(url: str, strategy: str, isolation: str = "read committed", seed: int = 1, **changes: object) -> Any:
    names = {**QUICK, "STRATEGY": strategy, "ISOLATION": isolation, "SEED": seed, **changes}
    return act(url, SALE, **names)


def check(found: Any, units: int) -> None:
    """The books are right, every unit is accounted for, and something was contended for."""
    assert found["broken"] == []
    assert len(found["stock"]) == 8
    assert all(row["offered"] == units and row["oversold"] == 0 for row in found["stock"])
    assert all(row["sold"] + row["left"] == units for row in found["stock"])
    assert sum(row["sold"] for row in found["stock"]) > units
    assert found["outcomes"]["checkout: ok"] > 0


def _some(*fast: str, of: tuple[str, ...]) -> list[Any]:
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in of]


@pytest.mark.parametrize("strategy", _some("skip_locked", of=CORRECT))
def test_every_unit_is_sold_once(copy: Copy, strategy: str) -> None:
    found = sale(copy().url, strategy)
    check(found, 4)
    assert found["outcomes"]["failures"] == 0
    refused = sum(found["outcomes"].get(f"checkout: {outcome}", 0) for outcome in ("sold_out", "none_free"))
    assert refused > 0
    # Whoever waits is never told that none is free.
    assert strategy == "skip_locked" or "checkout: none_free" not in found["outcomes"]


def test_naive_is_caught(copy: Copy) -> None:
    found = sale(copy().url, "naive")
    assert any(rule.startswith("oversold:") for rule in found["broken"])
    assert sum(row["oversold"] for row in found["stock"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 11))
def test_naive_is_caught_every_time(copy: Copy, seed: int) -> None:
    found = sale(copy().url, "naive", seed=seed)
    assert any(rule.startswith("oversold:") for rule in found["broken"])
    assert any(rule.startswith("stock_movements:") for rule in found["broken"])
    assert sum(row["oversold"] for row in found["stock"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("isolation", "seed"), [("read committed", 2), ("read committed", 3), ("repeatable read", 4), ("serializable", 5)]
)
@pytest.mark.parametrize("strategy", CORRECT)
def test_a_correct_strategy_is_clean_at_every_isolation(copy: Copy, strategy: str, isolation: str, seed: int) -> None:
    check(sale(copy().url, strategy, isolation, seed), 4)


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_a_stricter_isolation_saves_naive(copy: Copy, isolation: str) -> None:
    check(sale(copy().url, "naive", isolation), 4)


@pytest.mark.slow
def test_one_strategy_after_another_in_place(copy: Copy) -> None:
    """Bins of an earlier sale are emptied, and every sale begins with what it offers."""
    url = copy().url
    for seed, strategy in enumerate(("buckets", "guarded", "skip_locked", "optimistic", "buckets", "pessimistic")):
        found = sale(url, strategy, seed=seed, USERS=12, BUYS=2)
        assert found["broken"] == [], strategy
        assert all(row["offered"] == 4 for row in found["stock"])
        assert all(row["sold"] + row["left"] == 4 for row in found["stock"]), strategy


NONE_FREE = """
stage = Troupe(URL, FlashSaleUser, strategy="skip_locked", units_per_region=1, hot_items=1)
item = stage.state.hot[0]
holders = [stage.session(region, player.Nobody()) for region in REGIONS]
from bench.db.retry import Business
from bench.workloads.reserving import reserve
for holder in holders:
    holder.begin()
    assert reserve(stage.state.strategy, holder, item, (holder.region,), 1)
late = stage.session("us-east", player.Nobody())
def ask():
    late.begin()
    try:
        return bool(reserve(stage.state.strategy, late, item, REGIONS, 1))
    except Business as no:
        return no.outcome
    finally:
        late.rollback()
while_held = ask()
holders[0].rollback()
after_one_let_go = ask()
for holder in holders[1:]:
    holder.commit()
holders[0].begin()
assert reserve(stage.state.strategy, holders[0], item, ("us-east",), 1)
holders[0].commit()
after_all_bought = ask()
say([while_held, after_one_let_go, after_all_bought])
"""


def test_none_free_is_told_from_sold_out(copy: Copy) -> None:
    assert act(copy().url, NONE_FREE) == ["none_free", True, False]


BUCKETS = """
stage = Troupe(URL, FlashSaleUser, strategy="buckets", units_per_region=7, hot_items=1, bins=3)
item = stage.state.hot[0]
bins = stage.state.shelves[item.product_id, item.variant_key, "us-east"]
from bench.workloads.reserving import reserve
session = stage.session("us-east", player.Nobody())
session.begin()
taken = [reserve(stage.state.strategy, session, item, ("us-east",), 1) for _ in range(8)]
session.rollback()
session.begin()
wide = reserve(stage.state.strategy, session, item, ("us-east",), 3)
none = reserve(stage.state.strategy, session, item, ("us-east",), 3)
ordinary = reserve(stage.state.strategy, session, stage.state.world.items[0], REGIONS, 2)
session.rollback()
held = [session.execute("sale_stock", {"product_id": item.product_id, "variant_key": item.variant_key})]
say({
    "bins": [str(one.inventory_id) for one in bins],
    "taken": [None if one is None else str(one.inventory_id) for one in taken],
    "wide": wide is not None,
    "none": none is None,
    "ordinary": ordinary is not None,
    "codes": [row[4] for row in held[0] if row[0] == "us-east"],
    "units": [row[2] for row in held[0] if row[0] == "us-east"],
})
"""


def test_buckets_go_on_to_the_bins_that_are_stocked(copy: Copy) -> None:
    found = act(copy().url, BUCKETS)
    assert len(found["bins"]) == 3
    assert sorted(found["units"], reverse=True) == [3, 2, 2, 0, 0]
    assert [code for code in found["codes"] if "/" in code] == [
        code for code in found["codes"] if code[-5:-1] == "/000"
    ]
    assert set(found["taken"][:7]) == set(found["bins"])
    assert found["taken"][7] is None
    # Three lie together in one bin only; a line is never put together from several.
    assert (found["wide"], found["none"]) == (True, True)
    assert found["ordinary"]


RESTOCK = """
from bench.db.retry import Transaction
stage = Troupe(URL, FlashSaleUser, strategy=STRATEGY, units_per_region=2, hot_items=2, bins=4, restock_units=3)
real, lost = Session.commit, []
def losing(self):
    real(self)
    if not lost:
        lost.append(1)
        self.current = "COMMIT"
        import psycopg
        raise psycopg.OperationalError("server closed the connection unexpectedly")
user = stage.another("us-west")
Session.commit = losing
user.restock_hot(Random(1))
Session.commit = real
user.restock_hot(Random(2))
stage.crowd(16, 2, lambda rng: "buy", 3)
say({"stock": stage.stock(), "broken": stage.broken(stage.state.prepared_at), "lost": len(lost), "outcomes": stage.outcomes,
     "wishes": stage.wishes})
"""


@pytest.mark.parametrize("strategy", _some("buckets", of=("guarded", "buckets", "skip_locked")))
def test_a_delivery_during_the_sale_is_offered_and_arrives_once(copy: Copy, strategy: str) -> None:
    found = act(copy().url, RESTOCK, STRATEGY=strategy)
    assert found["lost"] == 1
    assert found["broken"] == []
    assert {(row["region"], row["offered"]) for row in found["stock"]} == {
        ("us-east", 2),
        ("us-west", 8),
        ("eu-west", 2),
        ("asia-pac", 2),
    }
    assert all(row["sold"] + row["left"] == row["offered"] for row in found["stock"])
    assert found["outcomes"]["restock: ok"] == 2
    assert len(found["wishes"]) == 32
    assert {key.split("@")[1] for key, _ in found["wishes"]} == {"us-east", "us-west", "eu-west", "asia-pac"}


READ_ONLY = """
from types import SimpleNamespace
stage = Troupe(URL, FlashSaleUser, strategy=STRATEGY, units_per_region=4, bins=3)
session = stage.session("us-east", player.Nobody())
count = "SELECT count(*), max(xmin::text::bigint) FROM {}"
with connect(URL) as c:
    before = [c.execute(count.format(t)).fetchone() for t in ("inventory", "inventory_movements", "warehouses")]
setup = SimpleNamespace(session=session, regions=REGIONS, settings=stage.state.settings.model_dump(), seed=1,
                        run_tag="5ee0c0ffee01", writes=False)
again = FlashSaleUser.prepare(setup)
with connect(URL) as c:
    after = [c.execute(count.format(t)).fetchone() for t in ("inventory", "inventory_movements", "warehouses")]
say([before == after, again.shelves == stage.state.shelves, again.hot == stage.state.hot, again.world == stage.state.world])
"""


@pytest.mark.parametrize("strategy", _some("skip_locked", of=("guarded", "buckets", "skip_locked")))
def test_another_process_reads_the_same_state_and_writes_nothing(copy: Copy, strategy: str) -> None:
    assert act(copy().url, READ_ONLY, STRATEGY=strategy) == [True, True, True, True]
