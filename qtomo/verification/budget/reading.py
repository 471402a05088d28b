"""What a fit of local errors says of any number that depends on them: value, error, and what the records leave open.

Rates that are kept at zero by their bound would push every total up: a sum of N rates that are all zero would be found
above it. So totals are of the strengths that one more step of scoring gives without bounds, which are unbiased and
normal in the limit of many records, and bounds are applied to the total. Two exceptions. A rate whose bound holds it
against far more than noise (a target that forbids the outcomes that it would make, none of which was seen) has an
exponential likelihood, and its limit is that of no event. Directions that the records say nothing of move no
probability: a number may be anywhere that the bounds allow along them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse, stats
from scipy.sparse import csgraph

from qtomo.statistics.estimate import Estimate
from qtomo.verification.budget.fitting import Fit
from qtomo.verification.budget.model import ErrorModel

__all__ = ["METHOD", "Reading", "Spread"]

Reals = NDArray[np.float64]
Places = NDArray[np.intp]

METHOD = "Fisher scoring of all local errors together, delta method"

_TOLD = 25.0  # information of a direction from which it is told: a standard error of 0.2
_HELD = 4.0  # standard errors of its score from which a bound holds a rate against more than noise
_MEMBER, _TIED = 0.02, 2e-3  # of the projector on what is not told
_SHIFT = 1e-9


@dataclass(frozen=True)
class Spread:
    """A number that depends on the strengths.

    Args:
        value: its estimate, bounds of the strengths apart.
        standard_error: of that.
        down: how much lower it may be along what is not told, at most 0.
        up: how much higher, at least 0.
        once: how much higher it may be by one event that was not seen.
    """

    value: float
    standard_error: float
    down: float = 0.0
    up: float = 0.0
    once: float = 0.0


@dataclass(frozen=True, eq=False)
class Reading:
    """A fit of a model, read for numbers at a level of confidence.

    Args:
        model: of the errors.
        fit: its likeliest strengths.
        level: of intervals.
    """

    model: ErrorModel
    fit: Fit
    level: float

    @property
    def reach(self) -> float:
        """Standard errors from a value to the ends of its interval."""
        return float(stats.norm.isf((1 - self.level) / 2))

    @cached_property
    def held(self) -> NDArray[np.bool_]:
        """Strengths that their lower bound holds against more than noise, (n_parameters,)."""
        low, _ = self.model.bounds
        noise = np.sqrt(np.diag(self.fit.information).clip(0))
        return np.asarray((self.fit.theta <= low + 1e-9) & (-self.fit.gradient > _HELD * noise + 1.0))

    @cached_property
    def _spectrum(self) -> tuple[Reals, Reals]:
        """Eigenvalues of the information of the strengths that are not held, and eigenvectors (n_parameters, ...)."""
        free = np.flatnonzero(~self.held)
        values, vectors = np.linalg.eigh(self.fit.information[np.ix_(free, free)])
        whole = np.zeros((self.model.n_parameters, len(free)))
        whole[free] = vectors
        return values, whole

    @cached_property
    def covariance(self) -> Reals:
        """Of the strengths, as far as the records tell them, (n_parameters, n_parameters)."""
        values, vectors = self._spectrum
        told = values > _TOLD
        return np.asarray((vectors[:, told] / values[told]) @ vectors[:, told].T)

    @cached_property
    def further(self) -> Reals:
        """From the likeliest strengths to those without bounds, (n_parameters,).

        A step of Newton; P is linear in each strength, so that its slope there is that of sum ln(1 + s d) with the
        scores s of the records, of which a second step takes the next order, the sum of s (s d)^2.
        """
        gradient = np.where(self.held, 0.0, self.fit.gradient)
        step = self.covariance @ gradient
        if not step.any():
            return np.asarray(step)
        counts, second = self.fit.context.counts, np.zeros_like(step)
        for piece, found in self.fit.scores.pieces():
            second += (counts[piece] * (found @ step) ** 2) @ found
        return np.asarray(step + self.covariance @ second)

    @cached_property
    def groups(self) -> list[tuple[Places, Reals]]:
        """Strengths that are not told apart, and an orthonormal basis (strengths, directions) of what is not told."""
        values, vectors = self._spectrum
        rest = vectors[:, values <= _TOLD]
        projector = rest @ rest.T
        members = np.flatnonzero(np.diag(projector) > _MEMBER)
        graph = sparse.csr_matrix(np.abs(projector[np.ix_(members, members)]) > _TIED)
        n, which = csgraph.connected_components(graph, directed=False)
        found = []
        for group in (members[which == i] for i in range(n)):
            u, s, _ = np.linalg.svd(rest[group], full_matrices=False)
            found.append((group, u[:, s > 0.5]))
        return [(group, basis) for group, basis in found if basis.shape[1]]

    def spread(self, value: float, slope: Reals) -> Spread:
        """Of a number with this value at the likeliest strengths and this slope in each, (n_parameters,)."""
        error = math.sqrt(max(float(slope @ self.covariance @ slope), 0.0))
        moved = value + float(slope @ self.further)
        down = up = once = 0.0
        for group, basis in self.groups:
            low, high = self._range(group, basis, slope[group])
            down, up = down + low, up + high
        if self.held.any():
            once = float((slope[self.held] / -self.fit.gradient[self.held]).max()) * -math.log((1 - self.level) / 2)
        return Spread(moved, error, down, up, max(once, 0.0))

    def _range(self, group: Places, basis: Reals, slope: Reals) -> tuple[float, float]:
        """Least and most that a number with this slope changes along what is not told, within the bounds."""
        along = basis.T @ slope
        if np.abs(along).max() < _SHIFT:
            return 0.0, 0.0
        theta = self.fit.theta[group]
        low, high = (bound[group] for bound in self.model.bounds)
        # Where a bound is reached is as uncertain as the strengths are.
        error = np.sqrt(np.diag(self.covariance)[group].clip(0))
        rows = np.concatenate([basis, -basis])
        room = np.concatenate([high - theta + error, theta - low + error]).clip(0)
        ends = []
        for sign in (1.0, -1.0):
            found = optimize.linprog(sign * along, A_ub=rows, b_ub=room, bounds=(None, None))
            ends.append(float(along @ found.x) if found.status == 0 else -sign * math.inf)
        return min(ends[0], 0.0), max(ends[1], 0.0)

    def estimate(self, spread: Spread, low: float = -math.inf, high: float = math.inf) -> Estimate:
        """As an estimate of a number that cannot leave some bounds.

        An interval beyond a bound ends where the likelihood has fallen as far from its highest possible value as at the
        ends of others.
        """
        bottom, top = self._ends(spread, low, high)
        value = min(max(spread.value, low), high)
        error = math.hypot(spread.standard_error, spread.once / self.reach) + (spread.up - spread.down) / 4
        n = len(self.fit.context.records)
        return Estimate(value, error, min(bottom, value), max(top, value), self.level, n, METHOD, "model")

    def _ends(self, spread: Spread, low: float, high: float) -> tuple[float, float]:
        wide = self.reach * spread.standard_error
        below, above = wide, math.hypot(wide, spread.once)
        if spread.value < low:
            above = max(math.hypot(wide, low - spread.value), above)
        if spread.value > high:
            below = math.hypot(wide, spread.value - high)
        ends = spread.value + spread.down - below, spread.value + spread.up + above
        return min(max(ends[0], low), high), max(min(ends[1], high), low)
