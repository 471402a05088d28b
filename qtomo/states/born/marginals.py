"""What a state says of each qubit and of each pair of qubits: expectations of all products of one or two Paulis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.measurement.povm import PAULIS
from qtomo.states.density import DensityMatrix
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS

__all__ = ["Marginals", "marginals"]

Reals = NDArray[np.float64]
Tensor = NDArray[Any]

_STACK = np.stack([PAULIS[p] for p in "IXYZ"])


@dataclass(frozen=True, eq=False)
class Marginals:
    """Expectations by site, over I, X, Y, Z.

    Args:
        sites: <P_i>, (n_sites, 4).
        pairs: <P_i Q_j> for i < j, (number of pairs, 4, 4).
        places: i and j of each pair, (number of pairs, 2).
    """

    sites: Reals
    pairs: Reals
    places: NDArray[np.int64]

    def mixed(self, share: float, other: Marginals) -> Marginals:
        """Those of a mixture with a share of another state, of the same pairs."""
        keep = 1 - share
        return Marginals(keep * self.sites + share * other.sites, keep * self.pairs + share * other.pairs, self.places)


def marginals(state: MPS | LPDO | DensityMatrix, reach: int | None = None) -> Marginals:
    """All one- and two-qubit expectations of a state, of pairs at most `reach` sites apart where that is given."""
    n_sites = state.n_sites
    reach = n_sites if reach is None else reach
    places = [(i, j) for i in range(n_sites) for j in range(i + 1, min(n_sites, i + reach + 1))]
    if isinstance(state, DensityMatrix):
        sites, pairs = _of_density(state, places)
    else:
        sites, pairs = _of_chain(state, reach)
    return Marginals(sites, pairs, np.array(places, dtype=np.int64).reshape(-1, 2))


def _of_density(state: DensityMatrix, places: list[tuple[int, int]]) -> tuple[Reals, Reals]:
    values, n = state.pauli_values, state.n_sites

    def at(*sites: int) -> Reals:
        kept: Reals = values[tuple(slice(None) if site in sites else 0 for site in range(n))]
        return kept

    sites = np.array([at(i) for i in range(n)])
    return sites, np.array([at(i, j) for i, j in places]).reshape(-1, 4, 4)


def _of_chain(state: MPS | LPDO, reach: int) -> tuple[Reals, Reals]:
    """With the environments of a right-canonical chain, what lies right of the last operator is the identity."""
    stride = 1 + state.ancillas if isinstance(state, LPDO) else 1
    tensors = state.purification.tensors if isinstance(state, LPDO) else state.tensors
    if stride == 1 and all(tensor.shape[::2] == (1, 1) for tensor in tensors):
        return _of_product(np.stack([tensor[0, :, 0] for tensor in tensors]), reach)
    left = np.ones((1, 1))
    sites, pairs = [], []
    for site in range(0, len(tensors), stride):
        opened = _opened(left[None], tensors[site])[0]  # (4, bond, bond)
        sites.append(np.einsum("paa->p", opened).real)
        left = opened[0]
        last = min(len(tensors), site + (reach + 1) * stride)
        for place in range(site + 1, last):
            if place % stride:
                opened = _opened(opened, tensors[place])[:, 0]
                continue
            both = _opened(opened, tensors[place])  # (p, q, bond, bond)
            pairs.append(np.einsum("pqaa->pq", both).real)
            opened = both[:, 0]
        for place in range(site + 1, site + stride):
            left = _opened(left[None], tensors[place])[0, 0]
    return np.array(sites), np.array(pairs).reshape(-1, 4, 4)


def _of_product(kets: Tensor, reach: int) -> tuple[Reals, Reals]:
    """Of a product of one ket a site, (n_sites, 2)."""
    sites = np.einsum("ns,pst,nt->np", kets.conj(), _STACK, kets).real
    n = len(sites)
    places = np.array([(i, j) for i in range(n) for j in range(i + 1, min(n, i + reach + 1))], dtype=int).reshape(-1, 2)
    return sites, np.einsum("kp,kq->kpq", sites[places[:, 0]], sites[places[:, 1]])


def _opened(left: Tensor, tensor: Tensor) -> Tensor:
    """Environments (k, bra, ket) through a site with each of I, X, Y, Z on it: (k, 4, bra, ket)."""
    half = np.einsum("kab,bsc->kasc", left, tensor, optimize=True)
    half = np.einsum("kasc,atd->kdtsc", half, tensor.conj(), optimize=True)
    return np.asarray(np.einsum("kdtsc,pts->kpdc", half, _STACK, optimize=True))
