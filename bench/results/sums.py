"""Sums of the statements of a run over many frames, made while it goes on.

An hour of four regions and 25 transactions has millions of statement rows, and only those who ask for single seconds need
them.  A few rows more for every five minutes spare the others most of the reading.
"""

from collections.abc import Sequence

from bench.results.pooling import RowPools
from bench.results.rows import Row

FRAMES = 300
"""Frames in a sum.  What is in none yet is read row by row: a run that was killed may have so much of it."""
_PART = 2_000
"""Rows unpacked at once: fewer cost more in all, more would hold up the thread that makes the load."""
_LABELS, _COUNTS = 4, 2


class StatementSums:
    """What was added to ``statements`` since the last sum."""

    def __init__(self) -> None:
        self._frames = 0
        self._waiting: list[Row] = []
        self._pools = RowPools(_LABELS, _COUNTS)

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows of ``statements``, without the number of their frame."""
        self._waiting += rows
        if len(self._waiting) >= _PART:
            self._fold()

    def end_frame(self) -> bool:
        """Count a frame; true when it is time to ``take``."""
        self._frames += 1
        return self._frames >= FRAMES

    def take(self, until_rowid: int) -> list[Row]:
        """Return the rows of ``statement_sums`` for all that was added."""
        self._fold()
        return [(until_rowid, *cells, time.to_bytes()) for *cells, time in self._pools.rows()]

    def _fold(self) -> None:
        self._pools.add(self._waiting)
        self._waiting = []
