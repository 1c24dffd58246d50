"""How sure the percentiles of a run are: intervals of the groups that a report shows, from its blocks of seconds.  Pure."""

from collections.abc import Iterable, Iterator

from bench.metrics.histogram import Histogram
from bench.stats.bootstrap import percentile_intervals
from bench.stats.material import Blocks
from bench.stats.records import Group, IntervalRow, Latency, Which

_FIGURES = (("p50_ms", 50.0), ("p99_ms", 99.0))
_CLOCKS: tuple[Which, ...] = ("response", "service")
_UNSEEN = 0.1
"""Beyond a percentile no more than this share of what is there may be without an answer: else its interval is left out."""


def interval_rows(blocks: Blocks, groups: Iterable[Group]) -> tuple[IntervalRow, ...]:
    """Return the intervals of p50 and p99 of each group; none where the run is too short or too much went unanswered.

    Of one transaction in one region only those of its response time, which is what is compared.
    Times without an answer are in the blocks as long as they are known to have been.
    """
    return tuple(row for group in groups for clock in _clocks(group) for row in _rows(blocks, group, clock))


def _clocks(group: Group) -> tuple[Which, ...]:
    return _CLOCKS[:1] if group.region and group.transaction else _CLOCKS


def _rows(blocks: Blocks, group: Group, clock: Which) -> Iterator[IntervalRow]:
    latency: Latency = getattr(group, clock)
    wanted = [(name, percent) for name, percent in _FIGURES if _is_seen(latency, name, percent)]
    mine = [
        times[_CLOCKS.index(clock)]
        for (region, name), times in blocks.items()
        if group.region in (None, region) and group.transaction in (None, name)
    ]
    if not wanted or not mine:
        return
    series = mine[0] if len(mine) == 1 else [Histogram.merge(parts) for parts in zip(*mine, strict=True)]
    found = percentile_intervals(series, [percent for _, percent in wanted])
    for (name, _), interval in zip(wanted, found, strict=True):
        if interval is not None:
            yield IntervalRow(group.region, group.transaction, clock, name, interval.low, interval.high)


def _is_seen(latency: Latency, name: str, percent: float) -> bool:
    beyond = (1 - percent / 100) * (latency.count + latency.censored)
    return latency.count > 0 and name not in latency.at_least and latency.censored <= _UNSEEN * beyond
