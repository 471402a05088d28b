"""Do the records reject a pure state that was fitted to them? Against the same state with noise.

A pure fit to records of a mixed state has a fidelity of its own, not that of the state. So its likelihood is held
against those of the fit mixed with white noise, and of the fit with every qubit depolarised, of the likeliest strength.
Twice the gain of one strength at the edge of its range is 0, or more than x with half the probability that a chi-square
of one degree is (Chernoff 1954); the fit was made for the records without noise, so that the gain is rather too small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize, stats

from qtomo.measurement.noise import depolarizing, noisy
from qtomo.models.tensor_network import TensorNetwork
from qtomo.records.records import Records
from qtomo.results import Real
from qtomo.seeds import stream
from qtomo.worded import Worded

__all__ = ["MISFIT", "FitNoise", "PureFitTest", "pure_fit_test"]

#: Error rate at which records reject a pure fit.
MISFIT = 0.01

_CURVE = 1e-4  # in strength, to which a maximum is found
_RECORDS = 20_000  # that are scored at most

Reals = NDArray[np.float64]


class FitNoise(Worded):
    """Noise that is added to a pure fit."""

    WHITE = "white-noise", "white noise"
    DEPOLARIZING = "depolarizing", "depolarizing of every qubit"


@dataclass(frozen=True)
class PureFitTest:
    """Records against a pure fit.

    Args:
        noise: the alternative of the smaller p-value.
        strength: its likeliest size, 0 to 1.
        p_value: of the two alternatives together (Bonferroni), from 0 to 1; asymptotic.
        alpha: error rate of the test.
    """

    noise: FitNoise
    strength: float
    p_value: Real
    alpha: float = MISFIT

    @property
    def rejected(self) -> bool:
        """Whether the records reject the pure fit."""
        return self.p_value <= self.alpha


def pure_fit_test(model: TensorNetwork, records: Records, seed: int = 0) -> PureFitTest:
    """Test a pure fit by the records that it was fitted to.

    Args:
        model: the fit; it comes back as it was.
        records: those, none of whose outcomes is lost; of more than 20,000 as many are drawn.
        seed: of drawing them.
    """
    outcomes, povm = records.labels, records.povm
    if len(outcomes) > _RECORDS:
        outcomes = outcomes[stream(seed, "pure fit test").choice(len(outcomes), _RECORDS, replace=False)]
    pure = model.log_prob(outcomes)
    traces = np.log(np.einsum("naii->na", povm.site_elements(model.n_sites)).real / 2)
    white = traces[np.arange(model.n_sites), outcomes.astype(np.intp)].sum(axis=1)

    def mixed(strength: float) -> float:
        with np.errstate(divide="ignore"):
            return float(np.logaddexp(np.log1p(-strength) + pure, np.log(strength) + white).sum() - pure.sum())

    def depolarized(strength: float) -> float:
        model.measured_by(noisy(povm, depolarizing(strength), model.n_sites))
        return float((model.log_prob(outcomes) - pure).sum())

    kept = model.effects.clone()
    found = [_likeliest(FitNoise.WHITE, mixed), _likeliest(FitNoise.DEPOLARIZING, depolarized)]
    with torch.no_grad():
        model.effects.copy_(kept)
    return min(found, key=lambda one: one.p_value)


def _likeliest(noise: FitNoise, gain: Callable[[float], float]) -> PureFitTest:
    """The strength of the largest gain in nats, and its p-value, doubled for the other alternative."""
    best = optimize.minimize_scalar(
        lambda strength: -gain(strength), bounds=(0.0, 0.999), method="bounded", options={"xatol": _CURVE}
    )
    gained = max(0.0, float(-best.fun))
    if gained == 0:
        return PureFitTest(noise, 0.0, 1.0)
    return PureFitTest(noise, float(best.x), min(1.0, float(stats.chi2.sf(2 * gained, 1))))
