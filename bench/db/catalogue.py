"""The statement catalogue: every statement that is sent, by name, read from ``.sql`` files.

An entry is a ``-- name:`` line, comment lines (``-- params: name type, …``, ``-- names: table, …``, ``-- dialect: postgres``,
the rest describes it) and one statement with ``%(param)s`` for values and ``{name}`` for identifiers.  May import ``errors``,
``bench.db.ddl`` and ``bench.db.placeholders``; sends nothing itself.
"""

import importlib
import importlib.resources
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import get_args

from bench.db.ddl import Dialect
from bench.db.placeholders import TOKEN, placeholders_as_numbers, with_names
from bench.errors import UsageError

DIALECTS: tuple[Dialect, ...] = get_args(Dialect)

_NAME_LINE = re.compile(r"^--\s*name:(.*)$")
_HEADER = re.compile(r"^--\s*([a-z]+):\s*(.*)$")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_HEADER_KEYS = ("params", "names", "dialect")
_COMMA = re.compile(r",(?![^()]*\))")
"""A comma outside parentheses: ``numeric(10,2)`` is one type."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a statement and its SQL type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement; ``sql`` has ``%(param)s`` placeholders, and ``dialect`` is None where it serves both databases."""

    name: str
    sql: str
    params: tuple[Param, ...]
    description: str
    dialect: Dialect | None
    origin: str
    line: int
    names: tuple[str, ...] = ()
    """The identifiers that its text leaves open; ``named`` fills them in."""

    def named(self, **names: str | Sequence[str]) -> str:
        """Return the statement with identifiers, quoted; KeyError when one is missing, what it does not name is left out."""
        return with_names(self.sql, names)

    @property
    def numbered(self) -> str:
        """The statement with ``$1``, ``$2``… in the order of ``params``, as PREPARE and libpq take it."""
        return placeholders_as_numbers(self.sql, [param.name for param in self.params])

    @property
    def place(self) -> str:
        """The file and line of its name."""
        return f"{self.origin}:{self.line}"

    def serves(self, dialect: Dialect) -> bool:
        """Whether the statement is for that database."""
        return self.dialect in (None, dialect)


class Catalogue(Mapping[str, Statement]):
    """The statements for one database, by name."""

    def __init__(self, statements: Iterable[Statement]) -> None:
        self._by_name = {statement.name: statement for statement in statements}

    @classmethod
    def load(cls, paths: Iterable[Traversable], dialect: Dialect) -> "Catalogue":
        """Return the statements for a database from ``.sql`` files and folders; UsageError lists every fault found."""
        return cls(statement for statement in read(paths) if statement.serves(dialect))

    def __getitem__(self, name: str) -> Statement:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def require(self, *names: str) -> tuple[Statement, ...]:
        """Return the statements of those names; UsageError names all that are missing and what comes close."""
        missing = [name for name in names if name not in self._by_name]
        if missing:
            close = dict.fromkeys(match for name in missing for match in get_close_matches(name, self._by_name, 1))
            listed = ", ".join(f"'{name}'" for name in missing)
            hint = (
                f"did you mean {', '.join(close)}?"
                if close
                else "add `-- name: …` entries to a .sql file of the workload"
            )
            raise UsageError(f"the statement catalogue has no {listed}", hint=hint)
        return tuple(self._by_name[name] for name in names)


def read_package(package: str, folder: str) -> Traversable:
    """Return a folder of an installed package's data; UsageError when the package cannot be imported."""
    try:
        # Imported first: the mapped packages are known to import hooks only.
        return importlib.resources.files(importlib.import_module(package)).joinpath(folder)
    except ModuleNotFoundError as error:
        raise UsageError(f"no package named '{error.name}' to read statements from") from None


def read(paths: Iterable[Traversable]) -> tuple[Statement, ...]:
    """Return every statement of the files and folders, for both databases; UsageError lists every fault found."""
    faults: list[str] = []
    entries = [entry for path in paths for file in _files(path, faults) for entry in _entries(file)]
    statements = []
    for entry in entries:
        statement = _statement(entry)
        faults += [f"{entry.place}: {fault}" for fault in entry.faults]
        if statement:
            statements.append(statement)
    faults += _clashes(statements)
    if faults:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise UsageError("\n  ".join([f"the statement catalogue has {count}", *faults]))
    return tuple(statements)


@dataclass(slots=True)
class _Entry:
    """An entry as it stands in its file, with the faults found while it is read."""

    file: str
    line: int
    name: str
    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def _files(path: Traversable, faults: list[str]) -> list[Traversable]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        faults.append(f"{_label(path)}: no such file or folder")
        return []
    return sorted((file for file in path.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)


def _label(path: Traversable) -> str:
    if isinstance(path, Path) and path.is_absolute() and path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _entries(file: Traversable) -> Iterator[_Entry]:
    entry = _Entry(_label(file), 1, "")
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        found = _NAME_LINE.match(line)
        if found:
            yield entry
            entry = _Entry(entry.file, number, found[1].strip())
            if not _NAME.fullmatch(entry.name):
                entry.faults.append(f"'{entry.name}' is not a name (want lower case letters, digits and _)")
        else:
            entry.lines.append(line)
    yield entry


def _statement(entry: _Entry) -> Statement | None:
    header, body = _split(entry.lines)
    sql = _body(entry, body)
    if not entry.name:
        # What stands before the first name may only be a comment on the file.
        if sql:
            entry.faults.append("the statement has no `-- name:` line")
        return None
    if not sql:
        entry.faults.append(f"'{entry.name}' has no statement")
    params = tuple(_params(entry, header["params"]))
    names = tuple(name for line in header["names"] for name in re.split(r"[,\s]+", line) if name)
    entry.faults += [
        f"'{key}:' is not a header (want params:, names: or dialect:)"
        for key in header
        if key not in ("", *_HEADER_KEYS)
    ]
    tokens = list(TOKEN.finditer(sql))
    _compare(entry, "parameter", [param.name for param in params], {token["name"] for token in tokens})
    _compare(entry, "identifier", list(names), {token["identifier"] for token in tokens})
    dialect = _dialect(entry, header["dialect"])
    return Statement(entry.name, sql, params, " ".join(header[""]), dialect, entry.file, entry.line, names)


def _split(lines: list[str]) -> tuple[dict[str, list[str]], str]:
    """Return the values of the leading comment lines by key, the description under the empty one, and the rest."""
    header: dict[str, list[str]] = {"": [], **{key: [] for key in _HEADER_KEYS}}
    start = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("--")), len(lines))
    for line in lines[:start]:
        found = _HEADER.match(line)
        is_key = found is not None and bool(get_close_matches(found[1], _HEADER_KEYS, 1, 0.8))
        key, text = (found[1], found[2]) if found and is_key else ("", line.removeprefix("--"))
        if text.strip():
            header.setdefault(key, []).append(text.strip())
    return header, "\n".join(lines[start:])


def _body(entry: _Entry, text: str) -> str:
    """Return the statement without comments and its final semicolon, noting what psycopg or PREPARE would trip over."""
    for token in TOKEN.finditer(text):
        if token["stray"]:
            entry.faults.append(f"'{token['stray']}' is not a placeholder (want %(name)s, or %% for a percent sign)")
        if token["literal"] and re.search(r"%(?!%)", token[0].replace("%%", "")):
            entry.faults.append(f"a literal holds a lone % (write %%, and no placeholder inside a literal): {token[0]}")
    bare = TOKEN.sub(lambda token: "" if token["comment"] else token[0], text)
    lines = (line.rstrip() for line in bare.splitlines())
    sql = "\n".join(line for line in lines if line).removesuffix(";").rstrip()
    if any(token["end"] for token in TOKEN.finditer(sql)):
        entry.faults.append("an entry holds one statement, this has several")
    return sql


def _params(entry: _Entry, lines: list[str]) -> Iterator[Param]:
    for part in _COMMA.split(", ".join(line.rstrip(",") for line in lines)):
        name, _, type_ = part.strip().partition(" ")
        if name and not type_.strip():
            entry.faults.append(f"parameter '{name}' has no type")
        if name:
            yield Param(name, type_.strip())


def _compare(entry: _Entry, what: str, declared: list[str], tokens: set[str | None]) -> None:
    used = {name for name in tokens if name}
    entry.faults += [
        f"{what} '{name}' is declared twice" for name in dict.fromkeys(declared) if declared.count(name) > 1
    ]
    entry.faults += [f"{what} '{name}' is used and not declared" for name in sorted(used - set(declared))]
    entry.faults += [
        f"{what} '{name}' is declared and not used" for name in dict.fromkeys(declared) if name not in used
    ]


def _dialect(entry: _Entry, values: list[str]) -> Dialect | None:
    for value in values:
        if value not in DIALECTS:
            entry.faults.append(f"'{value}' is not a dialect (want {' or '.join(DIALECTS)})")
    return values[0] if values and values[0] in DIALECTS else None


def _clashes(statements: list[Statement]) -> Iterator[str]:
    first: dict[tuple[str, Dialect], Statement] = {}
    for statement in statements:
        served = [(statement.name, dialect) for dialect in DIALECTS if statement.serves(dialect)]
        taken = [first[key].place for key in served if key in first]
        if taken:
            yield f"{statement.place}: '{statement.name}' is already in {taken[0]}"
        for key in served:
            first.setdefault(key, statement)
    for name in dict.fromkeys(statement.name for statement in statements):
        both = [first[name, dialect] for dialect in DIALECTS if (name, dialect) in first]
        if both[0].params != both[-1].params:
            yield f"{both[-1].place}: '{name}' has other parameters than in {both[0].place}"
