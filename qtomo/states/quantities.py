"""What one asks of a density matrix of a few qubits: purity, entropy, negativity, fidelity.

All take complex (2**N, 2**N) matrices, which only the purity and the fidelity with a pure state do not ask to be
positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qtomo.states.density import DensityMatrix
from qtomo.states.mps import MPS

__all__ = ["entropy", "fidelity", "nearest_state", "negativity", "partial_transpose", "purity"]

Matrix = NDArray[np.complex128]


def purity(rho: Matrix) -> float:
    """Tr(rho^2): 1 for a pure state, 2**-N for the maximally mixed one."""
    return float(np.vdot(rho, rho).real)


def entropy(rho: Matrix) -> float:
    """Von Neumann entropy -Tr(rho ln rho), in nats."""
    values = np.linalg.eigvalsh(rho)
    values = values[values > 0]
    return float(-(values * np.log(values)).sum())


def partial_transpose(rho: Matrix, n_left: int) -> Matrix:
    """rho with its first `n_left` qubits transposed."""
    left, right = 2**n_left, len(rho) // 2**n_left
    return np.ascontiguousarray(rho.reshape(left, right, left, right).transpose(2, 1, 0, 3)).reshape(rho.shape)


def negativity(rho: Matrix, n_left: int) -> float:
    """(||rho^T_A||_1 - 1)/2 of the first `n_left` qubits against the rest (Vidal and Werner 2002, quant-ph/0102117)."""
    return max(0.0, float(np.abs(np.linalg.eigvalsh(partial_transpose(rho, n_left))).sum() - 1) / 2)


def fidelity(rho: Matrix, target: MPS | DensityMatrix) -> float:
    """The squared sum of the singular values of sqrt(rho) sqrt(sigma): <psi|rho|psi> for a pure target (Jozsa 1994)."""
    if isinstance(target, MPS):
        ket = target.to_statevector()
        return float(np.vdot(ket, rho @ ket).real)
    return float(np.linalg.svd(_root(rho) @ _root(target.matrix), compute_uv=False).sum() ** 2)


def _root(rho: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(rho)
    return np.asarray((vectors * np.sqrt(values.clip(0))) @ vectors.conj().T)


def nearest_state(matrix: Matrix) -> Matrix:
    """The density matrix next to a Hermitian matrix in Frobenius norm, (..., 2**N, 2**N) of both.

    Its eigenvalues are lowered by one number, and those that would be negative are zero, so that the rest sums to 1
    (Smolin, Gambetta and Smith 2012, arXiv 1106.5458, which is the projection of the eigenvalues onto a simplex).
    """
    values, vectors = np.linalg.eigh(matrix)
    falling = values[..., ::-1]
    shifts = (np.cumsum(falling, axis=-1) - 1) / np.arange(1, falling.shape[-1] + 1)
    last = (falling > shifts).sum(axis=-1, keepdims=True) - 1
    chosen = (values - np.take_along_axis(shifts, last, axis=-1)).clip(0)
    chosen /= chosen.sum(axis=-1, keepdims=True)
    found: Matrix = (vectors * chosen[..., None, :]) @ vectors.conj().swapaxes(-1, -2)
    return (found + found.conj().swapaxes(-1, -2)) / 2
