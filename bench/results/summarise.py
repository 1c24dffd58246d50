"""From a run on disk to its summary."""

from bench.results import derived
from bench.results.read import Run
from bench.stats.material import Material
from bench.stats.outages import outages
from bench.stats.records import Summary
from bench.stats.summary import summarise
from bench.stats.validity import judge

SLOW_READ = 100_000
"""Slow samples read at most: five a second are five hours and a half."""


def summarise_run(run: Run) -> Summary:
    """Return the summary of a run; where the writer left no verdict on the generator, the frames are judged here."""
    evidence = run.evidence()
    return summarise(
        Material(
            status=run.status,
            detail=run.detail,
            validity=run.validity or judge(evidence),
            evidence=evidence,
            regions=run.manifest.regions,
            distance_ms=dict(run.manifest.distance_ms or {}),
            phases=run.manifest.phases,
            t0_s=run.manifest.t0_s,
            end_s=run.end_s,
            transactions=run.cells,
            statements=run.statements,
            attempts=run.attempts,
            retries=run.retries,
            arrivals=run.arrivals,
            drained=derived.drained(run),
            is_open=run.manifest.is_open,
            planned=derived.planned(run),
            executed=derived.executed(run),
            slow=run.slow(SLOW_READ),
            contenders=run.contenders,
            blocks=run.scan.blocks,
            cold=derived.cold_sides(run),
            counters=run.counters,
            checks=run.checks,
            outages=outages(run.disconnects, derived.outage_seconds(run), run.manifest.regions),
            workers=run.workers,
            stock=run.stock,
            wins=run.wins,
            findings=run.findings,
            objectives=derived.objectives(run),
        )
    )
