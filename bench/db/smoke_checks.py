"""How the facts of ``bench.db.facts`` are asked for; those of sessions and the protocol are in ``smoke_sessions``.

May import its neighbours in ``bench.db`` and psycopg.  Each check leaves nothing open that ``Lab.clear`` does not end.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import pq

from bench.db.catalogue import Statement
from bench.db.check import differences
from bench.db.connection import connect, place_of, with_database
from bench.db.dialects import dialect_of
from bench.db.lab import APPLICATION, EVERYWHERE, Lab
from bench.db.smoke import Check

ALL = "all"
STALE_WITHIN_S = 15.0
"""How long a table may take to be there as of a moment ago, which is 4.2 s."""
_POLL_S = 0.5
_LISTED = 3
_READERS = ("observe.sql", "check.sql", "indexing.sql", "cluster.sql")
_READS = re.compile(r"SELECT|SHOW|WITH")
_SAMPLES: Mapping[str, Any] = {
    "text": "shopbench/",
    "bigint": 1,
    "timestamptz": datetime(2026, 1, 1, tzinfo=UTC),
    "uuid": UUID(int=0),
}


def answers(*names: str, **params: Any) -> Check:
    """Return a check that sends statements one after the other, and finds the rows of the last one."""

    def check(lab: Lab) -> str:
        for name in names[:-1]:
            lab.ask(name)
        return shown(lab.ask(names[-1], **params))

    return check


def shown(found: Sequence[Sequence[Any]]) -> str:
    """Return rows as text.

    >>> shown([(1, None), (True, "x")]), shown([])
    ('1, NULL; true, x', 'no row')
    """
    return "; ".join(", ".join(_cell(value) for value in row) for row in found) or "no row"


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value).lower() if isinstance(value, bool) else str(value)


def listed(refused: Sequence[str]) -> str:
    """Return what is wrong, the first few with their names; ``all`` when nothing is."""
    more = f" and {len(refused) - _LISTED} more" if len(refused) > _LISTED else ""
    return f"not {'; '.join(refused[:_LISTED])}{more}" if refused else ALL


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "").removeprefix("ERROR:").strip()


# -- the server and its places


def reports_a_version(lab: Lab) -> str:
    """Find what tells CockroachDB from PostgreSQL."""
    return (lab.connection.info.parameter_status("crdb_version") or "nothing").split(" ")[0]


def has_the_regions(lab: Lab) -> str:
    """Find whether the database could be made with the gateways' regions."""
    return f"refused {lab.refusal}" if lab.refusal else "made"


def lists_the_regions(lab: Lab) -> str:
    """Find which regions of the gateways the cluster has."""
    there = {str(region) for (region,) in lab.ask("smoke_regions")}
    return listed(sorted(set(lab.gateways) - there))


def gateways_are_at_home(lab: Lab) -> str:
    """Find whether each gateway answers from the region that it was given for."""
    astray = []
    for region, urls in lab.gateways.items():
        for url in urls:
            with connect(with_database(url, EVERYWHERE), application=APPLICATION) as connection:
                found = dialect_of(connection).gateway_region(connection)
            if found != region:
                astray.append(f"{place_of(url)}, given for {region}, which answers from {found or 'no region'}")
    return listed(astray)


def casts_to_its_region(lab: Lab) -> str:
    """Find the first region as the enum has it, from a value without a type."""
    region = lab.schema.regions[0]
    return "the same" if shown(lab.ask("smoke_region", region=region)) == region else "another"


# -- the schema and the statements


def schema_is_made(lab: Lab) -> str:
    """Find which statements of the schema are refused."""
    refused = []
    for ddl in lab.schema.statements:
        try:
            lab.connection.execute(ddl.sql)
        except psycopg.Error as error:
            refused.append(f"{ddl.kind} {ddl.name} ({error.sqlstate} {_first_line(str(error))})")
    return listed(refused)


def schema_agrees(lab: Lab) -> str:
    """Find what `bench schema check` says of it."""
    return listed(differences(type(lab.admin)(lab.connection, lab.catalogue), lab.schema))


def statements_are_understood(lab: Lab) -> str:
    """Find which statements of the workload and the audit cannot be prepared."""
    refused = []
    for statement in lab.statements.values():
        result = lab.connection.pgconn.prepare(b"", statement.numbered.encode())
        if result.status != pq.ExecStatus.COMMAND_OK:
            state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
            refused.append(f"{statement.name} ({state} {_first_line(result.get_error_message())})")
    return listed(refused)


def readers_are_answered(lab: Lab) -> str:
    """Find which of the statements that look at the server and its schema are refused."""
    refused = []
    for statement in lab.catalogue.values():
        if statement.origin.endswith(_READERS) and _READS.match(statement.sql) and not statement.names:
            try:
                _send_sample(lab, statement)
            except psycopg.Error as error:
                refused.append(f"{statement.name} ({error.sqlstate} {_first_line(str(error))})")
    return listed(refused)


def is_answered(name: str) -> Check:
    """Return a check of one such statement."""

    def check(lab: Lab) -> str:
        _send_sample(lab, lab.catalogue[name])
        return "answered"

    return check


def _send_sample(lab: Lab, statement: Statement) -> None:
    params = {param.name: _SAMPLES.get(param.type.lower()) for param in statement.params}
    lab.connection.execute(statement.sql, params or None)


# -- what CockroachDB alone has


def eventually(*names: str) -> Check:
    """Return a check that repeats its last statement until what was made, and its rows, are there as of a moment ago."""

    def check(lab: Lab) -> str:
        for name in names[:-1]:
            lab.ask(name)
        return _until_answered(lambda: shown(lab.ask(names[-1])))

    return check


def snapshot_reads(lab: Lab) -> str:
    """Find whether the snapshot of the audit beside a run shows what was made."""

    def look() -> str:
        lab.clear()
        lab.ask("begin_live_snapshot")
        return shown(lab.ask("smoke_any"))

    return _until_answered(look)


def _until_answered(look: Callable[[], str]) -> str:
    deadline = time.monotonic() + STALE_WITHIN_S
    while True:
        try:
            found = look()
            if found != "false" or time.monotonic() > deadline:
                return found
        except psycopg.Error:
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


def index_is_hidden(lab: Lab) -> str:
    """Find the plans that a session gets without and with an index that is NOT VISIBLE."""
    lab.ask("smoke_units_index")
    lab.connection.execute(lab.catalogue["index_hide"].named(table="smoke_items", index="smoke_items_units"))
    seen = []
    for setting in ("ignore_hidden_indexes", "see_hidden_indexes"):
        lab.ask(setting)
        plan = " ".join(str(line) for (line,) in lab.ask("smoke_plan"))
        seen.append("by it" if "smoke_items_units" in plan.split("index recommendations")[0] else "without it")
    lab.ask("ignore_hidden_indexes")
    return ", ".join(seen)
