"""Arrays and QuTiP objects as states: they are taken as they are or refused, never normalised."""

import numpy as np
import pytest
import qutip

from qtomo.errors import Code
from qtomo.states.arrays import is_qutip, state_of_array, state_of_qutip
from tests.refusing import refused

KET = np.array([0.6, 0, 0, 0.8j])
HALF = np.eye(2) / 2


@pytest.mark.parametrize("array", [KET, KET[:, None]], ids=["vector", "column"])
def test_a_ket_is_taken_as_it_is(array):
    """Its first site is the slowest index."""
    assert state_of_array(array).to_statevector() == pytest.approx(KET, abs=1e-15)
    flipped = state_of_array(np.array([0, 0, 1.0, 0]))  # |10>
    assert [abs(tensor[0, :, 0]).argmax() for tensor in flipped.tensors] == [1, 0]


def test_a_density_matrix_is_taken_as_it_is():
    rho = 0.3 * np.outer(KET, KET.conj()) + 0.7 * np.kron(HALF, HALF)
    assert (state_of_array(rho).matrix == rho).all()


@pytest.mark.parametrize(
    ("array", "code", "words"),
    [
        (np.array(["a", "b"]), Code.SHAPE, "expected numbers"),
        (KET[None], Code.SHAPE, "bra"),
        (np.zeros((2, 2, 2)), Code.SHAPE, "expected a ket"),
        (np.array([1.0, np.nan]), Code.VALUE, "finite"),
        (np.array([1.0, 1.0]), Code.UNPHYSICAL, "norm 1.41421"),
        (np.array([0.25, 0.75]), Code.UNPHYSICAL, "as probabilities do"),
        (np.array([[0.5, 0.5], [0.0, 0.5]]), Code.UNPHYSICAL, None),
        (np.diag([1.5, -0.5]), Code.UNPHYSICAL, None),
        (np.eye(2), Code.UNPHYSICAL, None),
    ],
)
def test_what_is_no_state_is_refused(array, code, words):
    with refused(code, words):
        state_of_array(array)


@pytest.mark.parametrize("state", [qutip.rand_ket([2, 2, 2], seed=1), qutip.rand_dm([2, 2], seed=2)], ids=["ket", "dm"])
def test_states_of_qutip_come_back_as_they_were(state):
    assert (state_of_qutip(state).to_qutip() - state).norm() < 1e-12


@pytest.mark.parametrize(
    "value",
    [qutip.basis(2, 0).dag(), qutip.basis(3, 0), qutip.rand_ket([2, 3], seed=1)],
    ids=["bra", "qutrit", "mixed"],
)
def test_other_objects_of_qutip_are_refused(value):
    with refused(Code.KIND):
        state_of_qutip(value)


def test_what_is_qutip():
    assert is_qutip(qutip.basis(2, 0))
    assert not is_qutip(KET)
