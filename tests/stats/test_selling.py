"""When an item of a sale was sold out."""

from bench.metrics.frame import JournalEntry, Taken
from bench.metrics.outcome import StockRow
from bench.stats.selling import sold_out_after


def order(at, *taken, status="confirmed"):
    return JournalEntry("east", f"o{at}", f"n{at}", f"k{at}", "9.00", status, 1, at, tuple(taken))


def row(variant, offered, region="east"):
    return StockRow("Hat", "p", region, offered, 0, 0, 0, None, f"HAT-{variant}", variant)


def test_two_variants_of_a_product_are_sold_out_each_at_its_own_time():
    red, blue, plain = (Taken("p", variant, "east", 1) for variant in ("red", "blue", None))
    journal = [order(9.0, blue), order(3.0, red, plain), order(4.0, red), order(5.0, Taken("p", "blue", "west", 1))]
    times = {variant: sold_out_after(row(variant, count), journal, 2.0) for variant, count in (("red", 2), ("blue", 1))}
    assert times == {"red": 2.0, "blue": 7.0}
    assert sold_out_after(row(None, 1), journal, 2.0) == 1.0
    assert sold_out_after(row("red", 3), journal, 2.0) is None


def test_what_was_cancelled_was_not_sold():
    taken = Taken("p", "red", "east", 1)
    assert sold_out_after(row("red", 1), [order(3.0, taken, status="cancelled"), order(4.0, taken)], 0.0) == 4.0
