"""The gap of a Hamiltonian above a state that is known to be its lowest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

__all__ = ["Gap", "gap_above"]

_DENSE = 9  # qubits whose Hamiltonian is diagonalised
_STEPS, _EACH, _STABLE = 600, 20, 1e-5  # of Lanczos: most, between looks, and the change of the gap that is none


@dataclass(frozen=True)
class Gap:
    """The gap above a ground state.

    Args:
        value: as found.
        residual: norm of what is left of the eigenvalue equation; an eigenvalue lies within it.
    """

    value: float
    residual: float

    @property
    def lower(self) -> float:
        """The gap less its residual."""
        return self.value - self.residual


def gap_above(apply: Callable[[NDArray[Any]], NDArray[Any]], ground: NDArray[Any], energy: float, width: float) -> Gap:
    """The lowest eigenvalue among states orthogonal to `ground`, less `energy`: of the matrix up to 9 qubits, beyond by
    Lanczos from a random vector.

    Args:
        apply: the Hamiltonian, on vectors as long as `ground`.
        ground: its lowest state, normalised.
        energy: its lowest eigenvalue.
        width: how far to lift the ground state: more than the gap.
    """
    size = len(ground)

    def lifted(vector: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = apply(vector) + 2 * width * ground * np.vdot(ground, vector)
        return found

    if size <= 2**_DENSE:
        matrix = np.array([lifted(column) for column in np.eye(size, dtype=ground.dtype)]).T
        return Gap(float(np.linalg.eigvalsh(matrix)[0]) - energy, 0.0)
    rng = np.random.default_rng(0)
    start: NDArray[Any] = rng.normal(size=size)
    if np.iscomplexobj(ground):
        start = start + 1j * rng.normal(size=size)
    value, residual = _lanczos(lifted, start)
    return Gap(value - energy, residual)


def _lanczos(apply: Callable[[NDArray[Any]], NDArray[Any]], start: NDArray[Any]) -> tuple[float, float]:
    """The lowest eigenvalue and its residual, by three-term recurrence (Lanczos 1950).

    Rounding makes copies of eigenvalues that are there, which do no harm to the lowest. It ends where two looks in a
    row show no change, as a first one may be at another eigenvalue; a breakdown ends it exactly.
    """
    current = start / np.linalg.norm(start)
    before, beta = np.zeros_like(current), 0.0
    diagonal: list[float] = []
    sides: list[float] = []
    last, steady, value, residual = np.inf, 0, np.inf, np.inf
    for step in range(1, min(_STEPS, len(start)) + 1):
        image = apply(current) - beta * before
        diagonal.append(float(np.vdot(current, image).real))
        image = image - diagonal[-1] * current
        beta = float(np.linalg.norm(image))
        broken = beta < 1e-10 * max(1.0, abs(diagonal[0]))
        if broken or step % _EACH == 0 or step == min(_STEPS, len(start)):
            values, vectors = linalg.eigh_tridiagonal(diagonal, sides, select="i", select_range=(0, 0))
            value, residual = float(values[0]), beta * abs(float(vectors[-1, 0]))
            steady = steady + 1 if abs(value - last) < _STABLE and residual < 1e-2 else 0
            last = value
            if broken or steady == 2:
                break
        sides.append(beta)
        before, current = current, image / beta
    return value, residual
