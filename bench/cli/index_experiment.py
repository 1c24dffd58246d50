"""``bench indexes`` from options to results: the place, the players, the weights, one index after the other."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cli import console
from bench.cli.index_place import AWAY_NOTE, Place, opened_place
from bench.cli.index_weights import RunCalls, run_calls
from bench.cli.options import TargetOptions
from bench.cli.rehearsing import Company, require_sessions
from bench.cli.seeding import SeedRequest
from bench.cli.statements import run_catalogue
from bench.db.admin import Admin
from bench.db.catalogue import Catalogue, read_package
from bench.db.indexing import (
    IndexFacts,
    candidate_name,
    create_candidate,
    drop_if_there,
    lab_of,
    read_foreign_keys,
    read_indexes,
    read_partition_names,
)
from bench.errors import UsageError
from bench.indexes.experiment import Experiment
from bench.indexes.results import IndexResult, Weights, assemble, constraint
from bench.indexes.survey import Survey
from bench.indexes.trial import Bench
from bench.load.user import ShopUser
from bench.load.waiting import install_native_wait


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """What was asked for; ``yes`` allows changes to the schema of a database of the user's."""

    target: TargetOptions
    seed: SeedRequest
    run: str | None
    candidates: tuple[str, ...]
    only: tuple[str, ...]
    plays: int
    reads_only: bool
    yes: bool
    out: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found, and where and how."""

    place: Place
    calls: RunCalls | None
    plays: int
    costs_measured: bool
    notes: tuple[str, ...]
    results: tuple[IndexResult, ...]


def carry_out(request: IndexRequest, user_class: type[ShopUser]) -> Outcome:
    """Measure the indexes; the schema is afterwards what it was before, whatever happens."""
    for text in request.candidates:
        candidate_name(text)
    install_native_wait()
    with opened_place(request.target, request.seed, may_change=request.yes, reads_only=request.reads_only) as place:
        calls = run_calls(request.out, request.run, place.schema.fingerprint)
        admin = place.administration()
        with closing(admin.connection), _candidates(place, admin, request) as added:
            return _measured(request, place, calls, (admin, user_class, added))


@contextmanager
def _candidates(place: Place, admin: Admin, request: IndexRequest) -> Iterator[frozenset[str]]:
    """Make the indexes to try, and drop them afterwards."""
    # On a copy of ours they may be made even where nothing else is to be changed.
    if request.candidates and not (place.may_change or place.is_ours):
        raise UsageError(
            "--add makes an index in your database for as long as the experiment lasts", hint="pass --yes to allow it"
        )
    with ExitStack() as made:
        for text in request.candidates:
            name, table = candidate_name(text)
            if name in {index.name for index in read_indexes(admin, place.dialect)}:
                raise UsageError(f"there is an index '{name}' already", hint="give the one to try another name")
            create_candidate(admin.connection, text)
            facts = IndexFacts(name, table, "", False, text, "", (), (), 0)
            made.callback(drop_if_there, admin.connection, place.dialect, facts)
        yield frozenset(candidate_name(text)[0] for text in request.candidates)


def _measured(
    request: IndexRequest, place: Place, calls: RunCalls | None, by: tuple[Admin, type[ShopUser], frozenset[str]]
) -> Outcome:
    admin, user_class, added = by
    indexes = read_indexes(admin, place.dialect)
    chosen = _chosen(indexes, (*request.only, *(added if request.only else ())))
    catalogue = run_catalogue(user_class, place.dialect)
    bench = Bench(place.dialect, lab_of(admin, place.dialect), catalogue, read_partition_names(admin))
    if not (bench.lab.is_transactional or place.may_change):
        raise UsageError(
            "on CockroachDB an index is hidden by a change of the schema, for every session",
            hint="pass --yes to allow it",
        )
    company = Company(user_class, place.connectors(), catalogue)
    survey = Survey(place.dialect, bench.lab, catalogue, bench.parts)
    console.status("playing every session once for its plans")
    survey.play_all(company.play, require_sessions(user_class), place.regions)
    own = Catalogue.load([read_package(*folder) for folder in user_class.statement_folders], place.dialect)
    survey.look_at_unplayed(admin.connection, own.values())
    weights = _weights(survey, place, calls)
    experiment = Experiment(
        *(bench, company.play, survey, indexes, read_foreign_keys(admin), request.plays),
        admin=admin.connection,
        may_drop=place.may_change,
        remember=lambda definition: None if place.is_ours else admin.note({AWAY_NOTE: definition}),
    )
    results = []
    try:
        for number, index in enumerate(chosen, 1):
            console.status(f"{number}/{len(chosen)} {index.name}")
            if index.is_unique:
                results.append(constraint(index, weights))
            else:
                trial = experiment.trial(index)
                results.append(assemble(experiment, trial, weights, is_candidate=index.name in added))
    finally:
        console.end_status()
        company.rest()
    notes = tuple(_notes(survey, own, calls, place))
    return Outcome(place, calls, request.plays, place.may_change, notes, tuple(results))


def _chosen(indexes: Sequence[IndexFacts], only: Sequence[str]) -> list[IndexFacts]:
    known = {index.name for index in indexes}
    unknown = [name for name in only if name not in known]
    if unknown:
        secondary = ", ".join(sorted(index.name for index in indexes if not index.is_unique))
        raise UsageError(f"there is no index '{unknown[0]}'", hint=f"the secondary indexes are {secondary}")
    return [index for index in indexes if not only or index.name in only]


def _weights(survey: Survey, place: Place, calls: RunCalls | None) -> Weights:
    if calls is None:
        return Weights(survey.calls_per_play(), place.regions, False, {})
    return Weights(calls.per_s, place.regions, True, calls.scans)


def _notes(survey: Survey, own: Catalogue, calls: RunCalls | None, place: Place) -> Iterator[str]:
    played = survey.played
    missing = sorted(name for name in own if name not in played and not name.startswith("world_"))
    if missing:
        yield f"{len(missing)} of {len(own)} statements of the workload were not played: {', '.join(missing)}"
    refused = sorted(survey.refused)
    if refused:
        yield f"the server gave no plan for {', '.join(refused)}"
    if calls is not None:
        lost = {name for name, _ in calls.per_s if name in own} - played
        if lost:
            yield f"the run sent statements that were not played, so they carry no weight: {', '.join(sorted(lost))}"
        if calls.scale != place.meta.get("scale", ""):
            yield f"the run's data was of scale {calls.scale}, this is {place.meta.get('scale', '?')}"
