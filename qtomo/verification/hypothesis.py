"""An exact distribution of records, given their settings: the target as it would be measured, or a fault of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.measurement.povm import PAULIS, POVM
from qtomo.records.records import Records
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.born.local_likelihoods import LocalLikelihoods
from qtomo.states.born.marginals import Marginals, marginals
from qtomo.states.density import DensityMatrix
from qtomo.states.library import System
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.state import State

__all__ = ["Hypothesis", "Part"]

Reals = NDArray[np.float64]

_TOLERANCE = 1e-4  # nats per record, where exact scores cost more
_SMALL_BOND = 8
_DENSE = 6  # qubits of a mixed state that is held as a matrix
_FURTHEST = 100  # sites between qubits of a pair that is looked at


@dataclass(frozen=True, eq=False)
class Part:
    """One state of a mixture, as it would be measured.

    Args:
        state: the state; None for the maximally mixed one.
        povm: the measurement, for `n_sites` qubits.
        n_sites: N.
        device: where to work.
    """

    state: State | None
    povm: POVM
    n_sites: int
    device: str = "cpu"

    @cached_property
    def born(self) -> BornDistribution:
        """The distribution of its outcomes."""
        if self.state is None:
            elements = self.povm.site_elements(self.n_sites)
            chances = np.einsum("...ii->...", elements).real / 2
            mixed = POVM(chances[..., None, None] * PAULIS["I"], self.povm.name)
            return BornDistribution(MPS.product([np.array([1.0, 0.0])] * self.n_sites), mixed, 0.0, self.device)
        small = isinstance(self.state, DensityMatrix) or max(self.state.bond_dims, default=1) <= _SMALL_BOND
        return BornDistribution(self.state, self.povm, 0.0 if small else _TOLERANCE, self.device)

    def local_likelihoods(self, labels: Outcomes) -> LocalLikelihoods:
        """Likelihoods of records with one site measured otherwise."""
        found = self.born.local_likelihoods(labels)
        if self.state is None:  # only the identity has an expectation
            return replace(found, weights=found.weights * [1.0, 0.0, 0.0, 0.0])
        return found

    def marginals(self, reach: int) -> Marginals:
        """One- and two-qubit expectations of the state."""
        if self.state is not None:
            return marginals(self.state, reach)
        return marginals(MPS.product([np.array([1.0, 0.0])] * self.n_sites), reach).mixed(1.0, _nothing(self, reach))


def _nothing(part: Part, reach: int) -> Marginals:
    """Those of the maximally mixed state: only the identity has an expectation."""
    like = marginals(MPS.product([np.array([1.0, 0.0])] * part.n_sites), reach)
    sites, pairs = np.zeros_like(like.sites), np.zeros_like(like.pairs)
    sites[:, 0] = pairs[:, 0, 0] = 1.0
    return Marginals(sites, pairs, like.places)


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A state, or a mixture of some, measured: P(outcomes | settings) for records of one design.

    Args:
        parts: shares, which sum to 1, with the states that have them.
        system: the parameters of the first state, where known.
    """

    parts: tuple[tuple[float, Part], ...]
    system: System | None = None

    @classmethod
    def of(cls, state: State, povm: POVM, system: System | None = None, device: str = "cpu") -> Hypothesis:
        """One state and its measurement.

        Raises:
            InputError: a POVM for another number of sites.
        """
        if isinstance(state, LPDO) and state.n_sites <= _DENSE:
            state = state.to_density()
        povm.site_elements(state.n_sites)
        return cls(((1.0, Part(state, povm, state.n_sites, device)),), system)

    @property
    def first(self) -> Part:
        """The part that the others are mixed into."""
        return self.parts[0][1]

    @property
    def povm(self) -> POVM:
        """The measurement."""
        return self.first.povm

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""
        return self.first.n_sites

    def measured(self, change: Callable[[POVM], POVM]) -> Hypothesis:
        """The same states with their measurement changed, as a channel before it does."""
        return replace(self, parts=tuple((share, replace(part, povm=change(part.povm))) for share, part in self.parts))

    def prepared(self, state: State, system: System | None = None) -> Hypothesis:
        """Another state in place of the first."""
        (share, part), *rest = self.parts
        return Hypothesis(((share, replace(part, state=state)), *rest), system)

    def alone(self, state: State | None) -> Hypothesis:
        """Another state in place of all; None is the maximally mixed one."""
        return Hypothesis(((1.0, replace(self.first, state=state)),))

    def mixed(self, share: float, other: Hypothesis) -> Hypothesis:
        """With a share of another hypothesis."""
        mine, theirs = (
            tuple((factor * weight, part) for weight, part in one.parts)
            for factor, one in ((1 - share, self), (share, other))
        )
        return replace(self, parts=(*mine, *theirs))

    @cached_property
    def plain_sites(self) -> NDArray[np.bool_]:
        """Sites that all parts measure alike, so that a fault there is the same change of all, (n_sites,)."""
        elements = [part.povm.site_elements(self.n_sites) for _, part in self.parts]
        alike = [np.abs(one - elements[0]).max(axis=(1, 2, 3)) < 1e-12 for one in elements]
        return np.asarray(np.all(alike, axis=0))

    def log_prob(self, labels: Outcomes) -> Reals:
        """ln P of POVM elements (n, n_sites), 255 where lost: joint with the bases, if these are drawn at random.

        Of shots with settings it differs from ln P(bits | settings) by ln 3 a bit, whatever the hypothesis.
        """
        if len(self.parts) == 1:
            return self.first.born.log_prob(labels)
        logs = [math.log(share) + part.born.log_prob(labels) for share, part in self.parts if share > 0]
        found: Reals = np.logaddexp.reduce(logs, axis=0)
        return found

    def likelihoods(self, labels: Outcomes) -> LocalLikelihoods:
        """Likelihoods of records with one site measured otherwise."""
        if len(self.parts) == 1:
            return self.first.local_likelihoods(labels)
        parts = [(share, part) for share, part in self.parts if share > 0]
        shares = [share for share, _ in parts]
        found = [part.local_likelihoods(labels) for _, part in parts]
        logs = np.stack([math.log(share) + one.log_scale for share, one in zip(shares, found, strict=True)])
        peak = logs.max(axis=0)
        factors = np.where(np.isfinite(logs), np.exp(np.where(np.isfinite(peak), logs - peak, 0.0)), 0.0)
        traces = np.einsum("kn,knip->nip", factors, np.stack([one.weights for one in found]))
        with np.errstate(divide="ignore"):
            chances = [math.log(s) + one.log_prob for s, one in zip(shares, found, strict=True)]
        log_prob = np.logaddexp.reduce(chances, axis=0)
        shifts = np.repeat(peak[:, None], labels.shape[1], axis=1)
        return LocalLikelihoods.from_traces(log_prob, np.asarray(np.isneginf(log_prob)), traces, shifts)

    def sample_like(self, records: Records, generator: np.random.Generator) -> Records:
        """As many records, each in the settings of one of these and with the same outcomes lost."""
        shares = np.array([share for share, _ in self.parts])
        which = generator.choice(len(shares), len(records), p=shares / shares.sum()) if len(shares) > 1 else None
        labels = np.empty((len(records), records.n_sites), dtype=np.uint8)
        for index, (_, part) in enumerate(self.parts):
            rows = np.arange(len(records)) if which is None else np.flatnonzero(which == index)
            if not len(rows):
                continue
            if records.has_settings:
                settings = records.shot_settings[rows]
                labels[rows] = 2 * settings + part.born.sample_bits(settings, generator)
            else:
                labels[rows] = part.born.sample(len(rows), generator)
        labels[records.outcomes == LOST] = LOST
        return records.with_labels(labels)

    @cached_property
    def marginals(self) -> Marginals:
        """One- and two-qubit expectations of the state before its measurement."""
        (_, part), *rest = self.parts
        found = part.marginals(_FURTHEST)
        total = self.parts[0][0]
        for share, other in rest:
            total += share
            found = found.mixed(share / total, other.marginals(_FURTHEST))
        return found
