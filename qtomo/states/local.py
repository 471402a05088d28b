"""What every record would have been worth had one site been measured otherwise: exact, all sites in two sweeps.

With the environments from both ends of the chain, the probability of a record in which one element, M of site i, is
replaced by any other operator O is a linear function of O: P(a; O at i)/P(a) = sum_p o_p w_ip(a), with
o_p = Tr(O sigma_p)/2 and sigma_p of I, X, Y, Z. So the weights w tell at once the likelihood of every local fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.povm import PAULIS
from qtomo.states.scoring import Scorer, rescaled

__all__ = ["LocalScorer", "LocalWeights", "pauli_coefficients"]

_BYTES = 2 * 2**20  # of environments of one site at once; those of all sites are kept
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class LocalWeights:
    """For a batch of records of N sites.

    Args:
        log_prob: ln P(a), (batch,).
        weights: w, (batch, n_sites, 4).
        swapped: ln P(a with the outcomes of sites i and i + 1 exchanged) - ln P(a), (batch, n_sites - 1); empty
            where not asked for.
    """

    log_prob: Reals
    weights: Reals
    swapped: Reals


def pauli_coefficients(operators: NDArray[np.complex128]) -> Reals:
    """o_p = Tr(O sigma_p)/2 of Hermitian operators (..., 2, 2): (..., 4)."""
    found: Reals = np.einsum("...ij,pji->...p", operators, np.stack([PAULIS[p] for p in "IXYZ"])).real / 2
    return found


class LocalScorer:
    """Local weights of records of a state measured by any elements.

    Args:
        tensors: of the state, real or complex.
        elements: complex (n_sites, K, 2, 2).
        device: where to work.
        single: whether single precision will do.
    """

    def __init__(
        self,
        tensors: Sequence[NDArray[Any]],
        elements: NDArray[np.complex128],
        device: torch.device,
        single: bool = False,
    ) -> None:
        mirrored = [tensor.transpose(2, 1, 0) for tensor in reversed(tensors)]
        self._device = device
        self._from_left = Scorer(tensors, elements, device, single)
        self._from_right = Scorer(mirrored, elements[::-1], device, single)
        self._tensors = [torch.tensor(tensor, dtype=self._from_left.dtype, device=device) for tensor in tensors]
        effects = np.concatenate([elements, elements.sum(axis=1, keepdims=True)], axis=1)
        self._effects = torch.tensor(pauli_coefficients(effects), device=device)

    def weigh(self, outcomes: Outcomes, swaps: bool = False) -> LocalWeights:
        """Of records (batch, n_sites), 255 where lost."""
        chunk = max(64, _BYTES // (self._from_left.dtype.itemsize * self._from_left.bond_dim**2))
        n, n_sites = outcomes.shape
        log_prob, weights = np.empty(n), np.empty((n, n_sites, 4))
        swapped = np.empty((n, n_sites - 1 if swaps else 0))
        n_outcomes = self._effects.shape[1] - 1
        for first in range(0, n, chunk):
            part = slice(first, first + chunk)
            labels = np.where(outcomes[part] == LOST, n_outcomes, outcomes[part]).T
            log_prob[part], weights[part], swapped[part] = self._weigh(labels, swaps)
        return LocalWeights(log_prob, weights, swapped)

    def _weigh(self, labels: NDArray[np.integer], swaps: bool) -> tuple[Reals, Reals, Reals]:
        n_sites, rows = labels.shape
        rights = self._rights(labels)
        left, log_left = self._from_left.start(rows), torch.zeros(rows, dtype=torch.float64, device=self._device)
        log_prob = log_left
        weights, swapped = [], []
        for site in range(n_sites):
            right, log_right = rights[site + 1]
            found = self._traces(left, self._tensors[site], right)
            norm = (self._effects[site][torch.from_numpy(labels[site].astype(np.int64)).to(self._device)] * found).sum(
                1
            )
            log_prob = log_left + log_right + torch.log(norm)
            weights.append(found / norm[:, None])
            if swaps and site < n_sites - 1:
                swapped.append(self._swapped(site, left, labels, rights[site + 2]) + log_left - log_prob)
            left, scale = rescaled(self._from_left.advance(site, left, labels[site]))
            log_left = log_left + scale
        return (
            log_prob.cpu().numpy(),
            torch.stack(weights, dim=1).cpu().numpy(),
            torch.stack(swapped, dim=1).cpu().numpy() if swapped else np.empty((rows, 0)),
        )

    def _rights(self, labels: NDArray[np.integer]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Environments of the sites from `site` on, and their logarithmic scales, for site 0 (not made) to n_sites."""
        n_sites, rows = labels.shape
        environment, scale = self._from_right.start(rows), torch.zeros(rows, dtype=torch.float64, device=self._device)
        found = [(environment, scale)]
        for mirror in range(n_sites - 1):
            environment, grown = rescaled(self._from_right.advance(mirror, environment, labels[n_sites - 1 - mirror]))
            scale = scale + grown
            found.append((environment, scale))
        return [found[-1], *found[::-1]]

    def _traces(self, left: torch.Tensor, tensor: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Tr(sigma_p rho) of the site's unnormalised state given all other outcomes, (rows, 4).

        G_ts = sum conj(A_t) L A_s R. Real tensors: L and R are K = real + imaginary part, the first symmetric and the
        other antisymmetric, so that sums of K with K and of its transpose with K^T give both parts of G.
        """
        bra = tensor.conj().resolve_conj()
        near, far = bra.permute(1, 2, 0), bra.permute(1, 0, 2)  # (t, c, b), (s, b, c)
        v = _product(far, right).permute(0, 3, 2, 1).contiguous()  # (s, c, rows, b)
        u = _product(near, left)  # (t, c, rows, b)
        if tensor.is_complex():
            v = v.conj().resolve_conj()
            g00, g11, g01 = (_inner(u[t], v[s]) for t, s in ((0, 0), (1, 1), (0, 1)))
            real, imaginary = g01.real, g01.imag
            g00, g11 = g00.real, g11.real
        else:
            g00, g11 = _inner(u[0], v[0]), _inner(u[1], v[1])
            real = (_inner(u[0], v[1]) + _inner(u[1], v[0])) / 2
            w = _product(near, left.transpose(0, 2).contiguous())
            imaginary = (_inner(w[1], v[0]) - _inner(w[0], v[1])) / 2
        return torch.stack([g00 + g11, 2 * real, 2 * imaginary, g00 - g11], dim=1).double()

    def _swapped(
        self,
        site: int,
        left: torch.Tensor,
        labels: NDArray[np.integer],
        right: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        """ln of the probability with two neighbours' outcomes exchanged, less the scale of `left`."""
        moved = self._from_left.advance(site, left, labels[site + 1])
        moved = self._from_left.advance(site + 1, moved, labels[site])
        other = right[0] if moved.is_complex() else right[0].transpose(0, 2)
        return torch.log((moved * other).sum((0, 2)).real.double().clamp_min(0)) + right[1]


def _product(matrices: torch.Tensor, environment: torch.Tensor) -> torch.Tensor:
    """(k, new, first) times (first, rows, last): (k, new, rows, last)."""
    k, new, first = matrices.shape
    _, rows, last = environment.shape
    flat = matrices.reshape(k * new, first) @ environment.reshape(first, rows * last)
    return flat.view(k, new, rows, last)


def _inner(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Sum over all but the rows of (c, rows, b)."""
    return (u * v).sum((0, 2))
