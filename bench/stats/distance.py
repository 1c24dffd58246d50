"""How much of a region's time is distance: round trips to the server against service time.  Pure.

The emulated distance is paid by each exchange; a statement shorter than it travelled with the one before (a pipeline).  On a
real network the distance is not known: no statement says how much of its time was the way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrics.frame import StatementCell, TransactionCell
from bench.metrics.histogram import RELATIVE_ERROR, Histogram
from bench.units import NS_PER_MS


@dataclass(frozen=True, slots=True)
class DistanceRow:
    """The service time of one region and transaction (None: all of them), and the part of it that was distance.

    ``round_trip_ms`` is the emulated distance; ``share`` is ``distance_ms`` (of all ``exchanges``) of ``service_ms``.
    """

    region: str
    transaction: str | None
    round_trip_ms: float
    exchanges: int
    distance_ms: float
    service_ms: float
    share: float


def distance_rows(
    transactions: Sequence[TransactionCell],
    statements: Sequence[StatementCell],
    distance_ms: Mapping[str, float],
    regions: Iterable[str],
) -> tuple[DistanceRow, ...]:
    """Return each region with a distance, all transactions first; what sent no statement is left out."""
    rows = []
    for region in regions:
        sent = [cell for cell in statements if cell.region == region]
        ended = [cell for cell in transactions if cell.region == region]
        for name in (None, *sorted({cell.name for cell in ended})):
            row = _row(
                (region, name),
                distance_ms.get(region, 0.0),
                [cell.time for cell in sent if name in (None, cell.transaction)],
                sum(cell.service.sum_ns for cell in ended if name in (None, cell.name)),
            )
            if row:
                rows.append(row)
    return tuple(rows)


def _row(
    label: tuple[str, str | None], round_trip_ms: float, times: Sequence[Histogram], service_ns: int
) -> DistanceRow | None:
    exchanges = sum(_at_least(time, round_trip_ms) for time in times)
    if not exchanges or service_ns <= 0 or round_trip_ms <= 0:
        return None
    travelled, service_ms = exchanges * round_trip_ms, service_ns / NS_PER_MS
    return DistanceRow(*label, round_trip_ms, exchanges, travelled, service_ms, travelled / service_ms)


def _at_least(time: Histogram, bound_ms: float) -> int:
    """Return how many values reach a bound, to the bucket."""
    values, _ = time.cumulative()
    return int(time.counts[np.searchsorted(values, bound_ms * (1 - 2 * RELATIVE_ERROR)) :].sum())
