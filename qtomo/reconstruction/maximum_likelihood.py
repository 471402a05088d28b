"""The state that makes the records most likely, among all states (Hradil 1997, Phys. Rev. A 55, R1561).

The logarithm of the likelihood, L(rho) = sum_a n_a ln Tr(rho M_a), is concave. With n records and
R = sum_a (n_a/n) M_a / Tr(rho M_a), every state has L(sigma) <= L(rho) + n (Tr(sigma R) - 1), so that
n (largest eigenvalue of R - 1) bounds the gap to the maximum: the search ends when that is small enough. This holds for
shots in any numbers per setting too, whose likelihood given the settings differs from L by a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.reconstruction.frequencies import Frequencies
from qtomo.states.pauli import along_sites, from_paulis
from qtomo.states.quantities import nearest_state

__all__ = ["Fit", "Tie", "log_likelihood", "maximum_likelihood", "maximum_likelihood_each"]

Matrix = NDArray[np.complex128]
Reals = NDArray[np.float64]
Rows = NDArray[np.intp]

_TOLERANCE = 1e-6  # nats of all records together
_EXACT_TOLERANCE = 1e-10  # nats per record, of an exact distribution
_ITERATIONS = 5_000
_CHECKED = 10  # iterations between computations of the gap
_GROWTH, _SHRINK = 1.3, 0.5  # of the step
_MIXED = 1e-3  # of the maximally mixed state in a start, so that no outcome is impossible
_ROUNDING = 1e-13  # nats per record that the likelihood does not resolve


@dataclass(frozen=True, eq=False)
class Fit:
    """A state of maximum likelihood.

    Args:
        matrix: complex (2**N, 2**N), positive, of trace 1.
        log_likelihood: of all records, in nats.
        gap: nats by which another state's may be higher, at most.
        iterations: until it ended.
    """

    matrix: Matrix
    log_likelihood: float
    gap: float
    iterations: int


@dataclass(frozen=True, eq=False)
class Tie:
    """A quantity g of the states that is held near given numbers: -stiffness (g - number)**2 / 2 joins the likelihood.

    Args:
        value: g of states (batch, 2**N, 2**N): (batch,).
        slope: its gradient, Hermitian (batch, 2**N, 2**N).
        numbers: one per data set.
        stiffness: in nats of all records.
    """

    value: Callable[[Matrix], Reals]
    slope: Callable[[Matrix], Matrix]
    numbers: Reals
    stiffness: float


def log_likelihood(frequencies: Frequencies, matrix: Matrix) -> float:
    """sum_a n_a ln Tr(rho M_a) in nats; -inf where an observed outcome has no positive probability."""
    seen = frequencies.counts > 0
    probabilities = frequencies.probabilities(matrix)[seen]
    if probabilities.min() <= 0:
        return -np.inf
    return float(frequencies.counts[seen] @ np.log(probabilities))


def maximum_likelihood(
    frequencies: Frequencies,
    start: Matrix | None = None,
    tolerance: float | None = None,
    most_iterations: int = _ITERATIONS,
) -> Fit:
    """The state of maximum likelihood; see `maximum_likelihood_each`."""
    return maximum_likelihood_each([frequencies], start, tolerance, most_iterations)[0]


def maximum_likelihood_each(
    frequencies: Sequence[Frequencies],
    start: Matrix | None = None,
    tolerance: float | None = None,
    most_iterations: int = _ITERATIONS,
    *,
    tie: Tie | None = None,
) -> list[Fit]:
    """Maximise the likelihood of several data sets of one measurement side by side.

    Accelerated projected gradient (Shang, Zhang and Ng 2017, arXiv 1609.07881): each step goes along R and back to
    the nearest state; steps shrink until the quadratic model holds and grow after; momentum (Beck and Teboulle 2009)
    starts anew where it points downhill (O'Donoghue and Candes, arXiv 1204.3982).

    Args:
        frequencies: of records, or of exact distributions.
        start: a state to begin at, or one per data set; the maximally mixed one where not given.
        tolerance: the gap to end at, in nats; 1e-6 of all records, 1e-10 per record of an exact distribution.
        most_iterations: at which the search ends at the latest; `gap` then says how far it came.
        tie: a quantity that is held near given numbers; log-likelihood and gap of the fits then have its term.
    """
    if tolerance is None:
        tolerance = _TOLERANCE if frequencies[0].n_records else _EXACT_TOLERANCE
    ascent = _Ascent(frequencies, start, tie)
    for iteration in range(1, most_iterations + 1):
        ascent.step(iteration)
        if iteration % _CHECKED == 0:
            ascent.active = ascent.active[ascent.gaps(ascent.active) > tolerance]
        if not len(ascent.active):
            break
    return ascent.fits()


class _Ascent:
    """States of several data sets on their way up, row by row; `active` are the rows that have not arrived."""

    def __init__(self, frequencies: Sequence[Frequencies], start: Matrix | None, tie: Tie | None) -> None:
        self.first, self.tie = frequencies[0], tie
        self.dimension = 2**self.first.n_sites
        self.transposed = [table.T for table in self.first.effects]
        self.totals = np.array([f.counts.sum() for f in frequencies])
        n_sets = len(self.totals)
        self.shares = np.stack([f.counts for f in frequencies]).reshape(n_sets, -1) / self.totals[:, None]
        self.active = np.arange(n_sets)
        state = np.eye(self.dimension, dtype=np.complex128) / self.dimension
        if start is not None:
            state = (1 - _MIXED) * start + _MIXED * state
        self.state = np.array(np.broadcast_to(state, (n_sets, self.dimension, self.dimension)))
        self.height, self.probabilities = self.value(self.state, self.active)
        # The point that momentum leads to, where the gradient is taken; `fresh` where it is the state itself.
        self.ahead, self.ahead_height = self.state.copy(), self.height.copy()
        self.slope = self.gradient(self.state, self.probabilities, self.active)
        self.step_size, self.momentum = np.ones((2, n_sets))
        self.fresh, self.iterations = np.ones(n_sets, bool), np.zeros(n_sets, int)

    def value(self, states: Matrix, rows: Rows) -> tuple[Reals, Reals]:
        """Nats per record, -inf where an observed string is impossible, and probabilities of all strings."""
        probabilities = self.first.probabilities(states).reshape(len(states), self.first.counts.size)
        seen = self.shares[rows] > 0
        impossible = (seen & (probabilities <= 0)).any(axis=1)
        logs = np.log(probabilities, out=np.zeros_like(probabilities), where=seen & (probabilities > 0))
        height = np.where(impossible, -np.inf, np.einsum("bc,bc->b", self.shares[rows], logs))
        if self.tie is not None:
            off = self.tie.value(states) - self.tie.numbers[rows]
            height -= self.tie.stiffness / self.totals[rows] * off**2 / 2
        return height, probabilities

    def gradient(self, states: Matrix, probabilities: Reals, rows: Rows) -> Matrix:
        """R - 1, and what the tie adds: steps have no trace, and without the identity rounding is less."""
        weights = np.divide(
            self.shares[rows], probabilities, out=np.zeros_like(probabilities), where=self.shares[rows] > 0
        )
        tables = along_sites(weights.reshape(len(weights), *self.first.counts.shape), self.transposed)
        found = from_paulis(tables, self.first.n_sites) - np.eye(self.dimension)
        if self.tie is not None:
            off = self.tie.value(states) - self.tie.numbers[rows]
            found -= (self.tie.stiffness / self.totals[rows] * off)[:, None, None] * self.tie.slope(states)
        return found

    def gaps(self, rows: Rows) -> Reals:
        """Nats by which the likelihood of all records may still rise, at most; with a tie, to first order."""
        slope = self.gradient(self.state[rows], self.probabilities[rows], rows)
        along = _inner(slope, self.state[rows]) if self.tie is not None else 0.0  # else it is zero
        found: Reals = (_largest(slope) - along) * self.totals[rows]
        return found

    def step(self, iteration: int) -> None:
        """One step of every active row: taken, sent back to its state, or the row has arrived."""
        rows = self.active
        self.iterations[rows] = iteration
        moved = nearest_state(self.ahead[rows] + self.step_size[rows, None, None] * self.slope[rows])
        new_height, new_probabilities = self.value(moved, rows)
        difference = moved - self.ahead[rows]
        promised = _inner(self.slope[rows], difference)
        promised -= _inner(difference, difference) / (2 * self.step_size[rows])
        resolved = promised > _ROUNDING
        taken = new_height >= self.ahead_height[rows] + promised - np.where(resolved, 0, _ROUNDING)
        self.step_size[rows[~taken]] *= _SHRINK
        downhill = _inner(self.slope[rows], moved - self.state[rows]) < 0
        downhill |= new_height < self.height[rows] - _ROUNDING
        arrived = rows[taken & downhill & self.fresh[rows]]  # a step from the state itself gains nothing any more
        back = rows[taken & downhill & ~self.fresh[rows]]
        good = taken & ~downhill
        gained = rows[good]
        self._accept(gained, moved[good], new_height[good], new_probabilities[good])
        self.step_size[rows[good & resolved]] *= _GROWTH  # else it stays what the likelihood last resolved
        self._restart(np.concatenate([back, gained[~np.isfinite(self.ahead_height[gained])]]))
        self.active = np.setdiff1d(rows, arrived)

    def _accept(self, rows: Rows, states: Matrix, height: Reals, probabilities: Reals) -> None:
        """Move to new states, and look ahead of them by the momentum."""
        following = (1 + np.sqrt(1 + 4 * self.momentum[rows] ** 2)) / 2
        push = ((self.momentum[rows] - 1) / following)[:, None, None]
        self.ahead[rows] = states + push * (states - self.state[rows])
        self.state[rows], self.height[rows], self.probabilities[rows] = states, height, probabilities
        self.momentum[rows], self.fresh[rows] = following, False
        self.ahead_height[rows], ahead_probabilities = self.value(self.ahead[rows], rows)
        self.slope[rows] = self.gradient(self.ahead[rows], ahead_probabilities, rows)

    def _restart(self, rows: Rows) -> None:
        """Go back to the state itself, without momentum."""
        self.ahead[rows], self.ahead_height[rows] = self.state[rows], self.height[rows]
        self.slope[rows] = self.gradient(self.state[rows], self.probabilities[rows], rows)
        self.momentum[rows], self.fresh[rows] = 1.0, True

    def fits(self) -> list[Fit]:
        """The states as they are now."""
        gaps = self.gaps(np.arange(len(self.totals))).clip(0)
        rows = zip(self.state, self.height * self.totals, gaps, self.iterations, strict=True)
        return [Fit(matrix, float(height), float(gap), int(n)) for matrix, height, gap, n in rows]


def _inner(one: Matrix, other: Matrix) -> Reals:
    """Tr(A B) of Hermitian (batch, d, d): (batch,)."""
    return np.asarray(np.einsum("bij,bij->b", one.conj(), other).real)


def _largest(matrices: Matrix) -> Reals:
    """The largest eigenvalue of each."""
    return np.asarray(np.linalg.eigvalsh(matrices)[:, -1])
