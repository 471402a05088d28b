"""Values of outcomes, whose mean over what an element is likely to give is the Pauli matrix itself."""

import numpy as np
import pytest

from qtomo.distribution import LOST
from qtomo.errors import Code
from qtomo.measurement.noise import noisy
from qtomo.measurement.povm import named_povm
from qtomo.measurement.readout import with_readout_error
from qtomo.observables.duals import bit_values, dual_values
from tests.refusing import refused
from tests.systems import dense


@pytest.mark.parametrize("name", ["pauli4", "pauli6", "sic"])
def test_the_elements_times_their_values_are_the_pauli_matrix(name):
    povm = named_povm(name)
    values, there = dual_values(povm, 2)
    for letter in "XYZ":
        for site in range(2):
            found = np.einsum("k,kij->ij", values[letter][site, : povm.n_outcomes], povm.elements)
            assert found == pytest.approx(dense.PAULI[letter], abs=1e-12)
            assert (there[letter][site] == (np.arange(LOST + 1) < povm.n_outcomes)).all()


def test_bits_that_are_read_wrongly_are_worth_more():
    """Against elements misread by hand: 0 as 1 with 0.1 and 1 as 0 with 0.3 at site 1, never at site 0."""
    povm = with_readout_error(named_povm("pauli6"), 0.1, 0.3, 2, sites=[1])
    values, there = bit_values(povm, 2)
    for site, elements in enumerate([dense.pauli6(), dense.misread("pauli6", 0.1, 0.3)]):
        for basis, letter in enumerate("XYZ"):
            pair = slice(2 * basis, 2 * basis + 2)
            found = np.einsum("k,kij->ij", values[letter][site, pair], 3 * elements[pair])
            assert found == pytest.approx(dense.PAULI[letter], abs=1e-12)
            assert np.flatnonzero(there[letter][site]).tolist() == [2 * basis, 2 * basis + 1]
    assert values["Z"][1, 4:6] == pytest.approx(np.linalg.solve([[0.9, 0.1], [0.3, 0.7]], [1, -1]))


def test_a_basis_that_is_turned_away_or_tells_nothing_is_refused():
    turned = noisy(named_povm("pauli6"), np.array(dense.kraus("rotation-x", 0.2)), 1)
    with refused(Code.UNSUPPORTED, "site 0: basis Y"):
        bit_values(turned, 1)
    with refused(Code.UNSUPPORTED, "site 0: basis X"):
        bit_values(with_readout_error(named_povm("pauli6"), 0.5, 0.5, 1), 1)
    with refused(Code.UNSUPPORTED):
        dual_values(named_povm("trine"), 1)
