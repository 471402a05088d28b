"""Observables: exact against QuTiP, and estimated from records against exact."""

import numpy as np
import pytest

from qtomo import TFIM, BornDistribution, Records, estimate_observables, ground_state, named_povm, pauli
from qtomo.distribution import LOST
from qtomo.errors import Code
from qtomo.measurement.povm import POVM
from qtomo.observables.paulis import chain_observables, exact_value
from tests.refusing import refused
from tests.systems import ising

MODEL = TFIM(5, 1.0, 0.8)


@pytest.fixture(scope="module")
def state():
    return ground_state(MODEL)


@pytest.mark.parametrize("text", ["X0", "Y2", "Z0 Z4", "X1 Y2 Z3", "Y0 Y1"])
def test_a_pauli_product_equals_qutip(state, text):
    ket = state.to_qutip()
    expected = (ket.dag() * ising.pauli_product(text, 5) * ket).real
    assert exact_value(pauli(text), state) == pytest.approx(expected, abs=1e-10)


def test_the_energy_is_that_of_free_fermions(state):
    energy = chain_observables(5, MODEL.terms())[0]
    assert exact_value(energy, state) == pytest.approx(MODEL.free_fermions.energy / 5, abs=1e-10)


@pytest.mark.parametrize("povm", ["pauli4", "pauli6", "tetrahedral"])
def test_records_estimate_every_observable_without_bias(state, povm):
    records = BornDistribution(state, povm).sample(200_000, np.random.default_rng(7))
    wanted = [*chain_observables(5, MODEL.terms()), pauli("X1 Y2 Z3"), pauli("Y0 Y1")]
    found = estimate_observables(wanted, Records(records, povm))
    scores = [found[o.name].z_score(exact_value(o, state)) for o in wanted]
    assert np.abs(scores).max() < 4.5
    assert all(0 < found[o.name].standard_error < 0.1 for o in wanted)


def test_a_wrong_measurement_is_noticed(state):
    """The records of a measurement whose X and Y outcomes are swapped give another magnetisation."""
    elements = named_povm("pauli4").elements[[0, 2, 1, 3]]
    records = BornDistribution(state, POVM(elements, "swapped")).sample(20_000, np.random.default_rng(7))
    found = estimate_observables([pauli("X2")], Records(records, "pauli4"))["X2"]
    assert abs(found.z_score(exact_value(pauli("X2"), state))) > 10


@pytest.mark.parametrize("text", ["", "Q3", "Z", "Z1 Z1", "Z-1", "ZZ"])
def test_what_is_not_a_pauli_product_is_refused(text):
    with refused(Code.SYNTAX):
        pauli(text)


def test_a_site_outside_the_records_is_refused():
    with refused(Code.VALUE, "'Z7' on site 7"):
        estimate_observables([pauli("Z7")], Records(np.zeros((3, 5), np.uint8), "pauli4"))


def test_a_measurement_that_is_not_complete_is_refused():
    halves = POVM(np.array([np.diag([1, 0]), np.diag([0, 1])], dtype=complex), "z only")
    with refused(Code.UNSUPPORTED):
        estimate_observables([pauli("X0")], Records(np.zeros((3, 5), np.uint8), halves))


@pytest.mark.parametrize("loss", [0.05, 0.5])
def test_records_with_losses_estimate_without_bias_and_with_right_errors(state, loss):
    rng = np.random.default_rng(8)
    wanted = chain_observables(5, MODEL.terms())
    born = BornDistribution(state, "pauli4")
    energies = []
    for _ in range(100):
        records = born.sample(2_000, rng)
        records[rng.random(records.shape) < loss] = LOST
        energies.append(estimate_observables(wanted[:1], Records(records, born.povm))["energy per site"])
    truth = exact_value(wanted[0], state)
    scores = [energy.z_score(truth) for energy in energies]
    assert abs(np.mean(scores)) < 4.5 / np.sqrt(100)
    assert np.std(scores) == pytest.approx(1, abs=0.3)


def test_a_product_that_no_record_has():
    records = np.zeros((10, 5), np.uint8)
    records[:, 2] = LOST
    with refused(Code.UNMEASURED, "'Z1 Z2'"):
        estimate_observables([pauli("Z1 Z2")], Records(records, "pauli4"))
