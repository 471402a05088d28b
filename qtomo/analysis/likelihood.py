"""The state that makes the records most likely, among all states (Hradil 1997, Phys. Rev. A 55, R1561).

The logarithm of the likelihood, L(rho) = sum_a n_a ln Tr(rho M_a), is concave. With n records and
R = sum_a (n_a/n) M_a / Tr(rho M_a), every state has L(sigma) <= L(rho) + n (Tr(sigma R) - 1), so that
n (largest eigenvalue of R - 1) bounds what is left to gain: the search ends when that says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.analysis.frequencies import Frequencies
from qtomo.states.pauli import along_sites, from_paulis
from qtomo.states.quantities import nearest_state

__all__ = ["Fit", "log_likelihood", "maximum_likelihood"]

Matrix = NDArray[np.complex128]

_TOLERANCE = 1e-6  # nats of all records together
_LAW_TOLERANCE = 1e-10  # nats a record, of an exact law
_ITERATIONS = 5_000
_CHECKED = 10  # iterations between looks at what is left to gain
_GROWTH, _SHRINK = 1.3, 0.5  # of the step
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
    """Maximise the likelihood by accelerated projected gradient (Shang, Zhang and Ng 2017, arXiv 1609.07881).

    Each step goes along R and back to the nearest state; steps shrink until the quadratic model holds and grow after;
    momentum (Beck and Teboulle 2009) starts anew where it points downhill (O'Donoghue and Candes, arXiv 1204.3982).

    Args:
        frequencies: of records, or a law.
        start: a state to begin at, the maximally mixed one where not given.
        tolerance: nats to be left at most; 1e-6 of all records, 1e-10 a record of a law.
        most_iterations: at which the search ends at the latest; `gap` then says how far it came.
    """
    dimension = 2**frequencies.n_sites
    seen = frequencies.counts > 0
    total = float(frequencies.counts.sum())
    shares = frequencies.counts[seen] / total
    backwards = [table.T for table in frequencies.effects]
    if tolerance is None:
        tolerance = _TOLERANCE if frequencies.n_records else _LAW_TOLERANCE
    enough = tolerance / total

    def value(matrix: Matrix) -> tuple[float, NDArray[np.float64]]:
        chances = frequencies.probabilities(matrix)[seen]
        return (float(shares @ np.log(chances)) if chances.min() > 0 else -np.inf), chances

    def gradient(chances: NDArray[np.float64]) -> Matrix:
        weights = np.zeros(frequencies.counts.shape)
        weights[seen] = shares / chances
        return from_paulis(along_sites(weights, backwards))

    state = np.eye(dimension, dtype=np.complex128) / dimension
    if start is not None:
        state = (1 - 1e-3) * start + 1e-3 * state
    height, chances = value(state)
    ahead, ahead_height, ahead_chances = state, height, chances
    step, momentum, iteration = 1.0, 1.0, 0
    for iteration in range(1, most_iterations + 1):
        slope = gradient(ahead_chances) - np.eye(dimension)  # moves have no trace: only rounding is less
        while True:
            moved = nearest_state(ahead + step * slope)
            difference = moved - ahead
            new_height, new_chances = value(moved)
            promised = np.vdot(slope, difference).real - np.vdot(difference, difference).real / (2 * step)
            resolved = promised > _ROUNDING
            if new_height >= ahead_height + promised - (0 if resolved else _ROUNDING):
                break
            step *= _SHRINK
        if np.vdot(slope, moved - state).real < 0 or new_height < height - _ROUNDING:
            if ahead is state:  # a step from the state itself that gains nothing any more
                break
            momentum, ahead, ahead_height, ahead_chances = 1.0, state, height, chances
            continue
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        trial = moved + (momentum - 1) / following * (moved - state)
        momentum = following
        state, height, chances = moved, new_height, new_chances
        if iteration % _CHECKED == 0:
            gap = float(np.linalg.eigvalsh(gradient(chances))[-1]) - 1
            if gap <= enough:
                break
        ahead = trial
        ahead_height, ahead_chances = value(ahead)
        if not np.isfinite(ahead_height):
            momentum, ahead, ahead_height, ahead_chances = 1.0, state, height, chances
        if resolved:  # else the step stays what the likelihood could last tell to be right
            step *= _GROWTH
    gap = float(np.linalg.eigvalsh(gradient(chances))[-1]) - 1
    return Fit(state, height * total, max(0.0, gap) * total, iteration)
