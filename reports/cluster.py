"""What a cluster's nodes counted by region, who did work again, and where the leaseholders stand."""

from collections.abc import Mapping, Sequence

from bench.stats.placement import IndexPlaces
from bench.stats.serverside import NodeRow, node_rows, retries_beside

from .facts import Facts
from .model import Block, Cell, Folded, Row, table
from .numbers import MISSING, count, share


def cluster(facts: Facts) -> tuple[Block, ...]:
    """Return what only a server with regions tells; nothing of one that stands in one place."""
    return (*_retries(facts), *_nodes(facts), *_places(facts))


def _retries(facts: Facts) -> tuple[Block, ...]:
    found = retries_beside(facts.served, facts.refused)
    if not found:
        return ()
    rows: list[Row] = [
        (
            Cell(row.region, "region"),
            count(row.client),
            *(MISSING if value is None else count(value) for value in (row.statements, row.by_server, row.restarts)),
        )
        for row in found
    ]
    head = (
        "region",
        "#by the client",
        "#statements outside BEGIN, by the server",
        "#by the region's nodes",
        "#restarts in its nodes",
    )
    note = (
        "Over the whole run, warm-up included. The client's are attempts that ended without a commit. What the server "
        "retries by itself no client sees but as time: statements outside BEGIN are counted in the second column, "
        "transactions in the last two alone, which are of the region's nodes and count for all their clients."
    )
    return (table("Who did work again, by region", head, rows, note),)


def _nodes(facts: Facts) -> tuple[Block, ...]:
    found = node_rows(facts.served)
    phases = dict.fromkeys(row.phase for row in found)
    return tuple(
        Folded(f"What the nodes counted in '{phase}'", (_phase(facts, phase, [r for r in found if r.phase == phase]),))
        for phase in phases
    )


def _phase(facts: Facts, phase: str, found: Sequence[NodeRow]) -> Block:
    regions = _regions(facts, [row.by_region for row in found])
    rows: list[Row] = [
        (
            row.metric.says,
            row.metric.topic,
            *(_amount(row, row.by_region[region]) if region in row.by_region else MISSING for region in regions),
            _amount(row, sum(row.by_region.values())),
            Cell(row.metric.name, "code"),
        )
        for row in found
    ]
    head = ("what", "of", *(f"#{region}" for region in regions), "#all", "metric")
    note = "By the region of the node that counted, for all its clients. Bytes in MiB, times in seconds."
    return table(f"Metrics of the nodes, in '{phase}'", head, rows, note)


def _amount(row: NodeRow, value: float) -> str:
    return f"{value:,.2f} {row.metric.unit}" if row.metric.unit else count(value)


def _places(facts: Facts) -> tuple[Block, ...]:
    found = facts.places
    if not found:
        return ()
    regions = _regions(facts, [place.ranges for place in found])
    rows: list[Row] = [
        (Cell(place.name, "code"), *(_leases(place, region) for region in regions), share(place.misplaced))
        for place in found
    ]
    head = ("index", *(f"#{region}" for region in regions), "#rows led from elsewhere, at least")
    note = (
        "At the end of the run: live keys by the region of their leaseholder (in as many ranges), and of rows that were "
        "counted by region the part that is led from another one."
    )
    placed = table("Where the leaseholders are", head, rows, note)
    return (Folded(f"Where the leaseholders of {len(found)} indexes are", (placed,)),)


def _leases(place: IndexPlaces, region: str) -> Cell:
    ranges = place.ranges.get(region, 0)
    return Cell(count(place.keys.get(region, 0)), "number", f"in {ranges:,}") if ranges else Cell(MISSING, "number")


def _regions(facts: Facts, tables: Sequence[Mapping[str, float]]) -> list[str]:
    known = facts.manifest.regions
    seen = {region for each in tables for region in each}
    return [region for region in (*known, *sorted(seen - set(known))) if region in seen]
