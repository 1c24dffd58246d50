"""From a run on disk to the figures that a comparison compares."""

from collections import defaultdict
from collections.abc import Iterator

from bench.metrics.histogram import Histogram
from bench.results.frames import Kind, Label, Which, all_frame_histograms
from bench.results.read import Run
from bench.stats.comparison_measures import (
    MIN_COUNT,
    Key,
    Measure,
    Measures,
    count_measure,
    mean_measure,
    percentile_measure,
    quick_measure,
)
from bench.stats.phases import measured_names
from bench.stats.records import Group, Summary
from bench.stats.served import served_rows

_RESPONSE = {"response_p50_ms": 50.0, "response_p95_ms": 95.0, "response_p99_ms": 99.0}
_SERVICE = {"service_p50_ms": 50.0, "service_p99_ms": 99.0}
_STATEMENT = {"p50_ms": 50.0, "p95_ms": 95.0}
_OWN = frozenset({"counters_", "clock"})
_SERVED = {"exec_ms": ("exec_ms",), "blocks": ("blks_hit", "blks_read"), "rows": ("rows",), "wal_bytes": ("wal_bytes",)}
_LEAST_WAL_BYTES = 50.0
"""A call with less than a record's worth writes by chance only: a hint bit, a page image."""


def read_measures(run: Run, summary: Summary) -> Measures:
    """Return the figures of a run's measured phases; those with too few samples are left out."""
    found: dict[Key, Measure | None] = {}
    found |= dict(_counts(summary))
    regions = len(summary.region_names) > 1
    found |= dict(_times(_pooled(run, "transaction", "response"), _RESPONSE, regions))
    found |= dict(_times(_pooled(run, "transaction", "service"), _SERVICE, regions))
    statements = _pooled(run, "statement", "response")
    found |= dict(_times(statements, _STATEMENT, False))
    transactions = {group.transaction: group.count for group in summary.transactions}
    for label, times in statements.items():
        name = label.name
        found[Key("statement", name, None, "mean_ms")] = mean_measure(times)
        found[Key("statement", name, None, "quick_ms")] = quick_measure(times)
        count = transactions.get(name.partition("/")[0], 0)
        found[Key("statement", name, None, "calls")] = count_measure(times.count / max(1, count), 1.0, count)
    found |= dict(_served(run))
    return {key: measure for key, measure in found.items() if measure is not None and measure.value > 0}


def _pooled(run: Run, kind: Kind, which: Which) -> dict[Label, Histogram]:
    pooled = {label: parts[0] for label, parts in all_frame_histograms(run, kind, which, blocks=1).items() if parts}
    return {label: times for label, times in pooled.items() if kind == "transaction" or label.region is None}


def _times(
    pooled: dict[Label, Histogram], percents: dict[str, float], with_regions: bool
) -> Iterator[tuple[Key, Measure | None]]:
    for label, times in pooled.items():
        if label.region and not with_regions:
            continue
        for metric, percent in percents.items():
            yield Key(label.kind, label.name, label.region, metric), percentile_measure(times, percent)


def _counts(summary: Summary) -> Iterator[tuple[Key, Measure | None]]:
    groups = [*summary.transactions]
    groups += summary.region_transactions if len(summary.region_names) > 1 else ()
    for group in groups:
        for metric, measure in _count_measures(group):
            yield Key("transaction", group.transaction or "", group.region, metric), measure


def _count_measures(group: Group) -> Iterator[tuple[str, Measure | None]]:
    # What is offered is the same in both runs (one seed), so commits differ by those at the edges only.
    yield "goodput_per_s", count_measure(group.committed_per_s or 0.0, 1.0, group.committed)
    answered = (group.count - group.failed) / group.count if group.count else 0.0
    yield "answered_share", count_measure(answered, group.failed + 0.5, group.count)
    yield "attempts_per_commit", count_measure(group.attempts_per_commit or 0.0, group.retries + 0.5, group.committed)


def _served(run: Run) -> Iterator[tuple[Key, Measure | None]]:
    """Yield what the server counted for each call of a statement, over the measured phases."""
    for name, grown in _grown(run).items():
        calls = grown.get("calls", 0.0)
        if calls < MIN_COUNT or name.startswith(tuple(_OWN)):
            continue
        for metric, parts in _SERVED.items():
            value = sum(grown.get(part, 0.0) for part in parts) / calls
            if metric != "wal_bytes" or value >= _LEAST_WAL_BYTES:
                yield Key("server", name, None, metric), Measure(value, 0.0, int(calls))


def _grown(run: Run) -> dict[str, dict[str, float]]:
    """Return by how much each statement's counters grew in the measured phases, in those of which it is known."""
    names = measured_names(run.manifest.phases)
    grown: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in served_rows(run.counters, [phase.name for phase in run.manifest.phases]):
        if row.kind == "statement" and row.phase in names:
            for metric, value in row.values.items():
                grown[row.name][metric] += value
    return {name: dict(values) for name, values in grown.items()}
