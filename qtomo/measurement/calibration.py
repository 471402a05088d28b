"""Readout calibration: what shots of |0...0> and of |1...1> say of each qubit's readout error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import Code, InputError

__all__ = ["Calibration"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Shots of |0...0> and of |1...1>, counted qubit by qubit.

    What is prepared wrongly counts as read wrongly.

    Args:
        wrong: shots of |0> read as 1 and of |1> read as 0, int (n_sites, 2).
        shots: shots of |0> and of |1> whose bit was not lost, int (n_sites, 2).

    Raises:
        InputError: other shapes, no shot of a state, or more wrong ones than shots.

    >>> Calibration.of_bits(np.array([[0, 1], [0, 0]]), np.array([[1, 1], [1, 1]])).flips.tolist()
    [[0.0, 0.0], [0.5, 0.0]]
    """

    wrong: NDArray[np.int64]
    shots: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.wrong.ndim != 2 or self.wrong.shape[1] != 2 or self.wrong.shape != self.shots.shape:
            raise InputError(
                Code.SHAPE, f"calibration counts of shapes {self.wrong.shape} and {self.shots.shape}, expected (N, 2)"
            )
        if self.shots.min() < 1:
            site, state = np.argwhere(self.shots < 1)[0]
            raise InputError(Code.UNMEASURED, f"calibration of site {site}: no shot of |{state}>")
        if self.wrong.min() < 0 or (self.wrong > self.shots).any():
            raise InputError(
                Code.VALUE, "calibration counts: more shots read wrongly than there are, or a negative number"
            )

    @classmethod
    def of_bits(cls, zeros: Outcomes, ones: Outcomes) -> Calibration:
        """Count shots of |0...0> and of |1...1>; lost bits are left out.

        Args:
            zeros: bits of shots of |0...0>, (shots, n_sites), 255 where lost.
            ones: bits of shots of |1...1>, alike.

        Raises:
            InputError: two numbers of qubits, or a qubit whose bits are all lost.
        """
        wrong = [((bits != state) & (bits != LOST)).sum(axis=0) for state, bits in enumerate((zeros, ones))]
        read = [(bits != LOST).sum(axis=0) for bits in (zeros, ones)]
        if wrong[0].shape != wrong[1].shape:
            raise InputError(Code.MISMATCH, f"calibration shots of {len(wrong[0])} and of {len(wrong[1])} qubits")
        return cls(np.stack(wrong, axis=1), np.stack(read, axis=1))

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""
        return len(self.wrong)

    @property
    def flips(self) -> NDArray[np.float64]:
        """Share of |0> read as 1 and of |1> read as 0, (n_sites, 2)."""
        return self.wrong / self.shots

    @property
    def errors(self) -> NDArray[np.float64]:
        """Standard errors of `flips`; never 0, from (k + 1/2)/(n + 1)."""
        smooth = self.smoothed
        return np.sqrt(smooth * (1 - smooth) / (self.shots + 1))

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """`flips` that are never 0 nor 1, (k + 1/2)/(n + 1)."""
        found: NDArray[np.float64] = (self.wrong + 0.5) / (self.shots + 1)
        return found

    def log_likelihoods(self, flips: NDArray[np.float64]) -> NDArray[np.float64]:
        """ln of the probability of these counts for each of such errors, (n_sites, 2), without the number of orders."""
        right = self.shots - self.wrong
        return np.asarray(special.xlogy(self.wrong, flips) + special.xlogy(right, 1 - flips))

    def gradient(self, flips: NDArray[np.float64]) -> NDArray[np.float64]:
        """Slopes of their sum, by 0 read as 1 of each qubit, then by 1 read as 0, (2 n_sites,)."""
        found: NDArray[np.float64] = (self.wrong / flips - (self.shots - self.wrong) / (1 - flips)).T.ravel()
        return found

    def information(self, flips: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the shots tell of each, in the same order."""
        found: NDArray[np.float64] = (self.shots / (flips * (1 - flips))).T.ravel()
        return found

    @property
    def confusion(self) -> NDArray[np.float64]:
        """p(read a | true b), (n_sites, 2, 2)."""
        p0, p1 = self.flips.T
        return np.array([[1 - p0, p1], [p0, 1 - p1]]).transpose(2, 0, 1)

    def describe(self) -> list[str]:
        """One line per qubit."""
        return [
            f"site {site}: 0 read as 1 {p[0]:.5f} ± {e[0]:.5f}, 1 read as 0 {p[1]:.5f} ± {e[1]:.5f}"
            for site, (p, e) in enumerate(zip(self.flips, self.errors, strict=True))
        ]
