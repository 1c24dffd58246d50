"""Frames of several workers, put together by number: pure, without clock or sockets.

Frame n ends n seconds after the start of the run on every worker, whose clocks are corrected, so parts of one number belong
side by side.  A frame is handed out, in order, once every worker that still plays has sent its part; a worker that keeps the
others waiting longer than ``PATIENCE_S`` is late, and its part is stored when it comes.
"""

from dataclasses import dataclass, field
from typing import Any

PATIENCE_S = 2.0

Rows = list[Any]
"""[table, rows] pairs, as ``bench.results.rows.frame_rows`` makes them."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A worker's part of a frame; ``elapsed_s`` is when it ended, by the worker's corrected clock."""

    worker: str
    number: int
    elapsed_s: float
    rows: Rows


@dataclass(frozen=True, slots=True)
class Collected:
    """A frame that is to be stored."""

    number: int
    elapsed_s: float
    parts: tuple[Sent, ...]


@dataclass(slots=True)
class Lateness:
    """How often a worker's part came too late, and the worst of it."""

    times: int
    worst_s: float
    at_s: float


@dataclass(slots=True)
class FrameBook:
    """Takes parts as they come and hands out frames in order."""

    workers: set[str]
    """Those that will send more."""
    written: int = 0
    late: dict[str, Lateness] = field(default_factory=dict)
    _sent: dict[str, int] = field(default_factory=dict)
    _parts: dict[int, list[Sent]] = field(default_factory=dict)

    def add(self, sent: Sent, came_s: float) -> bool:
        """Take a part that came at a time; False when its frame has been handed out without it, to be stored by itself."""
        due_s = min(float(sent.number), sent.elapsed_s)
        if came_s - due_s > PATIENCE_S:
            seen = self.late.setdefault(sent.worker, Lateness(0, 0.0, due_s))
            seen.times += 1
            if came_s - due_s > seen.worst_s:
                seen.worst_s, seen.at_s = came_s - due_s, due_s
        self._sent[sent.worker] = max(sent.number, self._sent.get(sent.worker, 0))
        if sent.number <= self.written:
            return False
        self._parts.setdefault(sent.number, []).append(sent)
        return True

    def leave(self, worker: str) -> None:
        """Wait no longer for a worker, which has ended or is lost."""
        self.workers.discard(worker)

    def last_of(self, worker: str) -> int:
        """Return the number of the last frame that a worker sent; 0 for none."""
        return self._sent.get(worker, 0)

    def take(self, now_s: float) -> Collected | None:
        """Return the next frame that is whole, or that is waited for no longer; None when there is none."""
        number = self.written + 1
        waited_for = any(self.last_of(worker) < number for worker in self.workers)
        if waited_for and now_s <= number + PATIENCE_S:
            return None
        parts = self._parts.pop(number, None)
        if parts is None and not self._parts:
            # Nobody has sent anything, so there is nothing to keep in order either.
            return None
        self.written = number
        found = tuple(sorted(parts or (), key=lambda part: part.worker))
        return Collected(number, max((part.elapsed_s for part in found), default=float(number)), found)
