"""What is kept of a run for comparisons: a sample; and of several runs of the same thing: a baseline, a small JSON file."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.errors import NotValidError, UsageError
from bench.results.identity import Identity, circumstances, differences, identity
from bench.results.measures import read_measures
from bench.results.read import Run
from bench.results.store import write_atomically
from bench.results.versions import check_version
from bench.stats.comparison_measures import METRICS, Group, Key, Measure, Measures
from bench.stats.records import Summary

BASELINE_VERSION = 1
# 1  first form.


class Sample(BaseModel):
    """What a comparison needs of one run."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    created_utc: str
    status: str
    validity: str
    reasons: tuple[str, ...]
    broken: tuple[str, ...]
    is_audited: bool
    identity: Identity
    circumstances: Identity
    rows: tuple[tuple[Group, str, str | None, str, float, float, int], ...]
    """Group, name, region, metric, value, standard error of its logarithm, samples."""

    @property
    def measures(self) -> Measures:
        """The figures; those of a kind that this version does not know are left out."""
        known = (row for row in self.rows if row[3] in METRICS)
        return {Key(*row[:4]): Measure(*row[4:]) for row in known}


class Baseline(BaseModel):
    """One or several runs of the same thing."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = BASELINE_VERSION
    runs: tuple[Sample, ...]


def sample_of(run: Run, summary: Summary) -> Sample:
    """Return what a comparison needs of a run and its summary, whatever became of it."""
    validity = summary.validity
    rows = [
        (key.group, key.name, key.region, key.metric, measure.value, measure.error, measure.count)
        for key, measure in sorted(read_measures(run, summary).items(), key=lambda item: str(item[0]))
    ]
    return Sample(
        run_id=run.manifest.run_id,
        created_utc=run.manifest.created_utc,
        status=run.status,
        validity=validity.verdict,
        reasons=validity.reasons,
        broken=tuple(finding.rule for finding in run.findings if not finding.passed),
        is_audited=bool(run.findings),
        identity=identity(run.manifest),
        circumstances=circumstances(run.manifest),
        rows=tuple(rows),
    )


def require_fit(samples: Sequence[Sample]) -> None:
    """Raise NotValidError for the first run that may not be compared with: INVALID, not whole, or with wrong data."""
    for sample in samples:
        cause = _fault(sample)
        if cause:
            raise NotValidError(
                f"run '{sample.run_id}' cannot be a baseline", cause=cause, hint="run it again on a machine at rest"
            )


def _fault(sample: Sample) -> str:
    if sample.broken:
        return f"the audit found its data wrong: {', '.join(sample.broken)}"
    if sample.status != "complete":
        return f"it did not go through its schedule: {sample.status}"
    if sample.validity == "INVALID":
        return f"its measurement is INVALID: {'; '.join(sample.reasons)}"
    return "" if sample.rows else "nothing was measured in it"


def require_alike(samples: Sequence[Sample]) -> None:
    """Raise UsageError when the runs of a baseline are not of the same thing."""
    first = samples[0]
    for other in samples[1:]:
        found = differences(first.identity, other.identity)
        if found:
            shown = "; ".join(map(str, found[:4]))
            raise UsageError(
                f"runs '{first.run_id}' and '{other.run_id}' are not of the same thing",
                cause=f"they differ in {shown}{f'; and {len(found) - 4} more' if len(found) > 4 else ''}",
                hint="make a baseline of runs of one scenario on one machine",
            )


def save_baseline(samples: Sequence[Sample], path: Path) -> None:
    """Write a baseline of fit runs of the same thing; UsageError when the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, Baseline(runs=tuple(samples)).model_dump_json(indent=1) + "\n")
    except OSError as error:
        raise UsageError(f"cannot write '{path}'", cause=error.strerror or str(error)) from None


def load_baseline(path: Path) -> tuple[Sample, ...]:
    """Return the runs of a baseline; UsageError when it is missing, malformed or newer than this version of bench."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        check_version(f"'{path}'", int(data.get("schema_version", 0)), BASELINE_VERSION)
        runs = Baseline.model_validate(data).runs
    except OSError as error:
        raise UsageError(f"cannot read '{path}'", cause=error.strerror or str(error)) from None
    except (ValueError, TypeError, AttributeError, ValidationError):
        runs = ()
    if not runs:
        raise UsageError(f"'{path}' is not a baseline", hint="make one with: bench baseline save RUN --out FILE")
    return runs
