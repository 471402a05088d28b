"""What every record would have been worth had two neighbours been measured otherwise.

As for one site (`local_likelihoods.py`): P(a; O at i, O' at i + 1) is a linear function of both operators, so that
sixteen numbers a pair of neighbours tell the likelihood of any error of both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.measurement.povm import PAULIS
from qtomo.states.mps import MPS

__all__ = ["neighbour_ratios"]

Reals = NDArray[np.float64]

_WEIGHT = 1e-10  # Schmidt weight that is left out a cut
_BYTES = 2**26  # of environments of all sites at once


def neighbour_ratios(state: MPS, coefficients: Reals, labels: Outcomes) -> Iterator[tuple[slice, int, Reals]]:
    """P(a; sigma_p at i, sigma_q at i + 1)/P(a) of records, piece by piece and pair by pair.

    Args:
        state: that was measured.
        coefficients: of I, X, Y, Z in the elements, (n_sites, K, 4).
        labels: the records, which the state allows, (n, n_sites), 255 where lost.

    Yields:
        Which records, the first site of the pair, and ratios (records, 4, 4).
    """
    tensors = [torch.tensor(t, dtype=torch.complex64) for t in state.truncate(weight=_WEIGHT)[0].tensors]
    mirrored = [t.permute(2, 1, 0).contiguous() for t in tensors]
    whole = np.concatenate([coefficients, coefficients.sum(axis=1, keepdims=True)], axis=1)
    n_sites = len(tensors)
    size = 8 * n_sites * max(t.shape[0] for t in tensors) ** 2
    step = max(32, _BYTES // size)
    for first in range(0, len(labels), step):
        piece = slice(first, min(first + step, len(labels)))
        chosen = np.where(labels[piece] == LOST, whole.shape[1] - 1, labels[piece])
        mine = torch.tensor(whole[np.arange(n_sites), chosen], dtype=torch.complex64)  # (rows, n_sites, 4)
        rights = [torch.ones(1, len(chosen), 1, dtype=torch.complex64)]
        for site in range(n_sites - 1, 1, -1):
            rights.append(_closed(_opened(rights[-1], mirrored[site]), mine[:, site]))
        left = torch.ones(1, len(chosen), 1, dtype=torch.complex64)
        for site in range(n_sites - 1):
            here = _opened(left, tensors[site])
            there = _opened(rights.pop(), mirrored[site + 1])
            found = torch.einsum("pbrk,qbrk->rpq", here, there)
            chance = torch.einsum("rp,rpq,rq->r", mine[:, site], found, mine[:, site + 1])
            yield piece, site, (found / chance[:, None, None]).real.double().numpy()
            left = _closed(here, mine[:, site])


def _opened(environment: Any, tensor: Any) -> Any:
    """An environment (bra, row, ket) through a site with each of I, X, Y, Z on it: (4, bra, row, ket)."""
    bra, rows, ket = environment.shape
    last = tensor.shape[2]
    half = environment.reshape(bra * rows, ket) @ tensor.reshape(ket, 2 * last)
    both = tensor.conj().permute(1, 2, 0).reshape(2 * last, bra) @ half.reshape(bra, rows * 2 * last)
    both = both.reshape(2, last, rows, 2, last)  # s, bra, row, t, ket
    paulis = torch.tensor(np.stack([PAULIS[p] for p in "IXYZ"]), dtype=torch.complex64)
    return torch.einsum("pst,sbrtk->pbrk", paulis, both)


def _closed(opened: Any, coefficients: Any) -> Any:
    """That with the elements that were seen, rescaled: (bra, row, ket)."""
    found = torch.einsum("rp,pbrk->brk", coefficients, opened)
    return found / found.abs().amax(dim=(0, 2), keepdim=True)
