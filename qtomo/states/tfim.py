"""The 1D transverse-field Ising model, H = -sum J_i Z_i Z_{i+1} - sum h_i X_i, open ends.

Its ground state comes from DMRG; energies, gap and correlators come from free fermions, independently of
DMRG, so each checks the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError
from qtomo.measurement.povm import PAULIS
from qtomo.states.dmrg import DIAGONALISED, Terms, lowest_vector, run_dmrg
from qtomo.states.mps import MPO, MPS
from qtomo.states.system import Numbers, Qubits

__all__ = ["TFIM", "FreeFermions", "ground_state"]

#: Schmidt weight a cut that the ground state leaves out; its observables are right to about its root.
_WEIGHT = 1e-14
_HADAMARD = np.array([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2)


@dataclass(frozen=True)
class TFIM:
    """The model's parameters.

    Args:
        n_sites: N, number of qubits.
        coupling: J, one number or N - 1 of them, one per bond.
        field: h, one number or N of them, one per site.

    Raises:
        InputError: no qubit, a parameter that is not finite or not one per bond or site, or J = h = 0.

    >>> round(TFIM(3, 1.0, 0.5).free_fermions.energy, 6)
    -2.403212
    """

    family: ClassVar[str] = "tfim"
    n_sites: Qubits
    coupling: Annotated[Numbers, "J in H = −J ΣZZ − h ΣX; one number, or N - 1 with commas between."] = 1.0
    field: Annotated[Numbers, "h in H = −J ΣZZ − h ΣX; one number, or N with commas between."] = 1.0

    def __post_init__(self) -> None:
        if self.n_sites < 1:
            raise InputError(Code.VALUE, f"number of qubits is {self.n_sites}, expected at least 1")
        for name, count in (("coupling", self.n_sites - 1), ("field", self.n_sites)):
            object.__setattr__(self, name, _numbers(getattr(self, name), name, count))
        if not (self.fields.any() or self.couplings.any()):
            raise InputError(Code.VALUE, "the Hamiltonian is zero: give a coupling or a field")

    @property
    def couplings(self) -> NDArray[np.float64]:
        """J of each bond, (N - 1,)."""
        return np.broadcast_to(np.asarray(self.coupling, dtype=np.float64), (self.n_sites - 1,))

    @property
    def fields(self) -> NDArray[np.float64]:
        """h of each site, (N,)."""
        return np.broadcast_to(np.asarray(self.field, dtype=np.float64), (self.n_sites,))

    @cached_property
    def free_fermions(self) -> FreeFermions:
        """Exact values in the ground state."""
        return FreeFermions(self)

    @property
    def is_degenerate(self) -> bool:
        """Whether the gap is below 1e-9 of the energy scale: then two states share the ground energy.

        So it is for long chains with |h| < |J|. The parities +1 and -1 of `ground_state` span that space.
        """
        scale = max(np.abs(self.couplings).max(initial=0), np.abs(self.fields).max())
        return bool(self.free_fermions.gap < 1e-9 * scale)

    def terms(self) -> Terms:
        """The Hamiltonian as Pauli products."""
        bonds = [(-float(j), {i: "Z", i + 1: "Z"}) for i, j in enumerate(self.couplings)]
        return (*bonds, *((-float(h), {i: "X"}) for i, h in enumerate(self.fields)))

    def state(self) -> MPS:
        """The ground state; see `ground_state`."""
        return ground_state(self)

    def mpo(self) -> MPO:
        """H as a matrix-product operator of bond dimension 3."""
        identity, x, z = (PAULIS[p].real for p in "IXZ")
        tensors = []
        for coupling, field in zip([*self.couplings, 0.0], self.fields, strict=True):
            w = np.zeros((3, 3, 2, 2))
            w[0, 0] = w[2, 2] = identity
            w[0, 1], w[1, 2] = -coupling * z, z
            w[0, 2] = -field * x
            tensors.append(w)
        tensors[0] = tensors[0][:1]
        tensors[-1] = tensors[-1][:, 2:]
        return tensors


def _numbers(value: object, name: str, count: int) -> float | tuple[float, ...]:
    """One finite number, or a tuple of `count` of them."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim and array.shape != (count,):
        raise InputError(Code.SHAPE, f"{name} has {array.size} values, expected one, or {count}")
    wrong = np.flatnonzero(~np.isfinite(array))
    if len(wrong):
        place = f" {wrong[0]}" if array.ndim else ""
        raise InputError(Code.VALUE, f"{name}{place} is {array.flat[wrong[0]]}, expected a finite number")
    return tuple(array.tolist()) if array.ndim else float(array)


class FreeFermions:
    """Exact properties of the lowest state of one parity (Lieb, Schultz, Mattis 1961; Pfeuty 1970).

    With M the matrix of the h_i on the diagonal and the J_i above it, M = U S V^T gives modes of energy 2 S_k and
    the ground energy -sum S_k; G = U V^T gives every correlator below.

    Args:
        model: the Hamiltonian.
        parity: +1 or -1, the eigenvalue of prod X; the ground state's own where not given. The other
            sector's lowest state has the lowest mode excited.
    """

    def __init__(self, model: TFIM, parity: int | None = None) -> None:
        n = model.n_sites
        matrix = np.zeros((n, n))
        matrix[np.arange(n), np.arange(n)] = model.fields
        matrix[np.arange(n - 1), np.arange(1, n)] = model.couplings
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
        #: U and V^T, whose columns and rows are the modes, highest energy first, and G = U V^T; (N, N) each.
        self.modes: tuple[NDArray[np.float64], NDArray[np.float64]] = u, vt
        self.correlations: NDArray[np.float64] = u @ vt

    def x(self, site: int) -> float:
        """<X_site>."""
        return float(self.correlations[site, site])

    def xx(self, i: int, j: int) -> float:
        """<X_i X_j>, i != j."""
        g = self.correlations
        return float(g[i, i] * g[j, j] - g[i, j] * g[j, i])

    def zz(self, i: int, j: int) -> float:
        """<Z_i Z_j> at any distance, as a determinant of size |i - j|."""
        i, j = min(i, j), max(i, j)
        return float(np.linalg.det(self.correlations[i:j, i + 1 : j + 1])) if i < j else 1.0


def _ground_parity(model: TFIM) -> int:
    """Eigenvalue of prod X in the ground state; a field of zero counts as positive."""
    return -1 if np.count_nonzero(model.fields < 0) % 2 else 1


def ground_state(model: TFIM, parity: int | None = None) -> MPS:
    """The lowest state of one parity, by DMRG with prod X conserved, or Lanczos up to twelve qubits.

    Fixing the parity matters: at h < J the two lowest states are degenerate and a mixture of them has
    almost the same energy but other correlators.

    Args:
        model: the Hamiltonian.
        parity: +1 or -1; the true ground state's where not given.

    Raises:
        InputError: a parity other than +1 or -1.
        RuntimeError: it missed the free-fermion energy by more than 1e-9 relative.

    >>> ground_state(TFIM(3)).n_sites
    3
    """
    if parity not in (None, 1, -1):
        raise InputError(Code.VALUE, f"parity is {parity}, expected 1 or -1")
    parity = parity or _ground_parity(model)
    state = _diagonalise(model, parity) if model.n_sites <= DIAGONALISED else _dmrg(model, parity)
    state = state.truncate(weight=_WEIGHT)[0]
    expected = FreeFermions(model, parity).energy
    energy = state.mpo_expectation(model.mpo()).real
    if abs(energy - expected) > 1e-9 * abs(expected):
        raise RuntimeError(f"found the energy {energy!r} where free fermions give {expected!r}")
    return state


def _diagonalise(model: TFIM, parity: int) -> MPS:
    """The lowest state of H with the other parity lifted out of the way."""
    scale = float(np.abs(model.couplings).sum() + np.abs(model.fields).sum())
    lift = (-10 * scale * parity, dict.fromkeys(range(model.n_sites), "X"))
    return lowest_vector([*model.terms(), lift], model.n_sites)


def _dmrg(model: TFIM, parity: int) -> MPS:
    """TeNPy's ground state of the rotated chain, -sum J X X - sum h Z, rotated back by Hadamards."""
    from tenpy.models.tf_ising import TFIChain

    start = ["up" if field >= 0 else "down" for field in model.fields]
    if parity != _ground_parity(model):
        flipped = int(np.abs(model.fields).argmin()) if np.ptp(model.fields) else model.n_sites // 2
        start[flipped] = "up" if start[flipped] == "down" else "down"
    options = {"L": model.n_sites, "J": model.couplings, "g": model.fields, "conserve": "parity"}
    return run_dmrg(TFIChain, options, start, _HADAMARD)
