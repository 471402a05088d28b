"""DMRG against free fermions at fifty qubits, and against QuTiP at few."""

import math

import pytest

from qtomo.errors import Code
from qtomo.measurement.povm import PAULIS
from qtomo.states.tfim import TFIM, FreeFermions, ground_state
from tests.refusing import refused
from tests.systems import ising


def parity_of(state) -> float:
    return state.expectation(dict.fromkeys(range(state.n_sites), PAULIS["X"])).real


@pytest.mark.slow
@pytest.mark.parametrize("field", [0.5, 1.0, 1.5])
def test_fifty_qubits_against_free_fermions(field):
    model = TFIM(50, 1.0, field)
    state, oracle = ground_state(model), model.free_fermions
    assert state.mpo_expectation(model.mpo()).real == pytest.approx(oracle.energy, rel=1e-10)
    assert state.variance(model.mpo()) < 1e-8
    assert parity_of(state) == pytest.approx(1, abs=1e-8)
    for i in range(50):
        assert state.expectation({i: PAULIS["X"]}).real == pytest.approx(oracle.x(i), abs=1e-6)
    for i in range(49):
        found = state.expectation({i: PAULIS["Z"], i + 1: PAULIS["Z"]}).real
        assert found == pytest.approx(oracle.zz(i, i + 1), abs=1e-6)
    far = state.expectation({5: PAULIS["Z"], 40: PAULIS["Z"]}).real
    assert far == pytest.approx(oracle.zz(5, 40), abs=1e-6)
    assert state.expectation({3: PAULIS["X"], 9: PAULIS["X"]}).real == pytest.approx(oracle.xx(3, 9), abs=1e-6)


def test_published_energies_at_criticality():
    for n_sites, energy in ((50, -63.301189155420), (100, -126.961876739681)):
        assert TFIM(n_sites).free_fermions.energy == pytest.approx(energy, abs=1e-11)
    t = math.pi / (2 * 101)
    assert TFIM(50).free_fermions.energy == pytest.approx(1 - 1 / math.sin(t), rel=1e-13)
    assert TFIM(50).free_fermions.gap == pytest.approx(4 * math.sin(t), rel=1e-10)


@pytest.mark.parametrize("sector", [1, -1])
@pytest.mark.parametrize(
    ("n_sites", "coupling", "field"),
    [(1, 1.0, 0.4), (2, 1.0, 0.7), (3, -0.8, 1.1), (5, 1.0, -0.9), (7, 1.0, 1.0), (8, 1.0, 0.3), (10, 1.0, 1.2)],
)
def test_few_qubits_against_qutip(n_sites, coupling, field, sector):
    model = TFIM(n_sites, coupling, field)
    energy, ket = ising.lowest_state(model, sector)
    state = ground_state(model, sector)
    assert FreeFermions(model, sector).energy == pytest.approx(energy, abs=1e-9)
    assert abs(state.to_qutip().overlap(ket)) == pytest.approx(1, abs=1e-9)


def test_ground_parity_is_found_without_being_told():
    model = TFIM(5, 1.0, -0.9)
    energies = {sector: ising.lowest_state(model, sector)[0] for sector in (1, -1)}
    assert parity_of(ground_state(model)) == pytest.approx(min(energies, key=energies.get), abs=1e-9)


def test_degeneracy_is_told():
    assert TFIM(50, 1.0, 0.5).is_degenerate
    assert not TFIM(50, 1.0, 1.0).is_degenerate
    even, odd = (ground_state(TFIM(16, 1.0, 0.1), sector) for sector in (1, -1))
    assert abs(even.overlap(odd)) < 1e-12


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((0, 1.0, 1.0), "number of qubits is 0"),
        ((5, 1.0, math.nan), "field is nan"),
        ((5, math.inf, 1.0), "coupling is inf"),
        ((5, 0.0, 0.0), "Hamiltonian is zero"),
    ],
)
def test_bad_parameters(arguments, fault):
    with refused(Code.VALUE, fault):
        TFIM(*arguments)


def test_bad_parity():
    with refused(Code.VALUE, "parity"):
        ground_state(TFIM(4), 0)
