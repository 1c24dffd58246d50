"""A run's store, open for reading: its rows, and what is said where they are damaged."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from bench.errors import UsageError
from bench.results import files
from bench.results.files import read_manifest
from bench.results.manifest import Manifest

T = TypeVar("T")

_PART = 10_000


class Opened:
    """A run's folder with its manifest and its store, read-only; also a context manager."""

    def __init__(self, path: Path, manifest: Manifest, db: sqlite3.Connection, resources: contextlib.ExitStack) -> None:
        self.path = path
        self.manifest = manifest
        self.db = db
        self._resources = resources

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the run in a folder; UsageError when it is missing, damaged or newer than this version of bench."""
        db, copy = files.connect(path)
        with contextlib.ExitStack() as resources:
            if copy is not None:
                resources.callback(copy.cleanup)
            resources.callback(db.close)
            return cls(path, read_manifest(path), db, resources.pop_all())

    def close(self) -> None:
        """Let the store go; idempotent."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def rows(self, query: str, *values: object) -> Iterator[Any]:
        """Yield the rows of a query on the store; UsageError when the store turns out to be damaged."""
        try:
            yield from self.db.execute(query, values)
        except (sqlite3.DatabaseError, ValueError) as error:
            raise self._damaged(error) from None

    def parts(self, query: str, *values: object) -> Iterator[list[Any]]:
        """Yield the rows of a query in lists of at most ``_PART``; UsageError as ``rows``."""
        try:
            cursor = self.db.execute(query, values)
            while part := cursor.fetchmany(_PART):
                yield part
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from None

    def _checked(self, read: Callable[[], T]) -> T:
        """Return what was read; UsageError when what the store holds turns out to be damaged."""
        try:
            return read()
        except (ValueError, TypeError, OverflowError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> UsageError:
        return UsageError(
            f"'{self.path}' is damaged", cause=str(error), hint="choose another run; this one cannot be read whole"
        )

    def _one(self, query: str) -> Any:
        return next(self.rows(query), None)
