"""How often statements are called: from a run of the same schema, else from the sessions played."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from bench.cli import console
from bench.errors import UsageError
from bench.results.files import find_run
from bench.results.read import Run
from bench.stats.phases import measured_names, measured_seconds
from bench.stats.served import growth


@dataclass(frozen=True, slots=True)
class RunCalls:
    """The calls of a run per second of its measured phases, by statement and region, and its server's scans by index."""

    run_id: str
    folder: Path
    scale: str
    per_s: dict[tuple[str, str], float]
    scans: dict[str, float]


def run_calls(runs: Path, reference: str | None, fingerprint: str) -> RunCalls | None:
    """Return the calls of a run, by default of the last one if it has this schema; UsageError for one that cannot serve."""
    try:
        folder = find_run(runs, reference or "last")
    except UsageError:
        if reference:
            raise
        return None
    with Run.open(folder) as run:
        found = _read(run)
        held = run.manifest.schema_fingerprint
    why = "measured nothing" if found is None else f"has another schema ({held})" if held != fingerprint else ""
    if why and reference:
        raise UsageError(f"run {folder.name} {why}", hint="choose another run, or leave out --run")
    if why:
        console.note(f"weights   run {folder.name} {why}: every session counts as often as any other")
        return None
    return found


def _read(run: Run) -> RunCalls | None:
    seconds = measured_seconds(run.manifest.phases, run.end_s)
    if seconds <= 0:
        return None
    names = measured_names(run.manifest.phases)
    calls: defaultdict[tuple[str, str], float] = defaultdict(float)
    for cell in run.statements:
        if cell.phase in names:
            calls[cell.statement, cell.region] += cell.count / seconds
    return RunCalls(run.manifest.run_id, run.path, run.manifest.data.scale, dict(calls), _scans(run))


def _scans(run: Run) -> dict[str, float]:
    """Return how often each index was scanned between the first and the last reading; none of one that was set back."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    for counter in run.counters:
        if (counter.kind, counter.metric) == ("index", "scans"):
            # CockroachDB's are named TABLE@INDEX.
            values[counter.name.rpartition("@")[2]].append(counter.value)
    grown = {name: growth("scans", seen) for name, seen in values.items() if len(seen) > 1}
    return {name: more for name, more in grown.items() if more is not None}
