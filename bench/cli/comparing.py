"""What the commands that compare runs share: finding their sides, and refusing those that cannot be compared."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.results.baseline import Sample, load_baseline, require_alike, sample_of
from bench.results.files import find_run
from bench.results.identity import Difference, differences, is_allowed
from bench.results.read import Run
from bench.results.summarise import summarise_run
from bench.stats.comparison import Comparison, Trust, compare


def reports(module: str) -> Any:
    """Return a module of the reports; they are imported only where one is written."""
    return importlib.import_module(f"bench.reports.{module}")


@dataclass(frozen=True, slots=True)
class Sides:
    """Comparable runs, and what a reader should know of how they differ."""

    before: tuple[Sample, ...]
    after: Sample
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The ids of the earlier runs."""
        return tuple(sample.run_id for sample in self.before)

    @property
    def title(self) -> str:
        """Which run beside which."""
        before = self.names[0] if len(self.names) == 1 else f"{len(self.names)} runs ({self.names[0]} and others)"
        return f"{self.after.run_id} compared with {before}"

    def compare(self) -> Comparison:
        """Compare their figures, as far as both can be trusted."""
        return compare([sample.measures for sample in self.before], self.after.measures, trust=self.trust)

    @property
    def trust(self) -> Trust:
        """How far both sides can be trusted; one DEGRADED run among several steady ones does no harm."""
        before = [sample.validity for sample in self.before]
        if "INVALID" in (*before, self.after.validity):
            return "none"
        is_steady = self.after.validity == "VALID" and 2 * before.count("VALID") >= len(before)
        return "all" if is_steady else "unsteady"


def sample_at(folder: Path) -> Sample:
    """Return the sample of the run in a folder."""
    with Run.open(folder) as run:
        return sample_of(run, summarise_run(run))


def samples_of(out: Path, reference: str) -> tuple[Sample, ...]:
    """Return the runs that a reference names: those of a baseline file, or one run of a folder of runs."""
    if Path(reference).is_file():
        return load_baseline(Path(reference))
    if Path(reference).suffix == ".json":
        raise UsageError(
            f"there is no baseline '{reference}'", hint="make one with: bench baseline save RUN --out FILE"
        )
    return (sample_at(find_run(out, reference)),)


def sides(before: Sequence[Sample], after: Sample, allowed: Sequence[str]) -> Sides:
    """Return both sides; UsageError naming every field in which they differ and were not allowed to."""
    require_alike(before)
    found = differences(before[0].identity, after.identity)
    refused = [each for each in found if not is_allowed(each.field, allowed)]
    if refused:
        count = "1 field differs" if len(refused) == 1 else f"{len(refused)} fields differ"
        lines = "\n  ".join(map(str, refused))
        raise UsageError(
            f"'{before[0].run_id}' and '{after.run_id}' cannot be compared: {count}\n  {lines}",
            hint=f"compare runs of one thing; `--allow {refused[0].field}` takes a field for what was to be changed",
        )
    return Sides(tuple(before), after, tuple(_notes(before, after, found)))


def _notes(before: Sequence[Sample], after: Sample, allowed: Sequence[Difference]) -> list[str]:
    notes = [f"allowed to differ: {each}" for each in allowed]
    notes += [str(each) for each in differences(before[0].circumstances, after.circumstances)]
    for sample in (*before, after):
        if sample.validity != "VALID":
            notes.append(f"{sample.run_id} is {sample.validity}: {'; '.join(sample.reasons)}")
    return notes
