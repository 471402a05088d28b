"""The fidelity under local channels, against enumeration of Kraus operators on state vectors."""

import itertools

import numpy as np
import pytest

from qtomo.measurement.noise import amplitude_damping, dephasing, depolarizing
from qtomo.measurement.povm import PAULIS
from qtomo.states.library import GHZ, W
from qtomo.states.mps import MPS
from qtomo.states.tfim import TFIM
from qtomo.verification.budget.fidelity import Fidelity


def random_state(n_sites, seed):
    rng = np.random.default_rng(seed)
    vector = rng.normal(size=2**n_sites) + 1j * rng.normal(size=2**n_sites)
    return MPS.from_statevector(vector / np.linalg.norm(vector))


def rotation(letter, angle):
    return (np.cos(angle / 2) * PAULIS["I"] - 1j * np.sin(angle / 2) * PAULIS[letter])[None]


def transfer(kraus):
    """Tr(sigma_p E(sigma_q))/2, written out."""
    paulis = [PAULIS[p] for p in "IXYZ"]
    return np.array([[sum(np.trace(p @ k @ q @ k.conj().T) for k in kraus).real / 2 for q in paulis] for p in paulis])


def enumerated(target, prepared, channels):
    """Sum over all choices of Kraus operators of |<psi|K|phi>|^2."""
    psi, phi = target.to_statevector(), prepared.to_statevector()
    total = 0.0
    for chosen in itertools.product(*channels):
        operator = np.ones((1, 1))
        for kraus in chosen:
            operator = np.kron(operator, kraus)
        total += abs(psi.conj() @ operator @ phi) ** 2
    return total


CHANNELS = [depolarizing(0.2), dephasing(0.1), amplitude_damping(0.3), rotation("X", 0.7)]
STATES = {
    "ghz": GHZ(4).state(), "w": W(3).state(), "tfim": TFIM(4, 1.0, 1.0).state(), "complex": random_state(4, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_it_is_the_sum_over_kraus_operators(name):
    state = STATES[name]
    channels = CHANNELS[: state.n_sites]
    found = Fidelity(state)(np.array([transfer(one) for one in channels]))
    assert found == pytest.approx(enumerated(state, state, channels), abs=1e-10)


def test_another_state_may_have_been_prepared():
    target, prepared = random_state(3, 2), random_state(3, 3)
    channels = [rotation("Z", 0.4), amplitude_damping(0.2), depolarizing(0.1)]
    found = Fidelity(target, prepared)(np.array([transfer(one) for one in channels]))
    assert found == pytest.approx(enumerated(target, prepared, channels), abs=1e-10)


@pytest.mark.parametrize("prepared", [None, random_state(4, 5)], ids=["target", "another"])
def test_slopes_are_exact_differences(prepared):
    """F is linear in each qubit's matrix: a step of any size tells the slope."""
    fidelity = Fidelity(STATES["complex"], prepared)
    matrices = np.array([transfer(one) for one in CHANNELS])
    value, slopes = fidelity.with_slopes(matrices)
    assert value == pytest.approx(fidelity(matrices), abs=1e-12)
    rng = np.random.default_rng(0)
    for site in range(4):
        step = rng.normal(size=(4, 4))
        moved = matrices.copy()
        moved[site] += step
        assert fidelity(moved) - value == pytest.approx(float((slopes[site] * step).sum()), abs=1e-10)
