"""p-values and e-values against SciPy, hand examples and their own distribution under the hypothesis."""

import math

import numpy as np
import pytest
from scipy import stats

from qtomo.statistics.evidence import (
    binomial_p_values,
    clopper_pearson,
    log_mean_exp,
    p_of_log_e,
    randomisation_p_value,
)


@pytest.mark.parametrize("n", [1, 5, 40])
@pytest.mark.parametrize("p", [0.0, 0.02, 0.5, 0.9, 1.0])
def test_binomial_p_values_are_twice_the_smaller_tail_of_scipy(n, p):
    for k in range(n + 1):
        tails = [stats.binomtest(k, n, p, alternative=side).pvalue for side in ("less", "greater")]
        assert binomial_p_values(k, n, p) == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (8, 0.1), (30, 0.5)])
def test_binomial_p_values_are_small_no_more_often_than_they_say(n, p):
    """By the whole distribution."""
    chances = stats.binom.pmf(np.arange(n + 1), n, p)
    values = binomial_p_values(np.arange(n + 1), n, p)
    for alpha in values:
        assert chances[values <= alpha].sum() <= alpha + 1e-12


def test_binomial_p_values_broadcast_and_forgive_rounding_of_chances():
    found = binomial_p_values(np.array([[0, 3], [1, 2]]), 3, np.array([0.5, 1 + 1e-15]))
    assert found.shape == (2, 2)
    assert found[0, 1] == 1
    assert found[1, 1] == 0
    assert binomial_p_values(0, 0, 0.5) == 1


@pytest.mark.parametrize("level", [0.68, 0.95, 0.999])
@pytest.mark.parametrize(("right", "n"), [(0, 1), (0, 20), (7, 20), (20, 20), (999, 1000)])
def test_clopper_pearson_is_that_of_scipy(right, n, level):
    expected = stats.binomtest(right, n).proportion_ci(level, method="exact")
    assert clopper_pearson(right, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_e_values_make_p_values():
    assert p_of_log_e(-3.0) == 1
    assert p_of_log_e(0.0) == 1
    assert p_of_log_e(math.log(50)) == pytest.approx(0.02)
    assert p_of_log_e(math.inf) == 0
    assert p_of_log_e(-math.inf) == 1


def test_averages_of_e_values_by_their_logarithms():
    assert log_mean_exp([0.0, math.log(3)]) == pytest.approx(math.log(2))
    assert log_mean_exp([[-1000.0, -1000.0], [-1000.0, -math.inf]]) == pytest.approx(-1000 + math.log(0.75))
    assert log_mean_exp([1.0, math.inf]) == math.inf
    assert log_mean_exp([-math.inf] * 3) == -math.inf
    assert log_mean_exp([]) == -math.inf


TAILS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "few values": lambda rng, shape: rng.integers(0, 2, shape).astype(float),
    "rare": lambda rng, shape: (rng.random(shape) < 0.01) * -7.0,
    "heavy": lambda rng, shape: rng.standard_cauchy(size=shape),
    "unlike": lambda rng, shape: rng.exponential(size=shape) * 10.0 ** np.linspace(-3, 3, shape[0])[:, None],
}


def p_values_under_the_hypothesis(tail, n, k, repeats):
    rng = np.random.default_rng(7)
    groups = (TAILS[tail](rng, (n, k + 1)) for _ in range(repeats))
    return np.array([randomisation_p_value(group[:, 0], group[:, 1:], rng) for group in groups])


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize(("n", "k"), [(6, 50), (29, 50), (40, 20), (300, 1), (1000, 3)])
def test_randomisation_p_values_are_small_as_often_as_they_say(tail, n, k):
    """Binomial, for each of 25 cases and three levels at 1e-9; of few values or rare ones not too often will do."""
    repeats = 200 if n < 30 or n == 1000 else 600
    values = p_values_under_the_hypothesis(tail, n, k, repeats)
    for alpha in (0.01, 0.05, 0.1):
        assert (values <= alpha).sum() <= stats.binom.isf(1e-9, repeats, alpha)
    if tail in ("normal", "few values"):
        assert stats.kstest(values, "uniform").pvalue > 1e-8


@pytest.mark.parametrize("n", [10, 400])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_shift_to_either_side_is_seen(n, sign):
    rng = np.random.default_rng(3)
    reference = rng.normal(size=(n, 20))
    data = rng.normal(size=n) + sign * 8 / math.sqrt(n)
    assert randomisation_p_value(data, reference, rng) < 1e-3


def test_the_tail_of_many_is_that_of_a_normal_sum():
    """5,000 records of 60 companions, shifted by 6 standard errors of their sum: p within a factor of two."""
    rng = np.random.default_rng(5)
    groups = rng.normal(size=(5000, 61))
    groups[:, 0] += 6 / math.sqrt(5000) - groups[:, 0].mean()
    found = randomisation_p_value(groups[:, 0], groups[:, 1:], rng)
    assert 0.5 < found / (2 * stats.norm.sf(6)) < 2


def test_what_tells_nothing_has_p_one():
    rng = np.random.default_rng(0)
    assert randomisation_p_value(np.full(50, 2.0), np.full((50, 3), 2.0), rng) == 1
    assert randomisation_p_value(np.zeros(0), np.zeros((0, 3)), rng) == 1


@pytest.mark.parametrize("n", [5, 60])
def test_one_that_is_the_largest_of_every_group_is_as_unlikely_as_that(n):
    """Of k companions each: 2 (k + 1)^-n, as far as the draws of few records can tell."""
    rng = np.random.default_rng(0)
    found = randomisation_p_value(np.full(n, 10.0), rng.random((n, 4)), rng)
    assert found <= max(2 * 5.0**-n * 1.5, 2 / 20_001 * 20)
    assert found > 0
