"""The table of arrows: which package may import which.  Nothing generic, no cycle, one place for each driver."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAPPED = {"workloads", "scenarios", "reports", "schema"}

BASE = {"errors", "units", ""}
ARROWS = {
    "cli": BASE
    | {"team", "load", "data", "target", "audit", "results", "stats", "scenario", "db", "metrics", "indexes"},
    "load": BASE | {"db", "metrics", "scenario", "target"},
    "team": BASE | {"load", "db", "metrics", "scenario", "target"},
    "data": BASE | {"db"},
    "audit": BASE | {"db", "metrics"},
    "indexes": BASE | {"db", "stats"},
    "target": BASE | {"db"},
    "results": BASE | {"metrics", "stats"},
    "stats": BASE | {"metrics"},
    "metrics": BASE,
    "scenario": BASE,
    "db": BASE | {"metrics"},
    "errors": set(),
    "units": {"errors"},
    "workloads": BASE | {"load", "db", "data", "metrics"},
    "reports": BASE | {"results", "stats", "metrics"},
    "schema": BASE | {"db"},
    "scenarios": set(),
}
OWNERS = {
    "psycopg": {"db", "load"},
    "locust": {"load", "team"},
    "gevent": {"load", "team", "cli"},
    "matplotlib": {"reports"},
    "faker": {"data"},
    "click": {"cli"},
    "rich": {"cli"},
    "jinja2": {"reports"},
}


def modules() -> Iterator[tuple[str, Path]]:
    for folder in ("bench", *sorted(MAPPED)):
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to(ROOT / folder)
            area = folder if folder in MAPPED else (inside.parts[0].removesuffix(".py") if inside.parts else "")
            yield "" if area == "__init__" else area, path


def imported(path: Path) -> Iterator[str]:
    """Yield every module that a file imports absolutely, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("area", "path"), [pytest.param(a, p, id=str(p.relative_to(ROOT))) for a, p in modules()])
def test_imports_follow_the_arrows(area: str, path: Path) -> None:
    if not area:
        return
    wrong = []
    for name in imported(path):
        head, _, rest = name.partition(".")
        if head in MAPPED:
            wrong.append(f"{name}: a bare import makes a second copy, use bench.{name}")
        if head == "bench" and rest:
            target = rest.split(".")[0]
            known = target in ARROWS
            if known and target != area and target not in ARROWS[area]:
                wrong.append(f"{name}: {area} may not import {target}")
        if head in OWNERS and area not in OWNERS[head]:
            wrong.append(f"{name}: only {', '.join(sorted(OWNERS[head]))} may import {head}")
    assert not wrong


def test_packages_are_those_on_disk() -> None:
    import tomllib

    declared = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    on_disk = {"bench", *(f"bench.{name}" for name in MAPPED)}
    on_disk |= {f"bench.{path.parent.name}" for path in (ROOT / "bench").glob("*/__init__.py")}
    assert declared == on_disk


def test_nothing_but_the_console_prints() -> None:
    for _, path in modules():
        if path.name in ("console.py", "supervisor.py"):
            continue
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"], path
