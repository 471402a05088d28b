"""Operators of a few qubits by their 4**N coefficients of Pauli products, and maps that act site by site on those.

A map of one qubit's 4 numbers, or of its K outcomes, is applied to all N sites in turn: no matrix of 4**N by K**N is
ever made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.measurement.povm import PAULIS

__all__ = ["along_sites", "from_paulis", "to_paulis"]

Reals = NDArray[np.float64]

_STACK = np.stack([PAULIS[p] for p in "IXYZ"])  # (p, row, column)


def along_sites(tensor: NDArray[Any], maps: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Tensors with one index a site, each of them put through a matrix (new, old): one matrix product a site.

    Args:
        tensor: shape (..., old_0, ..., old_N-1).
        maps: one (new_i, old_i) matrix a site.
    """
    batch = tensor.shape[: tensor.ndim - len(maps)]
    tensor = tensor.reshape(math.prod(batch), math.prod(matrix.shape[1] for matrix in maps)).T
    for matrix in maps:
        tensor = tensor.reshape(matrix.shape[1], tensor.size // matrix.shape[1]).T @ matrix.T
    return tensor.reshape(*batch, *(len(matrix) for matrix in maps))


def to_paulis(matrix: NDArray[np.complex128]) -> Reals:
    """Tr(A P_0 x ... x P_N-1) of Hermitian A (..., 2**N, 2**N), for all products of I, X, Y, Z: (..., 4, ..., 4)."""
    n, batch = matrix.shape[-1].bit_length() - 1, matrix.shape[:-2]
    paired = [len(batch) + k for i in range(n) for k in (i, n + i)]
    pairs = matrix.reshape(*batch, *(2,) * (2 * n)).transpose(*range(len(batch)), *paired)
    frame = _STACK.transpose(0, 2, 1).reshape(4, 4)
    return np.ascontiguousarray(along_sites(pairs.reshape(*batch, *(4,) * n), [frame] * n).real)


def from_paulis(coefficients: Reals, n_sites: int | None = None) -> NDArray[np.complex128]:
    """The operator sum_P c_P P, complex (..., 2**N, 2**N), of real c (..., 4, ..., 4) with N indices of 4, all where
    N is not given. A state is that of its <P> / 2**N.
    """
    n = coefficients.ndim if n_sites is None else n_sites
    batch = coefficients.shape[: coefficients.ndim - n]
    pairs = along_sites(coefficients, [_STACK.reshape(4, 4).T] * n).reshape(*batch, *(2,) * (2 * n))
    rows_first = [len(batch) + k for k in (*range(0, 2 * n, 2), *range(1, 2 * n, 2))]
    return np.ascontiguousarray(pairs.transpose(*range(len(batch)), *rows_first)).reshape(*batch, 2**n, 2**n)
