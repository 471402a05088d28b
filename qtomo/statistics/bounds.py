"""One-sided confidence limits that hold at any number of independent values, whatever their distribution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

__all__ = ["mean_lower_limit", "mean_upper_limit", "proportion_lower_limit", "proportion_upper_limit"]

Reals = NDArray[np.float64]

_TRUNCATED = 0.5  # of the largest bet that cannot lose everything


def proportion_lower_limit(right: int, n: int, level: float) -> float:
    """Below a proportion with at least this confidence (Clopper and Pearson 1934)."""
    return float(stats.beta.ppf(1 - level, right, n - right + 1)) if right else 0.0


def proportion_upper_limit(right: int, n: int, level: float) -> float:
    """Above a proportion with at least this confidence (Clopper and Pearson 1934)."""
    return float(stats.beta.ppf(level, right + 1, n - right)) if right < n else 1.0


def mean_lower_limit(values: ArrayLike, low: float, high: float, level: float) -> float:
    """Below the mean of independent values in [low, high], with at least this confidence at any n.

    A gambler who bets on values above m, with stakes that depend on earlier values alone, has a capital of at most 1
    on average if the mean is m or less; he ends above 1/(1 - level) with probability at most 1 - level (Ville). The
    limit is the smallest m that he does not refute (Waudby-Smith and Ramdas 2023, arXiv 2010.09686, section 4,
    one-sided). The order of the values must not depend on them.

    Args:
        values: (n,).
        low: smallest possible value.
        high: largest possible value.
        level: confidence.

    >>> mean_lower_limit(np.ones(1000), 0.0, 1.0, 0.95) > 0.99
    True
    """
    x = (np.asarray(values, dtype=np.float64) - low) / (high - low) if high > low else np.zeros(0)
    n = len(x)
    if not n:
        return low
    x = x.clip(0.0, 1.0)
    alpha = 1 - level
    # Predictable plug-in stakes, arXiv 2010.09686, eq. 26, from a prior count of one half-way value.
    squares = (x - (0.5 + np.cumsum(x)) / np.arange(2, n + 2)) ** 2
    variances = (0.25 + np.concatenate([[0.0], np.cumsum(squares)[:-1]])) / np.arange(1, n + 1)
    stakes = np.sqrt(2 * math.log(1 / alpha) / (n * variances))

    def excess(m: float) -> float:
        """ln of the final capital less its threshold, falling in m."""
        bets = np.minimum(stakes, _TRUNCATED / max(m, 1e-12))
        return float(np.log1p(bets * (x - m)).sum()) - math.log(1 / alpha)

    if excess(0.0) <= 0:
        return low
    if excess(1.0) > 0:
        return high
    return low + (high - low) * float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-9))


def mean_upper_limit(values: ArrayLike, low: float, high: float, level: float) -> float:
    """Above the mean of independent values in [low, high], with at least this confidence at any n."""
    return -mean_lower_limit(-np.asarray(values, dtype=np.float64), -high, -low, level)
