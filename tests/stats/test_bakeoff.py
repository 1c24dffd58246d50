"""The rows of a bake-off: what was sold, what was left over although buyers were refused, and who comes first."""

from dataclasses import replace

import pytest

from bench.cli.bakeoff_table import HEADINGS, table_markdown, table_text
from bench.metrics.frame import Contender
from bench.metrics.outcome import StockRow
from bench.stats.bakeoff import BakeoffRow, ranked, undersold
from bench.stats.blast import Ratio


def stock(sku: str, region: str, left: int) -> StockRow:
    return StockRow("Hat", "p", region, 20, 20 - left, 0, left, None, sku)


def buyer(sku: str, outcome: str, at: float = 0.0) -> Contender:
    return Contender("us-east", f"{sku}@us-east", at, at + 0.1, outcome, 1)


@pytest.mark.parametrize(
    ("left", "outcomes", "expected"),
    [
        (0, ["ok", "sold_out"], 0),
        (3, ["ok", "ok"], 0),
        (3, ["sold_out"], 1),
        (3, ["sold_out"] * 5, 3),
        (3, ["none_free", "payment_declined"], 1),
        (3, ["none_free", "dropped"], 1),
    ],
)
def test_undersold_is_what_was_left_of_an_item_whose_buyers_were_refused(left, outcomes, expected):
    assert undersold([stock("A", "us-east", left)], [buyer("A", outcome) for outcome in outcomes]) == expected


def test_a_refusal_counts_against_its_own_item_alone():
    rows = [stock("A", "us-east", 4), stock("A", "eu-west", 1), stock("B", "us-east", 0)]
    assert undersold(rows, [buyer("B", "sold_out")] * 9) == 0
    assert undersold(rows, [buyer("A", "sold_out")] * 9) == 5


ROW = BakeoffRow(
    strategy="guarded",
    isolation="read committed",
    run_id="r",
    status="complete",
    verdict="VALID",
    offered=240,
    sold=240,
    oversold=0,
    undersold=0,
    goodput_per_s=12.0,
    buyer=None,
    retries_per_commit=0.0,
    served_by_region=(("us-east", 0.5),),
    region_p=0.2,
    inversions=0.1,
    blast_p99=Ratio(2.0, 1.5, 2.6),
    broken_rules=(),
)


def test_right_data_comes_before_fast():
    naive = replace(ROW, strategy="naive", goodput_per_s=50.0, oversold=7)
    broken = replace(ROW, strategy="broken", goodput_per_s=60.0, broken_rules=("stock_movements",))
    slow = replace(ROW, strategy="slow", goodput_per_s=3.0)
    assert [row.strategy for row in ranked([naive, slow, broken, ROW])] == ["guarded", "slow", "broken", "naive"]


def test_the_tables_hold_the_figures():
    naive = replace(ROW, strategy="naive", oversold=7, blast_p99=None, inversions=None)
    text = table_text([ROW, naive])
    guarded, sold_twice = text.splitlines()[1:3]
    assert " ".join(guarded.split()) == "guarded read committed 12.0 240/240 0 0 – – 0.00 0.10 0.2 2.0 (1.5-2.6) VALID"
    assert sold_twice.endswith("VALID · DATA WRONG")
    assert "–" in sold_twice
    markdown = table_markdown("Which?", [ROW, naive])
    assert markdown.startswith("# Which?\n")
    assert markdown.count(" | ") == 4 * (len(HEADINGS) - 1)
