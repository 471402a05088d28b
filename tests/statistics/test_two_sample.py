"""The classifier two-sample test: its level under equality, its power, and what it must refuse."""

import numpy as np
import pytest
from scipy import stats

from qtomo.errors import Code
from qtomo.statistics.two_sample import (
    classifier_two_sample_test,
    divergence_bounds,
    kernel_two_sample_test,
    marginal_total_variation,
)
from tests.refusing import refused


def uniform(n: int, seed: int, sites: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, (n, sites), dtype=np.uint8)


def test_equal_laws_are_rejected_no_more_often_than_promised():
    p_values = [
        classifier_two_sample_test(uniform(200, 2 * seed), uniform(200, 2 * seed + 1), 3, seed).p_value
        for seed in range(100)
    ]
    rejected = sum(p < 0.05 for p in p_values)
    assert stats.binomtest(rejected, 100, 0.05, alternative="greater").pvalue > 1e-7
    assert min(p_values) < 0.3 < 0.7 < max(p_values)


def test_a_shifted_site_is_seen_at_the_best_possible_accuracy():
    other = uniform(20_000, 2)
    other[:, 1] = np.random.default_rng(3).choice(3, len(other), p=[0.6, 0.2, 0.2]).astype(np.uint8)
    found = classifier_two_sample_test(uniform(20_000, 1), other, 3)
    best = 0.5 * (0.6 + 2 / 3)  # half the sum of the larger probabilities
    assert found.accuracy.value == pytest.approx(best, abs=0.02)
    assert found.accuracy.low < best < found.accuracy.high + 0.01
    assert found.accuracy.n_records == 20_000
    assert found.p_value < 1e-100


def test_neighbours_that_agree_are_seen_although_every_site_is_uniform():
    other = uniform(4000, 2)
    other[:, 2] = other[:, 1]
    found = classifier_two_sample_test(uniform(4000, 1), other, 3)
    assert found.accuracy.value == pytest.approx(0.5 * (1 + 2 / 3), abs=0.05)


def test_far_sites_that_agree_are_seen_although_neighbours_are_independent():
    other = uniform(4000, 2)
    other[:, 3] = other[:, 0]
    found = classifier_two_sample_test(uniform(4000, 1), other, 3)
    assert found.accuracy.value == pytest.approx(0.5 * (1 + 2 / 3), abs=0.05)


def test_the_p_value_is_the_binomial_one():
    found = classifier_two_sample_test(uniform(300, 1), uniform(300, 2), 3, seed=5)
    right = round(found.accuracy.value * 300)
    assert found.p_value == pytest.approx(stats.binom.sf(right - 1, 300, 0.5))
    assert found == classifier_two_sample_test(uniform(300, 1), uniform(300, 2), 3, seed=5)


def test_a_single_site():
    assert classifier_two_sample_test(uniform(50, 1, 1), uniform(50, 2, 1), 3).p_value > 1e-6


def test_what_cannot_be_compared():
    with refused(Code.MISMATCH):
        classifier_two_sample_test(uniform(20, 1), uniform(20, 1, 3), 3)
    with refused(Code.TOO_FEW):
        classifier_two_sample_test(uniform(20, 1), uniform(9, 1), 3)


def test_the_kernel_test_keeps_its_level_and_sees_a_shifted_site():
    p_values = [
        kernel_two_sample_test(uniform(200, 2 * seed), uniform(200, 2 * seed + 1), 3, seed, permutations=99).p_value
        for seed in range(200)
    ]
    rejected = sum(p <= 0.05 for p in p_values)
    assert stats.binomtest(rejected, 200, 0.05, alternative="greater").pvalue > 1e-7
    assert min(p_values) < 0.3 < 0.7 < max(p_values)
    other = uniform(4000, 2)
    other[:, 1] = np.random.default_rng(3).choice(3, len(other), p=[0.6, 0.2, 0.2]).astype(np.uint8)
    assert kernel_two_sample_test(uniform(4000, 1), other, 3).p_value == 1 / 2000


def test_the_squared_discrepancy_of_single_sites_is_that_of_their_frequencies():
    """One site: the features are its one-hot outcome, twice (as a site and as a count)."""
    random = np.random.default_rng(8)
    p, q = np.array([0.6, 0.2, 0.2]), np.array([0.3, 0.3, 0.4])
    a, b = (random.choice(3, (40_000, 1), p=law).astype(np.uint8) for law in (p, q))
    found = kernel_two_sample_test(a, b, 3).squared_mmd
    assert found.value == pytest.approx(2 * ((p - q) ** 2).sum(), abs=5 * found.standard_error)
    assert found.standard_error < 0.01


def test_bounds_are_below_the_divergence_and_near_it_where_sites_tell_all():
    random = np.random.default_rng(9)
    p, q = np.array([0.6, 0.2, 0.2]), np.array([0.3, 0.3, 0.4])
    a, b = (random.choice(3, (40_000, 2), p=law).astype(np.uint8) for law in (p, q))
    joint_p, joint_q = np.outer(p, p).ravel(), np.outer(q, q).ravel()
    exact = {
        "kl": float(joint_p @ np.log(joint_p / joint_q)),
        "total_variation": float(np.abs(joint_p - joint_q).sum() / 2),
        "squared_hellinger": float(((joint_p**0.5 - joint_q**0.5) ** 2).sum()),
    }
    for name, bound in divergence_bounds(a, b, 3, list(exact)).items():
        assert 0.9 * exact[name] < bound.value < exact[name] + 5 * bound.standard_error


def test_bounds_of_equal_laws_are_not_above_zero():
    found = divergence_bounds(uniform(4000, 1), uniform(4000, 2), 3, ["kl", "pearson", "jensen_shannon"])
    assert all(bound.value < 5 * bound.standard_error for bound in found.values())
    with refused(Code.UNKNOWN, "'kll'; did you mean 'kl'"):
        divergence_bounds(uniform(20, 1), uniform(20, 2), 3, ["kll"])


def test_marginals_of_equal_laws_differ_by_chance_alone_and_others_by_their_distance():
    same = marginal_total_variation(uniform(4000, 1), uniform(4000, 2), 3)
    assert abs(same.value) < 5 * same.standard_error
    other = uniform(40_000, 2)
    other[:, 1] = other[:, 0]  # joint law of one pair of six: 3 cells of 1/3 against 9 of 1/9, distance 2/3
    found = marginal_total_variation(uniform(40_000, 1), other, 3)
    assert found.value == pytest.approx(2 / 3 / 6, abs=0.005)
    with refused(Code.UNSUPPORTED):
        marginal_total_variation(uniform(20, 1, 1), uniform(20, 2, 1), 3)
