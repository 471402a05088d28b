"""Draw measurement outcomes of a matrix-product state, a batch of records at a time.

The chain is walked once with one row vector a record (perfect sampling, Ferris and Vidal 2012,
arXiv 1201.3974), in float32. Two walkers share the work. Where each qubit's measurement is a random choice of
an orthonormal basis, which Pauli-4, Pauli-6, settings and most noise are, `BasisWalker` chooses the bases first:
records of one basis then share one matrix product, which is nearly all there is to do. Any other measurement
(SIC, trine) goes through `ElementWalker`, which splits elements into rank-one sub-outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.measurement.bases import BasisMeasurement

__all__ = ["BasisWalker", "ElementWalker"]

_CHUNK = 4096  # records at once: enough that the cost of a call does not count, few enough for the cache
_TINY = 1e-30  # below any probability that float32 draws
_LEAST = 2.0**-25  # half of the smallest positive uniform: above the rounding that an impossible outcome is left with
_RENORMALISE = 8  # sites between rescalings: norms fall by a probability per site, and float32 ends at 1e-38


class BasisWalker:
    """Samples a state measured in a basis a qubit, chosen by `measurements` or given.

    Args:
        tensors: right-canonical tensors of the state.
        measurements: one a site.
        device: where to work.
    """

    def __init__(
        self, tensors: Sequence[NDArray[Any]], measurements: Sequence[BasisMeasurement], device: torch.device
    ) -> None:
        self._measurements = measurements
        self._device = device
        self._matrices = [
            [_bit_matrix(tensor, kets, device) for kets in measurement.kets]
            for tensor, measurement in zip(tensors, measurements, strict=True)
        ]

    def sample(self, n: int, generator: np.random.Generator, bases: NDArray[np.uint8] | None = None) -> Outcomes:
        """`n` records, uint8 (n, n_sites); `bases` (n, n_sites) says which basis each was measured in."""
        n_sites = len(self._measurements)
        out = np.empty((n, n_sites), dtype=np.uint8)
        for first in range(0, n, _CHUNK):
            rows = min(_CHUNK, n - first)
            chosen = self._choose(rows, generator) if bases is None else bases[first : first + rows].T
            bits = self._walk(chosen, generator)
            for site, measurement in enumerate(self._measurements):
                out[first : first + rows, site] = _label(measurement, chosen[site], bits[site], generator)
        return out

    def _choose(self, rows: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """Bases drawn by their weights, (n_sites, rows)."""
        uniforms = generator.random((len(self._measurements), rows), dtype=np.float32)
        chosen = np.zeros(uniforms.shape, dtype=np.uint8)
        for row, uniform, measurement in zip(chosen, uniforms, self._measurements, strict=True):
            for edge in np.cumsum(measurement.weights)[:-1]:
                row += uniform >= edge
        return chosen

    def _walk(self, bases: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
        """The bit each record gives at each site, (n_sites, rows)."""
        n_sites, rows = bases.shape
        # At each site the records stand sorted by basis.
        order = np.argsort(bases, axis=1, kind="stable")
        place = np.empty_like(order)
        np.put_along_axis(place, order, np.arange(rows)[None], axis=1)
        uniforms = _uniforms(n_sites, rows, generator).to(self._device)
        vectors = torch.zeros((rows, 2, 1), device=self._device)  # real, imaginary
        vectors[:, 0] = 1
        found = []
        for site, matrices in enumerate(self._matrices):
            counts = np.bincount(bases[site], minlength=len(matrices))
            both = _both_bits(vectors, matrices, counts)  # (rows, re/im, bit, right)
            zero, one = (both[:, :, bit].square().sum((1, 2)) for bit in (0, 1))
            bit = uniforms[site] * (zero + one) >= zero
            found.append(bit)
            if site == n_sites - 1:
                break
            # Take each record's own half, in the order of the next site.
            turn = torch.from_numpy(place[site][order[site + 1]]).to(self._device)
            rows_of = 4 * turn + bit[turn]
            picked = torch.stack([rows_of, rows_of + 2], dim=1).ravel()
            vectors = both.view(4 * rows, -1).index_select(0, picked).view(rows, 2, -1)
            if site % _RENORMALISE == _RENORMALISE - 1:
                vectors *= vectors.square().sum((1, 2)).clamp_min_(_TINY).rsqrt_()[:, None, None]
        bits = torch.stack(found).cpu().numpy().astype(np.uint8)
        taken: NDArray[np.uint8] = np.take_along_axis(bits, place, axis=1)
        return taken


def _uniforms(n_sites: int, rows: int, generator: np.random.Generator) -> torch.Tensor:
    """Float32 uniforms above zero, (n_sites, rows): at zero itself an outcome of probability 1e-15 would be taken."""
    return torch.from_numpy(generator.random((n_sites, rows), dtype=np.float32)).clamp_min_(_LEAST)


def _bit_matrix(tensor: NDArray[Any], kets: NDArray[np.complex128], device: torch.device) -> torch.Tensor:
    """From row vectors to the unnormalised vectors of both bits.

    Real: (left, 2 * right), for real and imaginary parts alike. Complex: (2 * left, 4 * right), from (re, im) to
    (re, im) x bit.
    """
    left, _, right = tensor.shape
    turned = np.einsum("lsr,bs->lbr", tensor, kets.conj()).reshape(left, 2 * right)
    if np.abs(turned.imag).max() > 1e-14:
        matrix = np.block([[turned.real, turned.imag], [-turned.imag, turned.real]])
    else:
        matrix = turned.real
    return torch.tensor(np.ascontiguousarray(matrix), dtype=torch.float32, device=device)


def _both_bits(vectors: torch.Tensor, matrices: list[torch.Tensor], counts: NDArray[np.intp]) -> torch.Tensor:
    """Vectors (rows, 2, left), sorted by basis, times the matrix of their basis: (rows, 2, bit, right)."""
    rows, _, left = vectors.shape
    right = matrices[0].numel() // (2 * left if len(matrices[0]) == left else 8 * left)
    both = torch.empty((rows, 2, 2, right), device=vectors.device)
    first = 0
    for matrix, count in zip(matrices, counts.tolist(), strict=True):
        part, out = vectors[first : first + count], both[first : first + count]
        depth, width = matrix.shape
        torch.mm(part.reshape(-1, depth), matrix, out=out.view(-1, width))
        first += count
    return both


def _label(
    measurement: BasisMeasurement, bases: NDArray[np.uint8], bits: NDArray[np.uint8], generator: np.random.Generator
) -> NDArray[np.uint8]:
    """The outcome that each (basis, bit) is read as."""
    given = measurement.labels[bases, bits] if measurement.labels.max(axis=2).min() < 1 else None
    if given is None:
        certain: NDArray[np.uint8] = measurement.labels.argmax(axis=2).astype(np.uint8)[bases, bits]
        return certain
    edges = given.cumsum(axis=1)[:, :-1]
    drawn: NDArray[np.uint8] = (generator.random(len(bits))[:, None] >= edges).sum(axis=1).astype(np.uint8)
    return drawn


class ElementWalker:
    """Samples a state measured by any elements, through rank-one sub-outcomes that keep a vector a vector.

    Args:
        tensors: right-canonical tensors of the state.
        elements: complex (n_sites, K, 2, 2).
        device: where to work.
    """

    def __init__(self, tensors: Sequence[NDArray[Any]], elements: NDArray[np.complex128], device: torch.device) -> None:
        self._device = device
        self._sites = [_ElementSite(t, e, device) for t, e in zip(tensors, elements, strict=True)]

    def sample(self, n: int, generator: np.random.Generator) -> Outcomes:
        """`n` records, uint8 (n, n_sites)."""
        out = np.empty((n, len(self._sites)), dtype=np.uint8)
        for first in range(0, n, _CHUNK):
            rows = min(_CHUNK, n - first)
            uniforms = _uniforms(len(self._sites), rows, generator).to(self._device)
            vectors = torch.zeros((2, rows, 1), device=self._device)
            vectors[0] = 1.0
            labels = []
            for site, u in zip(self._sites, uniforms, strict=True):
                label, vectors = site.step(vectors, u)
                labels.append(label)
            out[first : first + rows] = torch.stack(labels, dim=1).cpu().numpy()
        return out


class _ElementSite:
    """One site: all that does not depend on the record, ready for float32 matrix products."""

    def __init__(self, tensor: NDArray[Any], elements: NDArray[np.complex128], device: torch.device) -> None:
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

    def step(self, vectors: torch.Tensor, uniforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw this site's outcome: (2, rows, left) vectors, real then imaginary, to label and next vectors."""
        rows = vectors.shape[1]
        if len(self.matrix) == vectors.shape[2]:
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
