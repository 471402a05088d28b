"""Thermal states of open chains by imaginary time evolution of a purification (Verstraete et al. 2004, cond-
mat/0406426).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from qtomo.errors import Code, InputError
from qtomo.measurement.povm import PAULIS
from qtomo.states.dmrg import Terms
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import right_canonical

__all__ = ["thermal_states"]

Tensor = NDArray[Any]

_STEP = 0.1  # inverse temperature per step of the evolution, whose error goes as its square
_WEIGHT = 1e-9  # Schmidt weight a cut that is dropped at each step
_LARGEST_BOND = 32


def thermal_states(terms: Terms, n_sites: int, betas: Sequence[float]) -> Iterator[tuple[float, LPDO]]:
    """exp(-beta H)/Z for rising inverse temperatures, of a sum of terms on one site or two neighbours.

    The maximally entangled state of each qubit with its ancilla is evolved by exp(-beta H/2), Trotter of second order.

    Args:
        terms: the Hamiltonian as Pauli products.
        n_sites: N, at least 2.
        betas: inverse temperatures, rising.

    Raises:
        InputError: a term on more than two sites, or on two that are no neighbours.
    """
    bonds = _bond_terms(terms, n_sites)
    tensors: list[Tensor] = [np.eye(2).reshape(1, 2, 2, 1) / math.sqrt(2) for _ in range(n_sites)]
    beta = 0.0
    for wanted in betas:
        steps = max(1, math.ceil((wanted - beta) / _STEP - 1e-9))
        step = (wanted - beta) / steps / 2  # of exp(-beta H/2)
        half = [_gate(bond, step / 2) for bond in bonds]
        for _ in range(steps):
            tensors = _swept(tensors, half)
        beta = wanted
        yield wanted, LPDO.from_tensors(tensors)


def _bond_terms(terms: Terms, n_sites: int) -> list[NDArray[np.complex128]]:
    """The Hamiltonian as a sum over bonds, each (4, 4); terms of one site are shared by its bonds."""
    bonds = [np.zeros((4, 4), dtype=np.complex128) for _ in range(n_sites - 1)]
    for coefficient, product in terms:
        sites = sorted(product)
        if len(sites) == 1:
            near = [bond for bond in (sites[0] - 1, sites[0]) if 0 <= bond < n_sites - 1]
        elif len(sites) == 2 and sites[1] == sites[0] + 1:
            near = [sites[0]]
        else:
            raise InputError(Code.UNSUPPORTED, f"a term on sites {sites}, expected one site or two neighbours")
        for bond in near:
            letters = [product.get(bond + k, "I") for k in (0, 1)]
            bonds[bond] += coefficient / len(near) * np.kron(PAULIS[letters[0]], PAULIS[letters[1]])
    return bonds


def _gate(bond: NDArray[np.complex128], time: float) -> Tensor:
    gate = expm(-time * bond)
    return np.asarray(gate.real if np.abs(gate.imag).max() < 1e-14 else gate)


def _swept(tensors: list[Tensor], gates: Sequence[Tensor]) -> list[Tensor]:
    """All gates from left to right, then again from right to left: second order in all."""
    tensors, _ = right_canonical(tensors)
    for site, gate in enumerate(gates):
        tensors[site], tensors[site + 1] = _applied(tensors[site], tensors[site + 1], gate, to_right=True)
    for site in range(len(gates) - 1, -1, -1):
        tensors[site], tensors[site + 1] = _applied(tensors[site], tensors[site + 1], gates[site], to_right=False)
    return tensors


def _applied(left: Tensor, right: Tensor, gate: Tensor, to_right: bool) -> tuple[Tensor, Tensor]:
    """A gate on the qubits of two neighbours, the bond cut, the weights left with the one that comes next."""
    a, _, k, _ = left.shape
    _, _, m, b = right.shape
    both = np.einsum("askc,ctmb->asktmb", left, right, optimize=True)
    both = np.einsum("uvst,asktmb->aukvmb", gate.reshape(2, 2, 2, 2), both, optimize=True)
    u, s, v = np.linalg.svd(both.reshape(a * 2 * k, 2 * m * b), full_matrices=False)
    s = s / np.linalg.norm(s)
    tails = np.cumsum(s[::-1] ** 2)[::-1]
    keep = min(_LARGEST_BOND, max(1, int(np.sum(tails > _WEIGHT))))
    u, s, v = u[:, :keep], s[:keep], v[:keep]
    if to_right:
        v = s[:, None] * v
    else:
        u = u * s
    return u.reshape(a, 2, k, keep), v.reshape(keep, 2, m, b)
