"""Holm's correction by hand and by its rate of errors, and the largest of many deviations by chance."""

import itertools

import numpy as np
import pytest
from scipy import stats

from qtomo.statistics.holm import expected_largest, holm


def test_holm_by_hand():
    """0.01 x 3; then 0.03 x 2, then 0.5 x 1: each at least what stands before it."""
    assert holm([0.03, 0.01, 0.5]) == pytest.approx([0.06, 0.03, 0.5])
    assert holm([0.02, 0.021, 0.022]) == pytest.approx([0.06, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([0.004]) == [0.004]
    assert holm([]) == []


def test_holm_errs_no_more_often_than_its_level():
    """Three true hypotheses among five, 4,000 times at 5 %: no more than a binomial allows, at 1e-7."""
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(4000):
        p_values = [*rng.random(3), 1e-6, 1e-3]
        wrong += min(holm(p_values)[:3]) <= 0.05
    assert wrong <= stats.binom.isf(1e-7, 4000, 0.05)


@pytest.mark.parametrize("seed", range(5))
def test_holm_rejects_what_the_closed_test_of_bonferroni_rejects(seed):
    """A hypothesis is rejected where each intersection with others is: the definition, over all subsets of five."""
    p_values = np.random.default_rng(seed).random(5) ** 3
    for one, adjusted in enumerate(holm(p_values)):
        subsets = [s for size in range(1, 6) for s in itertools.combinations(range(5), size) if one in s]
        assert adjusted == pytest.approx(max(min(1.0, len(s) * p_values[list(s)].min()) for s in subsets))


def test_half_of_all_largest_deviations_are_beyond_the_median():
    assert expected_largest(1) == pytest.approx(stats.norm.ppf(0.75))
    for n in (2, 30, 1000):
        assert (stats.norm.cdf(expected_largest(n)) - stats.norm.cdf(-expected_largest(n))) ** n == pytest.approx(0.5)
