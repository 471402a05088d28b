"""How well samples cover the modes of a known mixture, and whether a classifier tells them from real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import spatial, stats
from torch import Tensor

from qtomo.adversarial.toys import Toy
from qtomo.errors import Code, InputError

__all__ = ["FAIR_SHARE", "ModeCoverage", "TwoSample", "mode_coverage", "two_sample"]

#: A mode is covered if it holds at least this part of the samples that are due to it.
FAIR_SHARE = 0.2


@dataclass(frozen=True)
class ModeCoverage:
    """How samples spread over the modes of a mixture.

    Args:
        covered: modes with at least `FAIR_SHARE` of the samples due to them within 3 standard deviations.
        covered_error: standard error of that number.
        n_modes: modes there are.
        near: share of all samples within 3 standard deviations of some mode.
        near_error: its standard error.
        shares: share of all samples within 3 standard deviations of each mode.
    """

    covered: int
    covered_error: float
    n_modes: int
    near: float
    near_error: float
    shares: tuple[float, ...]


def mode_coverage(samples: Tensor, toy: Toy) -> ModeCoverage:
    """The coverage of a toy's modes by samples (n, D).

    A sample belongs to its nearest mode in units of that mode's standard deviation s, and is near it within 3 s; in
    two dimensions 1 - exp(-4.5) = 98.9 % of the mixture's own samples are. Counts are binomial, hence the standard
    errors: that of a share p is sqrt(p(1 - p)/n); each mode adds c(1 - c) to the variance of the number covered,
    where c is the chance that its count, drawn anew, would reach the threshold.

    Raises:
        InputError: the toy is no mixture with known modes.
    """
    if toy.modes is None or toy.scales is None or toy.weights is None:
        raise InputError(Code.UNSUPPORTED, "mode coverage: the distribution has no modes; take a mixture of Gaussians")
    n = len(samples)
    distances, nearest = (torch.cdist(samples, toy.modes) / toy.scales).min(dim=1)
    counts = torch.bincount(nearest[distances <= 3], minlength=len(toy.modes)).numpy()
    due = FAIR_SHARE * toy.weights.numpy() * n
    chance = stats.binom.sf(np.ceil(due) - 1, n, counts / n)
    near = counts.sum() / n
    return ModeCoverage(
        covered=int((counts >= due).sum()),
        covered_error=math.sqrt((chance * (1 - chance)).sum()),
        n_modes=len(toy.modes),
        near=float(near),
        near_error=math.sqrt(near * (1 - near) / n),
        shares=tuple((counts / n).tolist()),
    )


@dataclass(frozen=True)
class TwoSample:
    """Accuracy of telling samples from real ones, and its standard error."""

    accuracy: float
    error: float


def two_sample(real: Tensor, fake: Tensor, neighbours: int = 25) -> TwoSample:
    """The held-out accuracy of a nearest-neighbour classifier on equally many real and fake samples (n, D).

    A classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv 1610.06545): each sample of the second halves is
    called real or fake by the majority of its neighbours (an odd number) in the first halves. Equal distributions
    give 1/2, disjoint ones 1.
    """
    half = len(real) // 2
    tree = spatial.KDTree(torch.cat([real[:half], fake[:half]]).numpy())

    def called_fake(samples: Tensor) -> np.ndarray:
        found = tree.query(samples.numpy(), k=neighbours)[1]
        return np.asarray((found >= half).mean(axis=1) > 0.5)

    right = np.concatenate([~called_fake(real[half:]), called_fake(fake[half:])])
    accuracy = float(right.mean())
    return TwoSample(accuracy, math.sqrt(accuracy * (1 - accuracy) / len(right)))
