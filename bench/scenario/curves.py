"""Rates over time as straight pieces, so that every shape is drawn from exactly and by the same few lines.

Arrivals are a Poisson process whose rate changes with time.  Given its number of points, which is Poisson with the area
under the rate as its mean, the points of such a process are independent draws from the density proportional to the rate
(Kingman, Poisson Processes, 1993, section 2.4).  The area up to a time is a parabola on each straight piece, and is
inverted there in closed form.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PIECES_PER_HALF_LIFE = 16
"""A straight piece of a decay is off by at most (ln 2 / 16)² / 8 = 0.023 % of the height decayed from."""
HALF_LIVES = 20
"""After so many, a millionth of the peak is left, and the rate is taken to be the one decayed to."""
PIECES_PER_DAY = 96
"""A straight piece of a day's cosine is off by at most (2π / 96)² / 16 = 0.027 % of the way from trough to peak."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A rate over a phase: pieces one after the other, each straight from ``first`` to ``last``; it may jump between them."""

    starts: Floats
    lengths: Floats
    first: Floats
    last: Floats

    @property
    def duration(self) -> float:
        """Seconds from the start of the first piece to the end of the last."""
        return float(self.starts[-1] + self.lengths[-1])

    @property
    def area(self) -> float:
        """How many arrivals are to be expected."""
        return float(self._areas().sum())

    def _areas(self) -> Floats:
        areas: Floats = (self.first + self.last) / 2 * self.lengths
        return areas

    def times(self, areas: Floats) -> Floats:
        """Return when the area under the rate reaches each of ``areas``, which are between zero and ``area``."""
        ends = np.cumsum(self._areas())
        piece = np.minimum(np.searchsorted(ends, areas, side="right"), len(ends) - 1)
        inside = areas - np.concatenate(([0.0], ends[:-1]))[piece]
        first, length = self.first[piece], self.lengths[piece]
        slope = (self.last[piece] - first) / length
        # r·t + s·t²/2 = a, solved so that neither s = 0 nor r = 0 divides by zero or cancels.
        root = first + np.sqrt(np.maximum(first * first + 2 * slope * inside, 0.0))
        offset = np.divide(2 * inside, root, out=np.zeros_like(inside), where=root > 0)
        found: Floats = self.starts[piece] + np.minimum(offset, length)
        return found

    def at(self, times: Floats, *, before: bool = False) -> Floats:
        """Return the rate at each time; at a jump the one after it, or the one ``before``."""
        piece = np.searchsorted(self.starts, times, side="left" if before else "right") - 1
        piece = np.clip(piece, 0, len(self.starts) - 1)
        share = np.clip((times - self.starts[piece]) / self.lengths[piece], 0.0, 1.0)
        rate: Floats = self.first[piece] + (self.last[piece] - self.first[piece]) * share
        return rate

    def scaled(self, factor: float) -> "Curve":
        """Return the curve with its rates multiplied."""
        return Curve(self.starts, self.lengths, self.first * factor, self.last * factor)


def joined(times: Floats, rates: Floats) -> Curve:
    """Return the curve that runs straight from each (time, rate) to the next."""
    return Curve(times[:-1], np.diff(times), rates[:-1], rates[1:])


def levels(times: Floats, rates: Floats, duration: float) -> Curve:
    """Return the curve that holds each rate from its time until the next one's, cut off after ``duration``."""
    kept = times < duration
    starts = times[kept]
    return Curve(starts, np.diff(np.append(starts, duration)), rates[kept], rates[kept])


def ramp(first: float, last: float, duration: float) -> Curve:
    """Return the straight line from one rate to another."""
    return joined(np.array([0.0, duration]), np.array([first, last]))


def steps(first: float, last: float, duration: float, count: int) -> Curve:
    """Return equally long and equally high steps, the first at one rate and the last at the other."""
    return levels(np.linspace(0.0, duration, count + 1)[:-1], np.linspace(first, last, count), duration)


def spike(base: float, peak: float, duration: float, half_life: float) -> Curve:
    """Return a jump to the peak, whose height above the base halves with every half-life."""
    end = min(duration, half_life * HALF_LIVES)
    count = max(1, int(np.ceil(end / half_life * PIECES_PER_HALF_LIFE)))
    times = np.linspace(0.0, end, count + 1)
    rates = base + (peak - base) * np.exp2(-times / half_life)
    if end < duration:
        times, rates = np.append(times, duration), np.append(rates, base)
    return joined(times, rates)


def day(trough: float, peak: float, duration: float, period: float, peak_s: float) -> Curve:
    """Return a cosine between trough and peak that repeats every ``period``, with a peak at ``peak_s`` seconds."""
    count = max(1, int(np.ceil(duration / period * PIECES_PER_DAY)))
    times = np.linspace(0.0, duration, count + 1)
    height = (1 + np.cos(2 * np.pi * (times - peak_s) / period)) / 2
    return joined(times, trough + (peak - trough) * height)


def highest(curves: list[Curve]) -> float:
    """Return the highest value of a sum of curves of the same phase; that of straight pieces is where one of them ends."""
    if not curves:
        return 0.0
    knots = np.unique(np.concatenate([np.append(curve.starts, curve.duration) for curve in curves]))
    sums = [np.sum([curve.at(knots, before=before) for curve in curves], axis=0) for before in (False, True)]
    return float(np.max(sums))
