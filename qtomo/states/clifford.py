"""Stabilisers of Clifford circuits, whose gates take Pauli products to such (Gottesman 1998, quant-ph/9807006)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from qtomo.measurement.povm import PAULIS
from qtomo.states.qasm import Gate
from qtomo.states.stabilisers import Stabilisers

__all__ = ["stabilisers_after"]

#: By which the coefficient of a Pauli product may be off 1: an angle off by 1e-6, as that of a rounded pi/2.
_TOLERANCE = 1e-12

_LETTERS = "IXZY"  # by x + 2 z


def stabilisers_after(n_sites: int, gates: Iterable[Gate]) -> Stabilisers | None:
    """Generators of the state that gates make of |0...0>; None where one of the gates is not a Clifford gate.

    >>> from qtomo.states.qasm import Gate
    >>> hadamard = Gate(np.array([[1, 1], [1, -1]]) / 2**0.5, (1,))
    >>> str(stabilisers_after(2, [hadamard]))
    '+ZI +IX'
    """
    x, z = np.zeros((n_sites, n_sites), np.uint8), np.eye(n_sites, dtype=np.uint8)
    negative = np.zeros(n_sites, np.uint8)
    for matrix, sites in gates:
        images = _images(np.ascontiguousarray(matrix, np.complex128).tobytes(), len(sites))
        if images is None:
            return None
        places = list(sites)
        codes = (x[:, places] + 2 * z[:, places]) @ (
            4 ** np.arange(len(sites))[::-1]
        )  # the first site's letter slowest
        letters = images[0][codes]
        x[:, places], z[:, places] = letters & 1, letters >> 1
        negative ^= images[1][codes]
    return Stabilisers(x, z, negative)


@functools.lru_cache(maxsize=1024)
def _images(raw: bytes, n_sites: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """What a gate makes of each Pauli product of its k sites, counted with the first site's letter slowest: letters
    (4**k, k), and whether the sign is minus (4**k,)."""
    size = 2**n_sites
    gate = np.frombuffer(raw, dtype=np.complex128).reshape(size, size)
    words = np.array(list(itertools.product(range(4), repeat=n_sites)), np.uint8)
    letters = [PAULIS[letter] for letter in _LETTERS]
    products = np.stack(letters if n_sites == 1 else [np.kron(one, other) for one in letters for other in letters])
    moved = gate @ products @ gate.conj().T
    overlaps = np.einsum("aij,bji->ab", products, moved).real / size
    found = np.abs(overlaps).argmax(axis=0)
    values = overlaps[found, np.arange(len(words))]
    if np.any(np.abs(np.abs(values) - 1) > _TOLERANCE):
        return None
    return words[found], (values < 0).astype(np.uint8)
