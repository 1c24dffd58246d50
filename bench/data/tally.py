"""How far a load is, counted by all its threads.

May import ``lanes``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter
from typing import Literal

from bench.data.lanes import Loaded

Phase = Literal["schema", "copy", "keys", "indexes", "foreign_keys", "statistics", "views", "checksums"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is: rows of the table at hand, or steps of a later phase; ``bytes`` are those sent for the table."""

    phase: Phase
    name: str
    done: int
    expected: int
    bytes: int
    seconds: float


@dataclass(slots=True)
class Tally:
    """Counts that the threads share."""

    report: Callable[[Progress], None]
    started_s: float = field(default_factory=perf_counter)
    rows: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    generate_s: float = 0.0
    resumed: int = 0
    retried: int = 0
    lock: Lock = field(default_factory=Lock)

    def loaded(self, block: Loaded, expected: int) -> None:
        """Count a block; ``expected`` are the rows of its table."""
        with self.lock:
            self._add(block.table, block.rows, block.bytes)
            self.generate_s += block.generate_s
            self.retried += block.retries > 0
            self._report("copy", block.table, self.rows[block.table], expected, self.bytes[block.table])

    def found(self, table: str, rows: int) -> None:
        """Count a block that an earlier load has brought in."""
        with self.lock:
            self._add(table, rows, 0)
            self.resumed += 1

    def _add(self, table: str, rows: int, size: int) -> None:
        self.rows[table] = self.rows.get(table, 0) + rows
        self.bytes[table] = self.bytes.get(table, 0) + size

    def finished(self, phase: Phase, name: str, done: int, expected: int) -> None:
        """Tell of a step of another phase than COPY."""
        with self.lock:
            self._report(phase, name, done, expected, 0)

    def _report(self, phase: Phase, name: str, done: int, expected: int, size: int) -> None:
        self.report(Progress(phase, name, done, expected, size, perf_counter() - self.started_s))
