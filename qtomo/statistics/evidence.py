"""Evidence against a hypothesis: p-values and likelihood ratios that hold at any number of records, and intervals.

An e-value is a statistic that is at most 1 on average if the hypothesis is true, such as a likelihood ratio against
another fixed distribution, or an average of some of these. Its inverse is a p-value whatever the number of records and
however heavy its tails (Markov; Wasserman, Ramdas and Balakrishnan 2020, arXiv 1912.11436).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from qtomo.statistics.bounds import proportion_lower_limit, proportion_upper_limit

__all__ = [
    "binomial_p_values",
    "clopper_pearson",
    "likelihood_interval",
    "log_mean_exp",
    "p_of_log_e",
    "randomisation_p_value",
]

Reals = NDArray[np.float64]

_DRAWS = 20_000  # randomisations where there are few records
_FEW = 30


def p_of_log_e(log_e: float) -> float:
    """The p-value of an e-value, from its logarithm."""
    return math.exp(-log_e) if log_e > 0 else 1.0


def log_mean_exp(logs: ArrayLike) -> float:
    """ln of the mean of exp(logs): the logarithm of the e-value that averages some."""
    array = np.asarray(logs, dtype=np.float64).ravel()
    if not array.size or np.isneginf(array).all():
        return -math.inf
    if np.isposinf(array).any():
        return math.inf
    return float(special.logsumexp(array)) - math.log(array.size)


def binomial_p_values(counts: ArrayLike, totals: ArrayLike, chances: ArrayLike) -> Reals:
    """Two-sided p-values of counts among totals, each success with a known chance: twice the smaller tail, exact."""
    k, n, p = np.broadcast_arrays(counts, totals, np.clip(chances, 0.0, 1.0))
    tails = np.minimum(stats.binom.cdf(k, n, p), stats.binom.sf(k - 1, n, p))
    found: Reals = np.minimum(1.0, 2 * tails)
    return found


def clopper_pearson(right: int, n: int, level: float) -> tuple[float, float]:
    """Both ends of the interval of a proportion, each of which errs with at most (1 - level)/2 (Clopper, Pearson
    1934).
    """
    each = (1 + level) / 2
    return proportion_lower_limit(right, n, each), proportion_upper_limit(right, n, each)


def likelihood_interval(
    log_likelihood: Callable[[float], float],
    best: float,
    bounds: tuple[float, float],
    level: float,
    widening: float = 1.0,
) -> tuple[float, float, float]:
    """Low, high and standard error of a parameter from its log-likelihood.

    The interval holds what is less likely than the best by at most half a threshold. That of chi-square with one degree
    of freedom suits many events; where the parameter rests on k of them, (estimate/error)^2, the threshold goes over to
    that of an exact Poisson interval, -2 ln((1 - level)/2) at k = 0, so that few events are covered as well.

    Args:
        log_likelihood: of the parameter, with one maximum between the bounds.
        best: where it is largest.
        bounds: of what is possible.
        level: of the interval.
        widening: factor on its distance from `best`, as for other parameters that were fitted too.
    """
    top = log_likelihood(best)
    wide = float(stats.chi2.ppf(level, 1))
    few = -2 * math.log((1 - level) / 2)
    error = _curvature_error(log_likelihood, best, top, bounds)
    events = (best / error) ** 2 if error > 0 else math.inf
    threshold = wide + (few - wide) / (1 + events)

    def end(bound: float) -> float:
        """Where the likelihood has fallen by half the threshold, or the bound."""

        def excess(t: float) -> float:
            return min(2 * (top - log_likelihood(t)), 1e6) - threshold

        inner, step = best, error * math.sqrt(threshold)
        outer = best + math.copysign(min(step, abs(bound - best)), bound - best)
        while outer != inner:
            if excess(outer) > 0:
                return float(optimize.brentq(excess, inner, outer, xtol=0.01 * error + 1e-12, rtol=1e-4))
            inner, step = outer, 2 * step
            outer = best + math.copysign(min(step, abs(bound - best)), bound - best)
        return bound

    low, high = (end(bound) if bound != best else bound for bound in bounds)
    low, high = best - widening * (best - low), best + widening * (high - best)
    return max(low, bounds[0]), min(high, bounds[1]), widening * error


def _curvature_error(
    log_likelihood: Callable[[float], float], best: float, top: float, bounds: tuple[float, float]
) -> float:
    """A standard error: the distance at which the likelihood has fallen by one half, seen from the side or sides that
    the bounds leave.
    """
    room = max(bounds[1] - best, best - bounds[0])
    step = 0.05 * max(abs(best), 0.02 * room)
    for _ in range(40):
        falls = [top - log_likelihood(best + s * step) for s in (1, -1) if bounds[0] <= best + s * step <= bounds[1]]
        fall = max((f for f in falls if math.isfinite(f)), default=math.inf)
        if 0.1 <= fall <= 2.0 or (fall < 0.1 and step >= room):
            break
        step = min(step * 2, room) if fall < 0.1 else step / 2
    return step / math.sqrt(2 * max(fall, 1e-6)) if math.isfinite(fall) else step


def randomisation_p_value(data: Reals, reference: Reals, generator: np.random.Generator) -> float:
    """Two-sided p-value of the sum of a statistic over records, each with k exact ones in its own setting beside it.

    If the hypothesis is true, a record and its k companions are exchangeable, so that the sum over records is that of
    one drawn at random from each group: exact at any number of records, whatever the tails. With few records the
    distribution is drawn, else its tail is that of a saddle point (Lugannani and Rice 1980; error of order 1/n). A
    little noise, the same in all groups, smooths statistics that take few values.

    Args:
        data: the statistic of each record, (n,).
        reference: of its companions, (n, k).
        generator: of the draws and of the noise.
    """
    if not len(data):
        return 1.0
    groups = np.concatenate([data[:, None], reference], axis=1)
    groups = groups - groups.mean()
    spread = float(groups.std())
    if spread == 0:
        return 1.0
    n, size = groups.shape
    groups = groups / spread + generator.normal(size=groups.shape) / math.sqrt(n)
    total = float(groups[:, 0].sum())
    if n < _FEW:
        drawn = np.zeros(_DRAWS)
        for row in groups:
            drawn += row[generator.integers(0, size, _DRAWS)]
        below, above = int((drawn <= total).sum()), int((drawn >= total).sum())
        return min(1.0, 2 * (1 + min(below, above)) / (_DRAWS + 1))
    tail = _saddle_tail(groups, total)
    return 2 * min(tail, 1 - tail)


def _saddle_tail(groups: Reals, total: float) -> float:
    """The tail, on `total`'s side of the mean, of the sum of one value drawn from each row."""

    def moments(theta: float) -> tuple[float, float, float]:
        tilted = theta * groups
        peak = tilted.max(axis=1, keepdims=True)
        weights = np.exp(tilted - peak)
        norm = weights.sum(axis=1)
        mean = (weights * groups).sum(axis=1) / norm
        square = (weights * groups**2).sum(axis=1) / norm
        value = float((np.log(norm / groups.shape[1]) + peak[:, 0]).sum())
        return value, float(mean.sum()), float((square - mean**2).sum())

    _, centre, variance = moments(0.0)
    z = (total - centre) / math.sqrt(variance)
    if abs(z) < 0.1:
        return float(stats.norm.sf(abs(z)))
    sign = math.copysign(1.0, z)
    furthest = float((groups.max(axis=1) if sign > 0 else groups.min(axis=1)).sum())
    if abs(total - furthest) < 1e-9 * abs(furthest):
        return math.exp(-len(groups) * math.log(groups.shape[1]))
    outer = sign
    while sign * (moments(outer)[1] - total) < 0 and abs(outer) < 1e4:
        outer *= 2
    if abs(outer) >= 1e4:
        return math.exp(-len(groups) * math.log(groups.shape[1]))
    theta = float(optimize.brentq(lambda t: moments(t)[1] - total, 0.0, outer, xtol=1e-10))
    value, _, variance = moments(theta)
    w = sign * math.sqrt(max(2 * (theta * total - value), 1e-300))
    u = theta * math.sqrt(variance)
    tail = float(stats.norm.sf(abs(w))) + float(stats.norm.pdf(w)) * (1 / abs(u) - 1 / abs(w))
    return min(1.0, max(tail, 0.0))
