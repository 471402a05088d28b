"""Likelihoods with two neighbours measured otherwise, against enumeration on state vectors."""

import functools

import numpy as np
import pytest

from qtomo.distribution import LOST
from qtomo.measurement.povm import PAULIS, named_povm
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.states.born.pair_likelihoods import neighbour_ratios
from qtomo.states.library import W
from qtomo.states.mps import MPS


def random_state(n_sites):
    rng = np.random.default_rng(0)
    return MPS.from_statevector(rng.normal(size=2**n_sites) + 1j * rng.normal(size=2**n_sites))


@pytest.mark.parametrize("state", [random_state(4), W(5).state()], ids=["complex", "w"])
def test_ratios_are_those_of_the_state_vector(state):
    n, povm, rng = state.n_sites, named_povm("pauli4"), np.random.default_rng(1)
    elements = povm.site_elements(n)
    labels = rng.integers(0, 4, (6, n)).astype(np.uint8)
    labels[:, 2] = [0, 1, 2, 3, LOST, LOST]
    vector = state.to_statevector()

    def chance(operators):
        return (vector.conj() @ functools.reduce(np.kron, operators) @ vector).real

    sites = []
    for piece, site, found in neighbour_ratios(state, pauli_coefficients(elements), labels):
        sites.append(site)
        for row, mine in zip(labels[piece], found, strict=True):
            plain = [PAULIS["I"] if a == LOST else elements[i, a] for i, a in enumerate(row)]
            expected = [
                [chance([*plain[:site], PAULIS[p], PAULIS[q], *plain[site + 2 :]]) for q in "IXYZ"] for p in "IXYZ"
            ]
            np.testing.assert_allclose(mine, np.array(expected) / chance(plain), rtol=2e-4, atol=2e-4)
    assert sites == list(range(n - 1))
