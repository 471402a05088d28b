"""The outcome distribution: sums, QuTiP's traces, and samples that a wrong sampler would not give."""

import numpy as np
import pytest
from scipy import stats

from qtomo.distribution import LOST, enumerate_outcomes
from qtomo.errors import Code
from qtomo.measurement.povm import POVM, named_povm
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.library import Cluster
from qtomo.states.mps import MPS
from qtomo.states.tfim import TFIM, ground_state
from tests.refusing import refused
from tests.systems import ising

FALSE_ALARM = 1e-7


def test_lost_outcomes_are_summed_over():
    state = random_state(4, real=False)
    born = BornDistribution(state, "tetrahedral")
    table = np.exp(born.log_prob(all_records(born))).reshape(4, 4, 4, 4)
    found = np.exp(born.log_prob(np.array([[LOST, 1, LOST, 2], [0, LOST, 3, 1], [LOST] * 4], dtype=np.uint8)))
    assert found == pytest.approx([table[:, 1, :, 2].sum(), table[0, :, 3, 1].sum(), 1], abs=1e-12)


def random_state(n_sites: int, real: bool) -> MPS:
    rng = np.random.default_rng(n_sites)
    return MPS.from_statevector(rng.normal(size=2**n_sites) + (0 if real else 1j * rng.normal(size=2**n_sites)))


def all_records(distribution: BornDistribution) -> np.ndarray:
    return np.concatenate(list(enumerate_outcomes(distribution.n_sites, distribution.n_outcomes)))


def chi_square_p_value(records: np.ndarray, probabilities: np.ndarray, n_outcomes: int) -> float:
    index = np.ravel_multi_index(records.T, (n_outcomes,) * records.shape[1])
    counts = np.bincount(index, minlength=len(probabilities))
    return float(stats.chisquare(counts, len(records) * probabilities / probabilities.sum()).pvalue)


@pytest.mark.parametrize("povm", ["pauli4", "pauli6", "tetrahedral"])
@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("n_sites", [1, 3, 4])
def test_probabilities_equal_qutip(povm, real, n_sites):
    state = random_state(n_sites, real)
    born = BornDistribution(state, povm)
    found = np.exp(born.log_prob(all_records(born)))
    ket = state.to_qutip()
    assert found == pytest.approx(ising.outcome_probabilities(ket.proj(), named_povm(povm).elements), abs=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-10)


def test_probabilities_sum_to_one_at_six_qubits():
    born = BornDistribution(random_state(6, real=False))
    assert np.exp(born.log_prob(all_records(born))).sum() == pytest.approx(1, abs=1e-10)


def test_elements_may_differ_from_site_to_site():
    elements = np.stack([named_povm("pauli4").elements, named_povm("tetrahedral").elements])
    state = random_state(2, real=False)
    born = BornDistribution(state, POVM(elements))
    rho = state.to_qutip().proj().full()
    expected = [np.trace(np.kron(a, b) @ rho).real for a in elements[0] for b in elements[1]]
    assert np.exp(born.log_prob(all_records(born))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("povm", ["pauli4", "pauli6"])
@pytest.mark.parametrize("real", [True, False])
def test_samples_follow_the_scores(povm, real):
    born = BornDistribution(random_state(3, real), povm)
    records = born.sample(200_000, np.random.default_rng(1))
    probabilities = np.exp(born.log_prob(all_records(born)))
    assert chi_square_p_value(records, probabilities, born.n_outcomes) > FALSE_ALARM


def test_a_sampler_with_one_phase_flipped_is_caught():
    state = random_state(3, real=False)
    flipped = [tensor.copy() for tensor in state.tensors]
    flipped[1][:, 1] *= -1
    wrong = BornDistribution(MPS(flipped)).sample(200_000, np.random.default_rng(1))
    born = BornDistribution(state)
    probabilities = np.exp(born.log_prob(all_records(born)))
    assert chi_square_p_value(wrong, probabilities, 4) < FALSE_ALARM


def test_same_generator_same_records():
    born = BornDistribution(random_state(4, real=True))
    first, second = (born.sample(1000, np.random.default_rng(5)) for _ in range(2))
    assert first.dtype == np.uint8
    assert first.shape == (1000, 4)
    assert (first == second).all()
    assert (first != born.sample(1000, np.random.default_rng(6))).any()


@pytest.mark.slow
def test_score_tolerance_holds_at_fifty_qubits():
    state = ground_state(TFIM(50))
    full = BornDistribution(state)
    records = full.sample(400, np.random.default_rng(2))
    expected = full.log_prob(records)
    for tolerance in (1e-5, 1e-4, 1e-3):
        error = np.abs(BornDistribution(state, tolerance=tolerance).log_prob(records) - expected)
        assert 0 < error.max() < tolerance


def test_impossible_records_have_no_probability():
    zeros = MPS.product([np.array([1, 0])] * 2)
    basis = POVM(np.stack([np.diag([1, 0]), np.diag([0, 1])]))
    born = BornDistribution(zeros, basis)
    assert born.log_prob(np.array([[0, 0], [0, 1], [1, 0]])).tolist() == [0, -np.inf, -np.inf]
    assert (born.sample(1000, np.random.default_rng(0)) == 0).all()


def test_long_chains_do_not_underflow():
    plus = MPS.product([np.array([1.0, 1.0])] * 2000)
    records = np.ones((1, 2000), dtype=np.uint8)
    assert BornDistribution(plus).log_prob(records)[0] == pytest.approx(-2000 * np.log(3))


def test_records_of_another_shape_are_refused():
    born = BornDistribution(random_state(3, real=True))
    with refused(Code.SHAPE):
        born.log_prob(np.zeros((5, 4), dtype=np.uint8))
    with refused(Code.VALUE, "outcome 4"):
        born.log_prob(np.full((5, 3), 4, dtype=np.uint8))
    with refused(Code.MISMATCH):
        BornDistribution(random_state(3, real=True), POVM(np.stack([named_povm("pauli4").elements] * 2)))


class Zeros:
    """A generator whose uniforms are all zero, as one in 16 million of float32 is."""

    def random(self, shape, dtype=np.float64):
        return np.zeros(shape, dtype)


def test_no_forbidden_outcome_is_drawn_at_the_end_of_the_uniforms():
    """Amplitudes that cancel leave 1e-15 of a probability, which a uniform of zero would be below."""
    born = BornDistribution(Cluster(6).state(), named_povm("pauli6"))
    settings = np.random.default_rng(1).integers(0, 3, (500, 6)).astype(np.uint8)
    bits = born.sample_bits(settings, Zeros())
    assert np.isfinite(born.log_prob(2 * settings + bits)).all()
