"""Gates on a matrix-product state, and a bound on what truncating its bonds costs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.states.mps import MPS
from qtomo.states.qasm import Gate

__all__ = ["apply_gates"]

Tensor = NDArray[Any]

_ROUNDING = 1e-14  # Schmidt values below this share of the largest are rounding errors
_SWAP = np.eye(4)[[0, 2, 1, 3]]


def apply_gates(n_sites: int, gates: Iterable[Gate], bond_dim: int) -> tuple[MPS, float]:
    """The state that gates make of |0...0>, with bonds of at most `bond_dim`.

    Gates between distant sites carry one qubit to the other and back by swaps. A cut keeps its largest Schmidt values.

    Returns:
        The state, and a bound on its infidelity 1 - |<exact|state>|^2. A truncation that discards a share e of the
        weight turns the state by an angle arcsin(sqrt(e)); angles add at most, and the infidelity is at most the
        squared sine of their sum. Rounding errors are not counted.

    >>> flip = Gate(np.array([[0, 1], [1, 0]]), (0,))
    >>> apply_gates(2, [flip], bond_dim=4)[0].to_statevector().tolist()
    [0.0, 0.0, 1.0, 0.0]
    """
    chain = _Chain(n_sites, bond_dim)
    for matrix, sites in gates:
        if len(sites) == 1:
            chain.one(matrix, sites[0])
        else:
            chain.two(matrix, *sites)
    bound = math.sin(min(chain.angle, math.pi / 2)) ** 2
    return MPS(chain.tensors), bound


class _Chain:
    """Tensors (left, 2, right), orthonormal towards a centre on both sides."""

    def __init__(self, n_sites: int, bond_dim: int) -> None:
        self.tensors: list[Tensor] = [np.array([1.0, 0.0], np.complex128).reshape(1, 2, 1)] * n_sites
        self.angle = 0.0
        self._bond_dim = bond_dim
        self._centre = 0

    def one(self, matrix: Tensor, site: int) -> None:
        """A gate of one qubit, which leaves the bonds as they are."""
        self.tensors[site] = np.einsum("st,atb->asb", matrix, self.tensors[site])

    def two(self, matrix: Tensor, first: int, second: int) -> None:
        """A gate of two qubits, wherever they are."""
        if first > second:
            first, second = second, first
            matrix = _SWAP @ matrix @ _SWAP
        for site in range(second - 1, first, -1):
            self._neighbours(_SWAP, site)
        self._neighbours(matrix, first)
        for site in range(first + 1, second):
            self._neighbours(_SWAP, site)

    def _neighbours(self, matrix: Tensor, site: int) -> None:
        """A gate of a site and the next one."""
        self._move(site)
        left, right = self.tensors[site], self.tensors[site + 1]
        pair = np.tensordot(left, right, axes=1)
        pair = np.tensordot(pair, matrix.reshape(2, 2, 2, 2), axes=((1, 2), (2, 3))).transpose(0, 2, 3, 1)
        u, s, v = np.linalg.svd(pair.reshape(2 * left.shape[0], -1), full_matrices=False)
        keep = min(max(1, int(np.sum(s > _ROUNDING * s[0]))), self._bond_dim)
        total = float(np.sum(s**2))
        if keep == self._bond_dim:
            self.angle += math.asin(math.sqrt(min(1.0, float(np.sum(s[keep:] ** 2)) / total)))
        self.tensors[site] = u[:, :keep].reshape(left.shape[0], 2, keep)
        kept = s[:keep] / np.linalg.norm(s[:keep])
        self.tensors[site + 1] = (kept[:, None] * v[:keep]).reshape(keep, 2, right.shape[2])
        self._centre = site + 1

    def _move(self, site: int) -> None:
        """Bring the centre to a site or the next one, whichever is nearer."""
        while self._centre < site:
            tensor = self.tensors[self._centre]
            q, r = np.linalg.qr(tensor.reshape(-1, tensor.shape[2]))
            self.tensors[self._centre] = q.reshape(tensor.shape[0], 2, -1)
            self._centre += 1
            self.tensors[self._centre] = np.tensordot(r, self.tensors[self._centre], axes=1)
        while self._centre > site + 1:
            tensor = self.tensors[self._centre]
            q, r = np.linalg.qr(tensor.reshape(tensor.shape[0], -1).conj().T)
            self.tensors[self._centre] = q.conj().T.reshape(-1, 2, tensor.shape[2])
            self._centre -= 1
            self.tensors[self._centre] = np.tensordot(self.tensors[self._centre], r.conj().T, axes=1)
