"""What the experiment found, as records that are kept and shown."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import mean

from bench.db.indexing import IndexFacts
from bench.indexes.experiment import Experiment
from bench.indexes.trial import Look, Side, Trial
from bench.stats.indexing import Balance, Case, Effect, Role, Verdict, balance, effect, verdict

Calls = Mapping[tuple[str, str], float]
"""Calls of a statement in a region: a second of a run, or a session played."""


@dataclass(frozen=True, slots=True)
class SideFacts:
    """A statement on one side: means over its executions under EXPLAIN ANALYZE, and one of its plans."""

    plan: str
    rows: float | None
    blocks: float | None
    read_bytes: float | None
    wal_bytes: float | None
    hot_share: float | None


@dataclass(frozen=True, slots=True)
class StatementResult:
    """One statement and one index."""

    effect: Effect
    present: SideFacts | None
    absent: SideFacts | None
    refused: int
    """Visits in which the server refused to carry it out on both sides."""


@dataclass(frozen=True, slots=True)
class RegionResult:
    """The balance of one region's calls, from observations of that region."""

    region: str
    balance: Balance


@dataclass(frozen=True, slots=True)
class IndexResult:
    """One index: the verdict and what it rests on.  ``scans`` is how often the run's server used it (None: not known)."""

    name: str
    table: str
    definition: str
    bytes: int
    verdict: Verdict
    is_candidate: bool
    balance: Balance | None
    wal_bytes: float | None
    """What it adds to the log, weighted by calls as the balance is."""
    regions: tuple[RegionResult, ...]
    statements: tuple[StatementResult, ...]
    users: tuple[str, ...]
    could: tuple[str, ...]
    unplayed: tuple[str, ...]
    foreign_keys: tuple[str, ...]
    scans: float | None


@dataclass(frozen=True, slots=True)
class Weights:
    """How often statements are called, and what that is from."""

    calls: Calls
    regions: tuple[str, ...]
    from_run: bool
    scans: Mapping[str, float]

    def of(self, statement: str, region: str | None = None) -> float:
        """Return the calls of a statement, of a region or of all."""
        if region is not None:
            return self.calls.get((statement, region), 0.0)
        total = sum(self.calls.get((statement, each), 0.0) for each in self.regions)
        return total if self.from_run else total / len(self.regions)


def constraint(index: IndexFacts, weights: Weights) -> IndexResult:
    """Return the result of an index that keeps rows apart and cannot be taken away."""
    case = Case(True, None, False, (), (), (), (), (), costs_measured=False, has_run=weights.from_run)
    facts = (index.name, index.table, index.definition, index.bytes, verdict(case), False)
    return IndexResult(*facts, None, None, (), (), (), (), (), (), weights.scans.get(index.name))


def assemble(experiment: Experiment, trial: Trial, weights: Weights, *, is_candidate: bool) -> IndexResult:
    """Return the result of an index from what was timed."""
    index, survey = trial.index, experiment.survey
    roles = experiment.roles(index)
    statements = tuple(_statements(trial, roles, weights))
    effects = tuple(each.effect for each in statements)
    twin = experiment.twins.get(index.name)
    users = tuple(name for name, role in roles.items() if role != "writes")
    could = tuple(sorted(name for name, found in survey.could.items() if index.name in found and name not in users))
    unplayed = tuple(sorted(name for name, found in survey.unplayed.items() if index.name in found))
    keys = tuple(key.name for key in experiment.served(index))
    measured = experiment.may_drop or "writes" not in roles.values()
    case = Case(
        False,
        twin.name if twin else None,
        bool(twin and twin.is_same),
        *(users, could, unplayed, keys, effects),
        costs_measured=measured,
        has_run=weights.from_run,
    )
    return IndexResult(
        *(index.name, index.table, index.definition, index.bytes, verdict(case), is_candidate),
        balance(effects, costs_measured=measured),
        _wal(statements),
        tuple(_regions(trial, roles, weights, measured=measured)),
        statements,
        *(users, could, unplayed, keys),
        weights.scans.get(index.name),
    )


def _statements(trial: Trial, roles: Mapping[str, Role], weights: Weights) -> Iterator[StatementResult]:
    for name, role in roles.items():
        seen = trial.observations(name)
        if seen:
            found = effect(name, role, weights.of(name), seen)
            present, absent = _side(trial.looks, name, "with"), _side(trial.looks, name, "without")
            yield StatementResult(found, present, absent, trial.refused[name])


def _regions(trial: Trial, roles: Mapping[str, Role], weights: Weights, *, measured: bool) -> Iterator[RegionResult]:
    for region in weights.regions:
        seen = {name: trial.observations(name, region) for name in roles}
        effects = [effect(name, roles[name], weights.of(name, region), each) for name, each in seen.items() if each]
        if effects:
            yield RegionResult(region, balance(effects, costs_measured=measured))


def _side(looks: Mapping[tuple[str, Side], list[Look]], statement: str, side: Side) -> SideFacts | None:
    found = looks.get((statement, side), [])
    if not found:
        return None
    plans = [look.plan for look in found]
    texts = [plan.text for plan in plans]
    return SideFacts(
        max(texts, key=texts.count),
        _mean(plan.rows for plan in plans),
        _mean(plan.blocks for plan in plans),
        _mean(plan.read_bytes for plan in plans),
        _mean(plan.wal_bytes for plan in plans),
        _mean(look.hot_share for look in found),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _wal(statements: Iterable[StatementResult]) -> float | None:
    total, is_known = 0.0, False
    for each in statements:
        present, absent = each.present, each.absent
        if present and absent and present.wal_bytes is not None and absent.wal_bytes is not None:
            total += each.effect.calls * (present.wal_bytes - absent.wal_bytes)
            is_known = True
    return total if is_known else None
