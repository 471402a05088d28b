"""Quantities of a state with their gradients: what the likeliest state of a given fidelity, say, is found by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.reconstruction.quantities import FIDELITY, Quantity, entropy_quantity, negativity_quantity, purity_quantity
from qtomo.states.density import DensityMatrix
from qtomo.states.mps import MPS

__all__ = ["Functional", "functionals"]

Matrix = NDArray[np.complex128]
Reals = NDArray[np.float64]

_SMALLEST = 1e-4  # eigenvalue, below which the gradient of the entropy rises no more


@dataclass(frozen=True, eq=False)
class Functional:
    """A quantity of states.

    Args:
        quantity: which.
        value: of states (batch, 2**N, 2**N): (batch,).
        slope: Hermitian G (batch, 2**N, 2**N), so that the value changes by Tr(G d rho) to first order.
    """

    quantity: Quantity
    value: Callable[[Matrix], Reals]
    slope: Callable[[Matrix], Matrix]


def functionals(n_sites: int, target: MPS | DensityMatrix | None = None) -> list[Functional]:
    """Purity, von Neumann entropy, negativity from two qubits on, and the fidelity with a pure target."""
    found = [
        Functional(purity_quantity(n_sites), lambda states: _inner(states, states), lambda states: 2 * states),
        Functional(entropy_quantity(n_sites), _entropy, _entropy_slope),
    ]
    if n_sites > 1:
        half = n_sites // 2
        found.append(
            Functional(
                negativity_quantity(n_sites),
                lambda states: _negativity(states, half),
                lambda states: _negativity_slope(states, half),
            )
        )
    if isinstance(target, MPS):
        ket = target.to_statevector()
        projector = np.asarray(np.outer(ket, ket.conj()), np.complex128)
        found.append(
            Functional(
                FIDELITY,
                lambda states: _inner(projector[None], states),
                lambda states: np.broadcast_to(projector, states.shape),
            )
        )
    return found


def _inner(one: Matrix, other: Matrix) -> Reals:
    return np.asarray((one.conj() * other).sum(axis=(1, 2)).real)


def _entropy(states: Matrix) -> Reals:
    values = np.linalg.eigvalsh(states)
    logs = np.log(values, out=np.zeros_like(values), where=values > 0)
    return np.asarray(-(values * logs).sum(axis=1))


def _entropy_slope(states: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(states)
    return _with_eigenvalues(vectors, -1 - np.log(values.clip(_SMALLEST)))


def _negativity(states: Matrix, n_left: int) -> Reals:
    values = np.linalg.eigvalsh(_transposed(states, n_left))
    return np.asarray(-values.clip(max=0).sum(axis=1))


def _negativity_slope(states: Matrix, n_left: int) -> Matrix:
    values, vectors = np.linalg.eigh(_transposed(states, n_left))
    return -_transposed(_with_eigenvalues(vectors, (values < 0).astype(np.float64)), n_left)


def _transposed(states: Matrix, n_left: int) -> Matrix:
    left, right = 2**n_left, states.shape[-1] // 2**n_left
    pairs = states.reshape(-1, left, right, left, right).transpose(0, 3, 2, 1, 4)
    return np.ascontiguousarray(pairs).reshape(states.shape)


def _with_eigenvalues(vectors: Matrix, values: Reals) -> Matrix:
    return np.asarray((vectors * values[:, None, :]) @ vectors.conj().swapaxes(-1, -2))
