"""The Universal Scalability Law, and when it may not be used.  Pure.

    X(N) = gamma N / (1 + alpha (N - 1) + beta N (N - 1))

X is throughput at concurrency N; alpha is the share of work that queues for something shared, beta the cost of keeping each
other up to date, and gamma the throughput of one (Gunther, "Guerrilla Capacity Planning", Springer 2007, chapters 4 to 6).
Throughput peaks at N* = sqrt((1 - alpha) / beta).

Here X is the sessions answered a second and N the users at work on average, which in an open model is X times the mean
service time of a session (Little's law).  The fit is non-negative least squares on relative errors (scipy).
The intervals are those of a studentized parametric bootstrap with normal relative errors (Davison and Hinkley, "Bootstrap
Methods and their Application", 1997, sections 2.2 and 5.2), because the residuals are too few to be drawn from; that of N* is
of its percentiles.

Two numbers of which only the beginning of the curve says nothing are refused rather than printed: the knee has been passed
only if beta's interval leaves out zero and N* lies within what was measured.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from bench.stats.verdict import plural

Floats = npt.NDArray[np.float64]

LEAST_POINTS = 6
"""Of different concurrency; Gunther asks for six at least."""
DRAWS = 300
_TINY = 1e-9
_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Usl:
    """The law fitted to points; ``refusal`` says why it is not to be used, and then the numbers are left out (None).

    ``held_out`` is the error of the prediction for the largest N by a fit to the others, as a share of what was measured.
    ``residuals`` are relative, in the order of N.
    """

    points: tuple[tuple[float, float], ...]
    refusal: str = ""
    gamma: Interval | None = None
    alpha: Interval | None = None
    beta: Interval | None = None
    peak_n: Interval | None = None
    peak_x: float | None = None
    residuals: tuple[float, ...] = ()
    held_out: float | None = None


def throughput(n: Floats, gamma: float, alpha: float, beta: float) -> Floats:
    """Return X(N)."""
    found: Floats = gamma * n / (1 + alpha * (n - 1) + beta * n * (n - 1))
    return found


def fit_usl(points: list[tuple[float, float]]) -> Usl:
    """Return the law for (N, X) points, or why there is none."""
    kept = tuple(sorted((float(n), float(x)) for n, x in points if n > 0 and x > 0))
    n, x = (np.array(column) for column in zip(*kept)) if kept else (np.empty(0), np.empty(0))
    if len(np.unique(n)) < LEAST_POINTS:
        return Usl(kept, f"{plural(len(np.unique(n)), 'level')} of concurrency measured, and {LEAST_POINTS} are needed")
    best = _fit(n, x)
    residuals = x / throughput(n, *best) - 1
    drawn, studentized = _bootstrap(n, best, residuals)
    errors = _errors(n, x, best)
    gamma, alpha, beta = (_interval(float(best[at]), float(errors[at]), studentized[:, at]) for at in range(3))
    held_out = float(throughput(n[-1:], *_fit(n[:-1], x[:-1]))[0] / x[-1] - 1)
    refusal = _refusal(beta, alpha, float(n[-1]))
    if refusal:
        return Usl(kept, refusal, residuals=tuple(map(float, residuals)), held_out=held_out)
    peaks = np.sqrt(np.maximum(1 - drawn[:, 1], 0) / np.maximum(drawn[:, 2], _TINY))
    peak = float(np.sqrt((1 - best[1]) / best[2]))
    low, high = np.percentile(peaks, [2.5, 97.5])
    top = float(throughput(np.array([peak]), *best)[0])
    return Usl(
        kept,
        "",
        gamma,
        alpha,
        beta,
        Interval(peak, float(low), float(high)),
        top,
        tuple(map(float, residuals)),
        held_out,
    )


def _refusal(beta: Interval, alpha: Interval, largest: float) -> str:
    if beta.low <= _TINY or alpha.value >= 1:
        return "the knee was not passed: throughput does not fall off within what was measured (beta may be zero)"
    peak = math.sqrt((1 - alpha.value) / beta.value)
    if peak > largest:
        return (
            f"the knee was not passed: the peak would be at N = {peak:.3g}, and no more than {largest:.3g} was measured"
        )
    return ""


def _fit(n: Floats, x: Floats) -> Floats:
    weight = x / n
    for _ in range(_ROUNDS):
        # Weighted by what was fitted: what was measured has errors, and as a weight would put them on both sides.
        unit, queueing, coherence = map(float, nnls(_rows(n, weight), weight * n / x)[0])
        unit = max(unit, _TINY)
        best = np.array([1, queueing, coherence]) / unit
        weight = throughput(n, *best) / n
    return best


def _rows(n: Floats, weight: Floats) -> Floats:
    # N/X is linear in 1/gamma, alpha/gamma and beta/gamma, none of them negative; rows are weighted for relative errors.
    rows: Floats = np.column_stack([np.ones_like(n), n - 1, n * (n - 1)]) * weight[:, None]
    return rows


def _errors(n: Floats, x: Floats, best: Floats) -> Floats:
    """Return the standard errors of gamma, alpha and beta, by the delta method."""
    fitted = throughput(n, *best)
    rows = _rows(n, fitted / n)
    spread = float(((fitted / x - 1) ** 2).sum()) / (len(n) - 3)
    covariance = spread * np.linalg.inv(rows.T @ rows)
    gamma, alpha, beta = best
    slopes = np.array([[-(gamma**2), 0, 0], [-alpha * gamma, gamma, 0], [-beta * gamma, 0, gamma]])
    found: Floats = np.sqrt(np.diag(slopes @ covariance @ slopes.T))
    return found


def _bootstrap(n: Floats, best: Floats, residuals: Floats) -> tuple[Floats, Floats]:
    """Return (gamma, alpha, beta) of each draw, and how far each is from the estimate in its own standard errors."""
    rng = np.random.default_rng(1)  # a fixed seed: the same probes have the same interval each time
    fitted = throughput(n, *best)
    spread = float(np.sqrt((residuals**2).sum() / (len(n) - 3)))
    drawn = []
    for _ in range(DRAWS):
        x = fitted * np.maximum(1 + spread * rng.standard_normal(len(n)), 0.01)
        again = _fit(n, x)
        drawn.append((again, (again - best) / np.maximum(_errors(n, x, again), _TINY)))
    return np.array([each for each, _ in drawn]), np.array([each for _, each in drawn])


def _interval(value: float, error: float, studentized: Floats) -> Interval:
    low, high = np.percentile(studentized, [2.5, 97.5])
    return Interval(value, max(0.0, min(value, value - float(high) * error)), max(value, value - float(low) * error))
