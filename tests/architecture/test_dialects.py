"""What differs between the databases stands in bench/db, schema/ and bench/target, and nowhere else is there a branch on it.

Elsewhere a difference is asked for by what it is (``dialect_named(name).ddl_is_transactional``), by the presence of a
statement in the catalogue, or by a table with an entry for each database.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.db.dialects import Cockroach, Postgres, dialect_named

ROOT = Path(__file__).parents[2]
HOMES = ("bench/db/", "bench/target/", "schema/")
NAMES = {"cockroach", "postgres", "cockroachdb", "postgresql"}
CLASSES = {"Cockroach", "Postgres", "CockroachLab", "PostgresLab"}

_WORD = re.compile("cockroach|postgres|crdb", re.IGNORECASE)

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""Branches that are left by (module, what is compared), and why."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("bench", "workloads", "reports", "schema"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            module, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
            # Parsing is what takes the time.
            if not module.startswith(HOMES) and _WORD.search(text):
                yield module, ast.parse(text)


def branches(tree: ast.Module) -> Iterator[str]:
    """Yield what is compared with the name of a database, matched against one, or imported to be told apart by its class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            values = [value for side in sides for value in _constants(side)]
            if NAMES & set(values):
                yield ast.unparse(node)
        elif isinstance(node, ast.MatchValue) and NAMES & set(_constants(node.value)):
            yield f"case {ast.unparse(node.value)}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"import {alias.name}" for alias in node.names if alias.name in CLASSES)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "startswith":
            beginnings = {str(value)[:4] for arg in node.args for value in _constants(arg)}
            yield from [ast.unparse(node)] if beginnings & {"crdb", "cock", "post"} else []


def _constants(node: ast.expr) -> list[object]:
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return [value for item in node.elts for value in _constants(item)]
    return []


def test_no_branch_on_a_database_outside_its_homes() -> None:
    found = [(module, text) for module, tree in modules() for text in branches(tree)]
    assert [f"{module}: {text}" for module, text in found if (module, text) not in EXCEPTIONS] == []
    assert set(EXCEPTIONS) - set(found) == set()


@pytest.mark.parametrize(
    "code",
    [
        'if dialect == "cockroach": pass',
        'x = 1 if target.dialect != "postgres" else 2',
        'x = dialect.name in ("cockroach",)',
        'match x:\n  case "postgres": pass',
        "from bench.db.dialects import Cockroach",
        'x = variant.startswith("crdb_")',
    ],
)
def test_a_branch_is_found(code: str) -> None:
    assert len(list(branches(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    ['x = {"postgres": 1, "cockroach": 2}[dialect]', 'f("postgres")', 'if url.startswith("http"): pass', 'x == "pg"'],
)
def test_a_table_or_a_name_is_none(code: str) -> None:
    assert list(branches(ast.parse(code))) == []


def test_dialects_are_found_by_their_names() -> None:
    assert [type(dialect_named(name)) for name in ("postgres", "cockroach")] == [Postgres, Cockroach]
    assert [dialect_named(name).name for name in ("postgres", "cockroach")] == ["postgres", "cockroach"]
