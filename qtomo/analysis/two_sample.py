"""Can a classifier tell two sets of records apart?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional

from qtomo.analysis.estimate import Estimate
from qtomo.distribution import Outcomes
from qtomo.errors import InputError
from qtomo.seeds import stream

__all__ = ["TwoSampleTest", "classifier_two_sample_test"]

_PENALTY = 1e-2  # on the squares of the weights, beside the mean logistic loss
_FURTHEST = 64  # sites between a pair that is looked at
_SMALLEST = 10


@dataclass(frozen=True)
class TwoSampleTest:
    """How well a classifier tells two sets of records apart.

    Args:
        accuracy: on records that it has not seen; 1/2 is chance.
        p_value: probability of at least this accuracy if both sets had the same law.
    """

    accuracy: Estimate
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return {"accuracy": self.accuracy.to_dict(), "p_value": self.p_value}


def classifier_two_sample_test(
    a: Outcomes, b: Outcomes, n_outcomes: int, seed: int = 0, level: float = 0.95
) -> TwoSampleTest:
    """Test by a classifier whether two sets of records have the same law (Lopez-Paz and Oquab, arXiv 1610.06545).

    A logistic regression on the outcome of each site and of each pair of neighbours, and on how often each pair of
    outcomes occurs at each distance, learns from half of the records, as many of either set, and is tested on the
    other half. Among the m tested of each set it is right Bin(m, q) + Bin(m, 1 - q) times if the laws are equal, which
    is spread no wider than Bin(2m, 1/2) (Hoeffding 1956): the binomial p-value, one-sided, and the Clopper-Pearson
    interval hold at any size. A small p-value refutes the equality; a large one says only that this classifier saw
    no difference in sites and pairs.

    Args:
        a: records (n, n_sites).
        b: records of the same sites; of the longer set only as many as of the shorter are used.
        n_outcomes: K.
        seed: of the choice of the half that is learned from.
        level: of the interval.

    Raises:
        InputError: sets of different sites, or with fewer than 10 records.

    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.integers(0, 4, (2, 400, 3), dtype=np.uint8)
    >>> classifier_two_sample_test(a, b, 4).p_value > 0.001
    True
    """
    if a.shape[1] != b.shape[1]:
        raise InputError(f"records of {a.shape[1]} and of {b.shape[1]} sites cannot be compared")
    size = min(len(a), len(b))
    if size < _SMALLEST:
        raise InputError(f"{size} records to tell apart, expected at least {_SMALLEST} in each set")
    random = stream(seed, "two samples")
    features = [_features(records[random.permutation(len(records))[:size]], n_outcomes) for records in (a, b)]
    half = size // 2
    labels = torch.tensor([0.0, 1.0]).repeat_interleave(half)
    weights = _fit(torch.cat([rows[:half] for rows in features]), labels)
    right = sum(
        int(((rows[half:] @ weights > 0) == label).sum()) for rows, label in zip(features, (False, True), strict=True)
    )
    n = 2 * (size - half)
    found = stats.binomtest(right, n, 0.5, alternative="greater")
    interval = stats.binomtest(right, n).proportion_ci(level, method="exact")
    share = right / n
    method = "held-out accuracy of logistic regression on sites and pairs, Clopper-Pearson interval"
    error = math.sqrt(max(share * (1 - share), 1 / (4 * n)) / n)
    return TwoSampleTest(
        Estimate(share, error, float(interval.low), float(interval.high), level, n, method), float(found.pvalue)
    )


def _features(outcomes: Outcomes, n_outcomes: int) -> Tensor:
    """A constant, one-hot sites, one-hot pairs of neighbours, and counts of pairs by distance: (n, features)."""
    sites = torch.from_numpy(outcomes.astype(np.int64))
    one_hot = functional.one_hot(sites, n_outcomes).float()
    pairs = functional.one_hot(sites[:, :-1] * n_outcomes + sites[:, 1:], n_outcomes**2).float()
    columns = [torch.ones(len(sites), 1), one_hot.flatten(1), pairs.flatten(1)]
    for distance in range(1, min(sites.shape[1], _FURTHEST + 1)):
        count = torch.einsum("nik,nil->nkl", one_hot[:, :-distance], one_hot[:, distance:])
        columns.append(count.flatten(1) / math.sqrt(sites.shape[1] - distance))
    return torch.cat(columns, dim=1)


def _fit(features: Tensor, labels: Tensor) -> Tensor:
    """Weights of the penalised logistic regression."""
    weights = torch.zeros(features.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = functional.binary_cross_entropy_with_logits(features @ weights, labels)
        value = value + 0.5 * _PENALTY * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach()
