"""The Universal Scalability Law: its numbers given back where the knee was passed, and refused where it was not."""

import numpy as np
import pytest

from bench.stats.usl import fit_usl, throughput

LEVELS = np.array([1, 2, 4, 8, 12, 16, 24, 32, 48], float)


def series(seed: int, alpha: float, beta: float, levels: np.ndarray, noise: float = 0.03) -> list[tuple[float, float]]:
    rng = np.random.default_rng(seed)
    x = throughput(levels, 100.0, alpha, beta) * (1 + noise * rng.standard_normal(len(levels)))
    return list(zip(levels.tolist(), x.tolist(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alpha", "beta", "levels"), [(0.05, 0.002, LEVELS), (0.02, 0.0005, LEVELS * 2.5), (0.1, 0.001, LEVELS * 1.5)]
)
def test_alpha_and_beta_are_in_their_intervals_in_18_of_20_series(alpha, beta, levels):
    # Asked of a hundred: of twenty, one in thirteen has 17 by chance where intervals are just right.
    fits = [fit_usl(series(seed, alpha, beta, levels)) for seed in range(100)]
    assert not [fit.refusal for fit in fits if fit.refusal]
    assert sum(fit.alpha.low <= alpha <= fit.alpha.high for fit in fits) >= 90
    assert sum(fit.beta.low <= beta <= fit.beta.high for fit in fits) >= 90


@pytest.mark.slow
def test_all_of_twenty_linear_series_are_refused():
    assert all(fit_usl(series(seed, 0.0, 0.0, LEVELS)).refusal for seed in range(20))


def test_the_peak_is_where_throughput_is_highest():
    fit = fit_usl(series(1, 0.05, 0.002, LEVELS, noise=0.0005))
    at = np.arange(1, 100.0)
    assert fit.peak_n.value == pytest.approx(at[throughput(at, 100, 0.05, 0.002).argmax()], abs=1)
    assert fit.peak_x == pytest.approx(throughput(at, 100, 0.05, 0.002).max(), rel=0.02)
    assert fit.held_out == pytest.approx(0, abs=0.05)
    assert len(fit.residuals) == len(LEVELS)


@pytest.mark.parametrize("seed", range(5))
def test_a_linear_series_is_refused(seed: int):
    fit = fit_usl(series(seed, 0.0, 0.0, LEVELS))
    assert "knee was not passed" in fit.refusal
    assert (fit.alpha, fit.beta, fit.peak_n, fit.peak_x) == (None, None, None, None)


def test_a_series_that_ends_before_its_peak_is_refused():
    short = LEVELS[LEVELS <= 16]
    assert "knee was not passed" in fit_usl(series(3, 0.05, 0.002, np.append(short, [3, 6]), noise=0.002)).refusal


def test_too_few_levels_are_refused():
    assert fit_usl(series(1, 0.05, 0.002, LEVELS[:5])).refusal.startswith("5 levels")
    assert fit_usl([]).refusal.startswith("0 levels")
    assert fit_usl([(3.0, 10.0)] * 9).refusal.startswith("1 level of")
