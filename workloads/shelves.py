"""Where the goods of a sale lie: the rows of inventory that hold its units, stocked before it opens and while it goes on.

A strategy may want an item's stock spread over bins: extra warehouses of the region, ``USE1/0001`` and so on, with a row of
inventory each.  They stay in the database after the run, empty once another sale has been prepared.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from bench.db.retry import Transaction
from bench.db.session import Session
from bench.errors import TargetError

from .moving import RESTOCKED, Moved, move
from .reserving import Bin
from .world import Item

Shelves = Mapping[tuple[UUID, UUID, str], tuple[Bin, ...]]
"""By product, variant key and region: the rows that hold what is on sale, in the order in which they are stocked."""

_REASON = "stock for the sale"


def divide(units: int, rows: int) -> list[int]:
    """Return how many units each of some rows gets, the first ones one more where it does not come out even.

    >>> divide(10, 4)
    [3, 3, 2, 2]
    """
    each, more = divmod(units, rows)
    return [each + (place < more) for place in range(rows)]


def fill_shelves(
    session: Session, items: Sequence[Item], regions: tuple[str, ...], bins: int, units: int | None
) -> Shelves:
    """Put units of each item into so many bins of each region (0: one ordinary row), and empty every other row of it.

    Returns the rows that hold them.  With None for units nothing is written: they are there already.  TargetError when an
    item has no row in a region.
    """
    if bins and units is not None:
        for region in regions:
            session.execute("add_bins", {"region": region, "bins": bins})
    shelves: dict[tuple[UUID, UUID, str], tuple[Bin, ...]] = {}
    for item in items:
        if bins and units is not None:
            _add_rows(session, item, regions, bins)
        found = session.execute("sale_stock", _key(item))
        chosen = {region: _chosen(found, region, bins) for region in regions}
        if units is not None:
            _stock(session, found, _targets(chosen, units))
        for region, rows in chosen.items():
            if not rows:
                raise TargetError(
                    f"the database has no stock of {item.sku} in {region}", hint="run `bench seed --fresh`"
                )
            shelves[item.product_id, item.variant_key, region] = rows
    return shelves


def _key(item: Item) -> dict[str, UUID]:
    return {"product_id": item.product_id, "variant_key": item.variant_key}


def _add_rows(session: Session, item: Item, regions: tuple[str, ...], bins: int) -> None:
    for region in regions:
        session.execute("add_bin_stock", {**_key(item), "variant_id": item.variant_id, "region": region, "bins": bins})


Row = tuple[str, UUID, int, UUID, str]
"""Region, inventory row, units available, warehouse, its code: as ``sale_stock`` returns them, in a fixed order."""


def _chosen(found: Sequence[Row], region: str, bins: int) -> tuple[Bin, ...]:
    rows = [row for row in found if row[0] == region and ("/" in row[4]) == bool(bins)]
    return tuple(Bin(row_id, warehouse) for _, row_id, _, warehouse, _ in rows[: bins or 1])


def _targets(chosen: Mapping[str, tuple[Bin, ...]], units: int) -> dict[UUID, int]:
    return {
        one.inventory_id: part
        for rows in chosen.values()
        if rows
        for one, part in zip(rows, divide(units, len(rows)), strict=True)
    }


def _stock(session: Session, found: Sequence[Row], targets: Mapping[UUID, int]) -> None:
    """Set every row of an item to its target, 0 where it has none, with the movements that explain it."""
    changes = [
        (region, row_id, targets.get(row_id, 0), targets.get(row_id, 0) - available)
        for region, row_id, available, _, _ in found
        if targets.get(row_id, 0) != available
    ]
    if not changes:
        return
    places, rows, units, differences = (list(column) for column in zip(*changes, strict=True))
    session.begin()
    session.execute("set_sale_stock", {"regions": places, "inventory": rows, "units": units})
    moved = {"regions": places, "inventory": rows, "quantities": differences, "reason": _REASON}
    session.execute("insert_adjustments", moved)
    session.commit()


def restock(region: str, items: Sequence[Item], shelves: Shelves, units: int, key: UUID) -> Transaction:
    """Return the transaction in which units of each item arrive in a region; ``key`` stands on its movements.

    By that key a lost answer is looked up, so that nothing arrives twice.
    """

    def body(session: Session) -> int:
        # In the order of items in which checkouts lock them.
        for item in sorted(items, key=lambda item: (item.product_id, item.variant_key)):
            rows = shelves[item.product_id, item.variant_key, region]
            parts = zip(rows, divide(units, len(rows)), strict=True)
            move(
                session, RESTOCKED, [Moved(region, one.inventory_id, part, region, key) for one, part in parts if part]
            )
        return units * len(items)

    def resolve(session: Session) -> int | None:
        found = session.execute("movements_of_reference", {"reference": key})
        return units * len(items) if found[0][0] else None

    return Transaction(body, resolve=resolve)
