"""One-sided limits: those of SciPy for proportions, and coverage at any number of values for means."""

import numpy as np
import pytest
from scipy import stats

from qtomo.statistics import bounds
from qtomo.statistics.bounds import (
    IndependentTerms,
    mean_lower_limit,
    mean_upper_limit,
    proportion_lower_limit,
    proportion_upper_limit,
    sum_lower_limit,
)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 30), (12, 30), (30, 30), (999, 1000)])
def test_proportions_are_those_of_scipy(right, n, level):
    """One-sided at `level` is two-sided at 2 level - 1."""
    interval = stats.binomtest(right, n).proportion_ci(2 * level - 1, method="exact")
    assert proportion_lower_limit(right, n, level) == pytest.approx(interval.low, abs=1e-10)
    assert proportion_upper_limit(right, n, level) == pytest.approx(interval.high, abs=1e-10)


VALUES = {
    "fair coin": (lambda rng, n: rng.integers(0, 2, n).astype(float), 0.5),
    "rare": (lambda rng, n: (rng.random(n) < 0.02).astype(float), 0.02),
    "common": (lambda rng, n: (rng.random(n) < 0.97).astype(float), 0.97),
    "beta": (lambda rng, n: rng.beta(2.0, 5.0, n), 2 / 7),
    "constant": (lambda rng, n: np.full(n, 0.3), 0.3),
}


@pytest.mark.parametrize("n", [20, 100, 1000])
@pytest.mark.parametrize("name", VALUES)
def test_the_limit_of_a_mean_is_above_it_no_more_often_than_it_says(name, n):
    """400 data sets at 90 %, from below and from above: no more than a binomial allows, at 1e-8 for each of 30."""
    draw, mean = VALUES[name]
    rng = np.random.default_rng(5)
    sets = [draw(rng, n) for _ in range(400)]
    most = stats.binom.isf(1e-8, 400, 0.1)
    assert sum(mean_lower_limit(values, 0.0, 1.0, 0.9) > mean for values in sets) <= most
    assert sum(mean_upper_limit(values, 0.0, 1.0, 0.9) < mean for values in sets) <= most


def test_it_is_close_to_the_normal_one_for_many():
    values = np.random.default_rng(0).beta(2.0, 5.0, 20_000)
    found = mean_lower_limit(values, 0.0, 1.0, 0.95)
    reach = stats.norm.ppf(0.95) * values.std() / np.sqrt(20_000)
    assert values.mean() - 2.5 * reach < found < values.mean() - 0.5 * reach


def test_a_small_variance_is_made_use_of():
    """Hoeffding's limit does not know that values hardly vary: sqrt(ln(20)/(2 n)) below the mean, 0.0387."""
    values = np.random.default_rng(0).normal(0.5, 0.01, 1000)
    assert values.mean() - mean_lower_limit(values, 0.0, 1.0, 0.95) < 0.0387 / 3


def test_it_scales_with_the_bounds_and_keeps_to_them():
    values = np.random.default_rng(1).random(50)
    plain = mean_lower_limit(values, 0.0, 1.0, 0.95)
    assert mean_lower_limit(10 * values - 3, -3.0, 7.0, 0.95) == pytest.approx(10 * plain - 3)
    assert mean_upper_limit(-values, -1.0, 0.0, 0.95) == pytest.approx(-plain)
    assert mean_lower_limit(np.zeros(10), 0.0, 1.0, 0.95) == 0
    assert mean_lower_limit(np.zeros(0), -2.0, 1.0, 0.95) == -2
    assert mean_upper_limit(np.zeros(0), -2.0, 1.0, 0.95) == 1
    assert mean_lower_limit([0.4], 0.4, 0.4, 0.95) == 0.4
    assert 0 <= mean_lower_limit([1.0], 0.0, 1.0, 0.95) < 1


def test_more_confidence_is_a_lower_limit():
    values = np.random.default_rng(2).random(200)
    limits = [mean_lower_limit(values, 0.0, 1.0, level) for level in (0.5, 0.8, 0.95, 0.999)]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] > limits[-1]


def strata(rng, shots, sets):
    """Sums over strata of unlike sizes, probabilities and weights: values (sets, n), the mean, and the largest term."""
    chances = rng.random(len(shots)) ** 2
    weights = rng.normal(size=len(shots)) / shots
    index = np.repeat(np.arange(len(shots)), shots)
    values = weights[index] * ((rng.random((sets, len(index))) < chances[index]) - 0.9 * chances[index])
    deviation = np.sqrt((weights[index] ** 2 * chances[index] * (1 - chances[index])).sum())
    return values, 0.1 * float((weights * shots) @ chances), float(np.abs(weights).max()), float(deviation)


@pytest.mark.parametrize("guess", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("shots", [[20, 5, 1, 40], [1000, 300, 1500, 200]], ids=["few", "many"])
def test_the_limit_of_a_sum_over_strata_is_above_it_no_more_often_than_it_says(shots, guess):
    """400 data sets at 90 %, with a spread that is guessed right or wrong; at 1e-8 for each of 6."""
    values, mean, largest, deviation = strata(np.random.default_rng(len(shots)), np.array(shots), 400)
    above = sum(
        sum_lower_limit(IndependentTerms(each, -largest, largest, guess * deviation), 50.0, 0.9) > mean
        for each in values
    )
    assert above <= stats.binom.isf(1e-8, 400, 0.1)


def test_both_limits_of_a_sum_hold_and_the_normal_one_is_closer_for_many():
    """200 sums of 20,000 terms, 5 % error: neither above more often, and their lengths in standard deviations."""
    rng, level = np.random.default_rng(2), 0.95
    values, mean, largest, deviation = strata(rng, np.array([8000, 7000, 5000]), 200)
    terms = [IndependentTerms(each, -largest, largest, deviation) for each in values]
    reach = bounds._normal_reach(terms[0], level)
    normal = np.array([bounds._normal_limit(each, reach, level) for each in terms])
    staked = np.array([bounds._staked_limit(each, 50.0, level) for each in terms])
    for limits in (normal, staked):
        assert (limits > mean).sum() <= stats.binom.isf(1e-6, 200, 0.05)
    assert 1.7 < (mean - normal.mean()) / deviation < 2.4
    assert 2.3 < (mean - staked.mean()) / deviation < 3.0
    assert [sum_lower_limit(each, 50.0, level) for each in terms[:3]] == list(normal[:3])


def test_a_sum_of_nothing_is_bounded_by_what_is_known():
    assert sum_lower_limit(IndependentTerms(np.zeros(0), -1.0, 1.0, 1.0), -2.0, 0.95) == -2.0
    assert sum_lower_limit(IndependentTerms(np.full(4, -1.0), -1.0, 1.0, 1.0), 4.0, 0.95) == -4.0
