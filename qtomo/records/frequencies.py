"""How often each two qubits of records gave what: what tests of pairs count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.measurement.povm import BASES

__all__ = ["equal_bits", "outcome_pairs"]

Reals = NDArray[np.float64]


def equal_bits(labels: Outcomes, weights: Reals, places: NDArray[np.int64]) -> tuple[Reals, Reals]:
    """Shots with equal bits, and shots, of each pair of qubits in each two bases: (pairs, 9) each.

    Args:
        labels: 2 * basis + bit, 255 where lost, (rows, n_sites).
        weights: how often each row is there, (rows,).
        places: the qubits of each pair, (pairs, 2).
    """
    there = [((labels // 2 == basis) & (labels != LOST)).astype(np.float64) for basis in range(len(BASES))]
    signs = [one * (1.0 - 2.0 * (labels % 2)) for one in there]
    number, total = _products(there, weights, places), _products(signs, weights, places)
    return np.rint((number + total) / 2), number


def outcome_pairs(labels: Outcomes, weights: Reals, places: NDArray[np.int64], n_outcomes: int) -> tuple[Reals, Reals]:
    """Records with each two outcomes, and records with any two, of each pair of qubits: (pairs, K * K) each.

    Args:
        labels: POVM elements, 255 where lost, (rows, n_sites).
        weights: how often each row is there, (rows,).
        places: the qubits of each pair, (pairs, 2).
        n_outcomes: K.
    """
    shown = [(labels == outcome).astype(np.float64) for outcome in range(n_outcomes)]
    there = (labels != LOST).astype(np.float64)
    return _products(shown, weights, places), np.repeat(_products([there], weights, places), n_outcomes**2, axis=1)


def _products(columns: list[Reals], weights: Reals, places: NDArray[np.int64]) -> Reals:
    """Sums over the rows of each two of some values of the qubits of each pair, (pairs, len(columns)**2)."""
    i, j = places.T
    weighted = [(one * weights[:, None]).T for one in columns]
    return np.stack([(one @ other)[i, j] for one in weighted for other in columns], axis=1)
