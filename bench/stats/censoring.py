"""Percentiles of times of which some are only known to be at least so long: given up, timed out, in flight, dropped.

The estimate is that of Kaplan and Meier ("Nonparametric Estimation from Incomplete Observations", Journal of the American
Statistical Association 53, 1958, 457-481): the share still waiting after time t is the product, over the times at which
something was answered until t, of (at risk - answered) / at risk; at risk are those that have neither been answered nor lost
sight of before.  On a bucket of a histogram answers come before what is censored in it, as is usual for ties.

The percentile is the first time at which the share still waiting is down to 1 - p.  Where it never is, the answer that holds
it was not seen, and what is returned is a bound: the nearest-rank percentile of all times as far as they are known.  However
long the censored ones would have gone on, the true percentile is not below it.  (The last time seen at all would be a larger
number, but one unanswered transaction that waited long would set it for all the others.)

Without anything censored the figures are those of the histogram itself, to the bit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from bench.metrics.histogram import Histogram
from bench.units import NS_PER_MS

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-12
"""What a product of ratios may be off by; a single sample of a billion is a thousand times larger."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A time in milliseconds; ``at_least`` says that it is a bound from below and not the figure itself."""

    ms: float
    at_least: bool = False


@dataclass(frozen=True, eq=False)
class Times:
    """Times that ended in an answer, and those known only to be at least so long."""

    answered: Histogram = field(default_factory=Histogram.empty)
    censored: Histogram = field(default_factory=Histogram.empty)

    @classmethod
    def pool(cls, parts: Iterable[Self]) -> Self:
        """Return all of the parts as one."""
        kept = list(parts)
        return cls(Histogram.merge(p.answered for p in kept), Histogram.merge(p.censored for p in kept))

    def percentile(self, percent: float) -> Reading | None:
        """Return the percentile (0-100); None when nothing was recorded."""
        if not self.censored.count:
            value = self.answered.percentile_ms(percent)
            return None if value is None else Reading(value)
        found = self._reached(1 - percent / 100)
        if found is None:
            value = self._known.percentile_ms(percent)
            return None if value is None else Reading(value, at_least=True)
        return Reading(self._value_ms(found))

    @property
    def longest(self) -> Reading | None:
        """The longest time; a bound when it is of something censored."""
        value = self._known.max_ms
        return None if value is None else Reading(value, at_least=self.censored.max_ns > self.answered.max_ns)

    def waiting(self) -> tuple[Floats, Floats]:
        """Return (answered times in ms, share still waiting after each): the curve of Kaplan and Meier."""
        values, _ = self.answered.cumulative()
        return values, self._curve

    def _value_ms(self, place: int) -> float:
        """Return the time of a bucket of answers: its middle, kept within what was seen; the longest one is known exactly."""
        answered = self.answered
        if place == len(answered.indices) - 1 and answered.counts[place] == 1:
            return answered.max_ns / NS_PER_MS
        values, _ = answered.cumulative()
        return float(np.clip(values[place], answered.min_ns / NS_PER_MS, answered.max_ns / NS_PER_MS))

    def _reached(self, share: float) -> int | None:
        """Return the place of the first bucket of answers after which no more than this share still waits."""
        below = np.flatnonzero(self._curve <= share + _ROUNDING)
        return int(below[0]) if below.size else None

    @cached_property
    def _known(self) -> Histogram:
        return Histogram.merge([self.answered, self.censored])

    @cached_property
    def _curve(self) -> Floats:
        answered, censored = self.answered, self.censored
        before = np.concatenate([[0], np.cumsum(answered.counts)[:-1]]) if answered.count else np.empty(0)
        gone = np.concatenate([[0], np.cumsum(censored.counts)])
        lost = gone[np.searchsorted(censored.indices, answered.indices, side="left")]
        at_risk = answered.count + censored.count - before - lost
        curve: Floats = np.cumprod((at_risk - answered.counts) / at_risk) if answered.count else np.empty(0)
        return curve
