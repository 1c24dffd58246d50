"""The data set as CSV files in a folder, with the scripts that load them: for clusters beyond what one machine can feed.

May import ``blocks``, ``spec``, ``files_scripts``, ``files_writing`` and ``db.ddl``.  A file is written under another name,
renamed when it is whole and on disk, and then entered in a journal; an export that was interrupted goes on after the files
that are entered.  The manifest takes the journal's place at the end: a folder with a manifest is whole.
"""

import fcntl
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any

from bench import __version__
from bench.data import files_scripts
from bench.data.blocks import BLOCK_ROWS, FAMILY_ORDERS, DataSet
from bench.data.files_scripts import Contents, DataFile
from bench.data.files_writing import (
    BLOCKS_PER_FILE,
    DATA,
    NO_ROOM,
    PARTIAL,
    PlannedFile,
    explained,
    plan_sheaves,
    replace,
    write_sheaves,
)
from bench.data.spec import GENERATOR_VERSION, SeedSpec, row_counts
from bench.db.ddl import Dialect, Schema, load_schema
from bench.db.model import Model
from bench.errors import UsageError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
JOURNAL = "export.journal"
SUMS = "SHA256SUMS"

_DEFAULT_VARIANT: dict[Dialect, str] = {"postgres": "pg", "cockroach": "crdb_rbr"}


@dataclass(frozen=True, slots=True)
class FilesOptions:
    """How to export.  ``tables`` limits the rows to some tables, which should include what those refer to.

    ``base_url`` is where CockroachDB will find the folder (default: ``nodelocal://1/<folder>``); ``notes`` are added to those
    that mark the loaded database.
    """

    tables: frozenset[str] | None = None
    processes: int = 1
    base_url: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    blocks_per_file: int = BLOCKS_PER_FILE


@dataclass(frozen=True, slots=True)
class FilesProgress:
    """How far an export is: ``rows`` and ``bytes`` of the folder, ``seconds`` since it began; ``file`` is the latest.

    It is told after each block, or with several processes after each file.
    """

    file: str
    files_done: int
    files: int
    rows: int
    expected_rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FilesReport:
    """What the folder holds; ``kept`` files were whole already."""

    folder: Path
    rows: Mapping[str, int]
    files: int
    kept: int
    bytes: int
    seconds: float

    @property
    def total_rows(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())


def schemas_for(spec: SeedSpec, variant: str | None = None) -> tuple[Schema, Schema]:
    """Return the schemas whose scripts go with the files: ``variant``, and the other database's usual one."""
    chosen = dict(_DEFAULT_VARIANT)
    if variant is not None:
        chosen[load_schema(variant, spec.regions, spec.as_of).dialect] = variant
    postgres, cockroach = (load_schema(name, spec.regions, spec.as_of) for name in chosen.values())
    return postgres, cockroach


def _nothing(_: FilesProgress) -> None:
    return None


def write_files(
    folder: Path,
    data: DataSet,
    schemas: Sequence[Schema],
    options: FilesOptions = FilesOptions(),  # frozen
    progress: Callable[[FilesProgress], None] = _nothing,
) -> FilesReport:
    """Write the files of a data set, scripts to load them and a manifest, or finish what an interrupted export began.

    ``schemas`` holds at most one of each database.  UsageError when the folder holds something else, cannot be written, is
    being written by another process, or its disk is full: then what is whole stays.
    """
    started = perf_counter()
    base = _checked_base(options.base_url) if options.base_url else files_scripts.default_base(folder)
    model = schemas[0].model
    identity = _identity(data.spec, model, options)
    sheaves = plan_sheaves(data, model, options.tables, options.blocks_per_file)
    with _claimed(folder):
        journal = _Journal.open(folder, identity)
        export = _Export(journal, [file for sheaf in sheaves for file in sheaf.files], data.spec, progress, started)
        kept = sum(entry.rows > 0 for entry in journal.entries.values())
        todo = [rest for sheaf in sheaves if (rest := sheaf.without(journal.entries))]
        try:
            write_sheaves(folder, data, todo, options.processes, export)
        except UsageError as error:
            if error.hint == NO_ROOM:
                error.cause = f"{error.cause}; {len(journal.entries)} of {len(export.plan)} files are whole"
            raise
        contents = _contents(data, model, journal, export.plan, options.tables)
        _finish(folder, contents, schemas, identity, base, options.notes)
    seconds = perf_counter() - started
    return FilesReport(folder, contents.rows, len(contents.files), kept, contents.bytes, seconds)


def _identity(spec: SeedSpec, model: Model, options: FilesOptions) -> dict[str, Any]:
    """Return what two exports must have in common for one to go on with the files of the other."""
    plain = {key: value.isoformat() if isinstance(value, date) else value for key, value in asdict(spec).items()}
    return {
        "format_version": FORMAT_VERSION,
        "generator_version": GENERATOR_VERSION,
        "schema_version": model.version,
        "data_fingerprint": spec.fingerprint,
        "spec": plain | {"regions": list(spec.regions)},
        "only": None if options.tables is None else sorted(options.tables),
        "blocks": [options.blocks_per_file, BLOCK_ROWS, FAMILY_ORDERS],
    }


def _checked_base(url: str) -> str:
    if "://" not in url:
        raise UsageError(
            f"'{url}' is not a URL", hint="pass e.g. s3://bucket/folder?AUTH=implicit or nodelocal://1/folder"
        )
    return url


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Make the folder and hold its lock; UsageError when another process has it."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UsageError(f"another export is writing to '{folder}'", hint="wait for it to end") from None
    try:
        yield
    finally:
        os.close(handle)


@dataclass(slots=True)
class _Journal:
    """The files that are whole, by name; each is a line, after the identity in the first one."""

    path: Path
    entries: dict[str, DataFile] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, identity: Mapping[str, Any]) -> "_Journal":
        """Return the journal of a folder, new where the folder is empty; UsageError when the folder is not ours."""
        path = folder / JOURNAL
        with explained(folder):
            found = sorted(entry.name for entry in folder.iterdir() if entry.name != JOURNAL + PARTIAL)
            header, entries = _recorded(folder, found)
        if found:
            _require_ours(folder, found, header, identity)
        whole = {entry.name: entry for entry in entries if _is_there(folder, entry)}
        lines = [json.dumps(identity), *(json.dumps(asdict(entry)) for entry in whole.values())]
        with explained(path):
            replace(path, "".join(f"{line}\n" for line in lines))
            (folder / MANIFEST).unlink(missing_ok=True)
            (folder / DATA).mkdir(exist_ok=True)
            for leftover in (folder / DATA).glob(f"*{PARTIAL}"):
                leftover.unlink(missing_ok=True)
        return cls(path, whole)

    def add(self, entry: DataFile) -> None:
        """Enter a file that is whole."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
        self.entries[entry.name] = entry


def _recorded(folder: Path, found: Collection[str]) -> tuple[dict[str, Any] | None, list[DataFile]]:
    """Return the identity and the files that a folder's journal or manifest names; None where there is neither."""
    if JOURNAL in found:
        first, *lines = (folder / JOURNAL).read_text(encoding="utf-8").split("\n")
        # The last line is empty, or was being written when the export ended.
        return _object(first), [_entry(line) for line in lines[:-1]]
    if MANIFEST not in found:
        return None, []
    manifest = _object((folder / MANIFEST).read_text(encoding="utf-8")) or {}
    tables: dict[str, Any] = manifest.get("tables", {})
    entries = [
        DataFile(table=name, columns=tuple(table["columns"]), **file)
        for name, table in tables.items()
        for file in table["files"]
    ]
    return manifest.get("identity"), entries


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _entry(line: str) -> DataFile:
    values = json.loads(line)
    return DataFile(**{**values, "columns": tuple(values["columns"])})


def _require_ours(
    folder: Path, found: Sequence[str], header: Mapping[str, Any] | None, identity: Mapping[str, Any]
) -> None:
    if header is None:
        raise UsageError(
            f"'{folder}' is not empty: it holds '{found[0]}'",
            hint="name a new or an empty folder, or remove what is there",
        )
    differing = [key for key in identity if header.get(key) != identity[key]]
    if differing:
        key = "spec" if "spec" in differing else differing[0]
        raise UsageError(
            f"'{folder}' holds files of other data",
            cause=f"its {key} is {_shown(header.get(key))}, this command's is {_shown(identity[key])}",
            hint="name another folder, or remove this one",
        )


def _shown(value: Any) -> str:
    return " ".join(f"{key}={_shown(item)}" for key, item in value.items()) if isinstance(value, dict) else str(value)


def _is_there(folder: Path, entry: DataFile) -> bool:
    path = folder / entry.name
    return not entry.rows or (path.is_file() and path.stat().st_size == entry.bytes)


class _Export:
    """What is known of an export while its files are written, perhaps by several threads."""

    def __init__(
        self,
        journal: "_Journal",
        plan: Sequence[PlannedFile],
        spec: SeedSpec,
        progress: Callable[[FilesProgress], None],
        started: float,
    ) -> None:
        self.journal = journal
        self.plan = plan
        counts = row_counts(spec)
        self.expected_rows = sum(counts[table] for table in {file.table for file in plan})
        self.rows = sum(entry.rows for entry in journal.entries.values())
        self.bytes = sum(entry.bytes for entry in journal.entries.values())
        self._progress = progress
        self._started = started
        self._lock = Lock()

    def made(self, file: str, rows: int, size: int) -> None:
        """Tell that rows of a file are written."""
        with self._lock:
            self.rows += rows
            self.bytes += size
            self._tell(file)

    def whole(self, entry: DataFile) -> None:
        """Enter a file that is whole."""
        with self._lock:
            with explained(self.journal.path):
                self.journal.add(entry)
            self._tell(entry.name)

    def _tell(self, file: str) -> None:
        done, seconds = len(self.journal.entries), perf_counter() - self._started
        self._progress(FilesProgress(file, done, len(self.plan), self.rows, self.expected_rows, self.bytes, seconds))


def _contents(
    data: DataSet, model: Model, journal: _Journal, plan: Sequence[PlannedFile], tables: Collection[str] | None
) -> Contents:
    written = [journal.entries[file.name] for file in plan]
    asked = [table.name for table in model.tables if tables is None or table.name in tables]
    columns = {entry.table: entry.columns for entry in written if entry.rows}
    rows = {table: sum(entry.rows for entry in written if entry.table == table) for table in asked}
    files = tuple(entry for table in asked for entry in written if entry.table == table and entry.rows)
    facts = data.ledger.facts() if tables is None else {}
    only = None if tables is None else tuple(sorted(tables))
    return Contents(data.spec, rows, columns, files, facts, data.world.orders.total, only)


def _finish(
    folder: Path,
    contents: Contents,
    schemas: Sequence[Schema],
    identity: Mapping[str, Any],
    base: str,
    notes: Mapping[str, str],
) -> None:
    """Write the scripts, then the manifest, and remove the journal."""
    texts = {SUMS: "".join(f"{file.sha256}  {file.name}\n" for file in contents.files)}
    for schema in schemas:
        texts |= files_scripts.scripts(schema, contents, base, notes)
    texts["README.md"] = files_scripts.readme(folder.resolve().name, schemas, contents, base)
    for name, text in texts.items():
        with explained(folder / name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            replace(folder / name, text)
    manifest = _manifest(contents, schemas, identity)
    with explained(folder / MANIFEST):
        replace(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
        (folder / JOURNAL).unlink()


def _manifest(contents: Contents, schemas: Sequence[Schema], identity: Mapping[str, Any]) -> dict[str, Any]:
    tables: dict[str, dict[str, Any]] = {}
    for name, count in contents.rows.items():
        held = [file for file in contents.files if file.table == name]
        tables[name] = {
            "columns": list(contents.columns.get(name, ())),
            "rows": count,
            "bytes": sum(file.bytes for file in held),
            "files": [
                {"name": f.name, "region": f.region, "rows": f.rows, "bytes": f.bytes, "sha256": f.sha256} for f in held
            ],
        }
    return {
        "format_version": FORMAT_VERSION,
        "bench_version": __version__,
        "identity": dict(identity),
        "schemas": [
            {"variant": s.variant, "dialect": s.dialect, "version": s.model.version, "fingerprint": s.fingerprint}
            for s in schemas
        ],
        "rows": sum(contents.rows.values()),
        "bytes": sum(file.bytes for file in contents.files),
        "facts": dict(contents.facts),
        "tables": tables,
    }
