"""The folder of an export: written under another name, put in place when it is whole, and never mixed with what was there."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.results.store import STORE_NAME, refuse_package, unwritable, write_atomically

INDEX_NAME = "export.json"
_PARTIAL = ".export.partial"


@dataclass(frozen=True, slots=True)
class Staged:
    """Where to write the files of an export (``folder``), and what ``export.json`` is to say of them."""

    folder: Path
    index: dict[str, Any]


@contextmanager
def staging(target: Path, *, replace: bool) -> Iterator[Staged]:
    """Hand out a folder to write to, and put its files into ``target`` at the end; after an error nothing is left of them.

    UsageError when ``target`` cannot be written, lies in the installed package, or holds anything and ``replace`` is not
    given.  With ``replace``, the files that an earlier export listed are removed; others are left alone.
    """
    refuse_package(target)
    created = not target.exists()
    partial = target / _PARTIAL
    try:
        _prepare(target, partial, replace=replace)
        try:
            staged = Staged(partial, {})
            yield staged
            _install(staged, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            if created and not any(target.iterdir()):
                target.rmdir()
    except OSError as error:
        raise unwritable(target, error) from None


def _prepare(target: Path, partial: Path, *, replace: bool) -> None:
    if (target / STORE_NAME).exists():
        raise UsageError(f"'{target}' holds a run", hint="name another folder with --out")
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()) and not replace:
        raise UsageError(
            f"'{target}' is not empty", hint="name another folder with --out, or pass --yes to replace an export in it"
        )
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir()


def _install(staged: Staged, target: Path) -> None:
    """Move every file into place; ``export.json`` is the last, so where it is, the export is whole."""
    for name in _listed(target / INDEX_NAME):
        (target / name).unlink(missing_ok=True)
    (target / INDEX_NAME).unlink(missing_ok=True)
    files = sorted(path.name for path in staged.folder.iterdir())
    for name in files:
        (staged.folder / name).replace(target / name)
    write_atomically(target / INDEX_NAME, json.dumps({**staged.index, "files": files}, indent=2) + "\n")


def _listed(index: Path) -> list[str]:
    """Return the files of an earlier export: plain names only, whatever the file says."""
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["files"]
        return [name for name in names if isinstance(name, str) and name == Path(name).name and name not in ("", "..")]
    except (OSError, ValueError, KeyError, TypeError):
        return []
