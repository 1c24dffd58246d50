"""Intervals of what a run measured, from its seconds.  Pure.

Seconds that follow each other are alike, so they are drawn in blocks (a block bootstrap).

Everything comes down to the mean of a series with one value a second.  That of a percentile is linearised: with q the
percentile measured, a second contributes the share of samples at or below q, and the interval of that share is read back
through the measured distribution (Woodruff, "Confidence intervals for medians and other position measures", JASA 47, 1952).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from bench.metrics.histogram import Histogram

MIN_FRAMES = 20
"""With fewer seconds an interval would not hold what it promises, and none is given."""
MIN_BEYOND = 10
"""A percentile with fewer samples beyond it (in expectation) has no interval: its upper end would be past the largest one."""
MIN_TAIL_S = 15
"""A tail (beyond p90) has no interval where its seconds, alike as they are, are worth fewer independent ones than these."""
DRAWS = 1000
_TAIL = 0.1
_MIN_FREEDOM = 2.0
_OUTER = 0.975
_MOST_ALIKE = 0.97
_WAVES = 0.35
"""The recommendation is 0.4; a little less keeps the coverage where seconds have a mood of their own and noise on top."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the true value lies, by the confidence that was asked for (95 % unless said otherwise)."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether a value lies inside, the ends included."""
        return self.low <= value <= self.high


def mean_interval(values: Sequence[float], *, confidence: float = 0.95, seed: int = 1) -> Interval | None:
    """Return the interval of the mean of a series in order of time; None with fewer than ``MIN_FRAMES`` values."""
    series = np.asarray(values, np.float64)
    if len(series) < MIN_FRAMES:
        return None
    return _interval(float(series.mean()) + _deviations(series, seed), confidence)


def percentile_intervals(
    frames: Sequence[Histogram], percents: Sequence[float], *, confidence: float = 0.95, seed: int = 1
) -> tuple[Interval | None, ...]:
    """Return the interval (ms) of each percentile of consecutive seconds' pooled samples.

    None where there are fewer than ``MIN_FRAMES`` seconds, fewer than ``MIN_BEYOND`` samples beyond the percentile, or the
    interval would reach past the largest sample.
    """
    whole = Histogram.merge(frames)
    found = (_percentile_draws(frames, whole, percent, seed) for percent in percents)
    return tuple(None if draws is None else _interval(draws, confidence) for draws in found)


def ratio_interval(
    before: Sequence[Histogram],
    after: Sequence[Histogram],
    percent: float,
    *,
    confidence: float = 0.95,
    seed: int = 1,
) -> Interval | None:
    """Return the interval of the ratio (after to before) of a percentile of two independent series of seconds.

    None where either side alone has none.
    """
    one = _percentile_draws(before, Histogram.merge(before), percent, seed)
    other = _percentile_draws(after, Histogram.merge(after), percent, seed + 1)
    if one is None or other is None or None in (_interval(one, confidence), _interval(other, confidence)):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = other / one
    # Both past the largest sample: which is more, nobody knows.
    return _interval(np.where(np.isnan(ratios), 1.0, ratios), confidence)


def _interval(draws: Floats, confidence: float) -> Interval | None:
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], method="nearest")
    return Interval(float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else None


def _percentile_draws(frames: Sequence[Histogram], whole: Histogram, percent: float, seed: int) -> Floats | None:
    """Return draws of a percentile (ms) of the seconds, pooled in ``whole``; infinite where past the largest sample."""
    share = percent / 100
    beyond = min(share, 1 - share)
    if len(frames) < MIN_FRAMES or whole.count * beyond < MIN_BEYOND:
        return None
    if beyond < _TAIL and _independent(_excess(frames, whole, 0.5)) < MIN_TAIL_S:
        return None
    values, shares = whole.cumulative()
    drawn = share + _deviations(_excess(frames, whole, share), seed)
    position = np.searchsorted(shares, drawn)
    return np.where(drawn > 0, np.append(values, np.inf)[position], 0.0)


def _excess(frames: Sequence[Histogram], whole: Histogram, share: float) -> Floats:
    """Return by how much each second moves the share of samples at or below the percentile, times their number; mean 0."""
    place = whole.indices[int(np.searchsorted(np.cumsum(whole.counts), share * whole.count - 1e-9))]
    counts = np.array([frame.counts.sum() for frame in frames], np.float64)
    below = np.array([frame.counts[: np.searchsorted(frame.indices, place, "right")].sum() for frame in frames])
    excess: Floats = (below - below.sum() / counts.sum() * counts) / counts.mean()
    return excess


def _independent(series: Floats) -> float:
    """Return how many independent values the mean of a series is worth."""
    slope = _autocorrelation(series - series.mean())
    return len(series) * (1 - slope) / (1 + slope)


def _deviations(series: Floats, seed: int) -> Floats:
    """Return draws of the error of the mean of a series: residual blocks drawn, then scaled to ``_error``.

    A block bootstrap with post-blackening (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, 8.2.3): an
    autoregression of the first order takes most of the dependence out and its residuals are drawn in blocks.  By itself that
    is too narrow for a minute of seconds, so the draws keep their shape and take their width from ``_error``.
    """
    residuals, slope = _residuals(series)
    drawn = _block_means(residuals, block_length(residuals), seed)
    spread = float(drawn.std())
    error, freedom = _error(residuals, slope)
    widen = float(stdtrit(max(freedom, _MIN_FREEDOM), _OUTER) / ndtri(_OUTER))  # scipy.stats takes 0.7 s to load
    deviations: Floats = drawn / spread * error * widen if spread else np.zeros(DRAWS)
    return deviations


def _residuals(series: Floats) -> tuple[Floats, float]:
    centred = series - series.mean()
    slope = _autocorrelation(centred)
    residuals = centred[1:] - slope * centred[:-1]
    return residuals - residuals.mean(), slope


def _error(residuals: Floats, slope: float) -> tuple[float, float]:
    """Return (standard error of the mean of a series, degrees of freedom of that error), from its residuals.

    The long-run variance of the residuals is the mean square of their first few cosine coefficients, and the autoregression
    is put back: Lazarus, Lewis, Stock and Watson, "HAR Inference: Recommendations for Practice", Journal of Business &
    Economic Statistics 36, 2018, after the prewhitening of Andrews and Monahan, Econometrica 60, 1992.  To the degrees of
    freedom, as many as coefficients, comes the error of the slope (by the delta method).
    """
    size = len(residuals)
    count = size + 1
    waves = max(2, round(_WAVES * count ** (2 / 3)))
    angles = np.pi * np.outer(np.arange(1, waves + 1), np.arange(size) + 0.5) / size
    variance = float(((np.sqrt(2 / size) * np.cos(angles) @ residuals) ** 2).mean()) / (1 - slope) ** 2
    freedom = 2 / (2 / waves + 4 * (1 + slope) / (1 - slope) / count)
    return float(np.sqrt(variance * _shortness(slope, count) / count)), freedom


def _autocorrelation(centred: Floats) -> float:
    """Return the correlation of a series with itself a second before, corrected for its bias; 0 where that is negative.

    (n r + 1) / (n - 3): Kendall, "Note on bias in the estimation of autocorrelation", Biometrika 41, 1954.
    """
    variance = float(centred @ centred)
    if variance <= 0:
        return 0.0
    count = len(centred)
    return float(np.clip((count * float(centred[1:] @ centred[:-1]) / variance + 1) / (count - 3), 0.0, _MOST_ALIKE))


def _shortness(slope: float, count: int) -> float:
    """Return the variance of the mean of ``count`` values of an autoregression as a part of what a long series would have."""
    lags = np.arange(1, count)
    inflation = 1 + 2 * float(((1 - lags / count) * slope**lags).sum())
    return inflation * (1 - slope) / (1 + slope)


def _block_means(series: Floats, size: int, seed: int) -> Floats:
    """Return means of resamples of a series, drawn in circular blocks."""
    rng = np.random.default_rng(seed)  # a fixed seed: the same run has the same interval each time
    starts = rng.integers(0, len(series), (DRAWS, -(-len(series) // size)))
    sums = np.cumsum(np.concatenate([[0.0], series, series[:size]]))
    means: Floats = (sums[starts + size] - sums[starts]).mean(axis=1) / size
    return means


def block_length(series: Floats) -> int:
    """Return the block length for the circular block bootstrap of the mean of a series.

    Politis and White, "Automatic block-length selection for the dependent bootstrap", Econometric Reviews 23, 2004, with the
    correction of Patton, Politis and White, Econometric Reviews 28, 2009.
    """
    count = len(series)
    centred = series - series.mean()
    variance = float(centred @ centred) / count
    if variance <= 0:
        return 1
    runs = max(5, int(np.ceil(np.log10(count) ** 0.5)))
    furthest = min(int(np.ceil(np.sqrt(count))) + runs, count - 1)
    covariances = np.array([float(centred[: count - lag] @ centred[lag:]) / count for lag in range(furthest + 1)])
    limit = 2 * np.sqrt(np.log10(count) / count)
    small = np.abs(covariances[1:] / variance) < limit
    lag = next((at for at in range(furthest - runs + 1) if small[at : at + runs].all()), None)
    if lag is None:
        significant = np.flatnonzero(~small)
        lag = int(significant[-1]) + 1 if len(significant) else 0
    if lag == 0:
        return 1
    lags = np.arange(-min(2 * lag, furthest), min(2 * lag, furthest) + 1)
    scaled = np.abs(lags) / (2 * lag)
    weights = np.where(scaled <= 0.5, 1.0, 2 * (1 - scaled))  # the flat-top window
    terms = weights * covariances[np.abs(lags)]
    spectrum, slope = float(terms.sum()), float((np.abs(lags) * terms).sum())
    if spectrum <= 0:
        return 1
    best = (2 * slope**2 / (4 / 3 * spectrum**2)) ** (1 / 3) * count ** (1 / 3)
    longest = int(np.ceil(min(3 * np.sqrt(count), count / 3)))
    return int(np.clip(round(best), 1, longest))
