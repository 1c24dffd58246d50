"""One scenario on one schema variant after another: response times by region, and what each variant costs there.  Pure.

A price is the ratio of a percentile to that of the first variant.  Its interval is over the seconds of both runs
(``bench.stats.bootstrap``), widened by how much two runs of the same thing differ beyond what their seconds tell: by the
figure's own floor and the speed of the machine (``bench.stats.comparison``; docs/gate.md).  There is none of a run that
says nothing: an INVALID one, one cut short, or one with wrong data.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from bench.metrics.histogram import Histogram
from bench.stats.blast import Ratio
from bench.stats.bootstrap import ratio_interval
from bench.stats.comparison import CONFIDENCE, ONE_RUN_FREEDOM, SHIFT_FLOOR
from bench.stats.comparison_measures import METRICS
from bench.stats.material import Blocks
from bench.stats.records import Group, IntervalRow, Latency, Summary

_PERCENTS = {"p50_ms": 50.0, "p99_ms": 99.0}
_REACH = float(stats.t.ppf(0.5 + CONFIDENCE / 2, ONE_RUN_FREEDOM))


@dataclass(frozen=True, slots=True)
class VariantRun:
    """One variant's run as a whole."""

    variant: str
    run_id: str
    status: str
    verdict: str
    committed_per_s: float | None
    attempts_per_commit: float | None
    failed_share: float | None
    broken_rules: tuple[str, ...]

    @property
    def has_prices(self) -> bool:
        """Whether it says what anything costs: it went to its end, its data was right, and its times can be trusted."""
        return self.status == "complete" and not self.broken_rules and self.verdict != "INVALID"


@dataclass(frozen=True, slots=True)
class VariantCell:
    """The response time of one transaction (None: all) in one region (None: all) on one variant.

    ``intervals`` are 95 % intervals by figure; ``prices`` the ratios to the first variant, none for the first itself or
    where either run has none (``VariantRun.has_prices``).
    """

    transaction: str | None
    region: str | None
    variant: str
    response: Latency
    intervals: Mapping[str, tuple[float, float]]
    prices: Mapping[str, Ratio]


@dataclass(frozen=True, slots=True)
class Material:
    """What a comparison needs of one variant's run."""

    variant: str
    run_id: str
    summary: Summary
    blocks: Blocks


def variant_run(material: Material) -> VariantRun:
    """Return the row of one run."""
    total = material.summary.total
    return VariantRun(
        variant=material.variant,
        run_id=material.run_id,
        status=material.summary.status,
        verdict=material.summary.validity.verdict,
        committed_per_s=total.committed_per_s,
        attempts_per_commit=total.attempts_per_commit,
        failed_share=total.failed / total.count if total.count else None,
        broken_rules=tuple(finding.rule for finding in material.summary.broken),
    )


def variant_cells(runs: Sequence[Material]) -> tuple[VariantCell, ...]:
    """Return the cells, all transactions together first, then by name, region and variant; the first run is compared with."""
    groups = [{(group.transaction, group.region): group for group in _groups(run.summary)} for run in runs]
    places = dict.fromkeys(place for each in groups for place in each)
    order = {region: number for number, region in enumerate((None, *runs[0].summary.region_names))} if runs else {}
    ranked = sorted(places, key=lambda place: (place[0] or "", order.get(place[1], len(order))))
    return tuple(
        _cell(runs, groups, place, number) for place in ranked for number in range(len(runs)) if place in groups[number]
    )


def _groups(summary: Summary) -> Iterable[Group]:
    return (summary.total, *summary.regions, *summary.transactions, *summary.region_transactions)


Place = tuple[str | None, str | None]


def _cell(runs: Sequence[Material], groups: Sequence[Mapping[Place, Group]], place: Place, number: int) -> VariantCell:
    run, response = runs[number], groups[number][place].response
    intervals = dict(_intervals(run.summary.intervals, place))
    prices: dict[str, Ratio] = {}
    if number and place in groups[0] and all(variant_run(each).has_prices for each in (runs[0], run)):
        first, sure = groups[0][place].response, dict(_intervals(runs[0].summary.intervals, place))
        sides = (_series(runs[0].blocks, place), _series(run.blocks, place))
        for name in _PERCENTS:
            if name not in first.at_least and name not in response.at_least:
                is_sure = name in sure and name in intervals
                prices |= _price(name, first, response, sides if is_sure else None)
    return VariantCell(*place, run.variant, response, intervals, prices)


def _intervals(rows: Iterable[IntervalRow], place: Place) -> Iterable[tuple[str, tuple[float, float]]]:
    for row in rows:
        if (row.transaction, row.region) == place and row.time == "response":
            yield row.figure, (row.low_ms, row.high_ms)


def _series(blocks: Blocks, place: Place) -> list[Histogram]:
    transaction, region = place
    mine = [
        times[0] for (where, name), times in blocks.items() if transaction in (None, name) and region in (None, where)
    ]
    return [Histogram.merge(parts) for parts in zip(*mine, strict=True)] if mine else []


def _price(
    name: str, first: Latency, other: Latency, sides: tuple[Sequence[Histogram], Sequence[Histogram]] | None
) -> dict[str, Ratio]:
    """Return the price by its figure's name; no interval without ``sides``, where a figure has none for itself."""
    before, after = getattr(first, name), getattr(other, name)
    if not before or not after:
        return {}
    value = after / before
    interval = ratio_interval(*sides, _PERCENTS[name]) if sides else None
    if interval is None or interval.low <= 0:
        return {name: Ratio(value, None, None)}
    floor = _REACH * math.sqrt(2) * math.hypot(METRICS[f"response_{name}"].floor, SHIFT_FLOOR)
    below, above = (math.hypot(math.log(value / end), floor) for end in (interval.low, interval.high))
    return {name: Ratio(value, value * math.exp(-below), value * math.exp(above))}
