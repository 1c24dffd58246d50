"""From a run on disk to its summary."""

from bench.results.read import Run
from bench.stats.records import Summary
from bench.stats.summary import Material, summarise
from bench.stats.validity import judge


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
            retries=run.retries,
            arrivals=run.arrivals,
            stock=run.stock,
            wins=run.wins,
            findings=run.findings,
        )
    )
