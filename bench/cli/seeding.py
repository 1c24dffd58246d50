"""Seeding a database that exists: what is in it decides what may be done; then the load, between its two marks."""

import difflib
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.cli import console
from bench.cli.options import TargetOptions
from bench.cli.room import make_room, require_dialect, variant_for
from bench.cli.seed_progress import SeedProgress
from bench.data.blocks import DataSet
from bench.data.loader import LoadOptions, LoadReport, finish, load, with_parents
from bench.data.notes import LOADING, loading_notes
from bench.data.spec import SeedSpec
from bench.db.admin import Admin
from bench.db.bulk import explained
from bench.db.connection import open_or_explain, place_of
from bench.db.ddl import Schema, load_schema
from bench.db.dialects import dialect_of
from bench.db.journal import Journal
from bench.db.model import Model
from bench.errors import TargetError, UsageError
from bench.units import format_duration

READY, PARTIAL = "ready", "partial"


@dataclass(frozen=True, slots=True)
class SeedRequest:
    """What to load, how, and what may be done with what is there: ``resume`` it, replace it (``fresh``), even where bench
    did not make it (``yes``)."""

    spec: SeedSpec
    how: LoadOptions = field(default_factory=LoadOptions)
    resume: bool = False
    fresh: bool = False
    yes: bool = False


def seed_url(options: TargetOptions, request: SeedRequest) -> Mapping[str, str]:
    """Load the schema and the data into a database and return its notes; TargetError where something stands in the way."""
    gateways = _gateways(options, request.spec.regions)
    first = gateways[request.spec.regions[0]]
    with closing(open_or_explain(first)) as connection:
        dialect = dialect_of(connection)
        dialect.version(connection)
        schema = load_schema(variant_for(options, dialect.name), request.spec.regions, request.spec.as_of)
        require_dialect(schema, dialect.name)
        admin = Admin.of(connection, dialect.name)
        # Before anything is read or removed, and until the end is noted; it ends with this connection.
        with explained("the lock of the database"):
            Journal.of(connection, dialect.name).lock(
                lambda: console.note("waiting   for the sessions of another load to end")
            )
        identity = loading_notes(schema, request.spec, request.how.tables)
        if not _is_to_go_on(admin, identity, place_of(first), request):
            make_room(admin, schema, place_of(first), fresh=request.fresh, yes=request.yes)
        elif admin.meta().get("state") != LOADING:
            console.note(f"seeded    {place_of(first)} holds this data already")
            return admin.meta()
        admin.note(identity)
        _load(gateways, schema, request, admin)
        with explained("closing the load"):
            finish(first, schema)
        return admin.meta()


def chosen_tables(text: str | None, model: Model) -> frozenset[str] | None:
    """Return the tables of a comma-separated list with all that they refer to; UsageError for one that is none."""
    if text is None:
        return None
    known = [table.name for table in model.tables]
    named = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in named if name not in known]
    if unknown or not named:
        wrong = (unknown or [text])[0]
        # Where none is near any name may be meant: the first few are shown.
        near = difflib.get_close_matches(wrong, known, 3, cutoff=0.5)
        meant = f"did you mean {' or '.join(near)}" if near else f"a table is e.g. {', '.join(known[:3])}"
        raise UsageError(f"no table named '{wrong}'", hint=f"{meant}; `bench schema show` has all {len(known)}")
    found = with_parents(model, named)
    added = [name for name in known if name in found and name not in named]
    if added:
        console.note(f"only      {', '.join(named)}, and what they refer to: {', '.join(added)}")
    return found


def _gateways(options: TargetOptions, regions: tuple[str, ...]) -> dict[str, str]:
    given = dict(options.gateways)
    without = [region for region in regions if region not in given]
    if without and not options.url:
        raise UsageError(f"no gateway for region '{without[0]}'", hint=f"pass --gateway {without[0]}=URL")
    return {region: given.get(region, options.url or "") for region in regions}


def _is_to_go_on(admin: Admin, identity: Mapping[str, str], place: str, request: SeedRequest) -> bool:
    """Whether what is in the database is (a part of) this very load; TargetError when it is another's."""
    meta = admin.meta()
    if request.fresh or meta.get("state") not in (LOADING, READY, PARTIAL) or "damaged_by" in meta:
        return False
    other = [key for key, text in identity.items() if key != "state" and meta.get(key, "") != text]
    if not request.resume:
        if meta["state"] == LOADING:
            raise TargetError(
                f"{place} holds a load that did not finish",
                hint="pass --resume to go on with it, or --fresh to begin anew",
            )
        return False
    if other:
        found, wanted = meta.get(other[0], "nothing"), identity[other[0]]
        raise TargetError(
            f"{place} holds another load: its {other[0].replace('_', ' ')} is {found}, not {wanted}",
            hint="pass the options of that load, or --fresh to begin anew",
        )
    return True


def _load(gateways: Mapping[str, str], schema: Schema, request: SeedRequest, admin: Admin) -> None:
    try:
        with SeedProgress(request.spec, request.how.tables) as progress:
            report = load(gateways, schema, DataSet(request.spec), request.how, progress.show)
    except KeyboardInterrupt:
        console.note("interrupted: the same command with --resume goes on from here")
        raise
    _tell(request.spec, report)
    notes = {
        "state": READY if request.how.tables is None else PARTIAL,
        "rows": json.dumps(report.rows),
        "checksums": json.dumps({table: found.digest for table, found in report.checksums.items()}),
        "facts": json.dumps(dict(report.facts)),
        "loaded_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with explained("noting that the load is complete"):
        admin.note(notes)


def _tell(spec: SeedSpec, report: LoadReport) -> None:
    took = format_duration(report.seconds["total"])
    console.note(f"seeded    {spec.scale}: {report.total_rows:,} rows in {took}")
    if report.resumed:
        console.note(f"resumed   {report.resumed:,} blocks were there already")
    if report.retried:
        console.note(f"retried   {report.retried:,} blocks after a lost connection or a conflict")
