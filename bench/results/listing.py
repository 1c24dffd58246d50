"""The runs of a folder in a line each, without reading their frames.

How a run ended, its verdict and its audit are read from its store; the figures from its ``summary.json`` where that is of
this store as it is now.  What neither says is None: nothing is summarised here.
"""

import contextlib
import fcntl
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.results.files import connect, list_runs, read_manifest
from bench.results.manifest import Manifest
from bench.results.store import STORE_NAME

SUMMARY_NAME = "summary.json"
_ROUNDING_S = 2.0
"""What copying a folder may do to the times of its files."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run; None is "not known".

    ``status`` is that of the store, or ``running`` while its writer is alive.  ``wrong`` counts what the audit found wrong
    (0: it found nothing).  ``p99_response_at_least``: the p99 is a bound, because some had no answer.  ``fault`` says why
    the run cannot be read, or what it lacks.
    """

    id: str
    path: str
    bytes: int
    created_utc: str | None = None
    scenario: str | None = None
    target: str | None = None
    variant: str | None = None
    strategy: str | None = None
    status: str | None = None
    verdict: str | None = None
    offered_per_s: float | None = None
    answered_per_s: float | None = None
    p99_response_ms: float | None = None
    p99_response_at_least: bool = False
    retries: int | None = None
    wrong: int | None = None
    fault: str | None = None


def run_lines(runs_dir: Path, scenario: str | None = None) -> Iterator[RunLine]:
    """Yield the runs of a folder, newest first, those of one scenario if it is named; damaged ones say what is wrong.

    Runs of which nothing can be read belong to no scenario.  Not for a process that writes one of these stores: looking
    whether it is being written would give back that process's own locks on it.
    """
    for folder in reversed(list_runs(runs_dir)):
        manifest, fault = _manifest(folder)
        if scenario is None or (manifest is not None and manifest.scenario_name == scenario):
            yield _line(folder, manifest, fault)


def _manifest(folder: Path) -> tuple[Manifest | None, str | None]:
    try:
        return read_manifest(folder), None
    except UsageError as error:
        return None, _told(error)


def _told(error: UsageError) -> str:
    return f"{error.message}: {error.cause}" if error.cause else error.message


def _line(folder: Path, manifest: Manifest | None, fault: str | None) -> RunLine:
    known: dict[str, Any] = {}
    if manifest is not None:
        known = {
            "created_utc": manifest.created_utc,
            "scenario": manifest.scenario_name,
            "target": manifest.target.kind,
            "variant": manifest.target.variant,
            "strategy": manifest.strategy,
        }
        known |= _of_store(folder)
    return RunLine(folder.name, str(folder), _size(folder), **{"fault": fault} | known)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # it may go away while we look
            total += path.stat().st_size if path.is_file() else 0
    return total


def _of_store(folder: Path) -> dict[str, Any]:
    is_running = _is_written(folder / STORE_NAME)
    try:
        db, copy = connect(folder)
    except UsageError as error:
        return {"fault": _told(error)}
    try:
        found = _outcome(db, is_running)
    except sqlite3.DatabaseError as error:
        return {"fault": f"its store is damaged: {error}"}
    finally:
        db.close()
        if copy is not None:
            copy.cleanup()
    if not is_running:
        figures = _figures(folder, found["status"])
        found = figures | {name: value for name, value in found.items() if value is not None}
    return found


def _outcome(db: sqlite3.Connection, is_running: bool) -> dict[str, Any]:
    status, verdict = db.execute("SELECT status, verdict FROM outcome").fetchone() or ("killed", None)
    audited, broken = db.execute("SELECT count(*), total(NOT passed) FROM findings").fetchone()
    (oversold,) = db.execute("SELECT total(oversold) FROM stock").fetchone()
    has_frames = db.execute("SELECT 1 FROM frames LIMIT 1").fetchone() is not None
    wrong = int(broken) or int(oversold > 0)
    return {
        "status": "running" if is_running else status,
        "verdict": verdict,
        "wrong": wrong if audited or wrong else None,
        "fault": None if has_frames or is_running else "it ended before its first second was stored",
    }


def _is_written(store: Path) -> bool:
    """Whether a process has the store open for writing.

    SQLite keeps a shared lock on these bytes for as long as a store in WAL mode is open (its file format, section
    "file locking": the pending byte is at 1 GiB, the shared range two bytes later); the lock asked for here conflicts with it
    and is given back at once.  Where the file may not be written, nobody can tell, and the answer is no.
    """
    try:
        with store.open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
            except OSError:
                return True
            fcntl.lockf(file, fcntl.LOCK_UN, 510, 0x40000002)
            return False
    except OSError:
        return False


def _figures(folder: Path, status: str) -> dict[str, Any]:
    """Return the figures of ``summary.json``; none where it is missing, damaged, or older than the store.

    None of one of form 1 either, whose percentiles left out what had no answer: it has no ``at_least``.
    """
    path = folder / SUMMARY_NAME
    try:
        stores = [part.stat().st_mtime for part in folder.glob(f"{STORE_NAME}*") if not part.name.endswith("-shm")]
        if path.stat().st_mtime + _ROUNDING_S < max(stores):
            return {}
        text = path.read_text(encoding="utf-8")
        if _part(text, "status") != status:
            return {}
        arrivals, total = _part(text, "total_arrivals"), _part(text, "total")
        return {
            "verdict": _part(text, "validity")["verdict"],
            "offered_per_s": arrivals["offered_per_s"],
            "answered_per_s": arrivals["ended_per_s"],
            "p99_response_ms": total["response"]["p99_ms"],
            "p99_response_at_least": "p99_ms" in total["response"]["at_least"],
            "retries": total["retries"],
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _part(text: str, key: str) -> Any:
    """Return one value of a document as ``summary.json`` is written: its keys alone stand two spaces in.

    Reading the whole of it would make a list of hundreds of runs slow.  KeyError when it is not there.
    """
    mark = f'\n  "{key}": '
    start = text.find(mark)
    if start < 0:
        raise KeyError(key)
    return json.JSONDecoder().raw_decode(text, start + len(mark))[0]
