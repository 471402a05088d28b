"""The distribution of outcomes of a matrix-product state, and of a chain whose ancillas are traced out."""

from __future__ import annotations

import functools
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.measurement.bases import BasisMeasurement, as_random_bases, basis_of
from qtomo.states.born.local_likelihoods import LocalLikelihoods, LocalScorer
from qtomo.states.born.sampling import BasisWalker, ElementWalker
from qtomo.states.born.scoring import Scorer
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS

__all__ = ["ChainEngine", "PurifiedEngine"]

_SINGLE = 1e-4  # tolerance from which single precision is enough for local likelihoods


@functools.lru_cache(maxsize=32)
def _cut(state: MPS, weight: float) -> MPS:
    """A state without its smallest Schmidt values; many measurements of one state share it."""
    return state.truncate(weight=weight)[0]


class ChainEngine:
    """Scores and samples a matrix-product state measured by any elements, complex (n_sites, K, 2, 2)."""

    def __init__(
        self, state: MPS, elements: NDArray[np.complex128], device: torch.device, tolerance: float = 0.0
    ) -> None:
        self._state, self._elements, self._device, self._tolerance = state, elements, device, tolerance
        self.cut_weight = (tolerance / 2) ** 2 / max(1, state.n_sites - 1)

    def sample(self, n: int, generator: np.random.Generator) -> Outcomes:
        """`n` records, uint8 (n, n_sites)."""
        return self._walker.sample(n, generator)

    def sample_bits(self, settings: Outcomes, generator: np.random.Generator) -> Outcomes:
        """A bit per qubit measured in given bases, (n, n_sites) to (n, n_sites)."""
        return self._bit_walker.sample(len(settings), generator, settings)

    def log_prob(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """(batch, n_sites) outcomes, 255 where lost, to (batch,)."""
        found = self._scorer.log_prob(outcomes)
        impossible = np.flatnonzero(np.isneginf(found))
        if self._tolerance and len(impossible):  # perhaps for want of the weight that was cut
            found[impossible] = self._exact_scorer.log_prob(outcomes[impossible])
        return found

    def likelihoods(self, outcomes: Outcomes) -> LocalLikelihoods:
        """Local likelihoods of records (batch, n_sites), 255 where lost."""
        found, impossible = self._local.likelihoods(outcomes)
        rows = np.flatnonzero(impossible)
        if self._tolerance and len(rows):
            found = found.patched(rows, self._exact_local.likelihoods(outcomes[rows])[0])
        return found

    @property
    def scored_bond_dim(self) -> int:
        """Bond dimension that scores are taken with."""
        return self._scorer.bond_dim

    @cached_property
    def _scored(self) -> MPS:
        return _cut(self._state, self.cut_weight) if self._tolerance else self._state

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(self._scored.tensors, self._elements, self._device)

    @cached_property
    def _exact_scorer(self) -> Scorer:
        return Scorer(self._state.tensors, self._elements, self._device)

    @cached_property
    def _local(self) -> LocalScorer:
        return LocalScorer(self._scored.tensors, self._elements, self._device, single=self._tolerance >= _SINGLE)

    @cached_property
    def _exact_local(self) -> LocalScorer:
        return LocalScorer(self._state.tensors, self._elements, self._device)

    @cached_property
    def _walker(self) -> BasisWalker | ElementWalker:
        mixture = functools.cache(lambda elements: as_random_bases(np.frombuffer(elements, complex).reshape(-1, 2, 2)))
        measurements = [mixture(elements.tobytes()) for elements in self._elements]
        if any(measurement is None for measurement in measurements):
            return ElementWalker(self._state.tensors, self._elements, self._device)
        return BasisWalker(self._state.tensors, [m for m in measurements if m is not None], self._device)

    @cached_property
    def _bit_walker(self) -> BasisWalker:
        found = []
        for elements in self._elements:
            kets, labels = zip(*(basis_of(3 * effect) for effect in elements[::2]), strict=True)
            found.append(BasisMeasurement(np.full(3, 1 / 3), np.stack(kets), np.stack(labels)))
        return BasisWalker(self._state.tensors, found, self._device)


class PurifiedEngine:
    """As `ChainEngine`, of a locally purified density operator: a chain whose ancillas are always lost."""

    def __init__(
        self, state: LPDO, elements: NDArray[np.complex128], device: torch.device, tolerance: float = 0.0
    ) -> None:
        self._embed, self._stride = state.embed, 1 + state.ancillas
        repeated = np.repeat(elements, self._stride, axis=0)
        self._chain = ChainEngine(state.purification, repeated, device, tolerance)
        self.cut_weight = self._chain.cut_weight

    def sample(self, n: int, generator: np.random.Generator) -> Outcomes:
        """`n` records, uint8 (n, n_sites)."""
        return self._chain.sample(n, generator)[:, :: self._stride]

    def sample_bits(self, settings: Outcomes, generator: np.random.Generator) -> Outcomes:
        """A bit per qubit measured in given bases, (n, n_sites) to (n, n_sites)."""
        return self._chain.sample_bits(np.repeat(settings, self._stride, axis=1), generator)[:, :: self._stride]

    def log_prob(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """(batch, n_sites) outcomes, 255 where lost, to (batch,)."""
        return self._chain.log_prob(self._embed(outcomes))

    def likelihoods(self, outcomes: Outcomes) -> LocalLikelihoods:
        """Local likelihoods of records (batch, n_sites), 255 where lost."""
        found = self._chain.likelihoods(self._embed(outcomes))
        return replace(found, weights=found.weights[:, :: self._stride])

    @property
    def scored_bond_dim(self) -> int:
        """Bond dimension that scores are taken with."""
        return self._chain.scored_bond_dim
