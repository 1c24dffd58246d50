"""Databases as a whole: made, dropped, marked as ours, applied a schema to.

bench writes the table ``shopbench_meta`` into every database that it fills.  What does not carry that mark is somebody
else's, and is never dropped or overwritten without ``--yes``.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg

from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import Connection, rows, value
from bench.db.ddl import STAGES, Dialect, Schema, Stage
from bench.db.placeholders import with_names
from bench.errors import TargetError


@cache
def admin_catalogue(dialect: Dialect) -> Catalogue:
    """Return the statements of this package for a database."""
    return Catalogue.load([read_package("bench.db", "sql")], dialect)


@dataclass(frozen=True, slots=True)
class Admin:
    """One administrative connection and its statements."""

    connection: Connection
    catalogue: Catalogue

    @classmethod
    def of(cls, connection: Connection, dialect: Dialect) -> "Admin":
        """Return the administration of an open connection."""
        return cls(connection, admin_catalogue(dialect))

    def read(self, statement: str, /, **params: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement of the catalogue."""
        return rows(self.connection, self.catalogue[statement].sql, params)

    def has_database(self, name: str) -> bool:
        """Whether the server has a database of that name."""
        return bool(self.read("database_exists", name=name))

    def create_database(self, name: str, *, template: str | None = None) -> None:
        """Make a database, as a copy of another where ``template`` is given (PostgreSQL only)."""
        if template:
            self.connection.execute(self.catalogue["database_copy"].named(database=name, template=template))
        else:
            self.connection.execute(self.catalogue["database_make"].named(database=name))

    def create_for(self, schema: Schema, name: str) -> None:
        """Make a database as a variant of the schema wants it: on CockroachDB with its regions and survival goal."""
        self.connection.execute(with_names(schema.database, {"name": name}))

    def rename_database(self, name: str, new: str) -> None:
        """Rename a database that nobody is connected to."""
        self.connection.execute(self.catalogue["database_rename"].named(database=name, new=new))

    def drop_database(self, name: str) -> None:
        """Drop a database, on PostgreSQL with whoever is connected to it; nothing happens when it is not there."""
        self.connection.execute(self.catalogue["database_drop"].named(database=name))

    def is_marked(self) -> bool:
        """Whether bench made what is in this database."""
        return bool(self.read("meta_exists"))

    def meta(self) -> dict[str, str]:
        """Return what bench has noted in this database; empty when it has not been here."""
        return {key: text for key, text in self.read("meta_read")} if self.is_marked() else {}  # noqa: C416

    def note(self, notes: Mapping[str, str]) -> None:
        """Note facts in the database, all or none of them, making the table where needed."""
        self.connection.execute(self.catalogue["meta_make"].sql)
        with self.connection.transaction():
            for key, text in notes.items():
                rows(self.connection, self.catalogue["meta_write"].sql, {"key": key, "value": text})

    def apply(self, schema: Schema, stages: tuple[Stage, ...] = STAGES) -> None:
        """Send the statements of the stages, each in its own transaction (CockroachDB
        commits before DDL anyway, [D:online-schema-changes])."""
        for stage in stages:
            for ddl in schema.stage(stage):
                self.connection.execute(ddl.sql)

    def drop(self, schema: Schema) -> None:
        """Remove the schema and our mark."""
        if self.is_marked():
            self.note({"state": "removing"})
        # The mark goes last: what is left of an interrupted removal is still ours.
        ours = (self.catalogue[name].sql for name in ("load_journal_drop", "meta_drop"))
        for statement in (*schema.drops, *ours):
            self.connection.execute(statement)

    def isolation(self) -> str:
        """Return the session's isolation level."""
        return str(value(self.connection, self.catalogue["isolation"].sql))

    def install_statement_statistics(self) -> None:
        """Have the server's statements counted by text in this database, where the server can (it says so if it cannot)."""
        with suppress(psycopg.Error):
            self.read("install_statement_statistics")

    def settings(self, names: tuple[str, ...]) -> dict[str, str]:
        """Return server settings by name; none on CockroachDB, whose settings are named otherwise."""
        if "setting" not in self.catalogue:
            return {}
        found = {name: self.read("setting", name=name) for name in names}
        return {name: str(value[0][0]) for name, value in found.items() if value}


def require_schema(meta: Mapping[str, str], schema: Schema, place: str) -> None:
    """TargetError unless the notes of a database say that it holds this schema, completely loaded."""
    if not meta:
        raise TargetError(f"{place} does not hold our schema", hint="run `bench seed --url …` first")
    if meta.get("schema_version") != str(schema.model.version):
        raise TargetError(
            f"{place} holds version {meta.get('schema_version')} of the schema, this bench needs {schema.model.version}",
            hint="run `bench seed --fresh --url …` to load it anew",
        )
    if meta.get("state") == "partial":
        raise TargetError(
            f"{place} holds only {meta.get('only', 'some tables').replace(',', ', ')}",
            hint="run `bench seed --fresh --url …` without --only to load everything",
        )
    if meta.get("state") != "ready":
        raise TargetError(
            f"{place} was not loaded to the end (state: {meta.get('state', 'unknown')})",
            hint="run `bench seed --resume --url …` to go on, or with --fresh to load it anew",
        )
