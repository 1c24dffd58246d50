"""Whole runs of the sale: the correct strategies never sell a unit twice.  Many short sales are in tests/workloads."""

import pytest

from .conftest import Start

SALE = ("flash-sale", "--scale", "tiny", "--duration", "8s", "--users", "80", "--set", "units_per_region=5")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "seed"), [("guarded", 1), ("pessimistic", 2), ("optimistic", 3), ("buckets", 4), ("skip_locked", 5)]
)
def test_a_correct_strategy_is_clean(start: Start, strategy: str, seed: int) -> None:
    play = start(*SALE, "--strategy", strategy, "--seed", str(seed))
    code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        assert all(finding.passed for finding in run.findings)
        assert len(run.stock) == 12
        assert all(row.offered == 5 and row.oversold == 0 and row.sold + row.left == 5 for row in run.stock)
        assert sum(row.sold for row in run.stock) > 20
        outcomes = {cell.outcome for cell in run.cells if cell.name == "checkout"}
        assert "ok" in outcomes
        assert ("none_free" in outcomes) <= (strategy == "skip_locked")
        if strategy == "optimistic":
            assert "version_changed" in {cell.reason for cell in run.retries}


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["serializable", "repeatable-read"])
def test_a_stricter_isolation_saves_the_naive_strategy(start: Start, isolation: str) -> None:
    play = start(*SALE, "--strategy", "naive", "--isolation", isolation)
    code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        assert all(finding.passed for finding in run.findings)
        reasons = {cell.reason for cell in run.retries}
        assert reasons & {"concurrent_update", "read_write_dependencies"}


@pytest.mark.slow
def test_what_is_delivered_during_the_sale_is_offered(start: Start) -> None:
    play = start("restock", *SALE[1:], "--set", "restock_units=3")
    code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        assert all(finding.passed for finding in run.findings)
        assert {(row.offered, row.sold + row.left) for row in run.stock} == {(8, 8)}


@pytest.mark.slow
def test_the_back_office_leaves_the_books_right(start: Start) -> None:
    play = start("back-office", "--scale", "tiny", "--duration", "20s")
    code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        assert all(finding.passed for finding in run.findings)
        failed = {(cell.name, cell.outcome) for cell in run.cells if cell.kind == "failure"}
        assert failed == set()
        done = {cell.name for cell in run.cells if cell.outcome == "ok"}
        assert {"ship_orders", "expire_carts", "refresh_cart_prices", "refresh_product_ratings", "cancel"} <= done
