"""Noise as a change of POVM, against QuTiP's density matrices sent through the channel."""

import functools

import numpy as np
import pytest
import qutip
from hypothesis import given, settings
from hypothesis import strategies as st

from qtomo.distribution import enumerate_outcomes
from qtomo.errors import Code
from qtomo.measurement.noise import NOISES, noisy, parse_noise
from qtomo.measurement.povm import POVM, named_povm
from qtomo.measurement.readout import with_confusion, with_readout_error
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.mps import MPS
from tests.refusing import refused
from tests.systems import ising


def through(rho: qutip.Qobj, kraus: np.ndarray, site: int) -> qutip.Qobj:
    """The state after the channel on one qubit, from full matrices."""
    n = len(rho.dims[0])
    operators = [ising.operator({site: qutip.Qobj(k)}, n) for k in kraus]
    return sum((k * rho * k.dag() for k in operators[1:]), operators[0] * rho * operators[0].dag())


def probabilities(state: MPS, povm: POVM) -> np.ndarray:
    born = BornDistribution(state, povm)
    return np.exp(born.log_prob(np.concatenate(list(enumerate_outcomes(born.n_sites, born.n_outcomes)))))


def random_state(n_sites: int, seed: int) -> MPS:
    rng = np.random.default_rng(seed)
    return MPS.from_statevector(rng.normal(size=2**n_sites) + 1j * rng.normal(size=2**n_sites))


def random_kraus(rng: np.random.Generator, n: int) -> np.ndarray:
    stacked = rng.normal(size=(2 * n, 2)) + 1j * rng.normal(size=(2 * n, 2))
    return np.linalg.qr(stacked)[0].reshape(n, 2, 2)


def random_povm(rng: np.random.Generator, k: int) -> POVM:
    kraus = random_kraus(rng, k)
    return POVM(np.einsum("kji,kjl->kil", kraus.conj(), kraus), "random")


@pytest.mark.parametrize("name", NOISES)
def test_named_channels_on_every_qubit(name):
    state, kraus = random_state(4, 1), NOISES[name](0.13)
    rho = functools.reduce(lambda r, site: through(r, kraus, site), range(4), state.to_qutip().proj())
    found = probabilities(state, noisy(named_povm("pauli4"), kraus, 4))
    assert found == pytest.approx(ising.outcome_probabilities(rho, named_povm("pauli4").elements), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n_sites=st.integers(1, 3), k=st.integers(2, 5), site=st.integers(0, 2))
def test_random_states_channels_and_measurements(seed, n_sites, k, site):
    rng = np.random.default_rng(seed)
    site %= n_sites
    state, povm, kraus = random_state(n_sites, seed), random_povm(rng, k), random_kraus(rng, 1 + seed % 4)
    rho = through(state.to_qutip().proj(), kraus, site)
    found = probabilities(state, noisy(povm, kraus, n_sites, [site]))
    assert found == pytest.approx(ising.outcome_probabilities(rho, povm.elements), abs=1e-12)


def test_confused_readout_mixes_probabilities():
    state, povm = random_state(2, 3), named_povm("tetrahedral")
    rng = np.random.default_rng(0)
    confusion = rng.random((4, 4))
    confusion /= confusion.sum(axis=0)
    clean = probabilities(state, povm).reshape(4, 4)
    found = probabilities(state, with_confusion(povm, confusion, 2, [1])).reshape(4, 4)
    assert found == pytest.approx(clean @ confusion.T, abs=1e-13)


def test_channels_written_out_act_in_order():
    povm = named_povm("pauli4")
    texts = ["amplitude-damping:0.3", "depolarizing:0.1@0,2"]
    found = parse_noise(povm, texts, 3)
    inner = noisy(povm, NOISES["depolarizing"](0.1), 3, [0, 2])
    assert np.allclose(found.elements, noisy(inner, NOISES["amplitude-damping"](0.3), 3).elements, atol=1e-15)
    assert found.name == "pauli4 after depolarizing:0.1@0,2 after amplitude-damping:0.3"
    assert parse_noise(povm, [], 3) is povm


def test_observables_of_noisy_records_are_those_of_the_state_before():
    """The noise is part of the measurement, so its duals undo it."""
    povm = noisy(named_povm("pauli4"), NOISES["amplitude-damping"](0.3), 2)
    rho = random_state(1, 0).to_qutip().proj().full()
    outcome = np.einsum("aij,ji->a", povm.elements, rho).real
    z = np.diag([1, -1]).astype(complex)
    assert outcome @ povm.outcome_values(z) == pytest.approx(np.trace(rho @ z).real, abs=1e-12)


@pytest.mark.parametrize(
    ("texts", "code", "fault"),
    [
        (["depolarising:0.1"], Code.UNKNOWN, "unknown channel 'depolarising'; did you mean 'depolarizing'"),
        (["dephasing"], Code.SYNTAX, "noise 'dephasing': expected NAME:PROBABILITY"),
        (["dephasing:1.1"], Code.VALUE, "dephasing: probability is 1.1, expected 0 to 1"),
        (["dephasing:nan"], Code.VALUE, "probability is nan"),
        (["dephasing:0.1@7"], Code.VALUE, "site 7 is outside a chain of 3 qubits"),
        (["dephasing:0.1@-1"], Code.VALUE, "site -1 is outside"),
        (["dephasing:0.1@x"], Code.SYNTAX, "expected NAME:PROBABILITY"),
    ],
)
def test_noise_that_is_not_understood(texts, code, fault):
    with refused(code, fault):
        parse_noise(named_povm("pauli4"), texts, 3)


def test_what_is_no_channel_and_no_confusion():
    povm = named_povm("pauli4")
    with refused(Code.UNPHYSICAL):
        noisy(povm, 0.9 * np.eye(2)[None], 2)
    with refused(Code.SHAPE, "Kraus"):
        noisy(povm, np.eye(2), 2)
    with refused(Code.UNPHYSICAL, "column 2"):
        with_confusion(povm, np.diag([1, 1, 0.9, 1]), 2)
    with refused(Code.SHAPE, "confusion matrix"):
        with_confusion(povm, np.eye(2), 2)
    with refused(Code.VALUE, "confusion matrix"):
        with_confusion(povm, np.eye(4) * -1, 2)


def test_a_misread_bit_of_pauli6_moves_within_its_basis():
    state, povm = random_state(2, 5), named_povm("pauli6")
    found = probabilities(state, parse_noise(povm, ["readout:0.1/0.3@1"], 2)).reshape(6, 6)
    flip = np.kron(np.eye(3), [[0.9, 0.3], [0.1, 0.7]])  # read given true
    assert found == pytest.approx(probabilities(state, povm).reshape(6, 6) @ flip.T, abs=1e-12)


@pytest.mark.parametrize("name", NOISES)
def test_a_misread_bit_moves_within_its_basis_whatever_noise_came_before(name):
    clean = noisy(named_povm("pauli6"), NOISES[name](0.3), 2, [1])
    mixed = np.kron(np.eye(3), [[0.95, 0.2], [0.05, 0.8]])
    expected = np.einsum("ab,nbij->naij", mixed, clean.elements)
    assert np.abs(with_readout_error(clean, 0.05, 0.2, 2).elements - expected).max() < 1e-15
    twice = with_readout_error(with_readout_error(clean, 0.05, 0.2, 2), 0.05, 0.2, 2)
    assert np.abs(twice.elements - np.einsum("ab,nbij->naij", mixed, expected)).max() < 1e-15


def test_readout_acts_after_every_channel():
    texts = ["readout:0.1", "amplitude-damping:0.3"]
    found = parse_noise(named_povm("pauli6"), texts, 2)
    expected = parse_noise(parse_noise(named_povm("pauli6"), texts[:1], 2), texts[1:], 2)
    assert np.allclose(found.elements, expected.elements, atol=1e-14)
    assert np.allclose(found.elements, parse_noise(named_povm("pauli6"), texts[::-1], 2).elements, atol=1e-14)


def test_equal_misreadings_of_pauli4_are_depolarizing():
    found = parse_noise(named_povm("pauli4"), ["readout:0.05"], 2).elements
    assert found == pytest.approx(noisy(named_povm("pauli4"), NOISES["depolarizing"](0.1), 2).elements, abs=1e-12)


def test_readout_that_makes_no_sense():
    for text, code, fault in (
        ("readout:0.1/0.2/0.3", Code.SYNTAX, "3 probabilities are too many"),
        ("readout:1.2", Code.VALUE, "readout: probability is 1.2"),
    ):
        with refused(code, fault):
            parse_noise(named_povm("pauli4"), [text], 2)
    with refused(Code.UNSUPPORTED, "'sic'"):
        parse_noise(named_povm("sic"), ["readout:0.1"], 2)
