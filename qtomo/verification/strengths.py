"""How large faults are: their strengths, one after another or together, beside readout errors, and in intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qtomo.statistics.estimate import Estimate
from qtomo.statistics.evidence import likelihood_interval
from qtomo.verification.context import Context
from qtomo.verification.faults.base import Explanation, Fault
from qtomo.verification.faults.local import fit_strength
from qtomo.verification.readout import moved, readout_at, readout_information, readout_model

__all__ = ["Chosen", "Joint", "around", "jointly", "scores_of", "sized", "strength_curve", "with_other_peaks"]

Reals = NDArray[np.float64]

_ANGLES = 64  # at most, that are looked at for other peaks of a likelihood
_JOINT_STEPS = 5  # of strengths and readout errors together


@dataclass(frozen=True, eq=False)
class Chosen:
    """Explanations with strengths, applied one after another."""

    explanations: tuple[Explanation, ...] = ()
    strengths: tuple[float, ...] = ()

    def apply(self, context: Context, strengths: Sequence[float] | None = None) -> Context:
        """Records under all of them, with these strengths or others."""
        for explanation, strength in zip(self.explanations, strengths or self.strengths, strict=True):
            context = explanation.apply(context, strength)
        return context

    def and_(self, one: Explanation) -> Chosen:
        """With another after them."""
        return Chosen((*self.explanations, one), (*self.strengths, one.strength))

    def without(self, index: int) -> Chosen:
        """Without one of them."""
        return Chosen(
            self.explanations[:index] + self.explanations[index + 1 :],
            self.strengths[:index] + self.strengths[index + 1 :],
        )


def around(one: Explanation, strength: float) -> tuple[list[float], tuple[float, float]]:
    """A grid about a strength, and its ends, within what is possible."""
    near = {strength * factor for factor in (0.0, 0.5, 0.8, 1.0, 1.25, 2.0)}
    inside = sorted(min(max(t, one.bounds[0]), one.bounds[1]) for t in near)
    return inside, (inside[0], inside[-1])


def strength_curve(
    context: Context, chosen: Chosen, strengths: Sequence[float], index: int
) -> Callable[[float], float]:
    """Log-likelihood by the strength of one of the chosen, the others as they are."""

    one = chosen.explanations[index]
    if one.curve_of is not None:
        return one.curve_of(chosen.without(index).apply(context))

    def curve(t: float) -> float:
        moved = [*strengths[:index], t, *strengths[index + 1 :]]
        return chosen.apply(context, moved).log_likelihood

    return curve


@dataclass(frozen=True, eq=False)
class Joint:
    """Faults with readout errors fitted beside them: the log-likelihood of records and calibration together."""

    chosen: Chosen
    total: float

    @property
    def score(self) -> float:
        """The total less the logarithm of the number of places that each fault was looked for in."""
        return self.total - sum(one.log_places for one in self.chosen.explanations)


def jointly(declared: Context, chosen: Chosen) -> Joint:
    """Strengths and readout errors by Fisher scoring, a few steps together, within what is possible."""
    calibration = declared.records.calibration
    assert calibration is not None
    flips, best = calibration.smoothed, Joint(chosen, -math.inf)
    moving = np.array([one.curve is not None for one in chosen.explanations], dtype=bool)
    low, high = np.array([one.bounds for one in chosen.explanations]).reshape(-1, 2).T
    for _ in range(_JOINT_STEPS):
        faulty, base = readout_model(chosen.apply(declared)), readout_at(declared, flips)
        if faulty is None:
            return Joint(chosen, chosen.apply(declared).log_likelihood)
        fitted = chosen.apply(base)
        total = fitted.log_likelihood + float(calibration.log_likelihoods(flips).sum())
        if not total > best.total:
            break
        best = Joint(chosen, total)
        gradient, information = _joint_information(base, chosen, fitted, faulty.slopes())
        gradient[len(moving) :] += calibration.gradient(flips)
        step = np.linalg.pinv(information, rcond=1e-10, hermitian=True) @ gradient
        strengths = np.where(moving, np.clip(chosen.strengths + step[: len(moving)], low, high), chosen.strengths)
        chosen = Chosen(chosen.explanations, tuple(strengths.tolist()))
        flips = moved(flips, step[len(moving) :])
    return best


def _joint_information(base: Context, chosen: Chosen, fitted: Context, slopes: Reals) -> tuple[Reals, Reals]:
    """Gradient of the log-likelihood in strengths and readout errors; information of records and calibration."""
    calibration = base.records.calibration
    assert calibration is not None
    scores = scores_of(base, chosen, fitted)
    summed = np.array([np.bincount(fitted.inverse, one, len(fitted.rows)) for one in scores])
    of_flips, own, crossed = readout_information(fitted, slopes, summed.reshape(len(scores), len(fitted.rows)))
    own += np.diag(calibration.information(calibration.smoothed))
    information = np.block([[scores @ scores.T, crossed], [crossed.T, own]])
    return np.concatenate([scores.sum(axis=1), of_flips]), information


def sized(context: Context, chosen: Chosen, intervals: bool) -> list[Fault]:
    """The faults; where the fit is believed with their sizes, in intervals that let the other strengths follow."""
    beside = len(chosen.explanations) > 1 or context.records.calibration is not None
    widening = _widening(context, chosen) if beside and intervals and chosen.explanations else None
    found = []
    for index, (one, strength) in enumerate(zip(chosen.explanations, chosen.strengths, strict=True)):
        if one.curve is None or not intervals:
            found.append(one.fault)
            continue
        curve = strength_curve(context, chosen, chosen.strengths, index)
        factor = 1.0 if widening is None else float(widening[index])
        found.append(replace(one.fault, size=_estimate(context, curve, one, strength, factor)))
    return found


def _estimate(
    context: Context, curve: Callable[[float], float], one: Explanation, strength: float, widening: float
) -> Estimate:
    """A strength with the interval of its likelihood ratio."""
    best, _top = fit_strength(curve, *around(one, strength))
    level = context.options.level
    low, high, error = likelihood_interval(curve, best, one.bounds, level, widening)
    if one.fault.parameter == "angle":
        low, high = with_other_peaks(curve, (low, best, high), one.bounds, context.records.n_sites)
    method = "maximum likelihood, interval by likelihood ratio"
    return Estimate(best, error, min(low, best), max(high, best), level, len(context.records), method)


def with_other_peaks(
    curve: Callable[[float], float], found: tuple[float, float, float], bounds: tuple[float, float], n_sites: int
) -> tuple[float, float]:
    """An interval of an angle widened to all angles that are as likely: a state of many qubits may look alike at
    several.
    """
    low, best, high = found
    floor = min(curve(low), curve(high))
    angles = np.linspace(*bounds, min(4 * n_sites, _ANGLES) + 1).tolist()
    values = [curve(angle) for angle in angles]
    likely = [-best, *(angle for angle, value in zip(angles, values, strict=True) if value >= floor)]
    for left, angle, right in zip(angles, angles[1:], angles[2:], strict=False):
        if left < low < right or left < high < right:
            continue
        peak, top = fit_strength(curve, (angle,), (left, right))
        likely += [peak] if top >= floor else []
    if curve(-best) < floor:
        likely = likely[1:]
    return min([low, *likely]), max([high, *likely])


def _widening(context: Context, chosen: Chosen) -> Reals:
    """How much wider an interval is for the other strengths being fitted, and readout errors within their calibration,
    from the scores of the records.
    """
    fitted, readout = chosen.apply(context), readout_model(chosen.apply(context))
    if readout is not None:
        information = _joint_information(context, chosen, fitted, readout.slopes())[1]
    else:
        scores = scores_of(context, chosen, fitted)
        information = scores @ scores.T
    inverse = np.linalg.pinv(information, rcond=1e-10, hermitian=True)
    found: Reals = np.sqrt(np.maximum(np.diag(inverse) * np.diag(information), 1.0))[: len(chosen.strengths)]
    return found


def scores_of(context: Context, chosen: Chosen, fitted: Context) -> Reals:
    """What each record that the faults speak of adds to the slope of the log-likelihood in each strength, (faults, n);
    0 where there is none.
    """
    base = fitted.log_prob
    scores = np.zeros((len(chosen.strengths), len(base)))
    for index, (one, strength) in enumerate(zip(chosen.explanations, chosen.strengths, strict=True)):
        if one.curve is None:
            continue
        step = 1e-3 * max(abs(strength), 1e-2) * (1 if strength < one.bounds[1] / 2 else -1)
        changed = chosen.apply(context, [t + step * (i == index) for i, t in enumerate(chosen.strengths)]).log_prob
        if len(changed) == len(base):
            difference = (changed - base) / step
            scores[index] = np.where(np.isfinite(difference), difference, 0.0)
    return scores
