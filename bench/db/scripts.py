"""Statements as text, for scripts that psql or ``cockroach sql`` run later without us.

May import ``admin``, ``catalogue``, ``ddl``, ``model`` and psycopg.  Text is made of constant templates, the schema's own
statements, and identifiers and literals that psycopg quotes.
"""

import re
from collections.abc import Mapping, Sequence

from psycopg import sql

from bench.db.admin import admin_catalogue
from bench.db.ddl import Ddl, Dialect
from bench.db.model import Table
from bench.db.placeholders import with_literals

MAKE_MARK = admin_catalogue("postgres")["meta_make"].sql  # which is the same for both
PSQL_SETTINGS = (
    "SET client_min_messages = warning",
    # Other than in a load of ours, one connection does it all: the workers for an index are the server's to choose.
    "SET timezone = 'UTC'",
    "SET synchronous_commit = off",
    "SET maintenance_work_mem = '256MB'",
    "SET jit = off",
    "SET statement_timeout = 0",
)
COMMIT_ON_DISK = admin_catalogue("postgres")["load_on_disk"].sql

_COPY = r"\copy {} ({}) FROM {} WITH (FORMAT csv)"
_IMPORT = "IMPORT INTO {} ({}) CSV DATA (\n  {}\n) WITH nullif = ''"
_LOADED_AT = (
    "UPDATE shopbench_meta SET value = to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD') || 'T' "
    "|| to_char(now() AT TIME ZONE 'UTC', 'HH24:MI:SS') || '+00:00' WHERE key = 'loaded_at'"
)
_CHECK = re.compile(r"\bCHECK \((.*)\)")


def copy_file(table: str, columns: Sequence[str], path: str) -> str:
    r"""Return psql's command to load one file, on one line and without a semicolon.

    >>> copy_file("t", ("a", "b"), "data/t.001.csv")
    '\\copy "t" ("a", "b") FROM \'data/t.001.csv\' WITH (FORMAT csv)'
    """
    return _text(sql.SQL(_COPY).format(sql.Identifier(table), _names(columns), sql.Literal(path)))


def import_files(table: str, columns: Sequence[str], urls: Sequence[str]) -> str:
    """Return CockroachDB's statement to import files; ``nullif`` holds for what is not in quotes ([D:import-into])."""
    listed = sql.SQL(",\n  ").join(sql.Literal(url) for url in urls)
    return _text(sql.SQL(_IMPORT).format(sql.Identifier(table), _names(columns), listed))


def set_sequence(name: str, last: int) -> str:
    """Return the statement after which a sequence goes on after ``last``."""
    return with_literals(admin_catalogue("postgres")["set_sequence"].sql, {"name": name, "value": last})


def analyze(name: str, dialect: Dialect) -> str:
    """Return the statement that collects statistics of a table or view, as ``bulk.analyze`` executes it."""
    return admin_catalogue(dialect)["analyze"].named(table=name)


def notes(values: Mapping[str, str], dialect: Dialect) -> list[str]:
    """Return the statements that note facts in a database, as ``Admin.note`` does; ``MAKE_MARK`` comes before them."""
    write = admin_catalogue(dialect)["meta_write"].sql
    return [with_literals(write, {"key": key, "value": text}) for key, text in values.items()]


def note_time(dialect: Dialect) -> list[str]:
    """Return the statements that note the moment of their execution as ``loaded_at``."""
    return [*notes({"loaded_at": ""}, dialect), _LOADED_AT]


def validate(table: Table) -> list[str]:
    """Return the statements that check a table's CHECKs against its rows, which CockroachDB does not hold valid after IMPORT.

    A CHECK without a name has that of its columns, each as often as the condition names it
    ([SRC:pkg/sql/catalog/schemaexpr/check_constraint.go]).
    """
    names = [check.name for check in table.checks]
    for column in table.columns:
        if condition := _CHECK.search(column.definition):
            mentions = len(re.findall(rf"\b{re.escape(column.name)}\b", condition[1]))
            names.append("_".join(("check", *[column.name] * mentions)))
    statement = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}")
    return [_text(statement.format(sql.Identifier(table.name), sql.Identifier(name))) for name in names]


def script(statements: Sequence[str | Ddl]) -> str:
    """Return statements as the body of a script; a command that begins with a backslash ends with its line."""
    texts = (item if isinstance(item, str) else item.sql for item in statements)
    return "".join(f"{text}\n" if text.startswith(("\\", "--")) else f"{text};\n" for text in texts)


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column) for column in columns)


def _text(composed: sql.Composed) -> str:
    return composed.as_string(None)
