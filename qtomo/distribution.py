"""The one idea everything turns on: a distribution over records of N outcomes.

The exact target (`qtomo.states.BornDistribution`) and every model have this face, so that every
analysis takes any two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOST", "Distribution", "Likelihood", "Outcomes", "enumerate_outcomes", "shot_labels"]

#: Records as (n_records, n_sites) integers below `n_outcomes`.
Outcomes = NDArray[np.uint8]

#: The outcome of a qubit whose measurement was lost: an atom gone, a readout dropped.
LOST = 255

#: What `log_prob` returns: the log-probability, a lower bound on it, a noisy estimate, or nothing.
Likelihood = Literal["exact", "lower_bound", "estimate", "none"]


@runtime_checkable
class Distribution(Protocol):
    """A probability distribution over (n_sites,) outcomes below `n_outcomes`."""

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""

    @property
    def n_outcomes(self) -> int:
        """K, the number of outcomes of one qubit."""

    @property
    def likelihood(self) -> Likelihood:
        """What `log_prob` returns."""

    def log_prob(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """Natural logarithm of the probability of each record, (batch, n_sites) to (batch,)."""

    def sample(self, n: int, generator: np.random.Generator) -> Outcomes:
        """`n` independent records, uint8 (n, n_sites); the same generator state gives the same records."""


def enumerate_outcomes(n_sites: int, n_outcomes: int, chunk: int = 65536) -> Iterator[Outcomes]:
    """All n_outcomes**n_sites records in lexicographic order, in pieces of at most `chunk` rows."""
    total = n_outcomes**n_sites
    place = n_outcomes ** np.arange(n_sites - 1, -1, -1, dtype=np.int64)
    for first in range(0, total, chunk):
        index = np.arange(first, min(first + chunk, total), dtype=np.int64)
        yield (index[:, None] // place % n_outcomes).astype(np.uint8)


def shot_labels(settings: Outcomes, bits: Outcomes) -> Outcomes:
    """Shots as outcomes of a six-outcome POVM, 2 * basis + bit; a lost bit stays lost."""
    labels: Outcomes = np.where(bits == LOST, LOST, 2 * settings + bits).astype(np.uint8)
    return labels
