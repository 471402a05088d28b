"""Many tests at once: Holm's correction, and how large the largest deviation is by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

__all__ = ["expected_largest", "holm"]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that all of them hold simultaneously at any level (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * float(p_values[index])))
        adjusted[index] = largest
    return adjusted


def expected_largest(n: int) -> float:
    """Median of the largest |z| among n independent standard normal ones."""
    return float(stats.norm.ppf((1 + 0.5 ** (1 / n)) / 2))
