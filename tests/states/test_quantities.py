"""Numbers of a density matrix against QuTiP, and projection onto states."""

import numpy as np
import pytest
import qutip

from qtomo import GHZ, DensityMatrix
from qtomo.states.pauli import from_paulis, to_paulis
from qtomo.states.quantities import entropy, fidelity, nearest_state, negativity, purity

RHO, SIGMA = (qutip.rand_dm([2, 2, 2], seed=seed) for seed in (1, 2))


def test_numbers_equal_those_of_qutip():
    rho = RHO.full()
    assert purity(rho) == pytest.approx(RHO.purity())
    assert entropy(rho) == pytest.approx(qutip.entropy_vn(RHO))
    assert negativity(rho, 1) == pytest.approx((qutip.partial_transpose(RHO, [1, 0, 0]).norm() - 1) / 2)
    assert fidelity(rho, DensityMatrix(SIGMA.full())) == pytest.approx(qutip.fidelity(RHO, SIGMA) ** 2)
    assert fidelity(rho, GHZ(3).state()) == pytest.approx(qutip.fidelity(RHO, qutip.ghz_state(3).proj()) ** 2)


def test_paulis_there_and_back():
    values = to_paulis(RHO.full())
    assert values[1, 0, 3] == pytest.approx(
        qutip.expect(qutip.tensor(qutip.sigmax(), qutip.qeye(2), qutip.sigmaz()), RHO)
    )
    assert from_paulis(values / 8) == pytest.approx(RHO.full(), abs=1e-14)


def test_a_state_is_its_own_projection_and_none_is_nearer():
    assert nearest_state(RHO.full()) == pytest.approx(RHO.full(), abs=1e-14)
    rng = np.random.default_rng(3)
    kick = rng.normal(size=(8, 8)) + 1j * rng.normal(size=(8, 8))
    off = RHO.full() + 0.2 * (kick + kick.conj().T)
    nearest = nearest_state(off)
    assert np.linalg.eigvalsh(nearest)[0] > -1e-14
    assert np.trace(nearest).real == pytest.approx(1)
    for seed in range(50):  # the angle to every state is obtuse
        other = qutip.rand_dm(8, seed=seed).full()
        assert np.vdot(off - nearest, other - nearest).real < 1e-12


def test_a_state_goes_to_qutip_and_back():
    state = DensityMatrix(RHO.full())
    assert state.to_qutip() == RHO
    assert (DensityMatrix.from_qutip(state.to_qutip()).matrix == state.matrix).all()
