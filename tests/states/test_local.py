"""Local weights against scores of the same records with an element really replaced, or two outcomes exchanged."""

import numpy as np
import pytest
import qutip

from qtomo.distribution import LOST
from qtomo.povm import POVM, named_povm
from qtomo.states import TFIM, BornDistribution, DensityMatrix
from qtomo.states.local import pauli_coefficients
from tests.states.test_born import random_state
from tests.test_noise import random_povm


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
    found = born.weigh(records, swaps=True)
    assert found.log_prob == pytest.approx(born.log_prob(records), abs=1e-10)
    table = np.concatenate([pauli_coefficients(other.elements), [[1, 0, 0, 0]]])
    for site in range(5):
        elements = np.stack([povm.elements] * 5)
        elements[site] = other.elements
        expected = BornDistribution(state, POVM(elements)).log_prob(records) - found.log_prob
        labels = np.where(records[:, site] == LOST, 4, records[:, site])
        ratio = (table[labels] * found.weights[:, site]).sum(axis=1)
        assert np.log(ratio) == pytest.approx(expected, abs=1e-9)
    for site in range(4):
        swapped = records.copy()
        swapped[:, [site, site + 1]] = records[:, [site + 1, site]]
        assert found.swapped[:, site] == pytest.approx(born.log_prob(swapped) - found.log_prob, abs=1e-9)


def test_weights_at_fifty_qubits_within_the_tolerance():
    state = TFIM(50).state()
    records = BornDistribution(state).sample(200, np.random.default_rng(0))
    exact, cut = BornDistribution(state).weigh(records), BornDistribution(state, tolerance=1e-4).weigh(records)
    assert cut.log_prob == pytest.approx(exact.log_prob, abs=1e-4)
    assert cut.weights == pytest.approx(exact.weights, abs=1e-3)
