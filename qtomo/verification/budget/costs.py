"""What errors cost of the fidelity: all of them, those of a kind alone, those of a qubit alone.

-ln F is nearly a sum over qubits; it is what is linearised, so that F stays between 0 and 1. Small rotations cost as
the square of their angles, theta C theta/4 with the covariances C of the Paulis that they are about. The square of an
angle that is found is on average larger than that of the true one by its variance, which is taken off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qtomo.states.mps import MPS
from qtomo.statistics.estimate import Estimate
from qtomo.verification.budget.fidelity import Fidelity
from qtomo.verification.budget.model import SHIFT_STEP
from qtomo.verification.budget.reading import Reading, Spread
from qtomo.verification.budget.result import Cost
from qtomo.verification.faults.base import FaultKind

__all__ = ["Costs"]

Reals = NDArray[np.float64]

_ROTATIONS = {FaultKind.ROTATION_X: 1, FaultKind.ROTATION_Y: 2, FaultKind.ROTATION_Z: 3}
_BENDS = 1e-2  # covariance from which a rotation changes the state
_LEAST = 1e-12  # fidelity whose logarithm is taken


@dataclass(frozen=True)
class _Loss:
    """-ln F of some errors alone, and its slope in each strength."""

    spread: Spread
    value: float
    slope: Reals


@dataclass(frozen=True, eq=False)
class Costs:
    """Of a fit of errors to records of a pure target.

    Args:
        reading: the fit.
        target: the state that was meant.
    """

    reading: Reading
    target: MPS

    @cached_property
    def _fidelity(self) -> Fidelity:
        return Fidelity(self.target)

    def fidelity(self) -> Estimate:
        """F after all errors of the state."""
        loss = self._of(self._kinds)
        return _exponential(self.reading.estimate(loss.spread, 0.0), lambda x: math.exp(-x))

    def by_kind(self) -> list[Cost]:
        """What each kind of error of the state would cost alone."""
        kinds = self._kinds
        return self._costs([self._of([kind]) for kind in kinds], [(kind, None) for kind in kinds])

    def by_site(self) -> list[Cost]:
        """What the errors of each qubit would cost alone."""
        n = self.reading.model.n_sites
        return self._costs([self._of_site(i) for i in range(n)], [(None, i) for i in range(n)])

    @property
    def _kinds(self) -> tuple[FaultKind, ...]:
        """All errors of the state."""
        model = self.reading.model
        return (*model.channels, *([model.shift.parameter.kind] if model.shift is not None else []))

    def _costs(self, losses: Sequence[_Loss], places: Sequence[tuple[FaultKind | None, int | None]]) -> list[Cost]:
        estimates = [self.reading.estimate(loss.spread, 0.0) for loss in losses]
        total = sum(one.value for one in estimates)
        together = np.sum([loss.slope for loss in losses], axis=0)
        found = []
        for loss, estimate, place in zip(losses, estimates, places, strict=True):
            share = estimate.value / total if total > 0 else 0.0
            slope = (loss.slope - share * together) / max(total, _LEAST)
            spread = replace(self.reading.spread(share, slope), value=share)
            infidelity = _exponential(estimate, lambda x: -math.expm1(-x))
            found.append(Cost(infidelity, self.reading.estimate(spread, 0.0, 1.0), *place))
        return found

    def _of(self, kinds: Sequence[FaultKind]) -> _Loss:
        """Of errors of some kinds at all qubits."""
        model = self.reading.model
        theta = model.only(self.reading.fit.theta, kinds)
        transfer = model.transfer(theta)
        value, slopes = self._prepared(theta).with_slopes(transfer)
        changes = np.zeros(model.n_parameters)
        local = np.einsum("npq,knpq->kn", slopes, model.transfer_slopes(theta)).ravel()
        changes[: local.size] = local
        if model.shift is not None:
            ends = []
            for step in (-SHIFT_STEP, SHIFT_STEP):
                moved = theta.copy()
                moved[-1] += step
                ends.append(self._prepared(moved)(transfer))
            changes[-1] = (ends[1] - ends[0]) / (2 * SHIFT_STEP)
        return self._loss(value, model.only(changes, kinds), kinds)

    def _prepared(self, theta: Reals) -> Fidelity:
        """F where a parameter of the target was off."""
        shift = self.reading.model.shift
        if shift is None or not theta[-1]:
            return self._fidelity
        return Fidelity(self.target, shift.state(float(theta[-1])))

    @cached_property
    def _alone(self) -> Reals:
        """F by the transfer matrix of a single qubit that is not ideal, (n_sites, 4, 4)."""
        return self._fidelity.with_slopes(np.tile(np.eye(4), (self.reading.model.n_sites, 1, 1)))[1]

    def _of_site(self, site: int) -> _Loss:
        """Of all errors of one qubit."""
        model, theta = self.reading.model, self.reading.fit.theta
        value = float((self._alone[site] * model.transfer(theta)[site]).sum())
        changes = np.zeros(model.n_parameters)
        own = np.einsum("pq,kpq->k", self._alone[site], model.transfer_slopes(theta)[:, site])
        changes[site : site + len(own) * model.n_sites : model.n_sites] = own
        return self._loss(value, changes, model.channels, site)

    def _loss(self, fidelity: float, changes: Reals, kinds: Sequence[FaultKind], site: int | None = None) -> _Loss:
        """From F and its slopes, (n_parameters,)."""
        slope = -changes / max(fidelity, _LEAST)
        value = -math.log(max(fidelity, _LEAST))
        spread = self.reading.spread(value, slope)
        excess, variance, open_ = self._squares(kinds, site)
        error = math.sqrt(max(spread.standard_error**2 - variance, variance))
        up = math.inf if open_ else spread.up
        spread = replace(spread, value=spread.value - excess, standard_error=error, up=up)
        return _Loss(spread, value, slope)

    @cached_property
    def _bends(self) -> Reals:
        """C of -ln F = theta C theta/4 for small angles and a small shift, (n_parameters, n_parameters)."""
        model = self.reading.model
        n, found = model.n_sites, np.zeros((model.n_parameters, model.n_parameters))
        marginals = model.hypothesis.marginals
        i, j = marginals.places.T
        for first, p in _ROTATIONS.items():
            for second, q in _ROTATIONS.items():
                if first not in model.kinds or second not in model.kinds:
                    continue
                block = np.zeros((n, n))
                means = np.outer(marginals.sites[:, p], marginals.sites[:, q])
                block[i, j] = marginals.pairs[:, p, q] - means[i, j]
                block[j, i] = marginals.pairs[:, q, p] - means[j, i]
                np.fill_diagonal(block, float(p == q) - np.diag(means))
                found[model.index(first), model.index(second)] = block
        if model.shift is not None:
            overlap = abs(self.target.overlap(model.shift.state(SHIFT_STEP))) ** 2
            found[-1, -1] = -4 * math.log(overlap) / SHIFT_STEP**2
        return found

    def _squares(self, kinds: Sequence[FaultKind], site: int | None) -> tuple[float, float, bool]:
        """How much the errors of angles and of a shift add to -ln F on average and to its variance; and whether
        rotations that the records do not see cost something.

        Where such rotations change nothing, as opposite ones of two qubits of GHZ, the smallest angles are taken.
        """
        model = self.reading.model
        coherent = {kind for kind in kinds if kind in _ROTATIONS or kind not in model.kinds}
        places = enumerate(model.places)
        chosen = np.array([k for k, (kind, at) in places if kind in coherent and site in (None, at)], dtype=np.intp)
        if not chosen.size:
            return 0.0, 0.0, False
        bends = self._bends[np.ix_(chosen, chosen)]
        product = bends @ self.reading.covariance[np.ix_(chosen, chosen)]
        unseen = any(
            np.intersect1d(group, chosen).size
            and float(np.abs(basis.T @ self._bends[np.ix_(group, group)] @ basis).max()) > _BENDS
            for group, basis in self.reading.groups
        )
        return float(np.trace(product)) / 4, float(np.trace(product @ product)) / 8, unseen


def _exponential(estimate: Estimate, function: Callable[[float], float]) -> Estimate:
    """A monotonic function of what is estimated, in [0, inf]."""
    low, value, high = (function(x) for x in (estimate.low, estimate.value, estimate.high))
    error = estimate.standard_error * math.exp(-estimate.value)
    return replace(estimate, value=value, standard_error=error, low=min(low, high), high=max(low, high))
