"""Fairness: of those who wanted something scarce, who got it, by region and by order of arrival.  Pure.

By region: chi-square test of homogeneity on served and refused buyers (Pearson 1900).  By order of arrival: the share of
pairs of a refused and a served buyer of the same thing in which the refused one came first, which is the statistic of Mann
and Whitney ("On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other", Annals of
Mathematical Statistics 18, 1947) divided by the number of pairs: 0 is a queue, 0.5 a lottery.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrics.frame import Contender
from bench.metrics.recorder import DROPPED
from bench.stats.offer import chi_square_p

SERVED = frozenset({"ok", "payment_declined"})
"""A buyer whose payment was declined had won the item before."""
_LEAST_EXPECTED = 5.0
"""Below five expected in a cell chi-square is no approximation (Cochran 1954), and no p-value is given."""


@dataclass(frozen=True, slots=True)
class FairRow:
    """The buyers of one region (None: all); inversions are among buyers of the same region and the same thing.

    ``wanted`` counts those who were dropped, too; ``attempts_p99`` is of those who were not.
    """

    region: str | None
    wanted: int
    served: int
    wanted_share: float
    served_share: float | None
    inversions: float | None
    attempts_p99: int


@dataclass(frozen=True, slots=True)
class Fairness:
    """Who got what was scarce; ``p_value`` is how likely regions treated alike differ as much (None: not testable)."""

    rows: tuple[FairRow, ...]
    chi_square: float | None
    p_value: float | None


def fairness(contenders: Sequence[Contender], regions: Sequence[str]) -> Fairness | None:
    """Return who got what was scarce; None where nobody contended."""
    if not contenders:
        return None
    by_region: defaultdict[str, list[Contender]] = defaultdict(list)
    for contender in contenders:
        by_region[contender.region].append(contender)
    places = [*(region for region in regions if region in by_region), *sorted(set(by_region) - set(regions))]
    served = sum(contender.outcome in SERVED for contender in contenders)
    rows = [_row(region, by_region[region], len(contenders), served) for region in places]
    chi_square = _chi_square([(row.served, row.wanted - row.served) for row in rows])
    p_value = None if chi_square is None else chi_square_p(chi_square, len(rows) - 1)
    return Fairness((*rows, _row(None, contenders, len(contenders), served)), chi_square, p_value)


def _row(region: str | None, group: Sequence[Contender], all_wanted: int, all_served: int) -> FairRow:
    served = sum(contender.outcome in SERVED for contender in group)
    attempts = sorted(contender.attempts for contender in group if contender.outcome != DROPPED) or [0]
    return FairRow(
        region=region,
        wanted=len(group),
        served=served,
        wanted_share=len(group) / all_wanted,
        served_share=served / all_served if all_served else None,
        inversions=inversions(group),
        attempts_p99=attempts[max(1, -(-99 * len(attempts) // 100)) - 1],
    )


def inversions(group: Iterable[Contender]) -> float | None:
    """Return the share of (refused, served) pairs of a key in which the refused one came first; ties count half.

    None when no key has both.
    """
    by_key: defaultdict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for contender in group:
        by_key[contender.key][contender.outcome in SERVED].append(contender.arrived_s)
    inverted, pairs = 0.0, 0
    for refused, served in by_key.values():
        if refused and served:
            order = np.sort(np.array(refused))
            before = np.searchsorted(order, served, side="left")
            until = np.searchsorted(order, served, side="right")
            inverted += float((before + until).sum()) / 2
            pairs += len(refused) * len(served)
    return inverted / pairs if pairs else None


def _chi_square(table: Sequence[tuple[int, int]]) -> float | None:
    counts = np.array(table, np.float64)
    if len(counts) < 2:
        return None
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / counts.sum()
    if expected.min() < _LEAST_EXPECTED:
        return None
    return float(((counts - expected) ** 2 / expected).sum())
