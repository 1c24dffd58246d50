"""Little's law as a check of the clocks: arrivals a second times the mean response is the mean number in the system.  Pure.

L = lambda W holds for any system that begins and ends empty, whatever the distributions (Little, "A proof for the queuing
formula L = lambda W", Operations Research 9, 1961; over a finite time Jewell, "A simple proof of: L = lambda W", 1967).  One
side is made of the response times that sessions had, the other of how many were seen waiting or at work once a second.  They
come from different clocks and counters, so where they differ one of them is wrong.

The second side is sampled: between two samples the number is taken to wander as a Brownian bridge, whose integral has the
variance (difference)^2 (interval)^2 / 12, and three standard deviations of it are allowed beside the tolerance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class LittleRow:
    """Both sides for one run: ``by_times`` is lambda W, ``by_counts`` is L; None where nothing was recorded.

    ``allowed`` is how much they may differ, as a share of ``by_counts``: 5 % and what sampling once a second may miss.
    """

    by_times: float | None
    by_counts: float | None
    allowed: float | None

    @property
    def residual(self) -> float | None:
        """The difference as a share of ``by_counts``."""
        return self.by_times / self.by_counts - 1 if self.by_times is not None and self.by_counts else None

    @property
    def passed(self) -> bool | None:
        """Whether the two agree; None where there is nothing to compare."""
        if self.residual is None or self.allowed is None:
            return None
        return abs(self.residual) <= self.allowed


def little(sum_response_s: float, samples: Sequence[tuple[float, int]]) -> LittleRow:
    """Return the check of a run from the sum of its sessions' response times and (elapsed s, in the system) in order of time.

    The run begins empty at zero; it must end empty, too, or the sessions in it are missing on one side.
    """
    if not samples or samples[-1][0] <= 0:
        return LittleRow(None, None, None)
    area = variance = before_s = 0.0
    before = 0
    for at_s, inside in samples:
        step = at_s - before_s
        area += (before + inside) / 2 * step
        variance += (inside - before) ** 2 * step**2 / 12
        before_s, before = at_s, inside
    total = samples[-1][0]
    allowed = TOLERANCE + 3 * math.sqrt(variance) / area if area else None
    return LittleRow(sum_response_s / total, area / total, allowed)
