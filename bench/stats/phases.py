"""The phases of a run, and which part of it is measured.  Pure; may import nothing of the package.

>>> phases = (Phase("warm-up", 0, 10, measured=False), Phase("steady", 10, 60, measured=True))
>>> measured_seconds(phases, end_s=None), measured_seconds(phases, end_s=40)
(60.0, 30.0)
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of the schedule, in seconds since the start of the run; a warm-up is not ``measured``."""

    name: str
    start_s: float
    duration_s: float
    measured: bool

    @property
    def end_s(self) -> float:
        """When the phase ends, in seconds since the start of the run."""
        return self.start_s + self.duration_s


def measured_names(phases: Iterable[Phase]) -> frozenset[str]:
    """Return the names of the measured phases."""
    return frozenset(phase.name for phase in phases if phase.measured)


def measured_seconds(phases: Iterable[Phase], end_s: float | None) -> float:
    """Return how many seconds of the measured phases took place before ``end_s`` (None: all of them)."""
    total = 0.0
    for phase in phases:
        if phase.measured:
            end = phase.end_s if end_s is None else min(phase.end_s, end_s)
            total += max(0.0, end - phase.start_s)
    return total


def is_measured(phases: Iterable[Phase], elapsed_s: float) -> bool:
    """Return whether a moment lies in a measured phase."""
    return any(phase.measured and phase.start_s <= elapsed_s < phase.end_s for phase in phases)
