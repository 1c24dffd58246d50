"""Little's law as a check of the clocks: arrivals a second times the mean response is the mean number in the system.  Pure.

L = lambda W holds for any system that begins and ends empty, whatever the distributions (Little, "A proof for the queuing
formula L = lambda W", Operations Research 9, 1961; over a finite time Jewell, "A simple proof of: L = lambda W", 1967).  One
side is made of the response times that sessions had, the other of how many were seen waiting or at work once a second.  They
come from different clocks and counters, so where they differ one of them is wrong.

The second side is counted once a second, and what that may miss is allowed beside the tolerance: three standard
deviations of the trapezoid rule's error.  Sessions that last long against a second are seen in many counts; between two
of them the number wanders as a Brownian bridge, whose integral has the variance (difference)^2 h^2 / 12 for an interval
h.  Short ones are hardly seen twice, so counts are as good as independent, and it is (difference)^2 h^2 / 2.  In between
the number's correlation is taken to fall as exp(-t / W), as that of M/M/infinity does.  Then over a time T, with s^2 the
number's variance and a = h / W,

    Var(h sum) = s^2 h coth(a / 2) T,  Var(integral) = Cov = 2 s^2 W T,  E(difference^2) = 2 s^2 (1 - exp(-a)),

so the error has (difference)^2 h^2 (coth(a / 2) - 2 / a) / (2 (1 - exp(-a))) a step, which has the two above for its ends.
Where hardly any session was ever seen the differences tell too little.  The number varies at least as a Poisson number does,
as it would with a free user for each, so s^2 is taken to be at least its mean by whichever side is larger.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

TOLERANCE = 0.05
_LONG = 1e-3
"""Shorter intervals, as a share of the mean response, are as good as none: the difference of two large numbers is lost."""


@dataclass(frozen=True, slots=True)
class LittleRow:
    """Both sides for one run: ``by_times`` is lambda W, ``by_counts`` is L; None where nothing was recorded.

    ``allowed`` is how much they may differ, as a share of ``by_counts``: 5 % and what counting once a second may miss, which
    is more the shorter sessions are.
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


def little(sum_response_s: float, sessions: int, samples: Sequence[tuple[float, int]]) -> LittleRow:
    """Return the check of a run from its sessions, the sum of their response times, and (elapsed s, number in the system).

    The run begins empty at zero; it must end empty, too, or the sessions in it are missing on one side.
    """
    if not samples or samples[-1][0] <= 0:
        return LittleRow(None, None, None)
    ends = [(0.0, 0), *samples]
    steps = [(at - since, before, inside) for (since, before), (at, inside) in pairwise(ends)]
    total = samples[-1][0]
    by_times, by_counts = sum_response_s / total, sum((before + inside) / 2 * h for h, before, inside in steps) / total
    response_s = sum_response_s / sessions if sessions else 0.0
    seen = sum((inside - before) ** 2 * _missed(h, response_s) for h, before, inside in steps)
    least = sum(_of_poisson(h, response_s) * _missed(h, response_s) for h, _, _ in steps) * max(by_times, by_counts)
    allowed = TOLERANCE + 3 * math.sqrt(max(seen, least)) / (by_counts * total) if by_counts else None
    return LittleRow(by_times, by_counts, allowed)


def _missed(step: float, response_s: float) -> float:
    """Return the variance of a step's error over (difference)^2."""
    if step < _LONG * response_s:
        return step**2 / 12
    if not response_s:
        return step**2 / 2
    ratio = step / response_s
    return step**2 * (1 / math.tanh(ratio / 2) - 2 / ratio) / (2 * -math.expm1(-ratio))


def _of_poisson(step: float, response_s: float) -> float:
    """Return E(difference^2) over a step of a number that varies as a Poisson number of mean one does."""
    return -2 * math.expm1(-step / response_s) if response_s else 2.0
