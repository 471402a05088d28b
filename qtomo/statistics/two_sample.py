"""Do two sets of records have the same distribution? A classifier, bounds on divergences, and a kernel distance.

All look at the same features: the outcome of each site, of each pair of neighbours, and how often each outcome, and
each pair of outcomes at each distance, occurs in the record. What these do not show, the tests cannot see.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import optimize, special, stats
from torch import Tensor
from torch.nn import functional

from qtomo.adversarial.fdivergences import bound_with_error, divergence
from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.results import Probability, plain
from qtomo.seeds import stream
from qtomo.statistics.estimate import Estimate
from qtomo.statistics.evidence import clopper_pearson

__all__ = [
    "HeldOutLogRatios",
    "KernelTest",
    "TwoSampleTest",
    "classifier_two_sample_test",
    "divergence_bounds",
    "held_out_log_ratios",
    "kernel_two_sample_test",
    "marginal_total_variation",
]

Reals = np.ndarray[Any, np.dtype[np.float64]]

_RIDGES = np.geomspace(1e-3, 1e3, 13)  # in units of the mean variance of a feature
_FURTHEST = 64  # sites between a pair that is looked at
#: Records of each set that a test needs.
SMALLEST = 10
_CHUNK = 8192
_MOST_FEATURES = 4000  # columns whose covariance is held as a matrix; of more, the products of records are
_MOST_LEARNED = 1500  # records of either set that are then learned from
_MOST_NUMBERS = 2**25  # of features at once
_BLOCKS = 200  # sums of records that are permuted instead of the records


@dataclass(frozen=True)
class TwoSampleTest:
    """How well a classifier tells two sets of records apart.

    Args:
        accuracy: on records that it has not seen; 1/2 is chance.
        p_value: probability of at least this accuracy if both sets had the same distribution.
    """

    accuracy: Estimate
    p_value: Probability

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return plain(self)


@dataclass(frozen=True)
class KernelTest:
    """How far apart two sets of records lie by a kernel.

    Args:
        squared_mmd: squared maximum mean discrepancy, unbiased, so that it may be negative.
        p_value: share of permutations of the records over the sets with at least this discrepancy.
    """

    squared_mmd: Estimate
    p_value: Probability

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return plain(self)


@dataclass(frozen=True)
class HeldOutLogRatios:
    """ln dA/dB as a discriminant sees it that learned from one half of each set, on the records of the other half.

    Args:
        on_a: of held-out records of the first set.
        on_b: of the second.
    """

    on_a: Reals
    on_b: Reals

    def accuracy(self, level: float) -> TwoSampleTest:
        """As `classifier_two_sample_test`."""
        right, n = int((self.on_a > 0).sum() + (self.on_b <= 0).sum()), len(self.on_a) + len(self.on_b)
        found = stats.binomtest(right, n, 0.5, alternative="greater")
        share = right / n
        method = "held-out accuracy of a linear discriminant of sites and pairs, Clopper-Pearson interval"
        error = math.sqrt(max(share * (1 - share), 1 / (4 * n)) / n)
        low, high = clopper_pearson(right, n, level)
        return TwoSampleTest(Estimate(share, error, low, high, level, n, method), float(found.pvalue))

    def bounds(self, names: Sequence[str], level: float) -> dict[str, Estimate]:
        """As `divergence_bounds`."""
        on_a, on_b = torch.from_numpy(self.on_a), torch.from_numpy(self.on_b)
        found = {}
        for one in map(divergence, names):
            value, error = bound_with_error(one, on_a, on_b, "log_ratio")
            reach = float(stats.norm.ppf((1 + level) / 2)) * error
            method = "variational lower bound of a linear discriminant on held-out records, normal interval"
            found[one.name] = Estimate(value, error, value - reach, value + reach, level, len(on_a) + len(on_b), method)
        return found


def held_out_log_ratios(
    a: Outcomes, b: Outcomes, n_outcomes: int, seed: int = 0, matched: bool = False
) -> HeldOutLogRatios:
    """What both the classifier's test and the bounds are made of, learned once.

    With `matched`, row i of either set belongs to one setting: both are learned from, or neither.

    Raises:
        InputError: sets of different sites, or with fewer than 10 records.
    """
    a, b = _paired(a, b, stream(seed, "two samples"), matched)
    half = len(a) // 2
    weights, slope, offset = _learn(a[:half], b[:half], n_outcomes)
    on_a, on_b = (slope * (_apply(records[half:], n_outcomes, weights)[:, 0] - offset) for records in (a, b))
    return HeldOutLogRatios(on_a, on_b)


def classifier_two_sample_test(
    a: Outcomes, b: Outcomes, n_outcomes: int, seed: int = 0, level: float = 0.95, matched: bool = False
) -> TwoSampleTest:
    """Test by a classifier whether two sets of records have the same distribution (Lopez-Paz and Oquab, arXiv
    1610.06545).

    A linear discriminant of the features learns from half of the records, as many of either set, and is tested on the
    other half. Among the m tested of each set it is right Bin(m, q) + Bin(m, 1 - q) times if the distributions are
    equal, which is spread no wider than Bin(2m, 1/2) (Hoeffding 1956): the binomial p-value, one-sided, and the
    Clopper-Pearson interval hold at any size. A small p-value refutes the equality; a large one says only that this
    classifier saw no difference.

    Args:
        a: records (n, n_sites).
        b: records of the same sites; of the longer set only as many as of the shorter are used.
        n_outcomes: K.
        seed: of the choice of the half that is learned from.
        level: of the interval.
        matched: whether row i of either set was taken in one setting.

    Raises:
        InputError: sets of different sites, or with fewer than 10 records.

    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.integers(0, 4, (2, 400, 3), dtype=np.uint8)
    >>> classifier_two_sample_test(a, b, 4).p_value > 0.001
    True
    """
    return held_out_log_ratios(a, b, n_outcomes, seed, matched).accuracy(level)


def divergence_bounds(
    a: Outcomes, b: Outcomes, n_outcomes: int, names: Sequence[str], seed: int = 0, level: float = 0.95
) -> dict[str, Estimate]:
    """Lower bounds on f-divergences D_f(A||B) of the distributions of two sets of records, from the records alone.

    The discriminant of `classifier_two_sample_test`, scaled by a logistic regression, stands for ln dA/dB in the
    critic f'(dA/dB); E_A T - E_B f*(T) over records that it has not seen is below the divergence on average,
    whatever it has learned (Nowozin, Cseke, Tomioka 2016, arXiv 1606.00709, eq. 4). Its lower end above zero refutes
    the equality of the distributions; its upper end bounds nothing.

    Args:
        a: records (n, n_sites).
        b: records of the same sites; of the longer set only as many as of the shorter are used.
        n_outcomes: K.
        names: of `qtomo.adversarial.divergence`, such as "kl" or "total_variation".
        seed: of the choice of the half that is learned from.
        level: of the normal interval.

    Raises:
        InputError: an unknown divergence, sets of different sites, or with fewer than 10 records.
    """
    for name in names:
        divergence(name)  # an unknown one is told before anything is learned
    return held_out_log_ratios(a, b, n_outcomes, seed).bounds(names, level)


def kernel_two_sample_test(
    a: Outcomes, b: Outcomes, n_outcomes: int, seed: int = 0, level: float = 0.95, permutations: int = 1999
) -> KernelTest:
    """Test by the maximum mean discrepancy whether two sets of records have the same distribution.

    MMD^2 = |E_A phi - E_B phi|^2, the kernel being the product of features phi (Gretton et al. 2012, JMLR 13, eq. 3),
    with the mean features of 200 blocks of records a set (of single records where there are fewer) in the place of
    the records. Blocks of equal size are exchangeable if the distributions are equal, so the permutation p-value holds
    at any size; the time is that of one pass.

    Args:
        a: records (n, n_sites).
        b: records of the same sites; of the longer set only as many as of the shorter are used.
        n_outcomes: K.
        seed: of the blocks and the permutations.
        level: of the normal interval.
        permutations: how many.

    Raises:
        InputError: sets of different sites, or with fewer than 10 records.
    """
    a, b = _paired(a, b, stream(seed, "two samples"))
    blocks = min(_BLOCKS, len(a))
    means = torch.cat([_block_means(records, n_outcomes, blocks) for records in (a, b)])
    means -= means.mean(dim=0)
    signs = np.repeat([1.0, -1.0], blocks) / blocks
    random = stream(seed, "permutations")
    shuffled = np.stack([signs, *(random.permutation(signs) for _ in range(permutations))])
    statistics = (torch.from_numpy(shuffled) @ means).square().sum(dim=1)
    difference = means[:blocks].mean(dim=0) - means[blocks:].mean(dim=0)
    parts = (means[:blocks], means[blocks:])
    bias = sum(float(part.var(dim=0).sum()) for part in parts) / blocks
    slope = sum(float((part @ difference).var()) for part in parts) / blocks
    error = math.sqrt(4 * slope + float(statistics[1:].var()))
    value = float(statistics[0]) - bias
    reach = float(stats.norm.ppf((1 + level) / 2)) * error
    p_value = (1 + int((statistics[1:] >= statistics[0]).sum())) / (1 + permutations)
    method = f"unbiased squared distance of mean features over {blocks} blocks a set, normal interval"
    return KernelTest(Estimate(value, error, value - reach, value + reach, level, 2 * len(a), method), p_value)


def marginal_total_variation(a: Outcomes, b: Outcomes, n_outcomes: int, seed: int = 0, level: float = 0.95) -> Estimate:
    """Total variation distance of two-site marginals, averaged over all pairs of sites, less what chance makes of it.

    Frequencies of finite sets differ even if the distributions do not: the mean over 40 permutations of the records
    over the sets is subtracted, and their spread is the standard error.

    Args:
        a: records (n, n_sites).
        b: records of the same sites; of the longer set only as many as of the shorter are used.
        n_outcomes: K.
        seed: of the permutations.
        level: of the normal interval.

    Raises:
        InputError: sets of different sites, of one site, or with fewer than 10 records.
    """
    random = stream(seed, "marginals")
    a, b = _paired(a, b, random)
    n, n_sites = len(a), int(a.shape[1])
    if n_sites < 2:
        raise InputError(Code.UNSUPPORTED, "records of 1 site have no two-site marginals")
    rows = torch.from_numpy(np.concatenate([a, b]).astype(np.int64))
    one_hot = functional.one_hot(rows, n_outcomes).flatten(1).float()
    of_pairs = ~torch.eye(n_sites, dtype=torch.bool).repeat_interleave(n_outcomes, 0).repeat_interleave(n_outcomes, 1)

    def distance(signs: Tensor) -> float:
        difference: Tensor = (one_hot * signs[:, None]).T @ one_hot / n
        return float(difference.abs()[of_pairs].sum()) / (2 * n_sites * (n_sites - 1))

    signs = torch.tensor([1.0, -1.0]).repeat_interleave(n)
    null = [distance(signs[torch.from_numpy(random.permutation(2 * n))]) for _ in range(40)]
    value, error = distance(signs) - float(np.mean(null)), float(np.std(null, ddof=1))
    reach = float(stats.norm.ppf((1 + level) / 2)) * error
    method = "mean over pairs of sites, less the mean of 40 permutations, whose spread is the error"
    return Estimate(value, error, value - reach, value + reach, level, 2 * n, method)


def _paired(a: Outcomes, b: Outcomes, random: np.random.Generator, matched: bool = False) -> tuple[Outcomes, Outcomes]:
    """As many of either set, in random order, which is the same one where they are matched."""
    if a.shape[1] != b.shape[1]:
        raise InputError(Code.MISMATCH, f"records of {a.shape[1]} and of {b.shape[1]} sites cannot be compared")
    size = min(len(a), len(b))
    if size < SMALLEST:
        raise InputError(Code.TOO_FEW, f"{size} records to tell apart, expected at least {SMALLEST} in each set")
    order = random.permutation(len(a))
    return a[order[:size]], b[(order if matched else random.permutation(len(b)))[:size]]


def _learn(a: Outcomes, b: Outcomes, n_outcomes: int) -> tuple[Tensor, float, float]:
    """Weights of a linear discriminant, and slope and offset that make its value a log-ratio.

    The weights (C + r)^-1 (m_A - m_B) come from three quarters, with the ridge r that separates the last quarter
    best; slope and offset are those of a logistic regression on the last quarter.
    """
    split = max(1, 3 * len(a) // 4)
    learn = _by_covariance if _n_features(a.shape[1], n_outcomes) <= _MOST_FEATURES else _by_gram
    means, candidates = learn(a[:split], b[:split], n_outcomes)
    on_a, on_b = (_apply(records[split:], n_outcomes, candidates) for records in (a, b))
    spread = np.sqrt(on_a.var(axis=0) + on_b.var(axis=0))
    gaps = (on_a.mean(axis=0) - on_b.mean(axis=0)) / np.where(spread > 0, spread, np.inf)
    best = int(np.argmax(gaps))
    weights, scale = candidates[:, best : best + 1], max(float(spread[best]), 1e-300)
    middle = float(means[0] @ weights[:, 0] + means[1] @ weights[:, 0]) / 2
    slope = _logistic_slope((on_a[:, best] - middle) / scale, (on_b[:, best] - middle) / scale)
    return weights, slope / scale, middle


def _by_covariance(a: Outcomes, b: Outcomes, n_outcomes: int) -> tuple[list[Tensor], Tensor]:
    """Mean features of either set, and the weights with each ridge, (features, ridges)."""
    means, covariances = zip(*(_moments(records, n_outcomes) for records in (a, b)), strict=True)
    values, vectors = torch.linalg.eigh(sum(covariances) / 2)
    along = vectors.T @ (means[0] - means[1])
    ridges = torch.from_numpy(_RIDGES) * max(float(values.clamp(min=0).mean()), 1e-12)
    return list(means), vectors @ (along[:, None] / (values.clamp(min=0)[:, None] + ridges))


def _by_gram(a: Outcomes, b: Outcomes, n_outcomes: int) -> tuple[list[Tensor], Tensor]:
    """As `_by_covariance` for more features than a matrix of all would hold, from at most so many records.

    With C = X^T X and X X^T = U s^2 U^T, (C + r)^-1 d = d/r - X^T U U^T X d/(r (s^2 + r)).
    """
    parts = [torch.cat(list(_chunks(records[:_MOST_LEARNED], n_outcomes))) for records in (a, b)]
    means = [part.mean(dim=0, dtype=torch.float64) for part in parts]
    for part, mean in zip(parts, means, strict=True):
        part.sub_(mean).div_(math.sqrt(2 * len(part)))
    centred = torch.cat(parts)
    values, vectors = torch.linalg.eigh((centred @ centred.T).double())
    values = values.clamp(min=0)
    difference = means[0] - means[1]
    ridges = torch.from_numpy(_RIDGES) * max(float(values.sum()) / centred.shape[1], 1e-12)
    along = vectors.T @ (centred @ difference.float()).double()
    inside = vectors @ (along[:, None] / (ridges * (values[:, None] + ridges)))
    return means, difference[:, None] / ridges - (centred.T @ inside.float()).double()


def _logistic_slope(on_a: np.ndarray[Any, Any], on_b: np.ndarray[Any, Any]) -> float:
    """The positive s that makes s x the best log-ratio, under a weak prior that keeps it finite."""
    signed = np.concatenate([on_a, -on_b])

    def loss(log_slope: float) -> float:
        slope = math.exp(log_slope)
        return float(-special.log_expit(slope * signed).mean()) + slope**2 / (100 * len(signed))

    best: Any = optimize.minimize_scalar(loss, bounds=(-10.0, 5.0), method="bounded")
    return math.exp(float(best.x))


def _chunks(outcomes: Outcomes, n_outcomes: int) -> Iterator[Tensor]:
    rows = max(32, min(_CHUNK, _MOST_NUMBERS // _n_features(outcomes.shape[1], n_outcomes)))
    for first in range(0, len(outcomes), rows):
        yield _features(outcomes[first : first + rows], n_outcomes)


def _n_features(n_sites: int, n_outcomes: int) -> int:
    """How many columns `_features` makes."""
    further = min(n_sites, _FURTHEST + 1) - 1
    return (n_sites + 1) * n_outcomes + (n_sites - 1 + further) * n_outcomes**2


def _moments(outcomes: Outcomes, n_outcomes: int) -> tuple[Tensor, Tensor]:
    """Mean (features,) and covariance of the features, double precision."""
    total: Any = 0.0
    squares: Any = 0.0
    for features in _chunks(outcomes, n_outcomes):
        total = total + features.sum(dim=0, dtype=torch.float64)
        squares = squares + (features.T @ features).double()
    mean = total / len(outcomes)
    return mean, squares / len(outcomes) - torch.outer(mean, mean)


def _apply(outcomes: Outcomes, n_outcomes: int, weights: Tensor) -> Reals:
    """Features times weights (features, columns): (n, columns)."""
    parts = [features.double() @ weights for features in _chunks(outcomes, n_outcomes)]
    return torch.cat(parts).numpy() if parts else np.empty((0, weights.shape[1]))


def _block_means(outcomes: Outcomes, n_outcomes: int, blocks: int) -> Tensor:
    """Mean features of equal blocks, (blocks, features); what does not fill a block is left out."""
    rows = len(outcomes) // blocks
    per_chunk = max(1, _CHUNK // rows)
    parts = []
    for first in range(0, blocks, per_chunk):
        count = min(per_chunk, blocks - first)
        features = _features(outcomes[first * rows : (first + count) * rows], n_outcomes)
        parts.append(features.reshape(count, rows, -1).mean(dim=1, dtype=torch.float64))
    return torch.cat(parts)


def _features(outcomes: Outcomes, n_outcomes: int) -> Tensor:
    """One-hot sites and pairs of neighbours, counts of outcomes, and of pairs of them by distance: (n, features)."""
    sites = torch.from_numpy(outcomes.astype(np.int64))
    one_hot = functional.one_hot(sites, n_outcomes).float()
    pairs = functional.one_hot(sites[:, :-1] * n_outcomes + sites[:, 1:], n_outcomes**2).float()
    columns = [one_hot.flatten(1), pairs.flatten(1), one_hot.sum(dim=1)]
    for distance in range(1, min(sites.shape[1], _FURTHEST + 1)):
        count = torch.einsum("nik,nil->nkl", one_hot[:, :-distance], one_hot[:, distance:])
        columns.append(count.flatten(1))
    return torch.cat(columns, dim=1)
