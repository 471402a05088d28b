"""k-grams: counts, normalisation, samples, and the figures known for the critical chain of ten qubits."""

import numpy as np
import pytest
from scipy import stats

from qtomo.distribution import enumerate_outcomes
from qtomo.errors import Code
from qtomo.models.baselines import STRENGTHS, KGram
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.tfim import TFIM, ground_state
from qtomo.statistics.divergences import compare_by_enumeration, log_prob_table
from tests.refusing import refused


def test_counts_without_smoothing_are_frequencies():
    outcomes = np.array([[0, 0], [0, 1], [0, 1], [1, 1]], dtype=np.uint8)
    bigram = KGram(outcomes, 2, order=1, strength=1e-12)
    probabilities = np.exp(bigram.log_prob(np.concatenate(list(enumerate_outcomes(2, 2)))))
    assert probabilities == pytest.approx([1 / 4, 2 / 4, 0, 1 / 4], abs=1e-9)


@pytest.mark.parametrize("order", range(5))
def test_normalised_sampled_and_never_zero(order):
    outcomes = np.random.default_rng(0).integers(0, 3, (50, 5), dtype=np.uint8)
    gram = KGram(outcomes, 3, order)
    probabilities = np.exp(gram.log_prob(np.concatenate(list(enumerate_outcomes(5, 3)))))
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities.min() > 0
    drawn = gram.sample(100_000, np.random.default_rng(1))
    counts = np.bincount(np.ravel_multi_index(drawn.T, (3,) * 5), minlength=3**5)
    assert stats.chisquare(counts, 100_000 * probabilities / probabilities.sum()).pvalue > 1e-7


@pytest.mark.slow
def test_published_divergences_at_ten_qubits():
    born = BornDistribution(ground_state(TFIM(10)))
    table = log_prob_table(born)
    outcomes = born.sample(400_000, np.random.default_rng(0))
    for order, divergence in ((0, 0.1767), (1, 0.0770)):
        found = compare_by_enumeration(table, log_prob_table(KGram(outcomes, 4, order)))
        assert found["kl_target_model"].value == pytest.approx(divergence, abs=1.5e-3)


def test_tables_too_large_are_refused():
    with refused(Code.TOO_LARGE):
        KGram(np.zeros((1, 50), np.uint8), 4, 12)
    with refused(Code.VALUE, "order"):
        KGram(np.zeros((1, 50), np.uint8), 4, -1)


def test_the_strength_is_the_best_on_held_out_records():
    uniform = np.random.default_rng(0).integers(0, 2, (600, 6), dtype=np.uint8)
    gram = KGram.fitted(uniform[:300], uniform[300:], 2, 3)
    assert gram.strength >= 200  # counts of noise are worth little
    repeated = np.repeat(np.random.default_rng(0).integers(0, 2, (600, 1), dtype=np.uint8), 6, axis=1)
    assert KGram.fitted(repeated[:300], repeated[300:], 2, 3).strength == STRENGTHS[0]
    with refused(Code.TOO_FEW, "held-out"):
        KGram.fitted(uniform, uniform[:0], 2, 1)
