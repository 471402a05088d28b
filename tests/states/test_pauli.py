"""Coefficients of Pauli products, and maps site by site, against products of matrices written out."""

import itertools

import numpy as np
import pytest
import qutip

from qtomo.states.pauli import along_sites, from_paulis, to_paulis
from tests.systems import dense

RHO = np.stack([qutip.rand_dm([2, 2, 2], seed=seed).full() for seed in (1, 2)])


def test_coefficients_are_traces_with_each_product():
    found = to_paulis(RHO)
    assert found.shape == (2, 4, 4, 4)
    for places in itertools.product(range(4), repeat=3):
        product = dense.kron(*(dense.PAULI["IXYZ"[p]] for p in places))
        assert found[:, *places] == pytest.approx([np.trace(rho @ product).real for rho in RHO], abs=1e-14)


def test_the_matrix_is_the_sum_of_its_products():
    assert from_paulis(to_paulis(RHO[0]) / 8) == pytest.approx(RHO[0], abs=1e-14)


def test_maps_of_sites_are_their_product():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=shape) for shape in ((3, 2), (2, 4), (5, 3))]
    tensor = rng.normal(size=(2, 2, 4, 3))
    expected = tensor.reshape(2, 24) @ dense.kron(*maps).T
    assert along_sites(tensor, maps) == pytest.approx(expected.reshape(2, 3, 2, 5))
