"""Exact log-probabilities of records of a matrix-product state, grouped by outcome so that all is matrix products.

The (bond, bond) environment of each record, L' = sum_ts M_ts A_t^dagger L A_s for an outcome with element M, is
carried along the chain (Schollwoeck 2011, arXiv 1008.3477, section 4.2). Environments lie as (bra, record, ket),
so that both sides of one outcome's records are multiplied without moving them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.parallel import over_threads

__all__ = ["ZERO", "Scorer", "rescaled"]

#: A conditional probability below which it is zero as far as rounding tells, in double precision.
ZERO = 1e-13

_BYTES = 3 * 2**20  # of environments at once: enough for long matrix products, few enough for the cache
_LANES = 12  # matrix products with few columns are twice as fast where these are a whole multiple of it
_RESCALE = 16  # sites between rescalings: norms fall by a probability per site, and float64 ends at 1e-308


class Scorer:
    """ln P of records of a state measured by any elements, in float64 (or complex128 for complex tensors).

    Args:
        tensors: of the state, right-canonical, real or complex.
        elements: complex (n_sites, K, 2, 2).
        device: where to work.
        single: whether single precision will do, which adds about 1e-5 nats.
    """

    def __init__(
        self,
        tensors: Sequence[NDArray[Any]],
        elements: NDArray[np.complex128],
        device: torch.device,
        single: bool = False,
    ) -> None:
        precise, fast = (
            (torch.complex128, torch.complex64) if np.iscomplexobj(tensors[0]) else (torch.float64, torch.float32)
        )
        self.dtype = fast if single else precise
        self._device = device
        self._n_outcomes = elements.shape[1]
        lost = elements.sum(axis=1, keepdims=True)  # the effect of an outcome that was lost: the identity
        effects = np.concatenate([elements, lost], axis=1)
        self._given = tensors, effects
        #: Largest bond dimension.
        self.bond_dim: int = max(max(tensor.shape[0], tensor.shape[2]) for tensor in tensors)
        #: Of a product state ln P of each outcome of each site, 0 where lost, (n_sites, K + 1): nothing else is needed.
        self._alone = _alone(tensors, effects) if self.bond_dim == 1 else None

    @cached_property
    def _sites(self) -> list[list[_Effect]]:
        def convert(array: NDArray[Any]) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(dtype=self.dtype, device=self._device)

        return [_effects(*one, self.dtype.is_complex, convert) for one in zip(*self._given, strict=True)]

    def log_prob(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """(batch, n_sites) outcomes, 255 where lost, to (batch,)."""
        if self._alone is not None:
            labels = np.where(outcomes == LOST, self._n_outcomes, outcomes)
            return np.asarray(self._alone[np.arange(labels.shape[1]), labels].sum(axis=1))
        if not len(outcomes):
            return np.empty(0)
        chunk = max(64, _BYTES // (self.dtype.itemsize * self.bond_dim**2))
        blocks = [outcomes[first : first + chunk] for first in range(0, len(outcomes), chunk)]
        return np.concatenate(list(over_threads(self._score, blocks)))

    def _score(self, outcomes: Outcomes) -> NDArray[np.float64]:
        labels = np.ascontiguousarray(np.where(outcomes == LOST, self._n_outcomes, outcomes).T)
        n_sites, rows = labels.shape
        # At each site the records stand sorted by outcome.
        order = np.argsort(labels.astype(np.uint8), axis=1, kind="stable")
        place = np.empty_like(order)
        np.put_along_axis(place, order, np.arange(rows)[None], axis=1)
        environment = self.start(rows)
        log_prob = torch.zeros(rows, dtype=torch.float64, device=self._device)
        # The trace of an environment is the probability of the outcomes so far, if the tensors are right-canonical.
        so_far = torch.ones(rows, dtype=environment.real.dtype, device=self._device)
        for site in range(n_sites):
            turn = order[site] if site == 0 else place[site - 1][order[site]]
            environment = self._close(site, environment, turn, labels[site])
            before = so_far[torch.from_numpy(turn).to(self._device)]
            so_far = environment.diagonal(dim1=0, dim2=2).real.sum(1)
            zero = so_far <= ZERO * before
            if zero.any():
                environment[:, zero] = 0
                so_far = torch.where(zero, 0, so_far)
            if site % _RESCALE == _RESCALE - 1 or site == n_sites - 1:
                environment, scale = rescaled(environment)
                so_far = environment.diagonal(dim1=0, dim2=2).real.sum(1)
                log_prob[torch.from_numpy(order[site]).to(self._device)] += scale
        return log_prob.cpu().numpy()

    def start(self, rows: int) -> torch.Tensor:
        """The environments before site 0, (1, rows, 1)."""
        return torch.ones((1, rows, 1), dtype=self.dtype, device=self._device)

    def advance(self, site: int, environment: torch.Tensor, labels: NDArray[np.integer]) -> torch.Tensor:
        """Environments (left, rows, left) through a site with labels (rows,), K where lost: (right, rows, right)."""
        order = np.argsort(labels.astype(np.uint8), kind="stable")
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        closed = self._close(site, environment, order, labels)
        return closed.index_select(1, torch.from_numpy(back).to(self._device))

    def _close(
        self, site: int, environment: torch.Tensor, turn: NDArray[np.intp], labels: NDArray[np.integer]
    ) -> torch.Tensor:
        """Environments taken in the order `turn`, which sorts their labels, and closed in that order."""
        effects = self._sites[site]
        environment = environment.index_select(1, torch.from_numpy(turn).to(self._device))
        closed = torch.empty((effects[0].right, len(turn), effects[0].right), dtype=self.dtype, device=self._device)
        first = 0
        for effect, count in zip(effects, np.bincount(labels, minlength=len(effects)).tolist(), strict=True):
            if count:
                part = slice(first, first + count)
                effect.close(environment[:, part], closed[:, part])
            first += count
        return closed


def _alone(tensors: Sequence[NDArray[Any]], effects: NDArray[np.complex128]) -> NDArray[np.float64]:
    """ln P of each effect of each site of a product state, (n_sites, effects)."""
    kets = np.stack([tensor[0, :, 0] for tensor in tensors])
    chances = np.einsum("ns,nast,nt->na", kets.conj(), effects, kets).real
    with np.errstate(divide="ignore"):
        return np.log(np.where(chances > ZERO, chances, 0.0))


def rescaled(environment: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Environments with largest entry 1, and the logarithm of what it was, (rows,)."""
    scale = environment.abs().amax(dim=(0, 2))
    return environment / scale.clamp_min(torch.finfo(scale.dtype).tiny)[None, :, None], torch.log(scale.double())


Convert = Callable[[NDArray[Any]], torch.Tensor]


def _effects(
    tensor: NDArray[Any], elements: NDArray[np.complex128], is_complex: bool, convert: Convert
) -> list[_Effect]:
    """One site and each of its effects, complex (effects, 2, 2)."""
    left, _, right = tensor.shape
    symmetric = elements if is_complex else elements.real
    skew = np.zeros(len(elements)) if is_complex else elements[:, 0, 1].imag
    # A 2 x 2 matrix has rank one where its determinant vanishes.
    determinant = (symmetric[:, 0, 0] * symmetric[:, 1, 1] - symmetric[:, 0, 1] * symmetric[:, 1, 0]).real
    rank_one = (np.abs(determinant) < 1e-15) & (skew == 0)
    width = right + -right % _LANES
    padded = np.zeros((left, 2, width), dtype=np.complex128 if is_complex else np.float64)
    padded[:, :, :right] = tensor
    two_bras = tensor.conj().transpose(1, 2, 0).reshape(2 * right, left)
    two_kets = np.einsum("kts,lsr->ktlr", symmetric, padded)
    # e = [[0, 1], [-1, 0]]: bra 0 meets ket 1, bra 1 meets minus ket 0.
    turned = np.stack([padded[:, 1], -padded[:, 0]])
    values, vectors = np.linalg.eigh(symmetric)
    kets = np.einsum("ks,lsr->klr", np.sqrt(values[:, 1:].clip(0)) * vectors[:, :, 1].conj(), padded)
    found = []
    for index in range(len(elements)):
        if rank_one[index]:
            one = kets[index]
            found.append(_Effect(one[:, :right].conj().T, one[None], None, right, convert))
            continue
        twisted = skew[index] * turned if skew[index] else None
        found.append(_Effect(two_bras, two_kets[index], twisted, right, convert))
    return found


class _Effect:
    """One site and one effect M: environments to the next site's.

    L' is the sum over the terms of M = sum_k |u_k><w_k| of (sum_t u_kt A_t)^dagger L (sum_s w_ks A_s): one term
    where the rank is one, two otherwise.

    For a real tensor the Hermitian L = R + iI (R symmetric, I antisymmetric) is carried as the one real matrix
    K = R + I. With M = S + i y e (S real symmetric, e antisymmetric, e_01 = 1) the next one is
    K' = sum S_ts A_t^T K A_s - y (sum e_ts A_t^T K A_s)^T, half the work of complex numbers.
    """

    def __init__(
        self, bras: NDArray[Any], kets: NDArray[Any], turned: NDArray[Any] | None, right: int, convert: Convert
    ) -> None:
        self.right = right
        #: (terms * right, left), then (terms, left, right) twice, with columns of zeros
        self._bras, self._kets = convert(bras), convert(kets)
        self._skew = None if turned is None else convert(turned)

    def close(self, environment: torch.Tensor, out: torch.Tensor) -> None:
        """(left, records, left), bra index first, to `out` (right, records, right)."""
        left, records, _ = environment.shape
        half = self._bras @ _matrix(environment)
        half = half.view(-1, self.right * records, left)
        flat = torch.mm(half[0], self._kets[0])
        for bra, ket in zip(half[1:], self._kets[1:], strict=True):
            flat.addmm_(bra, ket)
        if self._skew is None:
            out.copy_(flat.view(self.right, records, -1)[:, :, : self.right])
            return
        turned = torch.mm(half[0], self._skew[0]).addmm_(half[1], self._skew[1])
        plain, turned = (m.view(self.right, records, -1)[:, :, : self.right] for m in (flat, turned))
        torch.sub(plain, turned.transpose(0, 2), out=out)


def _matrix(environment: torch.Tensor) -> torch.Tensor:
    """(left, records, left) as (left, records * left), without a copy where the records are neighbours."""
    left, records, width = environment.shape
    return environment.as_strided((left, records * width), (environment.stride(0), 1))
