"""A bake-off: the same sale with the same arrivals under each strategy and isolation level, side by side.  Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.metrics.frame import Contender
from bench.metrics.outcome import StockRow
from bench.metrics.recorder import DROPPED
from bench.stats.blast import Ratio
from bench.stats.fairness import SERVED
from bench.stats.records import Latency, Summary


@dataclass(frozen=True, slots=True)
class BakeoffRow:
    """What one strategy did at one isolation level.

    ``goodput_per_s`` is buyers served per second, from the opening until the last unit offered was sold or else to the end
    of the measured time; what is sold while the run drains is not in it.  ``undersold`` counts units left over although
    buyers of the item were refused.  ``buyer`` is the response time of the sessions that came for the sale.
    ``inversions`` is 0 for a queue and 0.5 for a lottery; ``region_p`` is how likely regions treated alike are to differ as
    much.  ``blast_p99`` is what the sale did to the others.
    """

    strategy: str
    isolation: str
    run_id: str
    status: str
    verdict: str
    offered: int
    sold: int
    oversold: int
    undersold: int
    goodput_per_s: float | None
    buyer: Latency | None
    retries_per_commit: float | None
    served_by_region: tuple[tuple[str, float], ...]
    region_p: float | None
    inversions: float | None
    blast_p99: Ratio | None
    broken_rules: tuple[str, ...]

    @property
    def is_correct(self) -> bool:
        """Whether the data was right at the end."""
        return self.status == "complete" and not self.oversold and not self.broken_rules


def bakeoff_row(
    strategy: str, isolation: str, run_id: str, summary: Summary, contenders: Sequence[Contender], hot: frozenset[str]
) -> BakeoffRow:
    """Return the row of one run; ``hot`` are the sessions that came for the sale."""
    fair = summary.fairness
    whole = next((row for row in fair.rows if row.region is None), None) if fair else None
    buyers = [g for g in summary.sessions if g.region is None and g.transaction in hot]
    checkout = next((group for group in summary.transactions if group.transaction == "checkout"), None)
    attempts = checkout.attempts_per_commit if checkout else None
    return BakeoffRow(
        strategy=strategy,
        isolation=isolation,
        run_id=run_id,
        status=summary.status,
        verdict=summary.validity.verdict,
        offered=sum(row.offered for row in summary.stock),
        sold=sum(row.sold for row in summary.stock),
        oversold=summary.oversold,
        undersold=undersold(summary.stock, contenders),
        goodput_per_s=_goodput(summary, contenders),
        buyer=max(buyers, key=lambda group: group.count).response if buyers else None,
        retries_per_commit=None if attempts is None else attempts - 1,
        served_by_region=tuple((r.region, r.served / r.wanted) for r in fair.rows if r.region and r.wanted)
        if fair
        else (),
        region_p=fair.p_value if fair else None,
        inversions=whole.inversions if whole else None,
        blast_p99=next((row.p99_ratio for row in summary.blast if row.region is None), None),
        broken_rules=tuple(finding.rule for finding in summary.broken),
    )


def undersold(stock: Iterable[StockRow], contenders: Iterable[Contender]) -> int:
    """Return the units left over of items whose buyers were refused: for each item no more than were refused.

    Buyers who were dropped never asked, so nobody refused them.
    """
    left: defaultdict[str, int] = defaultdict(int)
    for row in stock:
        left[row.sku] += max(0, row.left)
    refused: defaultdict[str, int] = defaultdict(int)
    for contender in contenders:
        if contender.outcome not in SERVED and contender.outcome != DROPPED:
            refused[contender.key.partition("@")[0]] += 1
    return sum(min(units, refused[sku]) for sku, units in left.items())


def ranked(rows: Iterable[BakeoffRow]) -> list[BakeoffRow]:
    """Return the rows best first: those that kept the data right, then by goodput."""
    return sorted(rows, key=lambda row: (not row.is_correct, -(row.goodput_per_s or 0.0), row.strategy, row.isolation))


def _goodput(summary: Summary, contenders: Sequence[Contender]) -> float | None:
    if not summary.stock:
        return None
    opened = summary.t0_s or 0.0
    ends = [row.sold_out_after_s for row in summary.stock]
    if all(end is not None for end in ends):
        closed = opened + max(end for end in ends if end is not None)
    else:
        last = max((phase.end_s for phase in summary.phases if phase.measured), default=0.0)
        closed = last if summary.end_s is None else min(last, summary.end_s)
    sold = sum(buyer.outcome == "ok" and buyer.ended_s <= closed for buyer in contenders)
    return sold / (closed - opened) if closed > opened else None
