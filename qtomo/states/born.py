"""The exact distribution of measurement outcomes of a matrix-product state: sample it, score it."""

from __future__ import annotations

import functools
from dataclasses import replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.bases import BasisMeasurement, as_random_bases, basis_of
from qtomo.distribution import LOST, Outcomes
from qtomo.errors import InputError
from qtomo.povm import POVM, named_povm
from qtomo.states.density import DenseEngine, DensityMatrix
from qtomo.states.local import LocalLikelihoods, LocalScorer
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.sampling import BasisWalker, ElementWalker
from qtomo.states.scoring import Scorer

__all__ = ["BornDistribution"]


@functools.lru_cache(maxsize=32)
def _cut(state: MPS, weight: float) -> MPS:
    """A state without its smallest Schmidt values; many measurements of one state share it."""
    return state.truncate(weight=weight)[0]


class BornDistribution:
    """P(a) = Tr(rho M_{a_0} x ... x M_{a_N-1}), the outcome distribution of a state.

    Args:
        state: a matrix-product state, a locally purified density operator, or a density matrix of up to 12 qubits.
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
        self,
        state: MPS | LPDO | DensityMatrix,
        povm: POVM | str = "pauli4",
        tolerance: float = 0.0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.state = state
        self.povm = named_povm(povm) if isinstance(povm, str) else povm
        self.tolerance = tolerance
        self.device = torch.device(device)
        #: Qubits of the walked chain a site: one, and the ancillas of a purification, which are lost.
        self._stride = 1 + state.ancillas if isinstance(state, LPDO) else 1
        self._walked = state.purification if isinstance(state, LPDO) else state
        self._elements = np.repeat(self.povm.site_elements(state.n_sites), self._stride, axis=0)

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
        return self._walker.sample(n, generator)[:, :: self._stride]

    def sample_bits(self, settings: Outcomes, generator: np.random.Generator) -> Outcomes:
        """A bit a qubit measured in given bases (0 X, 1 Y, 2 Z): uint8 (n, n_sites) to uint8 (n, n_sites).

        Raises:
            InputError: the POVM is not one of three bases, as Pauli-6 is, or settings of another shape or range.
        """
        if not self.povm.measures_bases:
            raise InputError(f"POVM '{self.povm.name}' has no settings, expected one of bases X, Y and Z as pauli6")
        if settings.ndim != 2 or settings.shape[1] != self.n_sites or settings.max(initial=0) > 2:
            found = f"settings of shape {settings.shape}, up to {settings.max(initial=0)}"
            raise InputError(f"{found}, expected (n, {self.n_sites}) of 0 (X), 1 (Y), 2 (Z)")
        if isinstance(self.state, DensityMatrix):
            return self._dense.sample(len(settings), generator, settings) % 2
        walked = np.repeat(settings, self._stride, axis=1)
        return self._bit_walker.sample(len(settings), generator, walked)[:, :: self._stride]

    def log_prob(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """ln P of each record, (batch, n_sites) to (batch,); -inf where P = 0.

        An outcome that was lost, 255, is summed over exactly: P is that of the outcomes that are there.

        Raises:
            InputError: another number of sites, or an outcome that the POVM does not have.
        """
        outcomes = np.asarray(outcomes)
        self._check(outcomes)
        embedded = self._embed(outcomes)
        found = self._scorer.log_prob(embedded)
        impossible = np.flatnonzero(np.isneginf(found))
        if self.tolerance and len(impossible):  # perhaps for want of the weight that was cut
            found[impossible] = self._exact_scorer.log_prob(embedded[impossible])
        return found

    def _embed(self, outcomes: Outcomes) -> Outcomes:
        return self.state.embed(outcomes) if isinstance(self.state, LPDO) else outcomes

    def _check(self, outcomes: Outcomes) -> None:
        if outcomes.ndim != 2 or outcomes.shape[1] != self.n_sites:
            raise InputError(f"records have shape {outcomes.shape}, expected (batch, {self.n_sites})")
        wrong = (outcomes >= self.n_outcomes) & (outcomes != LOST)
        if wrong.any():
            raise InputError(f"outcome {outcomes[wrong][0]} in records of a POVM with {self.n_outcomes} outcomes")

    def local_likelihoods(self, outcomes: Outcomes) -> LocalLikelihoods:
        """Likelihoods of records (batch, n_sites) with one site measured otherwise; see `qtomo.states.local`.

        Raises:
            InputError: as `log_prob`.
        """
        outcomes = np.asarray(outcomes)
        self._check(outcomes)
        if isinstance(self.state, DensityMatrix):
            return self._dense.likelihoods(outcomes)
        walked = self._embed(outcomes)
        found, impossible = self._local.likelihoods(walked)
        rows = np.flatnonzero(impossible)
        if self.tolerance and len(rows):
            found = found.patched(rows, self._exact_local.likelihoods(walked[rows])[0])
        return replace(found, weights=found.weights[:, :: self._stride])

    @cached_property
    def _exact_local(self) -> LocalScorer:
        assert isinstance(self._walked, MPS)
        return LocalScorer(self._walked.tensors, self._elements, self.device)

    @cached_property
    def _local(self) -> LocalScorer:
        return LocalScorer(self._scored_state.tensors, self._elements, self.device, single=self.tolerance >= 1e-4)

    @cached_property
    def _scored_state(self) -> MPS:
        assert isinstance(self._walked, MPS)
        return _cut(self._walked, self.cut_weight) if self.tolerance else self._walked

    @cached_property
    def _walker(self) -> BasisWalker | ElementWalker | DenseEngine:
        if isinstance(self._walked, DensityMatrix):
            return self._dense
        mixture = functools.cache(lambda elements: as_random_bases(np.frombuffer(elements, complex).reshape(-1, 2, 2)))
        measurements = [mixture(elements.tobytes()) for elements in self._elements]
        if any(measurement is None for measurement in measurements):
            return ElementWalker(self._walked.tensors, self._elements, self.device)
        return BasisWalker(self._walked.tensors, [m for m in measurements if m is not None], self.device)

    @cached_property
    def _bit_walker(self) -> BasisWalker:
        assert isinstance(self._walked, MPS)
        found = []
        for elements in self._elements:
            kets, labels = zip(*(basis_of(3 * effect) for effect in elements[::2]), strict=True)
            found.append(BasisMeasurement(np.full(3, 1 / 3), np.stack(kets), np.stack(labels)))
        return BasisWalker(self._walked.tensors, found, self.device)

    @cached_property
    def _dense(self) -> DenseEngine:
        assert isinstance(self.state, DensityMatrix)
        return DenseEngine(self.state, self._elements, self.device)

    @cached_property
    def _scorer(self) -> Scorer | DenseEngine:
        if isinstance(self.state, DensityMatrix):
            return self._dense
        return Scorer(self._scored_state.tensors, self._elements, self.device)

    @cached_property
    def _exact_scorer(self) -> Scorer | DenseEngine:
        if isinstance(self._walked, DensityMatrix):
            return self._dense
        return Scorer(self._walked.tensors, self._elements, self.device)

    @property
    def cut_weight(self) -> float:
        """Schmidt weight a cut that scores leave out."""
        return (self.tolerance / 2) ** 2 / max(1, self._stride * self.n_sites - 1)

    @property
    def scored_bond_dim(self) -> int:
        """Bond dimension that scores are taken with; 1 for a density matrix, which has none."""
        return self._scorer.bond_dim if isinstance(self._scorer, Scorer) else 1
