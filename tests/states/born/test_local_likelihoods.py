"""Local likelihoods against scores of the same records with an element really replaced."""

import numpy as np
import pytest
import qutip

from qtomo.distribution import LOST, enumerate_outcomes
from qtomo.measurement.noise import amplitude_damping, depolarizing, noisy
from qtomo.measurement.povm import POVM, named_povm
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.states.density import DensityMatrix
from qtomo.states.library import GHZ, Cluster, Product, W
from qtomo.states.tfim import TFIM
from tests.measurement.test_noise import random_povm
from tests.states.born.test_distribution import random_state


@pytest.mark.parametrize("kind", ["real", "complex", "mixed"])
@pytest.mark.parametrize("name", ["pauli4", "random"])
def test_weights_are_the_probabilities_of_replaced_elements(kind, name):
    rng = np.random.default_rng(4)
    state = random_state(5, kind == "real")
    if kind == "mixed":
        state = DensityMatrix(qutip.rand_dm([2] * 5, rank=3, seed=4).full())
    povm = named_povm("pauli4") if name == "pauli4" else random_povm(rng, 4)
    other = random_povm(rng, 4)
    records = rng.integers(0, 4, (70, 5), dtype=np.uint8)
    records[3, 2] = LOST
    born = BornDistribution(state, povm)
    found = born.local_likelihoods(records)
    assert found.log_prob == pytest.approx(born.log_prob(records), abs=1e-10)
    assert found.log_scale == pytest.approx(found.log_prob)
    table = np.concatenate([pauli_coefficients(other.elements), [[1, 0, 0, 0]]])
    for site in range(5):
        elements = np.stack([povm.elements] * 5)
        elements[site] = other.elements
        expected = BornDistribution(state, POVM(elements)).log_prob(records) - found.log_prob
        labels = np.where(records[:, site] == LOST, 4, records[:, site])
        ratio = (table[labels] * found.weights[:, site]).sum(axis=1)
        assert np.log(ratio) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("tolerance", [0.0, 1e-4])
@pytest.mark.parametrize("system", [GHZ(4), W(4), Cluster(4), Product(4, 0.0), TFIM(4), TFIM(1), GHZ(1)])
@pytest.mark.parametrize("dense", [False, True])
def test_impossible_records_have_likelihoods_under_a_fault(system, tolerance, dense):
    """Every record of random bases, most of them forbidden: ln P is -inf for these and right with a fault at a site."""
    povm, n = named_povm("pauli6"), system.n_sites
    state = system.state()
    if dense:
        ket = state.to_statevector()
        state = DensityMatrix(np.outer(ket, ket.conj()))
    records = np.concatenate(list(enumerate_outcomes(n, 6)))
    born = BornDistribution(state, povm, tolerance)
    found = born.local_likelihoods(records)
    truth = exact_probabilities(system, povm.site_elements(n), records)
    possible = truth > 1e-12
    assert (np.isneginf(found.log_prob) == ~possible).all()
    assert np.isneginf(born.log_prob(records)[~possible]).all()
    assert np.exp(found.log_prob[possible]) == pytest.approx(truth[possible], rel=1e-3)
    for site in range(n):
        for channel in (depolarizing(0.3), amplitude_damping(0.4)):
            changed = noisy(povm, channel, n, [site]).site_elements(n)
            table = pauli_coefficients(changed[site])
            chance = np.exp(found.log_scale) * (table[records[:, site]] * found.weights[:, site]).sum(axis=1)
            assert chance == pytest.approx(exact_probabilities(system, changed, records), abs=1e-6)


def exact_probabilities(system, elements, records):
    """From the state vector: the density matrix, contracted with the elements of each site in turn."""
    n = system.n_sites
    ket = system.state().to_statevector()
    table = np.outer(ket, ket.conj()).reshape((2,) * (2 * n))
    for site in range(n):  # the first axis is the site's of the ket, the one after all of the ket its of the bra
        table = np.tensordot(table, elements[site], axes=((0, n - site), (2, 1)))
    return table[tuple(records.T)].real


@pytest.mark.slow
def test_weights_at_fifty_qubits_within_the_tolerance():
    state = TFIM(50).state()
    records = BornDistribution(state).sample(200, np.random.default_rng(0))
    exact, cut = (BornDistribution(state, tolerance=t).local_likelihoods(records) for t in (0.0, 1e-4))
    assert cut.log_prob == pytest.approx(exact.log_prob, abs=1e-4)
    assert cut.weights == pytest.approx(exact.weights, abs=1e-3)
