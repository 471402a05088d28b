"""Density matrices: outcomes against QuTiP's traces, samples that follow them, and what is no state."""

import numpy as np
import pytest
import qutip
from hypothesis import given, settings
from hypothesis import strategies as st

from qtomo.distribution import LOST
from qtomo.errors import Code
from qtomo.measurement.povm import named_povm
from qtomo.observables.paulis import exact_value, pauli
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.density import DensityMatrix
from tests.measurement.test_noise import random_povm
from tests.refusing import refused
from tests.states.born.test_distribution import FALSE_ALARM, all_records, chi_square_p_value
from tests.systems import ising


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n_sites=st.integers(1, 4), k=st.integers(2, 4))
def test_random_mixed_states_and_measurements_equal_qutip(seed, n_sites, k):
    rho = qutip.rand_dm([2] * n_sites, seed=seed)
    povm = random_povm(np.random.default_rng(seed), k)
    born = BornDistribution(DensityMatrix.from_qutip(rho), povm)
    found = np.exp(born.log_prob(all_records(born)))
    assert found == pytest.approx(ising.outcome_probabilities(rho, povm.elements), abs=1e-12)


@pytest.mark.parametrize("povm", ["pauli4", "sic"])
def test_samples_follow_the_scores(povm):
    born = BornDistribution(DensityMatrix.from_qutip(qutip.rand_dm([2] * 3, seed=1)), povm)
    records = born.sample(100_000, np.random.default_rng(1))
    assert chi_square_p_value(records, np.exp(born.log_prob(all_records(born))), 4) > FALSE_ALARM


def test_lost_outcomes_and_observables():
    rho = qutip.rand_dm([2] * 3, seed=4)
    state = DensityMatrix.from_qutip(rho)
    born = BornDistribution(state, "pauli4")
    table = np.exp(born.log_prob(all_records(born))).reshape(4, 4, 4)
    found = np.exp(born.log_prob(np.array([[LOST, 2, 1], [LOST] * 3], np.uint8)))
    assert found == pytest.approx([table[:, 2, 1].sum(), 1], abs=1e-12)
    for text in ("X0 Z2", "Y1", "X0 Y1 Z2"):
        expected = qutip.expect(ising.pauli_product(text, 3), rho)
        assert exact_value(pauli(text), state) == pytest.approx(expected, abs=1e-12)


def test_a_pure_state_scores_as_its_ket():
    from qtomo.states.tfim import TFIM

    mps = TFIM(5).state()
    ket = mps.to_qutip()
    records = BornDistribution(mps).sample(200, np.random.default_rng(0))
    pure, mixed = BornDistribution(mps), BornDistribution(DensityMatrix.from_qutip(ket.proj()))
    assert mixed.log_prob(records) == pytest.approx(pure.log_prob(records), abs=1e-9)


@pytest.mark.parametrize("mixed", [False, True])
def test_bits_in_given_bases_follow_the_conditional_law(mixed):
    from tests.states.born.test_distribution import random_state

    state = random_state(3, real=False)
    state = DensityMatrix.from_qutip(state.to_qutip().proj()) if mixed else state
    born = BornDistribution(state, "pauli6")
    setting = np.array([2, 1, 0], dtype=np.uint8)
    bits = born.sample_bits(np.tile(setting, (100_000, 1)), np.random.default_rng(3))
    table = np.exp(born.log_prob(all_records(born))).reshape((3, 2) * 3)[2, :, 1, :, 0, :] * 27
    assert table.sum() == pytest.approx(1)
    assert chi_square_p_value(bits, table.ravel(), 2) > FALSE_ALARM


@pytest.mark.parametrize(
    ("matrix", "code", "fault"),
    [
        (np.eye(2) * 0.45, Code.UNPHYSICAL, "trace 0.9, expected 1"),
        (np.array([[0.5, 0.3], [0.1, 0.5]]), Code.UNPHYSICAL, r"not Hermitian \(off by 0.2\)"),
        (np.diag([1.2, -0.2]), Code.UNPHYSICAL, r"not positive \(eigenvalue -0.2\)"),
        (np.eye(3) / 3, Code.SHAPE, r"shape \(3, 3\), expected \(2\*\*N, 2\*\*N\)"),
        (np.full((2, 2), np.nan), Code.VALUE, "not finite"),
    ],
)
def test_what_is_no_state_is_refused(matrix, code, fault):
    with refused(code, fault):
        DensityMatrix(matrix)


def test_settings_that_do_not_fit():
    state = DensityMatrix(np.eye(4) / 4)
    with refused(Code.UNSUPPORTED, "'pauli4'"):
        BornDistribution(state, "pauli4").sample_bits(np.zeros((3, 2), np.uint8), np.random.default_rng(0))
    with refused(Code.SHAPE, "up to 3"):
        BornDistribution(state, named_povm("pauli6")).sample_bits(
            np.full((3, 2), 3, np.uint8), np.random.default_rng(0)
        )
    with refused(Code.KIND):
        DensityMatrix.from_qutip(qutip.basis(2, 0))
