"""The 1D transverse-field Ising model, H = -J sum Z_i Z_{i+1} - h sum X_i, open ends.

Its ground state comes from DMRG (through TeNPy); energies, gap and correlators come from free
fermions, independently of DMRG, so each checks the other.
"""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import InputError
from qtomo.povm import PAULIS
from qtomo.states.mps import MPO, MPS

__all__ = ["TFIM", "FreeFermions", "ground_state"]

#: Schmidt weight a cut that the ground state leaves out; its observables are right to about its root.
_WEIGHT = 1e-14
_HADAMARD = np.array([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2)


@dataclass(frozen=True)
class TFIM:
    """The model's parameters.

    Args:
        n_sites: N, number of qubits.
        coupling: J.
        field: h.

    Raises:
        InputError: no qubit, a parameter that is not finite, or J = h = 0.
    """

    n_sites: int
    coupling: float = 1.0
    field: float = 1.0

    def __post_init__(self) -> None:
        if self.n_sites < 1:
            raise InputError(f"number of qubits is {self.n_sites}, expected at least 1")
        for name, value in (("coupling", self.coupling), ("field", self.field)):
            if not math.isfinite(value):
                raise InputError(f"{name} is {value}, expected a finite number")
        if self.field == 0 and (self.coupling == 0 or self.n_sites == 1):
            raise InputError("the Hamiltonian is zero: give a coupling or a field")

    @cached_property
    def free_fermions(self) -> FreeFermions:
        """Exact values in the ground state."""
        return FreeFermions(self)

    @property
    def is_degenerate(self) -> bool:
        """Whether the gap is below 1e-9 of the energy scale: then two states share the ground energy.

        So it is for long chains with |h| < |J|. The parities +1 and -1 of `ground_state` span that space.
        """
        return self.free_fermions.gap < 1e-9 * max(abs(self.coupling), abs(self.field))

    def mpo(self) -> MPO:
        """H as a matrix-product operator of bond dimension 3."""
        identity, x, z = (PAULIS[p].real for p in "IXZ")
        w = np.zeros((3, 3, 2, 2))
        w[0, 0] = w[2, 2] = identity
        w[0, 1], w[1, 2] = -self.coupling * z, z
        w[0, 2] = -self.field * x
        if self.n_sites == 1:
            return [w[:1, 2:]]
        return [w[:1], *[w] * (self.n_sites - 2), w[:, 2:]]


class FreeFermions:
    """Exact properties of the lowest state of one parity (Lieb, Schultz, Mattis 1961; Pfeuty 1970).

    With M the matrix of h on the diagonal and J above it, M = U S V^T gives modes of energy 2 S_k and
    the ground energy -sum S_k; G = U V^T gives every correlator below.

    Args:
        model: the Hamiltonian.
        parity: +1 or -1, the eigenvalue of prod X; the ground state's own where not given. The other
            sector's lowest state has the lowest mode excited.
    """

    def __init__(self, model: TFIM, parity: int | None = None) -> None:
        n = model.n_sites
        matrix = np.asarray(model.field * np.eye(n) + model.coupling * np.eye(n, k=1))
        u, s, vt = np.linalg.svd(matrix)
        natural = _ground_parity(model)
        excited = parity is not None and parity != natural
        #: Energies of the N modes, lowest first.
        self.mode_energies: NDArray[np.float64] = 2 * s[::-1]
        #: Energy of this state, and the gap between the two lowest states, which differ in parity.
        self.energy = float(-s.sum() + (self.mode_energies[0] if excited else 0.0))
        self.gap = float(self.mode_energies[0])
        flip = excited != (round(float(np.linalg.det(u @ vt))) != natural)
        u[:, -1] *= -1 if flip else 1
        self._g = u @ vt

    def x(self, site: int) -> float:
        """<X_site>."""
        return float(self._g[site, site])

    def xx(self, i: int, j: int) -> float:
        """<X_i X_j>, i != j."""
        g = self._g
        return float(g[i, i] * g[j, j] - g[i, j] * g[j, i])

    def zz(self, i: int, j: int) -> float:
        """<Z_i Z_j> at any distance, as a determinant of size |i - j|."""
        i, j = min(i, j), max(i, j)
        return float(np.linalg.det(self._g[i:j, i + 1 : j + 1])) if i < j else 1.0


def _ground_parity(model: TFIM) -> int:
    """Eigenvalue of prod X in the ground state; +1 by choice where h = 0 makes both parities equal."""
    return -1 if model.field < 0 and model.n_sites % 2 else 1


def ground_state(model: TFIM, parity: int | None = None) -> MPS:
    """The lowest state of one parity, by two-site DMRG with prod X conserved (White 1992; TeNPy).

    Fixing the parity matters: at h < J the two lowest states are degenerate and a mixture of them has
    almost the same energy but other correlators.

    Args:
        model: the Hamiltonian.
        parity: +1 or -1; the true ground state's where not given.

    Raises:
        InputError: a parity other than +1 or -1.
        RuntimeError: DMRG missed the free-fermion energy by more than 1e-9 relative.
    """
    if parity not in (None, 1, -1):
        raise InputError(f"parity is {parity}, expected 1 or -1")
    parity = parity or _ground_parity(model)
    state = _diagonalise(model, parity) if model.n_sites <= 2 else _dmrg(model, parity)
    state = state.truncate(weight=_WEIGHT)[0]
    expected = FreeFermions(model, parity).energy
    energy = state.mpo_expectation(model.mpo()).real
    if abs(energy - expected) > 1e-9 * abs(expected):
        raise RuntimeError(f"DMRG found the energy {energy!r} where free fermions give {expected!r}")
    return state


def _diagonalise(model: TFIM, parity: int) -> MPS:
    """One or two qubits, which DMRG does not take: the lowest vector of H with the other parity lifted."""
    n, x, z = model.n_sites, PAULIS["X"].real, PAULIS["Z"].real
    one, two = (
        -model.field * x,
        -model.coupling * np.kron(z, z) - model.field * (np.kron(x, np.eye(2)) + np.kron(np.eye(2), x)),
    )
    hamiltonian, flip = (one, x) if n == 1 else (two, np.kron(x, x))
    scale = abs(model.coupling) + abs(model.field)
    return MPS.from_statevector(np.linalg.eigh(hamiltonian - 10 * scale * parity * flip)[1][:, 0])


def _dmrg(model: TFIM, parity: int) -> MPS:
    """TeNPy's ground state of the rotated chain, -J sum X X - h sum Z, rotated back by Hadamards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tenpy.algorithms.dmrg import TwoSiteDMRGEngine
        from tenpy.models.tf_ising import TFIChain
        from tenpy.networks.mps import MPS as TenpyMPS

        logging.getLogger("tenpy").setLevel(logging.ERROR)
        chain = TFIChain(
            {"L": model.n_sites, "J": model.coupling, "g": model.field, "bc_MPS": "finite", "conserve": "parity"}
        )
        along, against = ("up", "down") if model.field >= 0 else ("down", "up")
        start = [along] * model.n_sites
        if parity != _ground_parity(model):
            start[model.n_sites // 2] = against
        psi = TenpyMPS.from_product_state(chain.lat.mps_sites(), start, bc="finite")
        options = {
            "trunc_params": {"chi_max": 200, "svd_min": 1e-8},
            "mixer": True,
            "mixer_params": {"amplitude": 1e-4, "decay": 2.0, "disable_after": 4},
            "max_E_err": 1e-12,
            "max_S_err": 1e-7,
            "max_sweeps": 60,
        }
        TwoSiteDMRGEngine(psi, chain, options).run()
    tensors = []
    for index in range(model.n_sites):
        site = psi.sites[index]
        array = psi.get_B(index, form="B").itranspose(["vL", "p", "vR"]).to_ndarray()
        in_z = array[:, [site.state_index("up"), site.state_index("down")], :]
        tensors.append(np.einsum("st,atb->asb", _HADAMARD, in_z))
    return MPS(tensors)
