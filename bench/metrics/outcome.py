"""What is known once a run has ended: the stock of the sale, and what the audit found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StockRow:
    """The sale of one item from the warehouses of one region, in units.

    ``sold`` counts units reserved by live orders of the run, ``oversold`` those beyond ``offered``, ``left`` what the
    inventory still shows; ``sold_out_after_s`` is the time from the opening of the sale to the commit of the last unit
    offered, None when units were left.
    """

    item: str
    product_id: str
    region: str
    offered: int
    sold: int
    oversold: int
    left: int
    sold_out_after_s: float | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule of the audit and what it saw.

    ``violations`` is the number of places where the rule does not hold; ``witness`` the smallest set of rows that shows
    one (a few at most), as column/value pairs; ``look`` the SQL to see them.
    """

    rule: str
    title: str
    passed: bool
    violations: int
    witness: tuple[dict[str, str], ...] = ()
    look: str = ""
    detail: str = ""
