"""What every record would have been worth had one site been measured otherwise: exact, all sites in two sweeps.

With the environments from both ends of the chain, the probability of a record in which one element, M of site i, is
replaced by any other operator O is a linear function of O: P(a; O at i) = sum_p o_p P(a; sigma_p at i), with
o_p = Tr(O sigma_p)/2 and sigma_p of I, X, Y, Z. So four numbers a site tell the likelihood of every local fault, of
records that the state allows and of those that it forbids.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.measurement.povm import PAULIS
from qtomo.parallel import over_threads
from qtomo.states.born.scoring import ZERO, Scorer, rescaled

__all__ = ["LocalLikelihoods", "LocalScorer", "pauli_coefficients"]

_BYTES = 2 * 2**20  # of environments of one site at once; those of all sites are kept
_ZERO_SINGLE = 1e-5  # as `ZERO`, in single precision
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class LocalLikelihoods:
    """For a batch of records of N sites.

    Args:
        log_prob: ln P(a), (batch,); -inf for a record that is impossible.
        log_scale: ln P(a), or for an impossible record the logarithm of the largest of its weights, (batch,); -inf
            where they are all zero.
        weights: P(a; sigma_p at i)/exp(log_scale), (batch, n_sites, 4). So P(a; O at i) = exp(log_scale) sum_p o_p w_ip
            for every operator O, of impossible records as of others.
    """

    log_prob: Reals
    log_scale: Reals
    weights: Reals

    @cached_property
    def chance(self) -> Reals:
        """P(a)/exp(log_scale): 1, or 0 for an impossible record, (batch,)."""
        possible = np.isfinite(self.log_prob)
        logs, scale = (np.where(possible, array, 0.0) for array in (self.log_prob, self.log_scale))
        return np.where(possible, np.exp(logs - scale), 0.0)

    def patched(self, rows: NDArray[np.intp], exact: LocalLikelihoods) -> LocalLikelihoods:
        """With some rows as `exact` has them."""
        parts = [array.copy() for array in (self.log_prob, self.log_scale, self.weights)]
        for array, values in zip(parts, (exact.log_prob, exact.log_scale, exact.weights), strict=True):
            array[rows] = values
        return LocalLikelihoods(*parts)

    @classmethod
    def from_traces(
        cls, log_prob: Reals, impossible: NDArray[np.bool_], traces: Reals, logs: Reals
    ) -> LocalLikelihoods:
        """From P(a; sigma_p at i) as traces (batch, n_sites, 4) times exp(logs), (batch, n_sites)."""
        with np.errstate(divide="ignore"):
            largest = (logs + np.log(np.abs(traces).max(axis=2))).max(axis=1)
        scale = np.where(impossible, largest, log_prob)
        with np.errstate(invalid="ignore"):
            factors = np.exp(np.minimum(logs - scale[:, None], 700.0))
        factors = np.where(np.isfinite(scale)[:, None] & np.isfinite(logs), factors, 0.0)
        return cls(np.where(impossible, -np.inf, log_prob), scale, traces * factors[:, :, None])


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
        self._zero = _ZERO_SINGLE if single else ZERO
        self._from_left = Scorer(tensors, elements, device, single)
        self._from_right = Scorer(mirrored, elements[::-1], device, single)
        self._tensors = [torch.tensor(tensor, dtype=self._from_left.dtype, device=device) for tensor in tensors]
        effects = np.concatenate([elements, elements.sum(axis=1, keepdims=True)], axis=1)
        self._effects = torch.tensor(pauli_coefficients(effects), device=device)

    def likelihoods(self, outcomes: Outcomes) -> tuple[LocalLikelihoods, NDArray[np.bool_]]:
        """Local likelihoods of records (batch, n_sites), 255 where lost; and which are impossible, as far as the
        precision tells, (batch,).
        """
        chunk = max(64, _BYTES // (self._from_left.dtype.itemsize * self._from_left.bond_dim**2))
        blocks = [outcomes[first : first + chunk] for first in range(0, max(1, len(outcomes)), chunk)]
        parts = over_threads(self._likelihoods, blocks)
        found = [np.concatenate(values) for values in zip(*parts, strict=True)]
        return LocalLikelihoods.from_traces(*found), found[1]

    def _likelihoods(self, outcomes: Outcomes) -> tuple[Reals, NDArray[np.bool_], Reals, Reals]:
        """ln P, which records are impossible, traces (rows, n_sites, 4) and their log scales (rows, n_sites)."""
        labels = np.ascontiguousarray(np.where(outcomes == LOST, self._effects.shape[1] - 1, outcomes).T)
        n_sites, rows = labels.shape
        rights = self._rights(labels)
        left, log_left = self._from_left.start(rows), torch.zeros(rows, dtype=torch.float64, device=self._device)
        log_prob = log_left
        impossible = torch.isinf(rights[1][1]) if n_sites > 1 else torch.zeros_like(log_left, dtype=torch.bool)
        traces, logs = [], []
        for site in range(n_sites):
            right, log_right = rights[site + 1]
            found = self._traces(left, self._tensors[site], right)
            effects = self._effects[site][torch.from_numpy(labels[site].astype(np.int64)).to(self._device)]
            norm = (effects * found).sum(1)
            zero = norm <= self._zero * found.abs().amax(1)
            impossible = impossible | zero
            log_prob = log_left + log_right + torch.log(torch.where(zero, 1.0, norm))
            traces.append(found)
            logs.append(log_left + log_right)
            left, grown = self._stepped(self._from_left.advance(site, left, labels[site]))
            log_left = log_left + grown
        return (
            log_prob.cpu().numpy(),
            impossible.cpu().numpy(),
            torch.stack(traces, dim=1).cpu().numpy(),
            torch.stack(logs, dim=1).cpu().numpy(),
        )

    def _stepped(self, environment: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rescaled environments, and zero with scale -inf where one has vanished but for rounding."""
        environment, grown = rescaled(environment)
        gone = grown < math.log(self._zero)
        if gone.any():
            environment[:, gone] = 0
            grown = torch.where(gone, -math.inf, grown)
        return environment, grown

    def _rights(self, labels: NDArray[np.integer]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Environments of the sites from `site` on, and their logarithmic scales, for site 0 (not made) to n_sites."""
        n_sites, rows = labels.shape
        environment, scale = self._from_right.start(rows), torch.zeros(rows, dtype=torch.float64, device=self._device)
        found = [(environment, scale)]
        for mirror in range(n_sites - 1):
            environment, grown = self._stepped(
                self._from_right.advance(mirror, environment, labels[n_sites - 1 - mirror])
            )
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


def _product(matrices: torch.Tensor, environment: torch.Tensor) -> torch.Tensor:
    """(k, new, first) times (first, rows, last): (k, new, rows, last)."""
    k, new, first = matrices.shape
    _, rows, last = environment.shape
    flat = matrices.reshape(k * new, first) @ environment.reshape(first, rows * last)
    return flat.view(k, new, rows, last)


def _inner(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Sum over all but the rows of (c, rows, b)."""
    return (u * v).sum((0, 2))
