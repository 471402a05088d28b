"""Are a model's conditional probabilities right? What it said of each next outcome, held against what came."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from qtomo.distribution import Outcomes
from qtomo.models.autoregressive import Autoregressive
from qtomo.models.base import Model
from qtomo.results import Real
from qtomo.statistics.estimate import Estimate

__all__ = ["Calibration", "calibrate", "wilson"]

_BINS = 20


@dataclass(frozen=True)
class Calibration:
    """Predicted against observed frequencies of outcomes, given those before them.

    Args:
        predicted: mean predicted probability of each bin, rising.
        observed: frequency of what was predicted so, with Wilson's interval.
        sites: by site, mean of -ln Q(outcome) less what the model expected it to be, in nats: zero if calibrated,
            above zero where the model was too sure. Intervals are simultaneous.

    Raises:
        ValueError: not as many predicted as observed.
    """

    predicted: list[Real]
    observed: list[Estimate]
    sites: list[Estimate]

    def __post_init__(self) -> None:
        if len(self.predicted) != len(self.observed):
            raise ValueError(f"{len(self.predicted)} predicted and {len(self.observed)} observed, expected as many")


def calibrate(model: Model, outcomes: Outcomes, level: float = 0.95) -> Calibration | None:
    """The calibration of an autoregressive model's conditionals on records it has not seen; None for other models.

    Each record gives n_sites * n_outcomes predictions. They are sorted into twenty bins of equal size. Given the
    outcomes before it, a calibrated prediction q of an outcome comes true with probability q, so that the errors of
    different sites are martingale differences: uncorrelated, though not independent, and the variance of a bin's
    frequency is at most the binomial one that Wilson's interval takes (outcomes of one site exclude one another).
    A model that averages over a symmetry is judged before that average, whose conditionals have no closed form.

    Args:
        model: any.
        outcomes: held-out records (n, n_sites).
        level: of the intervals.
    """
    if not isinstance(model, Autoregressive) or not len(outcomes):
        return None
    n, n_sites = outcomes.shape
    table = model.conditionals(outcomes)  # (n, n_sites, n_outcomes)
    came = np.take_along_axis(table, outcomes[..., None].astype(np.int64), axis=2)[..., 0]
    logs = np.log(np.clip(table, 1e-300, None))
    surprise = -np.log(np.clip(came, 1e-300, None)) + (table * logs).sum(axis=2)  # mean zero where calibrated
    each = 1 - (1 - level) / n_sites
    method = "mean surprise less the expected one over held-out records, simultaneous normal intervals"
    reach = float(stats.norm.ppf((1 + each) / 2))
    sites = []
    for column in surprise.T:
        value = float(column.mean())
        error = float(column.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
        sites.append(Estimate(value, error, value - reach * error, value + reach * error, level, n, method))
    right = outcomes[..., None] == np.arange(table.shape[2])
    order = np.argsort(table, axis=None, kind="stable")
    predicted, observed = [], []
    for rows in np.array_split(order, min(_BINS, len(order))):
        predicted.append(float(table.ravel()[rows].mean()))
        observed.append(wilson(int(right.ravel()[rows].sum()), len(rows), level))
    return Calibration(predicted, observed, sites)


def wilson(right: int, n: int, level: float) -> Estimate:
    """A proportion with the score interval (Wilson 1927)."""
    interval: Any = stats.binomtest(right, n).proportion_ci(level, method="wilson")
    share = right / n
    error = math.sqrt(max(share * (1 - share), 1 / (4 * n)) / n)
    return Estimate(share, error, float(interval.low), float(interval.high), level, n, "frequency, Wilson interval")
