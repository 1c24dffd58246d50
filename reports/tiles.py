"""The handful of figures above the fold."""

from bench.stats.records import Summary

from .model import Tile
from .numbers import MISSING, count, latency, rate, ratio, share


def tiles(summary: Summary) -> tuple[Tile, ...]:
    """Return the tiles of a run; none when nothing was measured."""
    total, arrivals = summary.total, summary.total_arrivals
    if not total.count:
        return ()
    shown = []
    if arrivals.offered_per_s is not None:
        dropped = share(summary.generator.dropped_share)
        shown.append(Tile("offered", f"{rate(arrivals.offered_per_s)}/s", f"sessions; {dropped} dropped"))
    if arrivals.ended_per_s is not None:
        drain = f"; {count(arrivals.drained)} more in the drain" if arrivals.drained else ""
        shown.append(Tile("answered", f"{rate(arrivals.ended_per_s)}/s", f"sessions{drain}"))
    shown += [
        Tile("committed", f"{rate(total.committed_per_s)}/s", f"transactions; {count(total.failed)} failed"),
        Tile(
            "response p99",
            latency(total.response, "p99_ms"),
            f"p50 {latency(total.response, 'p50_ms')}, max {latency(total.response, 'max_ms')}",
        ),
        Tile("service p99", latency(total.service, "p99_ms"), f"p50 {latency(total.service, 'p50_ms')}"),
        Tile("attempts per commit", ratio(total.attempts_per_commit), f"{count(total.retries)} retries"),
    ]
    if summary.stock:
        sold = sum(row.sold for row in summary.stock)
        offered = sum(row.offered for row in summary.stock)
        shown.append(Tile("oversold", count(summary.oversold), f"units; {count(sold)} of {count(offered)} sold"))
    broken = f"{len(summary.broken)} of {len(summary.findings)}" if summary.is_audited else MISSING
    shown.append(Tile("audit rules broken", broken, "" if summary.is_audited else "the audit did not run"))
    return tuple(shown)
