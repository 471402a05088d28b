"""Thermal states of chains against exp(-beta H) as a matrix."""

import numpy as np
import pytest
from scipy.linalg import expm

from qtomo.errors import Code
from qtomo.states.tfim import TFIM
from qtomo.states.thermal import thermal_states
from qtomo.states.xxz import XXZ
from tests.refusing import refused
from tests.systems import dense

#: Terms of one and of two sites with complex and real Paulis, none alike.
MIXED = ((0.7, {0: "Y"}), (-0.4, {3: "X"}), (0.9, {0: "X", 1: "Y"}), (-0.6, {1: "Z", 2: "X"}), (0.5, {2: "Y", 3: "Z"}))
SYSTEMS = {
    "tfim": TFIM(4, 1.0, 0.8).terms(),
    "disordered": TFIM(4, (1.0, 0.4, 0.8), (0.3, 0.9, 0.5, 0.7)).terms(),
    "xxz": XXZ(4, 1.0, 0.6).terms(),
    "mixed": MIXED,
}


def thermal(terms, n, beta):
    energy = sum(coefficient * dense.product(letters, n) for coefficient, letters in terms)
    rho = expm(-beta * energy)
    return rho / np.trace(rho)


@pytest.mark.parametrize("name", SYSTEMS)
def test_they_are_those_of_the_exponential(name):
    """The steps of the evolution leave errors of second order in 0.1: populations are right to a thousandth."""
    betas = [0.3, 1.0, 2.5]
    found = list(thermal_states(SYSTEMS[name], 4, betas))
    assert [beta for beta, _ in found] == betas
    for beta, state in found:
        exact = thermal(SYSTEMS[name], 4, beta)
        rho = state.to_density().matrix
        distance = np.abs(np.linalg.eigvalsh(rho - exact)).sum() / 2
        assert distance < 4e-3


def test_at_no_temperature_it_is_the_ground_state_and_at_none_below_it_is_white():
    ((_, cold),) = thermal_states(TFIM(4, 1.0, 1.5).terms(), 4, [12.0])
    assert np.trace(cold.to_density().matrix @ dense.tfim(4, 1.0, 1.5)).real > 0.995
    ((_, hot),) = thermal_states(TFIM(4, 1.0, 1.5).terms(), 4, [1e-6])
    assert hot.to_density().matrix == pytest.approx(np.eye(16) / 16, abs=1e-5)


def test_two_qubits():
    ((_, state),) = thermal_states(TFIM(2).terms(), 2, [1.0])
    assert state.to_density().matrix == pytest.approx(thermal(TFIM(2).terms(), 2, 1.0), abs=2e-3)


def test_energies_of_twelve_qubits_fall_with_the_temperature_to_that_of_the_ground_state():
    model = TFIM(12, 1.0, 1.2)
    energies = [
        state.mpo_expectation(model.mpo()).real for _, state in thermal_states(model.terms(), 12, [0.5, 2.0, 8.0])
    ]
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] == pytest.approx(model.free_fermions.energy, abs=0.1)
    assert energies[-1] > model.free_fermions.energy - 1e-6


@pytest.mark.parametrize("product", [{0: "Z", 2: "Z"}, {0: "X", 1: "X", 2: "X"}])
def test_terms_that_reach_further_are_refused(product):
    with refused(Code.UNSUPPORTED):
        next(thermal_states(((1.0, product),), 4, [1.0]))
