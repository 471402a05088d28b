"""The exact distribution of measurement outcomes of a matrix-product state: sample it, score it.

Sampling walks the chain once with one row vector a record (perfect sampling, Ferris and Vidal 2012,
arXiv 1201.3974): elements of rank two are split into rank-one sub-outcomes, which keep the vector a
vector, and merged again in the label. Scoring carries the (bond, bond) environment of each record.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import InputError
from qtomo.povm import POVM, named_povm
from qtomo.states.mps import MPS

__all__ = ["BornDistribution"]

_TINY = 1e-30  # below any probability that float32 draws
_SAMPLE_CHUNK = 4096  # rows at once: enough that the cost of a call does not count, few enough for the cache
_SCORE_BYTES = 4 * 2**20  # of environments held at once, for the same reason


class BornDistribution:
    """P(a) = <psi| M_{a_0} x ... x M_{a_N-1} |psi>, the outcome distribution of a pure state.

    Args:
        state: the state.
        povm: the measurement of each qubit, or the name of one.
        tolerance: largest error of `log_prob` worth its time, in nats a record. At 0 scores are exact to
            float64; at 1e-4 the scorer drops Schmidt weight up to (tolerance/2)**2 in all, whose root
            bounds the error (checked in the tests). Samples are always of the full state, drawn in
            float32: probabilities are right to about 1e-6.
        device: where tensors live.

    Raises:
        InputError: a POVM given for another number of sites.
    """

    likelihood: Literal["exact"] = "exact"

    def __init__(
        self, state: MPS, povm: POVM | str = "pauli4", tolerance: float = 0.0, device: str | torch.device = "cpu"
    ) -> None:
        self.state = state
        self.povm = named_povm(povm) if isinstance(povm, str) else povm
        self.tolerance = tolerance
        self.device = torch.device(device)
        self._elements = self.povm.site_elements(state.n_sites)
        self._walkers: list[_SiteWalker] | None = None
        self._scorers: list[_SiteScorer] | None = None

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""
        return self.state.n_sites

    @property
    def n_outcomes(self) -> int:
        """K, the number of outcomes of one qubit."""
        return self.povm.n_outcomes

    def __repr__(self) -> str:
        return f"BornDistribution({self.state!r}, POVM '{self.povm.name}')"

    def sample(self, n: int, generator: np.random.Generator) -> Outcomes:
        """`n` exact records, uint8 (n, n_sites)."""
        if self._walkers is None:
            pairs = zip(self.state.tensors, self._elements, strict=True)
            self._walkers = [_SiteWalker(tensor, elements, self.device) for tensor, elements in pairs]
        out = np.empty((n, self.n_sites), dtype=np.uint8)
        for first in range(0, n, _SAMPLE_CHUNK):
            rows = min(_SAMPLE_CHUNK, n - first)
            uniforms = torch.from_numpy(generator.random((self.n_sites, rows), dtype=np.float32)).to(self.device)
            parts = 1 if self.state.is_real else 2
            vectors = torch.zeros((2, rows, 1), device=self.device)
            vectors[0] = 1.0
            labels = []
            for walker, u in zip(self._walkers, uniforms, strict=True):
                label, vectors = walker.step(vectors, u, parts)
                labels.append(label)
            out[first : first + rows] = torch.stack(labels, dim=1).cpu().numpy()
        return out

    def log_prob(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """ln P of each record, (batch, n_sites) to (batch,); -inf where P = 0.

        An outcome that was lost, 255, is summed over exactly: P is that of the outcomes that are there.

        Raises:
            InputError: another number of sites, or an outcome that the POVM does not have.
        """
        outcomes = np.asarray(outcomes)
        if outcomes.ndim != 2 or outcomes.shape[1] != self.n_sites:
            raise InputError(f"records have shape {outcomes.shape}, expected (batch, {self.n_sites})")
        wrong = (outcomes >= self.n_outcomes) & (outcomes != LOST)
        if wrong.any():
            raise InputError(f"outcome {outcomes[wrong][0]} in records of a POVM with {self.n_outcomes} outcomes")
        if self._scorers is None:
            state = self.state.truncate(weight=self._cut_weight())[0] if self.tolerance else self.state
            pairs = zip(state.tensors, self._elements, strict=True)
            self._scorers = [_SiteScorer(tensor, elements, self.device) for tensor, elements in pairs]
        widest = max(scorer.bond for scorer in self._scorers)
        chunk = max(16, _SCORE_BYTES // (32 * widest**2))
        out = np.empty(len(outcomes))
        for first in range(0, len(outcomes), chunk):
            block = outcomes[first : first + chunk].astype(np.int64)
            rows = torch.as_tensor(np.where(block == LOST, self.n_outcomes, block), device=self.device)
            out[first : first + chunk] = self._score(rows).cpu().numpy()
        return out

    def _score(self, outcomes: torch.Tensor) -> torch.Tensor:
        assert self._scorers is not None
        dtype = self._scorers[0].dtype
        left = torch.ones((len(outcomes), 1, 1), dtype=dtype, device=self.device)
        log_prob = torch.zeros(len(outcomes), dtype=torch.float64, device=self.device)
        for site, scorer in enumerate(self._scorers):
            left = scorer.step(left, outcomes[:, site])
            scale = left.abs().amax(dim=(1, 2))
            log_prob += torch.log(scale)
            left = left / scale.clamp_min(torch.finfo(torch.float64).tiny)[:, None, None]
        return log_prob

    def _cut_weight(self) -> float:
        return (self.tolerance / 2) ** 2 / max(1, self.n_sites - 1)


class _SiteWalker:
    """One site of the sampler: all that does not depend on the record, ready for float32 matrix products."""

    def __init__(self, tensor: NDArray[np.generic], elements: NDArray[np.complex128], device: torch.device) -> None:
        left, _, self.right = tensor.shape
        matrix = tensor.reshape(left, -1)
        if np.iscomplexobj(matrix):
            # Row vectors (re, im) times [[re, im], [-im, re]] give (re, im) of the product.
            matrix = np.block([[matrix.real, matrix.imag], [-matrix.imag, matrix.real]])
        self.matrix = torch.tensor(matrix, dtype=torch.float32, device=device)
        vectors, labels = _rank_one(elements)
        # Probability of sub-outcome <v|rho|v> from (rho_00, rho_11, Re rho_01, Im rho_01),
        # rho_st = sum_r psi_s conj(psi_t): |v0|^2 rho_00 + |v1|^2 rho_11 + 2 Re(conj(v0) v1 rho_01).
        cross = vectors[:, 0].conj() * vectors[:, 1]
        weights = np.stack([abs(vectors[:, 0]) ** 2, abs(vectors[:, 1]) ** 2, 2 * cross.real, -2 * cross.imag])
        self.weights = torch.tensor(weights, dtype=torch.float32, device=device)
        self.bras = torch.tensor(
            np.stack([vectors.real, vectors.imag], axis=1), dtype=torch.float32, device=device
        )  # (sub-outcome, re/im, s)
        self.labels = torch.tensor(labels, dtype=torch.uint8, device=device)

    def step(self, vectors: torch.Tensor, uniforms: torch.Tensor, parts: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw this site's outcome: (2, rows, left) vectors, real then imaginary, to label and next vectors."""
        rows = vectors.shape[1]
        if parts == 1:
            both = (vectors.reshape(2 * rows, -1) @ self.matrix).view(2, rows, 2, self.right)
            re, im = both[0], both[1]
        else:
            flat = torch.cat([vectors[0], vectors[1]], dim=1) @ self.matrix
            both = flat.view(rows, 2, 2, self.right)
            re, im = both[:, 0], both[:, 1]
        re0, re1, im0, im1 = re[:, 0], re[:, 1], im[:, 0], im[:, 1]
        norms = (re.square() + im.square()).sum(2)
        turned = im0 * re1
        turned.addcmul_(re0, im1, value=-1)
        level = re0 * re1
        level.addcmul_(im0, im1)
        rho = torch.stack([norms[:, 0], norms[:, 1], level.sum(1), turned.sum(1)], dim=1)
        probabilities = (rho @ self.weights).clamp_min_(0)
        cumulative = probabilities.cumsum(1)
        drawn = torch.searchsorted(cumulative, (uniforms * cumulative[:, -1])[:, None], right=True)
        drawn.clamp_max_(self.weights.shape[1] - 1)
        scale = probabilities.gather(1, drawn).clamp_min_(_TINY).rsqrt_()  # the next vector's norm, known already
        label = drawn[:, 0]
        bra = self.bras[label] * scale[:, :, None]  # <v| = conj(v): (rows, re/im, s)
        a0, a1, b0, b1 = (bra[:, i, s, None] for i in (0, 1) for s in (0, 1))
        new = torch.empty((2, rows, self.right), device=re.device)
        torch.mul(re0, a0, out=new[0]).addcmul_(im0, b0).addcmul_(re1, a1).addcmul_(im1, b1)
        torch.mul(im0, a0, out=new[1]).addcmul_(re0, b0, value=-1).addcmul_(im1, a1).addcmul_(re1, b1, value=-1)
        return self.labels[label], new


class _SiteScorer:
    """One site of the scorer, in float64.

    For a real tensor the Hermitian environment L = R + iI (R symmetric, I antisymmetric) is carried as
    the one real matrix K = R + I. With an element M = S + i y e (S real symmetric, e antisymmetric) the
    next one is K' = sum S_ts A_t^T K A_s - y (sum e_ts A_t^T K A_s)^T, half the work of complex numbers.
    """

    def __init__(self, tensor: NDArray[np.generic], elements: NDArray[np.complex128], device: torch.device) -> None:
        self.dtype = torch.complex128 if np.iscomplexobj(tensor) else torch.float64
        self.left, _, self.right = tensor.shape
        self.bond = max(self.left, self.right)
        ket = torch.tensor(tensor, dtype=self.dtype, device=device)
        self.ket = ket.reshape(self.left, 2 * self.right)
        self.bra = ket.conj().permute(1, 0, 2).reshape(2 * self.left, self.right).resolve_conj()
        lost = elements.sum(axis=0)[None]  # the effect of an outcome that was lost: the identity
        self.elements = torch.tensor(np.concatenate([elements, lost]), device=device)
        self.skew = elements[:, 0, 1].imag.any()

    def step(self, left: torch.Tensor, outcomes: torch.Tensor) -> torch.Tensor:
        """Environments (batch, left, left), bra index first, to (batch, right, right)."""
        batch = len(left)
        half = (left.reshape(-1, self.left) @ self.ket).view(batch, self.left, 2, self.right)
        element = self.elements[outcomes]  # (batch, bra s, ket s)
        if self.dtype == torch.complex128:
            return self._close(half, element)
        new = self._close(half, element.real)
        if self.skew:
            y = element[:, 0, 1].imag
            rows = y.nonzero()[:, 0]
            # e = [[0, 1], [-1, 0]]: bra 0 takes ket 1, bra 1 takes minus ket 0.
            turned = torch.stack([half[rows, :, 1], -half[rows, :, 0]], dim=1)
            skew = turned.reshape(-1, 2 * self.left, self.right).transpose(1, 2).reshape(-1, 2 * self.left) @ self.bra
            # rows of `skew` are ket indices: already the transpose asked for.
            new[rows] -= y[rows, None, None] * skew.view(-1, self.right, self.right)
        return new

    def _close(self, half: torch.Tensor, element: torch.Tensor) -> torch.Tensor:
        """sum_ts M_ts conj(A_t)^T K A_s from K A: (batch, left, s, right)."""
        mixed = torch.einsum("bts,blsr->brtl", element, half)
        closed = mixed.reshape(-1, 2 * self.left) @ self.bra  # (batch * ket, bra)
        return closed.view(len(half), self.right, self.right).transpose(1, 2)


def _rank_one(elements: NDArray[np.complex128]) -> tuple[NDArray[np.complex128], NDArray[np.intp]]:
    """Vectors v with sum |v><v| = M_a, and the outcome each belongs to: (sub-outcomes, 2), (sub-outcomes,)."""
    vectors, labels = [], []
    for label, element in enumerate(elements):
        values, kets = np.linalg.eigh(element)
        for value, ket in zip(values, kets.T, strict=True):
            if value > 1e-12:
                vectors.append(math.sqrt(value) * ket)
                labels.append(label)
    return np.array(vectors), np.array(labels)
