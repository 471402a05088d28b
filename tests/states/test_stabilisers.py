"""Stabilisers against matrices."""

import itertools

import numpy as np
import pytest

from qtomo.errors import Code
from qtomo.measurement.povm import PAULIS
from qtomo.states.library import GHZ, Cluster, W
from qtomo.states.stabilisers import Stabilised, Stabilisers, stabilisers_of
from tests.refusing import refused
from tests.systems import dense


def matrix(x, z, sign):
    return sign * dense.kron(*(PAULIS["IXZY"[code]] for code in x + 2 * z))


@pytest.mark.parametrize("system", [GHZ(4), Cluster(4), GHZ(1)])
def test_the_average_of_all_elements_is_the_projector(system):
    n = system.n_sites
    all_chosen = np.array(list(itertools.product((0, 1), repeat=n)), np.uint8)
    found = sum(matrix(*element) for element in zip(*system.stabilisers().elements(all_chosen), strict=True)) / 2**n
    ket = system.state().to_statevector()
    assert np.allclose(found, np.outer(ket, ket.conj()))
    assert isinstance(system, Stabilised)


def test_signs_of_products():
    found = Stabilisers.from_products(["XX", "-ZZ"])
    x, z, signs = found.elements(np.array([[1, 1]], np.uint8))
    assert np.allclose(
        matrix(x[0], z[0], signs[0]), np.kron(PAULIS["X"], PAULIS["X"]) @ -np.kron(PAULIS["Z"], PAULIS["Z"])
    )
    assert str(found) == "+XX -ZZ"


@pytest.mark.parametrize("setting", list(itertools.product(range(3), repeat=3)))
def test_a_setting_measures_the_elements_whose_letters_it_has(setting):
    group = Cluster(3).stabilisers()
    all_chosen = np.array(list(itertools.product((0, 1), repeat=3)), np.uint8)
    x, z, _ = group.elements(all_chosen)
    letters = np.array(["XYZ"[basis] for basis in setting])
    words = np.array(list("IXZY"))[x + 2 * z]
    seen = int(((words == "I") | (words == letters)).all(axis=1).sum())
    basis = group.measured_in(np.array(setting))
    assert 2 ** len(basis) == seen
    x, z, _ = group.elements(basis)
    words = np.array(list("IXZY"))[x + 2 * z]
    assert ((words == "I") | (words == letters)).all()


def test_what_is_no_set_of_generators_is_refused():
    with refused(Code.UNPHYSICAL, "0 and 1"):
        Stabilisers.from_products(["XI", "ZI"])
    with refused(Code.UNPHYSICAL, "not independent"):
        Stabilisers.from_products(["ZZ", "ZZ"])
    with refused(Code.SYNTAX, "'XQ'"):
        Stabilisers.from_products(["XQ", "ZZ"])


def test_who_has_stabilisers():
    assert str(stabilisers_of(Cluster(2))) == "+XZ +ZX"
    for other in (None, W(3), GHZ(3).state()):
        assert stabilisers_of(other) is None
