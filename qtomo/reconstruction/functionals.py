"""Quantities of a state with what their intervals are made of: a gradient, and an estimate without bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.reconstruction.frequencies import Frequencies
from qtomo.reconstruction.quantities import FIDELITY, Quantity, purity_quantity
from qtomo.states.density import DensityMatrix
from qtomo.states.mps import MPS
from qtomo.states.pauli import along_sites, to_paulis

__all__ = ["Functional", "functionals"]

Matrix = NDArray[np.complex128]
Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Functional:
    """A quantity of states.

    Args:
        quantity: which.
        value: of states (batch, 2**N, 2**N): (batch,).
        slope: Hermitian G (batch, 2**N, 2**N), so that the value changes by Tr(G d rho) to first order.
        statistic: its estimate without bias from tables of counts (batch, ...), of as many records in each setting as
            the records that the functional was made for: (batch,).
    """

    quantity: Quantity
    value: Callable[[Matrix], Reals]
    slope: Callable[[Matrix], Matrix]
    statistic: Callable[[Reals], Reals]


def functionals(frequencies: Frequencies, target: MPS | DensityMatrix | None = None) -> list[Functional]:
    """The purity, and the fidelity with a pure target.

    Raises:
        InputError: records that do not determine the state.
    """
    frequencies.check_complete()
    found = [
        Functional(
            purity_quantity(frequencies.n_sites),
            lambda states: _inner(states, states),
            lambda states: 2 * states,
            _purity_statistic(frequencies),
        )
    ]
    if isinstance(target, MPS):
        ket = target.to_statevector()
        projector = np.asarray(np.outer(ket, ket.conj()), np.complex128)
        found.append(
            Functional(
                FIDELITY,
                lambda states: _inner(projector[None], states),
                lambda states: np.broadcast_to(projector, states.shape),
                _linear_statistic(frequencies, projector),
            )
        )
    return found


def _linear_statistic(frequencies: Frequencies, operator: Matrix) -> Callable[[Reals], Reals]:
    """Tr(O rho) of the linear inversion."""
    values, _, _, numbers = frequencies.pauli_sums()
    weights = to_paulis(operator) / 2**frequencies.n_sites / numbers
    table = along_sites(weights, [value.T for value in values]).ravel()
    return lambda counts: counts.reshape(len(counts), -1) @ table


def _purity_statistic(frequencies: Frequencies) -> Callable[[Reals], Reals]:
    """2**-N sum_P of <P>^2, each from the pairs of different records that measure P: a U-statistic."""
    values, _, _, numbers = frequencies.pauli_sums()
    squares = [value**2 for value in values]
    pairs = np.maximum(numbers * (numbers - 1), 1.0).ravel()  # one record has no pair, and counts as zero

    def purity(counts: Reals) -> Reals:
        sums, own = (along_sites(counts, tables).reshape(len(counts), -1) for tables in (values, squares))
        means = (sums**2 - own) / pairs
        means[:, 0] = 1.0
        return np.asarray(means.sum(axis=1) / 2**frequencies.n_sites)

    return purity


def _inner(one: Matrix, other: Matrix) -> Reals:
    return np.asarray((one.conj() * other).sum(axis=(1, 2)).real)
