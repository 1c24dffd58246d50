"""When a sale was over: the journal of acknowledged orders against what was offered.  Pure."""

from collections.abc import Iterable

from bench.metrics.frame import JournalEntry
from bench.metrics.outcome import StockRow


def sold_out_after(row: StockRow, journal: Iterable[JournalEntry], opening_s: float) -> float | None:
    """Return the seconds from the opening to the acknowledgement of the last unit offered, or None if some were left."""
    item = (row.product_id, row.variant_id, row.region)
    sold = 0
    for entry in sorted(journal, key=lambda entry: entry.elapsed_s):
        if entry.status == "cancelled":
            continue
        sold += sum(t.units for t in entry.taken if (t.product_id, t.variant_id, t.warehouse_region) == item)
        if sold >= row.offered:
            return entry.elapsed_s - opening_s
    return None
