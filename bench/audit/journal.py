"""The client's journal against the orders of the run: nothing acknowledged is lost, nothing is there unacknowledged.

May import ``metrics`` only; the orders come from the caller.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from bench.metrics.frame import JournalEntry
from bench.metrics.outcome import Finding

WITNESSES = 3

# What may become of an order after its acknowledgement; a status is also its own successor.
SUCCESSORS = {
    "pending": {"confirmed", "processing", "shipped", "delivered", "cancelled", "refunded"},
    "confirmed": {"processing", "shipped", "delivered", "cancelled", "refunded"},
    "processing": {"shipped", "delivered", "cancelled", "refunded"},
    "shipped": {"delivered", "refunded"},
    "delivered": {"refunded"},
    "cancelled": {"refunded"},
}


@dataclass(frozen=True, slots=True)
class RunWindow:
    """Which orders are the run's: those created since ``since`` whose idempotency key ends with ``tag``, 12 hex digits.

    ``journalled_until`` is when the last journalled frame ended if the run was cut short; ``lost`` are the times at
    which the target was lost.  An order under way then began at most ``in_flight`` before.
    """

    since: datetime
    tag: str
    journalled_until: datetime | None = None
    lost: tuple[datetime, ...] = ()
    in_flight: timedelta = timedelta(seconds=10)

    def explains(self, created_at: datetime) -> bool:
        """Whether an order created then may be without an acknowledgement."""
        if self.journalled_until and created_at >= self.journalled_until - self.in_flight:
            return True
        return any(lost - self.in_flight <= created_at <= lost for lost in self.lost)


class Order(NamedTuple):
    """An order as the database has it: a row of ``run_orders``.  A plain tuple, because a run may have a million.

    ``lines`` holds product/variant/region of the warehouse/units, with a blank between.
    """

    region: str
    order_id: str
    order_number: str
    idempotency_key: str
    total_amount: str
    status: str
    created_at: datetime
    lines: str


class Comparison:
    """The journal and the orders seen so far; the orders come in any order and number of batches."""

    def __init__(self, journal: Iterable[JournalEntry], window: RunWindow) -> None:
        self._window = window
        self._waiting = {entry.order_id: entry for entry in journal}
        self._key_of = {entry.idempotency_key: entry.order_id for entry in self._waiting.values()}
        self._acknowledged = len(self._waiting)
        self._seen = 0
        self._explained = 0
        self._wrong: list[dict[str, str]] = []
        self._unknown: list[dict[str, str]] = []

    def add(self, batch: Iterable[Order]) -> None:
        """Take the next orders of the run into account."""
        for order in batch:
            self._seen += 1
            entry = self._waiting.pop(order.order_id, None)
            if entry:
                self._wrong += [_witness(order, fault) for fault in _differences(entry, order)]
            elif order.idempotency_key in self._key_of:
                self._wrong.append(
                    _witness(order, f"a second order for the key of {self._key_of[order.idempotency_key]}")
                )
            elif self._window.explains(order.created_at):
                self._explained += 1
            else:
                self._unknown.append(_witness(order, f"no acknowledgement, created {order.created_at.isoformat()}"))

    def missing(self) -> dict[str, list[str]]:
        """Return the ids, by region, of the acknowledged orders not seen yet."""
        ids: dict[str, list[str]] = {}
        for entry in self._waiting.values():
            ids.setdefault(entry.region, []).append(entry.order_id)
        return ids

    def faults(self) -> list[dict[str, str]]:
        """Return witnesses of the acknowledged orders that are missing by now, then of those that are different."""
        missing = [
            _witness(entry, f"acknowledged at {entry.elapsed_s:.1f} s and missing") for entry in self._waiting.values()
        ]
        return missing + self._wrong

    def findings(self) -> tuple[Finding, Finding]:
        """Return what the comparison found; whatever was not seen by now is missing."""
        wrong, missing = self.faults(), len(self._waiting)
        detail = f"{self._acknowledged} acknowledged: {missing} missing, {len(self._wrong)} faults in the others"
        explained = f"{self._seen} orders of the run, {len(self._unknown)} unacknowledged"
        if self._explained:
            explained += f"; {self._explained} more were under way when the run or its target was lost"
        return (
            _finding("journal_kept", "every acknowledged order is there once, as acknowledged", wrong, detail),
            _finding("journal_complete", "every order of the run was acknowledged", self._unknown, explained),
        )


def _differences(entry: JournalEntry, order: Order) -> list[str]:
    """Return in words what the database has differently from what was acknowledged."""
    faults = []
    if order.region != entry.region:
        faults.append(f"region {order.region}, acknowledged {entry.region}")
    if order.order_number != entry.order_number:
        faults.append(f"number {order.order_number}, acknowledged {entry.order_number}")
    if order.idempotency_key != entry.idempotency_key:
        faults.append(f"key {order.idempotency_key}, acknowledged {entry.idempotency_key}")
    if order.total_amount != entry.total_amount and Decimal(order.total_amount) != Decimal(entry.total_amount):
        faults.append(f"total {order.total_amount}, acknowledged {entry.total_amount}")
    if order.status != entry.status and order.status not in SUCCESSORS.get(entry.status, ()):
        faults.append(f"status {order.status}, acknowledged {entry.status}")
    taken = [f"{t.product_id}/{t.variant_id or ''}/{t.warehouse_region}/{t.units}" for t in entry.taken]
    lines = order.lines.split()
    # Nothing was taken in the end for a declined order, but its lines stay; an item may come from one place in two lines.
    if sorted(lines) != sorted(taken) and (taken or entry.status != "cancelled") and _units(lines) != _units(taken):
        faults.append(f"lines {' '.join(sorted(lines)) or 'none'}, acknowledged {' '.join(sorted(taken)) or 'none'}")
    return faults


def _units(lines: list[str]) -> Counter[str]:
    units: Counter[str] = Counter()
    for line in lines:
        item, _, count = line.rpartition("/")
        units[item] += int(count)
    return units


def _witness(order: Order | JournalEntry, fault: str) -> dict[str, str]:
    return {
        "region": order.region,
        "order_id": order.order_id,
        "order_number": order.order_number,
        "idempotency_key": order.idempotency_key,
        "fault": fault,
    }


def _finding(rule: str, title: str, faults: list[dict[str, str]], detail: str) -> Finding:
    return Finding(rule, title, not faults, len(faults), tuple(faults[:WITNESSES]), "", detail)
