"""Every statement that a database is sent comes from the catalogue or from the schema's variants.

So each can be read in one place, and tests/crdb_grammar parses them all with CockroachDB's parser.  Python may say the name
of a statement; what looks like SQL in a string, and what is sent from anywhere else, is listed here with its reason.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from bench.db.catalogue import DIALECTS, Catalogue, read_package

ROOT = Path(__file__).parents[2]
FOLDERS = ("bench", "workloads", "reports", "schema")
RUN_STORE = "bench/results/"
"""SQLite: the store of runs, and no database that is tested."""

_SENDERS = {"execute", "executemany", "copy", "stream", "batch"}
_ROWS = {"rows", "value"}
"""Functions of bench/db/connection.py whose second argument is sent."""
_RAW = {"exec_", "exec_params", "exec_prepared", "prepare", "send_query", "send_query_params", "send_prepare"}
_STATEMENT = re.compile(
    r"\s*(?:SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|CREATE\s+[A-Z]|ALTER\s+[A-Z]|DROP\s+[A-Z]|TRUNCATE\s|"
    r"SET\s+\w+\s*(?:=|TO\s)|SHOW\s+\w|BEGIN\b|COMMIT\b|ROLLBACK\b|SAVEPOINT\s|RELEASE\s|REFRESH\s|COPY\s+\S+\s*\(|"
    r"ANALYZE\s+\S+$|VACUUM\s|EXPLAIN\b|IMPORT\s+INTO\s|GRANT\s|REVOKE\s|WITH\s+\w+\s+AS\s*\(|DEALLOCATE\s|CANCEL\s+[A-Z])"
)

WRITES_SQL = {
    # The schema's variants: tests/crdb_grammar parses everything that they render.
    "schema/layout.py": "partitions and localities of a variant",
    "schema/model.py": "the sequence, the function and the queries of the views",
    "schema/render.py": "tables, keys, indexes and views of a variant",
    "schema/variants.py": "a variant's database, and how it is removed",
    # The protocol's own words, parsed by tests/crdb_grammar as well.
    "bench/db/session.py": "BEGIN, COMMIT and ROLLBACK, which name themselves in results",
    "bench/stats/gate.py": "the names of those three among a run's statements",
    "bench/stats/measured.py": "the same",
    "bench/stats/serverside.py": "the same",
    "bench/stats/tail.py": "the same",
    "reports/transactions.py": "the same",
    # What stands before a statement of the catalogue, or is recognised in one.
    "bench/db/indexing.py": "EXPLAIN, which stands before statements; the form of an index that a user types",
    # Texts for programs that are not ours, parsed by tests/crdb_grammar as far as they are for CockroachDB.
    "bench/db/scripts.py": "files for psql and `cockroach sql`",
    # Not for the tested database.
    "bench/cli/auditing.py": "SQLite: the store of runs",
    # For people.
    "bench/db/facts.py": "names of facts",
    "bench/db/facts_of_sessions.py": "the same",
    "bench/cli/indexes.py": "help of --add",
}
"""Modules with strings that look like SQL, and why."""

SENDS_OTHER = {
    ("bench/db/connection.py", "rows"): "what its callers give it, who are checked themselves",
    ("bench/db/admin.py", "apply"): "statements of a schema's variant",
    ("bench/db/admin.py", "create_for"): "the same",
    ("bench/db/admin.py", "drop"): "the same",
    ("bench/db/bulk.py", "apply"): "the same",
    ("bench/db/bulk.py", "checksum"): "the same",
    ("bench/db/probe.py", "build"): "the same",
    ("bench/db/probe.py", "checksum"): "the same",
    ("bench/db/smoke_checks.py", "schema_is_made"): "the same",
    (
        "bench/db/indexing.py",
        "create_candidate",
    ): "one CREATE INDEX that the user typed, and the server's own words if it refuses",
    ("bench/db/indexing.py", "rebuild"): "the definition that the server itself gave of an index",
    ("bench/db/indexing.py", "restore"): "the same",
    ("bench/db/rehearsal.py", "explained"): "EXPLAIN and a statement of the catalogue",
    ("bench/indexes/survey.py", "_generic"): "the same",
    ("bench/db/session.py", "_send"): "prepared from the catalogue, by name",
    ("bench/db/session.py", "_exchange"): "the same",
    ("bench/db/session.py", "execute"): "the same",
    ("bench/db/rehearsal.py", "batch"): "the same",
    ("bench/db/wire.py", "execute"): "the same",
    ("bench/db/wire.py", "batch"): "the same",
    ("bench/db/smoke_sessions.py", "_wire"): "the same",
    ("bench/db/smoke_sessions.py", "batch_is_one_transaction"): "the same",
    ("bench/db/smoke_checks.py", "statements_are_understood"): "the same",
    ("bench/load/waiting.py", "_naps_took"): "a statement of the catalogue, looked up once",
    ("bench/data/sample.py", "measure"): "the name of a table, to copy_text or copy_binary",
}
"""Functions that send what this test cannot follow to the catalogue, and why it comes from there or from a variant."""


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found.append((str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))))
    return tuple(found)


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield every node with the name of the outermost function or method around it."""

    def walk(node: ast.AST, name: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            inner = name
            if not name and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = child.name
            yield inner, child
            yield from walk(child, inner)

    return walk(tree, "")


# -- what is written


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the strings of a module with their lines, but for docstrings; of an f-string what is fixed, with … between."""
    silent: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            silent.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            silent |= {id(part) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.Constant):
            text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            if isinstance(text, str):
                yield node.lineno, text
        elif isinstance(node, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            yield node.lineno, "".join(parts)


@cache
def written(module: str, tree: ast.Module) -> list[str]:
    return [f"{module}:{line}: {text.strip()[:60]!r}" for line, text in texts(tree) if _STATEMENT.match(text)]


def test_no_statement_is_written_in_python() -> None:
    found = [text for module, tree in modules() if not module.startswith(RUN_STORE) for text in written(module, tree)]
    wrong = [text for text in found if text.split(":")[0] not in WRITES_SQL]
    assert wrong == [], "move the statement to a .sql file of the catalogue"


def test_no_module_is_listed_that_writes_none() -> None:
    writing = {module for module, tree in modules() if written(module, tree)}
    assert set(WRITES_SQL) - writing == set()


@pytest.mark.parametrize(
    "code",
    [
        'x = "SELECT 1"',
        'x = f"DELETE FROM {table}"',
        'x = """\n  UPDATE t SET a = 1"""',
        'x = b"BEGIN"',
        'x = "SET statement_timeout = 0"',
        'x = "COPY {} ({}) FROM STDIN"',
        'x = f"EXPLAIN {y}"',
        'x = "WITH a AS (SELECT 1) SELECT * FROM a"',
        'f(g(["x", "CREATE INDEX i ON t (a)"]))',
    ],
)
def test_what_looks_like_a_statement_is_found(code: str) -> None:
    assert len(written("m.py", ast.parse(code))) == 1


@pytest.mark.parametrize(
    "code",
    ['"""SELECT 1"""', "# SELECT 1", 'x = "Select a region"', 'x = "a SET b"', 'x = "COPY to orders"', 'x = "UPDATE"'],
)
def test_what_does_not_is_not(code: str) -> None:
    assert written("m.py", ast.parse(code)) == []


def test_statements_are_composed_for_other_programs_alone() -> None:
    """``psycopg.sql`` makes statements from parts; identifiers have their place in the catalogue."""
    composing = {
        module
        for module, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module == "psycopg.sql" or (node.module == "psycopg" and "sql" in {a.name for a in node.names}))
    }
    assert composing == {"bench/db/scripts.py"}


_UNTYPED = re.compile(r"%\((\w+)\)s(?!\s*::)")


SQL_FILES = sorted(file for folder in (*FOLDERS, "examples") for file in (ROOT / folder).glob("**/*.sql"))


@pytest.mark.parametrize("file", SQL_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_placeholder_has_its_type(file: Path) -> None:
    """CockroachDB refuses a statement whose functions have several signatures for a value without a type (42P18).

    The driver sends text without one, and numbers with the smallest that holds them (cockroachdb/cockroach#91396).
    """
    assert _UNTYPED.findall(re.sub("--.*", "", file.read_text())) == []


# -- what is sent


@cache
def names() -> frozenset[str]:
    folders = [read_package(package, "sql") for package in ("bench.db", "bench.audit", "bench.workloads")]
    return frozenset(name for dialect in DIALECTS for name in Catalogue.load(folders, dialect))


def sent(tree: ast.Module) -> Iterator[tuple[str, int, ast.expr]]:
    """Yield what each call sends, with the function that it stands in and its line."""
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    methods = _SENDERS | _RAW if imported & {"psycopg", "pq"} else _SENDERS
    helpers = _ROWS & imported
    for function, node in functions(tree):
        if not isinstance(node, ast.Call):
            continue
        call = node.func
        if isinstance(call, ast.Attribute) and call.attr in methods and node.args:
            yield function, node.lineno, node.args[0]
        elif isinstance(call, ast.Name) and call.id in helpers and len(node.args) > 1:
            yield function, node.lineno, node.args[1]
        # Handed on to be called by others, e.g. spawn(rows, connection, text).
        elif any(isinstance(arg, ast.Name) and arg.id in helpers for arg in node.args):
            yield function, node.lineno, node.args[-1]


def comes_from_the_catalogue(what: ast.expr, constants: Mapping[str, ast.expr]) -> bool:
    """Whether an argument is ``….sql``, ``….named(…)``, or a name of the catalogue, literally or by a constant."""
    if isinstance(what, ast.Call) and isinstance(what.func, ast.Attribute):
        inner = what.func.value
        if what.func.attr == "encode":
            return comes_from_the_catalogue(inner, constants)
        return what.func.attr == "named" and _is_entry(inner)
    if isinstance(what, ast.Name):
        what = constants.get(what.id, what)
    if isinstance(what, ast.Attribute) and what.attr in ("sql", "numbered"):
        return _is_entry(what.value)
    return isinstance(what, ast.Constant) and what.value in names()


def _is_entry(what: ast.expr) -> bool:
    """``catalogue["name"]`` in any of its forms, or a variable called so."""
    if isinstance(what, ast.Subscript):
        return not isinstance(what.slice, ast.Constant) or what.slice.value in names()
    return isinstance(what, ast.Name) and what.id in ("statement", "copy_from")


def strays(module: str, tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    assignments = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)]
    constants = {node.targets[0].id: node.value for node in assignments if isinstance(node.targets[0], ast.Name)}
    for function, line, what in sent(tree):
        if not comes_from_the_catalogue(what, constants):
            yield module, function, f"{module}:{line} ({function}): {ast.unparse(what)[:60]}"


def sends_to_a_database(module: str) -> bool:
    """Whether a module may have a connection; the workloads have sessions, which take names."""
    return module.startswith("bench/") and not module.startswith(("bench/results/", "bench/stats/", "bench/metrics/"))


def test_what_is_sent_comes_from_the_catalogue() -> None:
    found = [stray for module, tree in modules() if sends_to_a_database(module) for stray in strays(module, tree)]
    assert [text for module, function, text in found if (module, function) not in SENDS_OTHER] == []
    assert set(SENDS_OTHER) - {(module, function) for module, function, _ in found} == set()


@pytest.mark.parametrize(
    "code",
    [
        'connection.execute("SELECT 1")',
        "connection.execute(text)",
        'connection.execute(f"{a} {b}")',
        'connection.execute(catalogue["no_such_statement"].sql)',
        'connection.execute(catalogue["clock"])',
        "cursor.copy(text.format(1))",
        "cursor.executemany(TEXT, rows)",
        "from bench.db.connection import rows\nrows(connection, text)",
        "from bench.db.connection import value\nspawn(value, connection, text)",
        "import psycopg\nx.pgconn.exec_(text)",
    ],
)
def test_what_is_sent_from_elsewhere_is_found(code: str) -> None:
    assert len(list(strays("m.py", ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    [
        'connection.execute(catalogue["clock"].sql, {})',
        "connection.execute(self.catalogue[name].sql)",
        'connection.execute(admin_catalogue(dialect)["analyze"].named(table=t).encode())',
        'session.execute("clock")',
        'CLOCK = "clock"\nsession.execute(CLOCK)',
        "folder.copy()",
    ],
)
def test_what_comes_from_the_catalogue_is_not(code: str) -> None:
    assert list(strays("m.py", ast.parse(code))) == []


@pytest.mark.parametrize(
    ("module", "tree"),
    [pytest.param(m, t, id=m) for m, t in modules() if m.startswith("workloads/") and m.count("/") == 1],
)
def test_workloads_name_statements_that_are_there(module: str, tree: ast.Module) -> None:
    """A workload has sessions alone, which look a name up; a name that is written out is in the catalogue."""
    literal = [what.value for _, _, what in sent(tree) if isinstance(what, ast.Constant)]
    assert [name for name in literal if name not in names()] == []
