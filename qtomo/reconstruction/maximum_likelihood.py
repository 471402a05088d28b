"""The state that makes the records most likely, among all states (Hradil 1997, Phys. Rev. A 55, R1561).

The logarithm of the likelihood, L(rho) = sum_a n_a ln Tr(rho M_a), is concave. With n records and
R = sum_a (n_a/n) M_a / Tr(rho M_a), every state has L(sigma) <= L(rho) + n (Tr(sigma R) - 1), so that
n (largest eigenvalue of R - 1) bounds what is left to gain: the search ends when that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.reconstruction.frequencies import Frequencies
from qtomo.states.pauli import along_sites, from_paulis
from qtomo.states.quantities import nearest_state

__all__ = ["Fit", "log_likelihood", "maximum_likelihood", "maximum_likelihood_each"]

Matrix = NDArray[np.complex128]
Reals = NDArray[np.float64]
Rows = NDArray[np.intp]

_TOLERANCE = 1e-6  # nats of all records together
_LAW_TOLERANCE = 1e-10  # nats a record, of an exact law
_ITERATIONS = 5_000
_CHECKED = 10  # iterations between looks at what is left to gain
_GROWTH, _SHRINK = 1.3, 0.5  # of the step
_MIXED = 1e-3  # of the maximally mixed state in a start, so that no outcome is impossible
_ROUNDING = 1e-13  # nats a record that the likelihood does not resolve


@dataclass(frozen=True, eq=False)
class Fit:
    """A state of most likelihood.

    Args:
        matrix: complex (2**N, 2**N), positive, of trace 1.
        log_likelihood: of all records, in nats.
        gap: nats by which another state's may be higher, at most.
        iterations: that it took.
    """

    matrix: Matrix
    log_likelihood: float
    gap: float
    iterations: int


def log_likelihood(frequencies: Frequencies, matrix: Matrix) -> float:
    """sum_a n_a ln Tr(rho M_a) in nats; -inf where an outcome that was seen is given no positive probability."""
    seen = frequencies.counts > 0
    chances = frequencies.probabilities(matrix)[seen]
    if chances.min() <= 0:
        return -np.inf
    return float(frequencies.counts[seen] @ np.log(chances))


def maximum_likelihood(
    frequencies: Frequencies,
    start: Matrix | None = None,
    tolerance: float | None = None,
    most_iterations: int = _ITERATIONS,
) -> Fit:
    """The state of most likelihood; see `maximum_likelihood_each`."""
    return maximum_likelihood_each([frequencies], start, tolerance, most_iterations)[0]


def maximum_likelihood_each(
    frequencies: Sequence[Frequencies],
    start: Matrix | None = None,
    tolerance: float | None = None,
    most_iterations: int = _ITERATIONS,
) -> list[Fit]:
    """Maximise the likelihood of several data sets of one measurement side by side.

    Accelerated projected gradient (Shang, Zhang and Ng 2017, arXiv 1609.07881): each step goes along R and back to
    the nearest state; steps shrink until the quadratic model holds and grow after; momentum (Beck and Teboulle 2009)
    starts anew where it points downhill (O'Donoghue and Candes, arXiv 1204.3982).

    Args:
        frequencies: of records, or laws.
        start: a state to begin at, the maximally mixed one where not given.
        tolerance: nats to be left at most; 1e-6 of all records, 1e-10 a record of a law.
        most_iterations: at which the search ends at the latest; `gap` then says how far it came.
    """
    first = frequencies[0]
    dimension, effects = 2**first.n_sites, first.effects
    backwards = [table.T for table in effects]
    totals = np.array([f.counts.sum() for f in frequencies])
    shares = np.stack([f.counts for f in frequencies]).reshape(len(totals), -1) / totals[:, None]
    if tolerance is None:
        tolerance = _TOLERANCE if first.n_records else _LAW_TOLERANCE

    def value(states: Matrix, rows: Rows) -> tuple[Reals, Reals]:
        """Nats a record, -inf where a string that was seen is impossible, and probabilities of all strings."""
        chances = first.probabilities(states).reshape(len(states), first.counts.size)
        seen = shares[rows] > 0
        impossible = (seen & (chances <= 0)).any(axis=1)
        logs = np.log(chances, out=np.zeros_like(chances), where=seen & (chances > 0))
        return np.where(impossible, -np.inf, np.einsum("bc,bc->b", shares[rows], logs)), chances

    def gradient(chances: Reals, rows: Rows) -> Matrix:
        """R - 1: moves have no trace, and without the identity rounding is less."""
        weights = np.divide(shares[rows], chances, out=np.zeros_like(chances), where=shares[rows] > 0)
        tables = along_sites(weights.reshape(len(weights), *first.counts.shape), backwards)
        return from_paulis(tables, first.n_sites) - np.eye(dimension)

    everything = np.arange(len(totals))
    state = np.eye(dimension, dtype=np.complex128) / dimension
    if start is not None:
        state = (1 - _MIXED) * start + _MIXED * state
    state = np.repeat(state[None], len(totals), axis=0)
    height, chances = value(state, everything)
    ahead, ahead_height, slope = state.copy(), height.copy(), gradient(chances, everything)
    step, momentum = np.ones((2, len(totals)))
    fresh, iterations = np.ones(len(totals), bool), np.zeros(len(totals), int)  # fresh: ahead is the state itself
    rows = everything
    for iteration in range(1, most_iterations + 1):
        iterations[rows] = iteration
        moved = nearest_state(ahead[rows] + step[rows, None, None] * slope[rows])
        new_height, new_chances = value(moved, rows)
        difference = moved - ahead[rows]
        promised = _inner(slope[rows], difference) - _inner(difference, difference) / (2 * step[rows])
        resolved = promised > _ROUNDING
        taken = new_height >= ahead_height[rows] + promised - np.where(resolved, 0, _ROUNDING)
        step[rows[~taken]] *= _SHRINK
        downhill = (_inner(slope[rows], moved - state[rows]) < 0) | (new_height < height[rows] - _ROUNDING)
        ended = rows[taken & downhill & fresh[rows]]  # a step from the state itself gains nothing any more
        back = rows[taken & downhill & ~fresh[rows]]
        good = taken & ~downhill
        gained = rows[good]
        following = (1 + np.sqrt(1 + 4 * momentum[gained] ** 2)) / 2
        push = ((momentum[gained] - 1) / following)[:, None, None]
        ahead[gained] = moved[good] + push * (moved[good] - state[gained])
        state[gained], height[gained], chances[gained] = moved[good], new_height[good], new_chances[good]
        momentum[gained], fresh[gained] = following, False
        step[rows[good & resolved]] *= _GROWTH  # else it stays what the likelihood could last tell to be right
        ahead_height[gained], ahead_chances = value(ahead[gained], gained)
        slope[gained] = gradient(ahead_chances, gained)
        back = np.concatenate([back, gained[~np.isfinite(ahead_height[gained])]])
        ahead[back], ahead_height[back], slope[back] = state[back], height[back], gradient(chances[back], back)
        momentum[back], fresh[back] = 1.0, True
        rows = np.setdiff1d(rows, ended)
        if iteration % _CHECKED == 0:
            rows = rows[_largest(gradient(chances[rows], rows)) * totals[rows] > tolerance]
        if not len(rows):
            break
    gaps = _largest(gradient(chances, everything)).clip(0) * totals
    found = zip(state, height * totals, gaps, iterations, strict=True)
    return [Fit(matrix, float(h), float(gap), int(n)) for matrix, h, gap, n in found]


def _inner(one: Matrix, other: Matrix) -> Reals:
    """Tr(A B) of Hermitian (batch, d, d): (batch,)."""
    return np.asarray(np.einsum("bij,bij->b", one.conj(), other).real)


def _largest(matrices: Matrix) -> Reals:
    """The largest eigenvalue of each."""
    return np.asarray(np.linalg.eigvalsh(matrices)[:, -1])
