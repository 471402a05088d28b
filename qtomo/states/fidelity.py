"""Quantum fidelity of states of any length: exact where one of them is pure, within bounds otherwise."""

from __future__ import annotations

import math
from typing import NamedTuple

from qtomo.errors import Code, InputError
from qtomo.states.density import LARGEST_DENSITY, DensityMatrix
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.quantities import fidelity as dense_fidelity

__all__ = ["FidelityBounds", "fidelity"]


class FidelityBounds(NamedTuple):
    """The fidelity lies between these two, which are equal where it is known."""

    low: float
    high: float


def fidelity(first: MPS | LPDO | DensityMatrix, second: MPS | LPDO | DensityMatrix) -> FidelityBounds:
    """(Tr sqrt(sqrt(rho) sigma sqrt(rho)))^2.

    With a pure state it is <psi|rho|psi>, exact at any length; two mixed states are compared as density matrices up to
    12 qubits. Beyond, Tr(rho sigma) <= F <= Tr(rho sigma) + sqrt((1 - Tr rho^2)(1 - Tr sigma^2)), the latter being
    the super-fidelity (Miszczak et al. 2009, arXiv 0805.2037).

    Raises:
        InputError: states of different lengths.
    """
    if first.n_sites != second.n_sites:
        raise InputError(Code.MISMATCH, f"states of {first.n_sites} and {second.n_sites} qubits have no fidelity")
    if isinstance(first, DensityMatrix) or isinstance(second, DensityMatrix):
        return _dense(first, second)
    one, two = _purified(first), _purified(second)
    product = one.overlap(two)
    if not (one.ancillas and two.ancillas):
        return FidelityBounds(product, product)
    if first.n_sites <= LARGEST_DENSITY:
        return _dense(first, second)
    return FidelityBounds(product, min(1.0, product + math.sqrt((1 - one.purity()) * (1 - two.purity()))))


def _purified(state: MPS | LPDO) -> LPDO:
    return LPDO(state, 0) if isinstance(state, MPS) else state


def _dense(first: MPS | LPDO | DensityMatrix, second: MPS | LPDO | DensityMatrix) -> FidelityBounds:
    if isinstance(first, MPS):
        first, second = second, first
    rho = first if isinstance(first, DensityMatrix) else _purified(first).to_density()
    value = dense_fidelity(rho.matrix, second.to_density() if isinstance(second, LPDO) else second)
    return FidelityBounds(value, value)
