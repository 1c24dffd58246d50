"""The highest rate that meets an objective, with a 95 % interval, from probes at several rates.  Pure.

The share of requests over the limit grows steeply with the rate.  Near the limit its logit is taken to be a straight line of
the logarithm of the rate, steeper or flatter: the curve with which thresholds are estimated from yes-or-no trials elsewhere
(Kontsevich and Tyler, "Bayesian adaptive estimation of psychometric slope and threshold", Vision Research 39, 1999).  All
probes count, also those that by themselves say nothing clear.  What is asked for is the rate at which the line crosses
the allowed share; its posterior is computed on a grid, from a flat prior on the logarithms of rate and slope, and the
interval holds its middle 95 %.

- A probe counts as its effective number of requests (``bench.stats.probing.design_effect``), not as all of them.
- A probe that happened to see no burst must not count for more than one that did: near the limit all take at least the mean
  effect of those near it.
- Where probes scatter around the curve by more than chance, as runs of a real server do, the likelihood is tempered by their
  mean squared Pearson residual (McCullagh and Nelder, "Generalized Linear Models", 1989, section 4.5).
- A probe far beyond the limit says that the limit is lower, and little about the slope near it: an overloaded server's
  share depends on how long it was overloaded.  Its weight is cut accordingly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
SLOPES = (2.0, 300.0)
"""From a doubling of the share for 40 % more load, to a limit that is hit like a wall."""
TEMPER = 3.0
"""Probes count for so much less than their effective numbers say: bursts are skewed, and their variance is itself a guess
from a few seconds.  Found by simulation (tests/stats/test_capacity_search.py): without it the interval holds the limit 8
times in 10."""
FAR = 5.0
"""A share of as many times the allowed one is far beyond the limit."""
_FAR_HITS = 10.0
_REACH = 8.0
_RATES, _SLOPES = 400, 30


@dataclass(frozen=True, slots=True)
class Trial:
    """One probe: of ``requests`` some were ``over`` the limit; they vary as ``requests / effect`` independent ones do."""

    rate: float
    requests: int
    over: int
    effect: float

    @property
    def share(self) -> float:
        """The share over the limit."""
        return self.over / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Knee:
    """The limit: most likely at ``estimate``, with 95 % between ``low`` and ``high``.

    None for an end that the probes do not give: no rate was clearly low enough, or none clearly too high.
    """

    low: float | None
    estimate: float | None
    high: float | None

    @property
    def width(self) -> float:
        """The upper end as a multiple of the lower one; infinite while one of them is missing."""
        return self.high / self.low if self.low and self.high else math.inf


def find_knee(trials: Sequence[Trial], allowed: float) -> Knee:
    """Return the rate at which the share over the limit is ``allowed``."""
    known = [trial for trial in trials if trial.requests]
    if not known:
        return Knee(None, None, None)
    rates = np.array([trial.rate for trial in known])
    grid = np.linspace(math.log(rates.min() / _REACH), math.log(rates.max() * _REACH), _RATES)
    slopes = np.geomspace(*SLOPES, _SLOPES)
    logits = slopes[None, :, None] * (np.log(rates) - grid[:, None, None]) + math.log(allowed / (1 - allowed))
    total, hits = _effective(known, allowed)
    likelihood = hits * log_expit(logits) + (total - hits) * log_expit(-logits)
    log_likelihood = likelihood.sum(axis=2)
    best = np.unravel_index(int(log_likelihood.argmax()), log_likelihood.shape)
    scatter = TEMPER * _scatter(hits, total, expit(logits[best]))
    weight = np.exp((log_likelihood - log_likelihood.max()) / scatter).sum(axis=1)
    return _interval(np.exp(grid), weight, rates)


def _effective(trials: Sequence[Trial], allowed: float) -> tuple[Floats, Floats]:
    share = np.array([trial.share for trial in trials])
    effects = np.array([max(1.0, trial.effect) for trial in trials])
    near = (share > allowed / FAR) & (share < allowed * FAR)
    if near.any():
        effects = np.maximum(effects, effects[near].mean())
    total = np.array([trial.requests for trial in trials]) / effects
    far = share > FAR * allowed
    total[far] = np.minimum(total[far], _FAR_HITS / share[far])
    return total, total * share


def _scatter(hits: Floats, total: Floats, expected: Floats) -> float:
    if len(hits) < 4:
        return 1.0
    # Rates at which next to nothing is expected say nothing about scatter, but would divide by next to nothing.
    variance = np.maximum(total * expected * (1 - expected), 0.5)
    return max(1.0, float(((hits - total * expected) ** 2 / variance).sum()) / (len(hits) - 2))


def _interval(grid: Floats, weight: Floats, rates: Floats) -> Knee:
    tail = (1 - CONFIDENCE) / 2
    low, middle, high = _quantiles(grid, weight, (tail, 0.5, 1 - tail))
    if high > rates.max():
        # Beyond the highest rate that was tried only the prior speaks, and it must not raise the lower end.
        known = grid <= rates.max()
        [low] = _quantiles(grid[known], weight[known], (tail,))
    elif low < rates.min():
        # Nor may it lower the upper end, beyond the lowest rate that was tried.
        high = max(high, float(rates.min()))
    return Knee(
        low if low >= rates.min() else None,
        middle if rates.min() <= middle <= rates.max() else None,
        high if high <= rates.max() else None,
    )


def _quantiles(grid: Floats, weight: Floats, shares: Sequence[float]) -> list[float]:
    below = np.cumsum(weight) / weight.sum()
    return [float(grid[np.searchsorted(below, share)]) for share in shares]
