"""What a run measured, in numbers: the one model behind the terminal, the page, the Markdown and the JSON.  Pure.

Only measured phases count.  Times are of transactions by the phase in which they were intended to start, however late they
ended; those without an answer are in them as "at least" (``bench.stats.censoring``).  A rate is a count of what ended within
the measured time divided by the measured seconds.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from bench.metrics.frame import RetryCell, StatementCell
from bench.metrics.histogram import Histogram
from bench.stats.blast import blast_rows
from bench.stats.distance import distance_rows
from bench.stats.fairness import fairness
from bench.stats.ledger import hot_keys, ledger
from bench.stats.material import Material
from bench.stats.measured import Measured
from bench.stats.merge import is_session
from bench.stats.objectives import judge_objectives
from bench.stats.offer import Offered, mix, phase_rows
from bench.stats.records import AbortDetail, GeneratorFacts, Latency, StatementRow, Summary, WinRow
from bench.stats.served import served_rows, shown_rows
from bench.stats.serverside import cross_checks
from bench.stats.spread import interval_rows
from bench.stats.tail import Slowest, explain
from bench.stats.validity import Evidence
from bench.units import NS_PER_MS

__all__ = ["Material", "Summary", "summarise"]


def summarise(material: Material) -> Summary:
    """Return the summary of what a run holds."""
    measured = Measured(material)
    tx, regions = measured.transactions, material.regions
    names = sorted({cell.name for cell in tx})
    seen = sorted({cell.region for cell in tx} - set(regions))
    places = (*regions, *seen)
    total = measured.group(None, None)
    of_regions = tuple(measured.group(region, None) for region in places)
    of_names = tuple(measured.group(None, name) for name in names)
    present = {(cell.region, cell.name) for cell in tx}
    both = tuple(measured.group(region, name) for name in names for region in places if (region, name) in present)
    served = served_rows(material.counters, [phase.name for phase in material.phases])
    return Summary(
        status=material.status,
        detail=material.detail,
        validity=material.validity,
        generator=_facts(material.evidence),
        phases=material.phases,
        t0_s=material.t0_s,
        end_s=material.end_s,
        measured_s=measured.seconds,
        distance_ms=material.distance_ms,
        total=total,
        regions=of_regions,
        transactions=of_names,
        region_transactions=both,
        sessions=measured.session_groups(places),
        intervals=interval_rows(material.blocks, (total, *of_regions, *of_names, *both)),
        distance=distance_rows(tx, measured.statements, material.distance_ms, places),
        total_arrivals=measured.arrivals_of(None),
        arrivals=tuple(measured.arrivals_of(region) for region in places),
        aborts=_abort_details(measured.retries),
        hot_keys=hot_keys(measured.retries),
        ledger=ledger(measured.retries),
        statements=_statement_rows(measured.statements),
        mix=mix(
            Offered(
                material.phases,
                material.planned,
                material.arrivals,
                [cell for cell in material.transactions if is_session(cell.name)],
                material.end_s,
                material.is_open,
            )
        ),
        executed=phase_rows(material.phases, material.planned, material.executed, is_open=material.is_open),
        tail=explain(
            Slowest(
                [sample for sample in material.slow if sample.phase in measured.names],
                total.response.p99_ms,
                "p99_ms" in total.response.at_least,
                total.response.count + total.response.censored,
                material.distance_ms,
                measured.statements,
            )
        ),
        blast=blast_rows(material.cold, places),
        fairness=fairness(material.contenders, regions),
        served=shown_rows(served),
        cross_checks=cross_checks(served, material.retries, material.statements),
        checks=material.checks,
        outages=material.outages,
        workers=material.workers,
        stock=material.stock,
        wins=_win_rows(material.wins, places),
        findings=material.findings,
        objectives=judge_objectives(material.objectives, (total, *of_regions, *of_names, *both)),
    )


def _abort_details(cells: Iterable[RetryCell]) -> tuple[AbortDetail, ...]:
    counts: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    wasted: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    for cell in cells:
        key = (cell.reason, cell.region, cell.transaction, cell.statement)
        counts[key] += cell.count
        wasted[key] += cell.wasted_ns
    rows = [AbortDetail(*key, count, wasted[key] / NS_PER_MS) for key, count in counts.items()]
    return tuple(sorted(rows, key=lambda row: (-row.wasted_ms, row.reason, row.region, row.transaction, row.statement)))


def _statement_rows(cells: Iterable[StatementCell]) -> tuple[StatementRow, ...]:
    groups: defaultdict[tuple[str, str], list[StatementCell]] = defaultdict(list)
    for cell in cells:
        groups[cell.transaction, cell.statement].append(cell)
    spent = {key: sum(cell.time.sum_ns for cell in group) for key, group in groups.items()}
    total = sum(spent.values()) or 1
    rows = [
        StatementRow(
            *key,
            sum(cell.count for cell in group),
            sum(cell.errors for cell in group),
            spent[key] / total,
            Latency.of(Histogram.merge(cell.time for cell in group)),
        )
        for key, group in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.share, row.transaction, row.statement)))


def _win_rows(wins: Mapping[str, tuple[int, int]], places: Sequence[str]) -> tuple[WinRow, ...]:
    total = sum(units for _, units in wins.values())
    order = (*places, *sorted(set(wins) - set(places)))
    rows = [(region, *wins.get(region, (0, 0))) for region in order]
    return tuple(WinRow(*row, row[2] / total) for row in rows) if total else ()


def _facts(evidence: Evidence) -> GeneratorFacts:
    has_frames = evidence.seconds > 0
    return GeneratorFacts(
        dispatch_p50_ms=evidence.dispatch.percentile_ms(50),
        dispatch_p99_ms=evidence.dispatch.percentile_ms(99),
        dispatch_p999_ms=evidence.dispatch.percentile_ms(99.9),
        lag_p50_ms=evidence.lag.percentile_ms(50),
        lag_p99_ms=evidence.lag.percentile_ms(99),
        lag_p999_ms=evidence.lag.percentile_ms(99.9),
        stall_max_ms=evidence.stall_ms if has_frames else None,
        cpu_p95_share=evidence.cpu_p95,
        starved_p95_share=evidence.starved_p95,
        gc_ms_per_s=evidence.gc_ms_per_s,
        dropped_share=evidence.dropped_share,
        clock_step_ms=evidence.frames.step_ms if evidence.frames.expected > 1 else None,
        missing_s=evidence.frames.missing if evidence.frames.expected else None,
    )
