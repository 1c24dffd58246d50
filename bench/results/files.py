"""Finding and opening the stores of runs, whole or damaged, without changing a byte of them."""

import difflib
import json
import shutil
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from bench.errors import UsageError
from bench.results import versions
from bench.results.manifest import Manifest
from bench.results.store import MANIFEST_NAME, STORE_NAME
from bench.results.tables import UPGRADES


def connect(folder: Path) -> tuple[sqlite3.Connection, tempfile.TemporaryDirectory[str] | None]:
    """Open the store of a run for reading; UsageError when there is none, it is damaged or newer than this version.

    A store whose writer was killed has a log beside it that SQLite wants to lock.  Where that is not allowed (a read-only
    folder), a copy is opened; its temporary folder is the second value, to be kept for as long as the connection.
    """
    store = folder / STORE_NAME
    if not store.is_file():
        raise UsageError(f"'{folder}' holds no run (no {STORE_NAME})", hint="list the runs with: bench runs")
    try:
        return _open(store), None
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            raise UsageError(f"the run in '{folder}' was killed before it began: its store is empty") from None
    except sqlite3.DatabaseError as error:
        raise _damaged(store, error) from None
    copy = tempfile.TemporaryDirectory(prefix="bench-read-")
    try:
        for part in folder.glob(f"{STORE_NAME}*"):
            if not part.name.endswith("-shm"):
                shutil.copyfile(part, Path(copy.name) / part.name)
        return _open(Path(copy.name) / STORE_NAME), copy
    except (OSError, sqlite3.Error) as error:
        copy.cleanup()
        raise _damaged(store, error) from None


def _open(store: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{quote(str(store.absolute()))}?mode=ro", uri=True, timeout=5)
    try:
        rows = dict(db.execute("SELECT key, value FROM meta"))
    except sqlite3.Error:
        db.close()
        raise
    try:
        found = int(rows.get("format_version", "0"))
        versions.check_version(f"'{store}'", found, versions.STORE_VERSION)
        for version in range(found, versions.STORE_VERSION):
            db.executescript(UPGRADES[version])
    except BaseException:
        db.close()
        raise
    return db


def _damaged(store: Path, error: Exception) -> UsageError:
    return UsageError(f"'{store}' cannot be read", cause=str(error), hint="the store is damaged: choose another run")


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a run; UsageError when it is missing, malformed or newer than this version of bench."""
    path = folder / MANIFEST_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        versions.check_version(f"'{path}'", int(document.get("schema_version", 0)), versions.MANIFEST_VERSION)
        return Manifest.model_validate(document)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read", cause=(error.strerror or str(error)).lower()) from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise UsageError(f"'{path}' is not a manifest", cause=faults) from None
    except ValueError as error:
        raise UsageError(f"'{path}' is not a manifest", cause=str(error)) from None


def list_runs(runs_dir: Path) -> list[Path]:
    """Return the folders of runs, oldest first."""
    if not runs_dir.is_dir():
        return []
    folders = [path for path in runs_dir.iterdir() if (path / STORE_NAME).is_file()]
    return sorted(folders, key=lambda path: (_created(path), path.name))


def find_run(runs_dir: Path, ref: str) -> Path:
    """Return the folder of a run by its id, a unique beginning of it, its path or ``last``; UsageError otherwise."""
    as_path = Path(ref)
    if (as_path / STORE_NAME).is_file():
        return as_path
    runs = list_runs(runs_dir)
    if as_path.is_dir() and ref != "last" and not any(run.name.startswith(ref) for run in runs):
        inside = list_runs(as_path)
        hint = f"it holds {len(inside)} of them: pass '{inside[-1]}'" if inside else "list the runs with: bench runs"
        raise UsageError(f"'{ref}' is not the folder of a run (no {STORE_NAME} in it)", hint=hint)
    if not runs_dir.is_dir():
        raise UsageError(
            f"no run '{ref}': there is no folder '{runs_dir}'",
            hint="name the folder that holds the runs, or start one with: bench run flash-sale",
        )
    if not runs:
        raise UsageError(f"no run '{ref}': '{runs_dir}' holds no runs", hint="start one with: bench run flash-sale")
    if ref == "last":
        return runs[-1]
    matches = [run for run in runs if run.name == ref] or [run for run in runs if ref and run.name.startswith(ref)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(run.name for run in matches[:4])
        raise UsageError(f"'{ref}' begins the names of {len(matches)} runs", hint=f"choose one of: {names}")
    near = difflib.get_close_matches(ref, [run.name for run in runs], n=1, cutoff=0.5)
    nearest = f"did you mean '{near[0]}'?" if near else f"the last run is '{runs[-1].name}'"
    raise UsageError(f"no run '{ref}' in '{runs_dir}'", hint=f"{nearest}; 'last' is short for the newest")


def _created(folder: Path) -> str:
    try:
        manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        return str(manifest["created_utc"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # a run without a readable manifest is never the last one
