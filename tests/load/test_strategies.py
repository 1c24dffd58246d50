"""The correct strategies never sell a unit twice, whatever the seed."""

import pytest

from .conftest import Start

SALE = ("flash-sale", "--scale", "tiny", "--duration", "10s", "--users", "80", "--set", "units_per_region=5")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("strategy", ["guarded", "pessimistic", "optimistic"])
def test_a_correct_strategy_is_clean(start: Start, strategy: str, seed: int) -> None:
    play = start(*SALE, "--strategy", strategy, "--seed", str(seed))
    code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        assert all(finding.passed for finding in run.findings)
        assert all(row.oversold == 0 for row in run.stock)
        assert sum(row.sold for row in run.stock) > 20
        outcomes = {cell.outcome for cell in run.cells if cell.name == "checkout"}
        assert "ok" in outcomes
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
