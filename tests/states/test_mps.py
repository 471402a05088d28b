"""Matrix-product states against state vectors and QuTiP."""

import numpy as np
import pytest
import qutip
from hypothesis import given, settings
from hypothesis import strategies as st

from qtomo.errors import Code
from qtomo.measurement.povm import PAULIS
from qtomo.states.mps import MPS
from qtomo.states.tfim import TFIM
from tests.refusing import refused
from tests.systems import ising


def random_vector(n_sites: int, seed: int, real: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vector = rng.normal(size=2**n_sites) + (0 if real else 1j * rng.normal(size=2**n_sites))
    return vector / np.linalg.norm(vector)


@settings(max_examples=20, deadline=None)
@given(n_sites=st.integers(1, 7), seed=st.integers(0, 1000), real=st.booleans())
def test_vector_to_mps_and_back(n_sites, seed, real):
    vector = random_vector(n_sites, seed, real)
    state = MPS.from_statevector(3.0 * vector)
    assert state.is_real == real
    assert np.allclose(state.to_statevector(), vector, atol=1e-13)


def test_tensors_are_right_canonical():
    for tensor in MPS.from_statevector(random_vector(6, 1)).tensors:
        rows = tensor.reshape(tensor.shape[0], -1)
        assert np.allclose(rows @ rows.conj().T, np.eye(len(rows)), atol=1e-13)


def test_overlap_is_that_of_the_vectors():
    a, b = random_vector(5, 1), random_vector(5, 2)
    assert MPS.from_statevector(a).overlap(MPS.from_statevector(b)) == pytest.approx(np.vdot(a, b), abs=1e-13)


def test_qutip_order_is_ours():
    ket = qutip.tensor(qutip.basis(2, 0), qutip.basis(2, 1), (qutip.basis(2, 0) + 1j * qutip.basis(2, 1)).unit())
    state = MPS.from_qutip(ket)
    assert [state.expectation({i: PAULIS["Z"]}).real for i in range(3)] == pytest.approx([1, -1, 0], abs=1e-14)
    assert state.expectation({2: PAULIS["Y"]}).real == pytest.approx(1)
    assert state.to_qutip().overlap(ket) == pytest.approx(1)


def test_expectation_of_a_product_of_operators():
    vector = random_vector(5, 3)
    ket = qutip.Qobj(vector[:, None], dims=[[2] * 5, [1] * 5])
    operators = {0: qutip.sigmax(), 2: qutip.sigmay(), 4: qutip.sigmaz()}
    found = MPS.from_statevector(vector).expectation({site: o.full() for site, o in operators.items()})
    assert found == pytest.approx(qutip.expect(ising.operator(operators, 5), ket), abs=1e-13)


def test_hamiltonian_and_its_variance():
    model, vector = TFIM(5, 0.7, -1.3), random_vector(5, 4)
    matrix = ising.hamiltonian(model).full()
    state = MPS.from_statevector(vector)
    mean = np.vdot(vector, matrix @ vector).real
    assert state.mpo_expectation(model.mpo()) == pytest.approx(mean, abs=1e-12)
    assert state.variance(model.mpo()) == pytest.approx(np.vdot(vector, matrix @ matrix @ vector).real - mean**2)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), bond_dim=st.integers(1, 8))
def test_truncation_tells_its_error(seed, bond_dim):
    state = MPS.from_statevector(random_vector(6, seed))
    smaller, discarded = state.truncate(bond_dim)
    assert max(smaller.bond_dims) <= bond_dim
    assert 1 - abs(state.overlap(smaller)) ** 2 <= discarded + 1e-12


def test_truncation_by_weight_drops_what_is_not_needed():
    ghz = np.zeros(64)
    ghz[[0, 63]] = np.sqrt(0.5)
    padded = MPS.from_statevector(ghz + 1e-9 * random_vector(6, 5, real=True))
    smaller, discarded = padded.truncate(weight=1e-14)
    assert set(smaller.bond_dims) == {2}
    assert 0 < discarded < 1e-13


def test_schmidt_values_of_a_bell_pair():
    bell = MPS.from_statevector(np.array([1, 0, 0, 1]))
    assert bell.schmidt_values()[0] == pytest.approx([np.sqrt(0.5)] * 2)


@pytest.mark.parametrize(
    ("tensors", "code", "fault"),
    [
        ([], Code.VALUE, "at least one qubit"),
        ([np.zeros((1, 2, 1))], Code.UNPHYSICAL, "zero vector"),
        ([np.ones((1, 2, 2)), np.ones((3, 2, 1))], Code.SHAPE, "site 1 has shape"),
        ([np.full((1, 2, 1), np.nan)], Code.VALUE, "not finite"),
    ],
)
def test_what_is_not_a_state_is_refused(tensors, code, fault):
    with refused(code, fault):
        MPS(tensors)


def test_other_refusals():
    state = MPS.from_statevector(random_vector(3, 0))
    with refused(Code.MISMATCH):
        state.overlap(MPS.from_statevector(random_vector(4, 0)))
    with refused(Code.VALUE, "site 3"):
        state.expectation({3: PAULIS["Z"]})
    with refused(Code.SHAPE):
        MPS.from_statevector(np.ones(6))
    with refused(Code.KIND):
        MPS.from_qutip(qutip.basis(3, 0))
    with refused(Code.TOO_LARGE):
        MPS.product([np.array([1, 0])] * 21).to_statevector()
