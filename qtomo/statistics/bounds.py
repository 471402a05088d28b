"""One-sided confidence limits that hold at any number of independent values, whatever their distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

__all__ = [
    "IndependentTerms",
    "mean_lower_limit",
    "mean_upper_limit",
    "proportion_lower_limit",
    "proportion_upper_limit",
    "sum_lower_limit",
]

Reals = NDArray[np.float64]

_TRUNCATED = 0.5  # of the largest bet that cannot lose everything

#: Stakes in units of the best one for the expected spread, and the share of the capital that is bet with each.
_STAKES, _SHARES = np.array([1 / 3, 1.0, 3.0]), np.array([0.15, 0.7, 0.15])

#: Constant of the theorem of Berry and Esseen for terms of unlike laws (Shevtsova 2010), and the share of the error
#: that the limit of the variance has.
_BERRY_ESSEEN, _SQUARES = 0.56, 0.05


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


@dataclass(frozen=True, eq=False)
class IndependentTerms:
    """Terms of a sum, independent, each of a law of its own within the same bounds.

    Args:
        values: (n,).
        low: below every value that is possible.
        high: above every value that is possible.
        spread: standard deviation of the sum as expected before the values were seen; a wrong one costs width only.
    """

    values: Reals
    low: float
    high: float
    spread: float


def sum_lower_limit(terms: IndependentTerms, ceiling: float, level: float) -> float:
    """Below the mean of a sum of independent terms, with at least this confidence at any number of them.

    Terms may come from strata, such as settings with numbers of shots of their own; no correction for the number of
    strata is needed. Two limits are known, and the one that is expected to be closer is taken, before any value is
    seen: stakes on each term, and a normal limit with its error bounded by Berry and Esseen.

    Args:
        terms: what was seen.
        ceiling: above the mean of the sum, whatever the truth, known beforehand.
        level: confidence.

    >>> sum_lower_limit(IndependentTerms(np.full(1000, 0.001), 0.0, 0.002, 0.01), 2.0, 0.95) > 0.97
    True
    """
    if not len(terms.values):
        return min(0.0, ceiling)
    reach, squares = _normal_reach(terms, level), _reach_of_squares(terms)
    if reach * math.sqrt(1 + squares) < 1.05 * math.sqrt(2 * math.log(1 / (1 - level))):
        return min(_normal_limit(terms, reach, level), ceiling)
    return _staked_limit(terms, ceiling, level)


def _staked_limit(terms: IndependentTerms, ceiling: float, level: float) -> float:
    """By a gambler who stakes fixed shares on each term Y_t above m/n.

    If the mean of the sum is m or less, his capital prod (1 + s (Y_t - m/n)) is at most 1 on average: the mean of a
    product of independent factors is the product of their means, and by the inequality of arithmetic and geometric
    means (as in Hoeffding 1963, theorem 1) at most 1. So he ends above 1/(1 - level) with probability at most
    1 - level (Markov), and the limit is the smallest m that he does not refute. Three stakes are mixed.
    """
    y, n, alpha = terms.values, len(terms.values), 1 - level
    largest = _TRUNCATED / max(ceiling / n - terms.low, 1e-300)
    stakes = np.minimum(_STAKES * math.sqrt(2 * math.log(1 / alpha)) / max(terms.spread, 1e-300), largest)

    def excess(m: float) -> float:
        """ln of the final capital less its threshold, falling in m."""
        logs = [float(np.log1p(stake * (y - m / n)).sum()) for stake in stakes]
        return float(special.logsumexp(logs, b=_SHARES)) - math.log(1 / alpha)

    floor = n * terms.low
    if excess(floor) <= 0:
        return floor
    if excess(ceiling) > 0:
        return ceiling
    return float(optimize.brentq(excess, floor, ceiling, xtol=1e-7 * (ceiling - floor)))


def _normal_limit(terms: IndependentTerms, reach: float, level: float) -> float:
    """The sum less `reach` standard deviations, as bounded above by the squares of the terms, or as expected."""
    largest = max(abs(terms.low), abs(terms.high)) ** 2
    variance = terms.spread**2
    falling = IndependentTerms(-(terms.values**2), -largest, 0.0, math.sqrt(largest * variance) / 2)
    above = -_staked_limit(falling, 0.0, 1 - _SQUARES * (1 - level))
    return float(terms.values.sum()) - reach * math.sqrt(max(above, variance))


def _reach_of_squares(terms: IndependentTerms) -> float:
    """How far above the expected variance its limit will lie, as a share of it."""
    largest = max(abs(terms.low), abs(terms.high)) / max(terms.spread, 1e-300)
    return math.sqrt(2 * math.log(1 / (_SQUARES * 0.05))) * largest


def _normal_reach(terms: IndependentTerms, level: float) -> float:
    """The z such that a sum is z sqrt(max(V, V0)) or more above its mean with probability at most (1 - level)(1 - s).

    V is its variance, V0 the expected one and s the share of the error that the limit of V has. For V >= V0 by Berry
    and Esseen, whose ratio of moments is at most the range of a term over sqrt(V0); for smaller V by the best of them,
    Cantelli's and Bernstein's inequalities. Infinite where no z does.
    """
    wide = (terms.high - terms.low) / max(terms.spread, 1e-300)
    allowed = (1 - level) * (1 - _SQUARES)
    edges = np.geomspace(1.0, 1e-4, 200)  # of V/V0; the error on each interval is at most that with its worse ends
    upper, lower = edges[:-1], edges[1:]

    def error(z: float) -> float:
        normal = stats.norm.sf(z / np.sqrt(upper)) + _BERRY_ESSEEN * wide / np.sqrt(lower)
        cantelli = upper / (upper + z**2)
        bernstein = np.exp(-(z**2) / 2 / (upper + wide * z / 3))
        small = np.minimum(np.minimum(normal, cantelli), bernstein).max()
        last = float(edges[-1])
        return max(float(stats.norm.sf(z)) + _BERRY_ESSEEN * wide, float(small), last / (last + z**2))

    most = 10.0
    return float(optimize.brentq(lambda z: error(z) - allowed, 0.0, most)) if error(most) < allowed else math.inf
