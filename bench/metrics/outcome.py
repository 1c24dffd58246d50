"""What is known once a run has ended: the stock of the sale, what the audit found, which workers took part."""

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
    sku: str = ""
    """As the keys of contenders and retries begin; empty in older stores."""
    variant_id: str | None = None
    """With the product what the journal calls the item; not kept in the store."""


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


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker process of a run: where it ran, whom it played, and how far its clock was from the master's.

    ``offset_ns`` was taken from its times, ``rtt_ns`` is what it was measured by, so the offset is known to half of it;
    ``lost_s`` is when it was given up on, None for one that stayed; ``detail`` says why, or how late it was.
    """

    worker: str
    place: str
    regions: str
    offset_ns: int
    rtt_ns: int
    users: int
    lost_s: float | None
    detail: str
