"""One- and two-qubit expectations of states of every kind, against QuTiP."""

import itertools

import numpy as np
import pytest
import qutip

from qtomo.states.born.marginals import marginals
from qtomo.states.density import DensityMatrix
from qtomo.states.library import GHZ, Product, RandomMPS, W
from qtomo.states.lpdo import LPDO
from qtomo.states.tfim import TFIM
from tests.systems import ising

PAULIS = {"I": qutip.qeye(2), "X": qutip.sigmax(), "Y": qutip.sigmay(), "Z": qutip.sigmaz()}


def lpdo(kappa):
    rng = np.random.default_rng(kappa)
    shapes = [(left, 2, kappa, right) for left, right in itertools.pairwise([1, 3, 4, 2, 1])]
    return LPDO.from_tensors([rng.normal(size=s) + 1j * rng.normal(size=s) for s in shapes])


def ket(state):
    vector = state.to_qutip()
    return state, vector.proj()


def mixed(state):
    return state, qutip.Qobj(state.to_density().matrix, dims=[[2] * 4] * 2)


def dense():
    rho = qutip.rand_dm([2] * 4, rank=3, seed=5)
    return DensityMatrix.from_qutip(rho), rho


CASES = {
    "tfim": lambda: ket(TFIM(4, 1.0, 0.7).state()),
    "ghz": lambda: ket(GHZ(4).state()),
    "w": lambda: ket(W(4).state()),
    "product": lambda: ket(Product(4, 0.7, 0.3).state()),
    "complex": lambda: ket(RandomMPS(4, 3, 1).state()),
    "one ancilla": lambda: mixed(lpdo(2)),
    "two ancillas": lambda: mixed(lpdo(4)),
    "dense": dense,
}


@pytest.mark.parametrize("name", CASES)
def test_all_are_those_of_qutip(name):
    state, rho = CASES[name]()
    found = marginals(state)
    for site in range(4):
        expected = [qutip.expect(ising.operator({site: PAULIS[p]}, 4), rho) for p in "IXYZ"]
        assert found.sites[site] == pytest.approx(expected, abs=1e-10)
    assert [tuple(place) for place in found.places.tolist()] == list(itertools.combinations(range(4), 2))
    for (i, j), pair in zip(found.places.tolist(), found.pairs, strict=True):
        expected = [
            [qutip.expect(ising.operator({i: PAULIS[p], j: PAULIS[q]}, 4), rho) for q in "IXYZ"] for p in "IXYZ"
        ]
        assert pair == pytest.approx(np.array(expected), abs=1e-10)


@pytest.mark.parametrize("name", ["tfim", "two ancillas", "dense"])
def test_pairs_that_are_far_apart_are_left_out_where_that_is_asked(name):
    state, _ = CASES[name]()
    whole, near = marginals(state), marginals(state, 2)
    kept = (whole.places[:, 1] - whole.places[:, 0]) <= 2
    assert (near.places == whole.places[kept]).all()
    assert near.pairs == pytest.approx(whole.pairs[kept], abs=1e-12)
    assert near.sites == pytest.approx(whole.sites, abs=1e-12)


def test_a_single_qubit_has_no_pairs():
    found = marginals(Product(1, 0.7, 0.3).state())
    assert found.sites[0] == pytest.approx([1, np.sin(0.7) * np.cos(0.3), np.sin(0.7) * np.sin(0.3), np.cos(0.7)])
    assert found.pairs.shape == (0, 4, 4)
    assert found.places.shape == (0, 2)


def test_those_of_a_mixture_are_the_mixture_of_them():
    one, other = TFIM(4).state(), W(4).state()
    rho = 0.7 * one.to_qutip().proj() + 0.3 * other.to_qutip().proj()
    expected = marginals(DensityMatrix.from_qutip(rho))
    found = marginals(one).mixed(0.3, marginals(other))
    assert found.sites == pytest.approx(expected.sites, abs=1e-12)
    assert found.pairs == pytest.approx(expected.pairs, abs=1e-12)


@pytest.mark.slow
def test_twenty_qubits_have_the_correlations_of_free_fermions():
    model = TFIM(20, 1.0, 1.3)
    found, fermions = marginals(model.state(), 3), model.free_fermions
    assert found.sites[:, 1] == pytest.approx([fermions.x(i) for i in range(20)], abs=1e-6)
    zz = [fermions.zz(i, j) for i, j in found.places.tolist()]
    assert found.pairs[:, 3, 3] == pytest.approx(zz, abs=1e-6)
