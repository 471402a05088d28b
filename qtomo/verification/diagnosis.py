"""Which listed faults explain records that are not of the target, how large they are, and whether they explain all.

Faults are taken one after another, each the likeliest given those before; strengths are then fitted together, and
what is no longer needed is dropped. The result is believed only if the records do not reject it in their turn: what
is learned from them and every test of a state are asked again of the fitted distribution. Its likelihood is that of
the best member of its family, so that likelihood ratios against it hold as they do against the target (universal
inference, arXiv 1912.11436).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qtomo.statistics.estimate import Estimate
from qtomo.statistics.evidence import likelihood_interval
from qtomo.verification.checks.base import Test, TestKind, adjusted
from qtomo.verification.checks.drift import changes
from qtomo.verification.checks.registry import OF_STATE
from qtomo.verification.checks.targets import learned
from qtomo.verification.context import Context
from qtomo.verification.faults.base import Explanation, Fault, FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS, fit_strength
from qtomo.verification.faults.registry import FAMILIES
from qtomo.verification.faults.together import signed_gain, together
from qtomo.verification.learned import Learned, learned_ratios
from qtomo.verification.readout import readout_at, readout_beside, readout_model, readout_scores

__all__ = ["Diagnosis", "diagnose"]

Reals = NDArray[np.float64]

_MOST_FAULTS = 4
#: Nats by which a fault has to be likelier than none, and than another to be told from it: 100 to 1.
_TOLD = math.log(100)
_ALIKE = 2.0  # that a strength gains by chance in one of twenty
_BESIDE = math.log(1000)  # by which a further fault has to be likelier where those before it are not rejected
#: Tests whose p-value is rarely below the other where a fit is right, and which tell that there is more to find.
_OF_FAULTS, _HINT = (TestKind.ONE_QUBIT, TestKind.EVERY_QUBIT, TestKind.RELABELLED_QUBIT, TestKind.LEARNED), 0.5
_LAST = (FaultKind.DRIFT, FaultKind.DUPLICATES)  # after which no other is looked for
_ANGLES = 64  # at most, that are looked at for other peaks of a likelihood
_TRIED = 4  # of the likeliest kinds, that are asked whether they explain the records alone
_READ_BESIDE, _JOINT_STEPS = 6, 5  # faults that readout errors are fitted beside, and steps of such a fit
_RIVALS = 12  # of a fault, that are tried in its place beside others
_LOOKED_AT = (400_000, 3_000, 20_000)  # records times qubits, and records, that a search goes through


@dataclass(frozen=True)
class Diagnosis:
    """What explains the records.

    Args:
        faults: found, in the order of their evidence, with intervals where the fit is not rejected.
        tied: for each, others that explain the records as well as far as they tell.
        rejecting: tests that reject the fitted faults, smallest p first; none where these explain the records.
        share: of what the learned alternative sees, as far as it sees anything.
        context: the records under the fitted faults.
    """

    faults: list[Fault]
    tied: list[list[Fault]]
    rejecting: list[Test]
    share: float | None
    context: Context

    @property
    def explains(self) -> bool:
        """Whether there is a fault, and the records do not reject its fit."""
        return bool(self.faults) and not self.rejecting


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Explanations with strengths, applied one after another."""

    explanations: tuple[Explanation, ...] = ()
    strengths: tuple[float, ...] = ()

    def apply(self, context: Context, strengths: Sequence[float] | None = None) -> Context:
        for explanation, strength in zip(self.explanations, strengths or self.strengths, strict=True):
            context = explanation.apply(context, strength)
        return context

    def and_(self, one: Explanation) -> _Chosen:
        return _Chosen((*self.explanations, one), (*self.strengths, one.strength))

    def without(self, index: int) -> _Chosen:
        return _Chosen(
            self.explanations[:index] + self.explanations[index + 1 :],
            self.strengths[:index] + self.strengths[index + 1 :],
        )


def diagnose(context: Context, alternative: Learned | None, declared: Context | None = None) -> Diagnosis:
    """Explain records that a test has told from the target.

    Args:
        context: the records under the target, with readout errors as fitted to it.
        alternative: what was learned from them.
        declared: the same with readout errors as calibrated. A fault is not one of the readout, which the fit to the
            target takes some of it for: so both are fitted anew together.
    """
    options = context.options
    product, fewest, most = _LOOKED_AT
    size = min(most, max(fewest, product // context.records.n_sites))
    while True:
        part = context.part(size, "diagnosis")
        chosen, tied, rejecting = _selected(part)
        if chosen.explanations or part is context:
            break
        size *= 4  # too few to show it
    if declared is not None and readout_model(declared) is not None:
        context, chosen, tied, rejecting = _read_anew(declared, (chosen, tied, rejecting), size)
        part = context.part(size, "diagnosis")
    options.progress.stage("how large the faults are")
    fitted = chosen.apply(context)
    if part is not context and chosen.explanations:
        rejecting = _rejecting(context, _judged(context, chosen, fitted))
    faults = _sized(context, chosen, intervals=not rejecting)
    share = _share(context, fitted, alternative) if chosen.explanations else None
    return Diagnosis(faults, tied, rejecting, share, fitted)


_Selected = tuple[_Chosen, list[list[Fault]], list[Test]]


def _read_anew(declared: Context, found: _Selected, size: int) -> tuple[Context, *_Selected]:
    """Readout errors and strengths fitted together, for the faults found and for each of the likeliest alone; others
    are looked for beside the best where the records reject it.
    """
    part, (chosen, _, _) = declared.part(size, "diagnosis"), found
    singles: list[Explanation] = []
    for one in [*_candidates(part), *(chosen.explanations if len(chosen.explanations) == 1 else ())]:
        if len(singles) < _READ_BESIDE and not any(one.fault.same_as(other.fault) for other in singles):
            singles.append(one)
    fits = [_jointly(part, _Chosen().and_(one)) for one in singles]
    fits.sort(key=lambda fit: -fit.score)
    best = _jointly(part, _Chosen())
    if fits and fits[0].score > best.score + _TOLD:
        best = fits[0]
    if len(chosen.explanations) > 1:
        several = _jointly(part, chosen)
        best = several if several.score > best.score + _BESIDE else best
    context = readout_beside(declared, best.chosen.apply(declared))
    looked_at = context.part(size, "diagnosis")
    rejecting = _rejecting(context, _judged(looked_at, best.chosen, best.chosen.apply(looked_at)))
    if rejecting or len(best.chosen.explanations) > 1:
        found = _selected(looked_at)
        if found[0].explanations:
            return context, *found
    if len(best.chosen.explanations) != 1:
        return context, best.chosen, [[] for _ in best.chosen.explanations], rejecting
    near = [fit for fit in fits[1:] if best.score - fit.score < _TOLD or _same(best.total, fit.total)]
    return context, best.chosen, [[fit.chosen.explanations[0].fault for fit in near]], rejecting


@dataclass(frozen=True, eq=False)
class _Joint:
    """Faults with readout errors fitted beside them: the log-likelihood of records and calibration together."""

    chosen: _Chosen
    total: float

    @property
    def score(self) -> float:
        return self.total - sum(one.log_places for one in self.chosen.explanations)


def _jointly(declared: Context, chosen: _Chosen) -> _Joint:
    """Strengths and readout errors by Fisher scoring, a few steps together, within what is possible."""
    calibration = declared.records.calibration
    assert calibration is not None
    flips, best = calibration.smoothed, _Joint(chosen, -math.inf)
    moving = np.array([one.curve is not None for one in chosen.explanations])
    low, high = np.array([one.bounds for one in chosen.explanations]).reshape(-1, 2).T
    for _ in range(_JOINT_STEPS):
        faulty, base = readout_model(chosen.apply(declared)), readout_at(declared, flips)
        if faulty is None:
            return _Joint(chosen, chosen.apply(declared).log_likelihood)
        fitted = chosen.apply(base)
        total = fitted.log_likelihood + float(calibration.log_likelihoods(flips).sum())
        if not total > best.total:
            break
        best = _Joint(chosen, total)
        gradient, information = _joint_information(base, chosen, fitted, faulty.slopes())
        gradient[len(moving) :] += calibration.gradient(flips)
        step = np.linalg.pinv(information, rcond=1e-10, hermitian=True) @ gradient
        strengths = np.where(moving, np.clip(chosen.strengths + step[: len(moving)], low, high), chosen.strengths)
        chosen = _Chosen(chosen.explanations, tuple(strengths.tolist()))
        after = flips + step[len(moving) :].reshape(2, -1).T
        flips = np.clip(after, flips / 4, np.minimum(4 * flips, 0.5))
    return best


def _joint_information(base: Context, chosen: _Chosen, fitted: Context, slopes: Reals) -> tuple[Reals, Reals]:
    """Gradient of the log-likelihood in strengths and readout errors; information of records and calibration."""
    calibration = base.records.calibration
    assert calibration is not None
    scores = np.zeros((len(chosen.strengths), len(fitted.records)))
    for index, one in enumerate(_scores(base, chosen, fitted)):
        scores[index] = one
    own = np.diag(calibration.information(calibration.smoothed))
    crossed, of_flips = np.zeros((len(scores), len(own))), np.zeros(len(own))
    summed = np.zeros((len(scores), len(fitted.rows)))
    for index, one in enumerate(scores):
        summed[index] = np.bincount(fitted.inverse, one, len(fitted.rows))
    for piece, flat in readout_scores(fitted, slopes):
        crossed += summed[:, piece] @ flat
        weighted = flat * fitted.counts[piece, None]
        own, of_flips = own + weighted.T @ flat, of_flips + weighted.sum(axis=0)
    information = np.block([[scores @ scores.T, crossed], [crossed.T, own]])
    return np.concatenate([scores.sum(axis=1), of_flips]), information


def _selected(context: Context) -> tuple[_Chosen, list[list[Fault]], list[Test]]:
    """Forward selection until the records do not reject the fit, and nothing beside it makes them far likelier; where
    there are two or more, each is looked for anew beside the others.
    """
    chosen, current, tests = _Chosen(), context, list[Test]()
    rivals: list[list[Explanation]] = []
    first = chosen, rivals
    while len(chosen.explanations) < _MOST_FAULTS:
        rejected = bool(_rejecting(context, tests))
        if rivals and not rejected and all(test.p_value > _HINT for test in tests if test.kind in _OF_FAULTS):
            break
        context.options.progress.stage("which fault explains the records" + (", beside those found" if rivals else ""))
        candidates = _candidates(current)
        enough = _TOLD if rejected or not rivals else _BESIDE
        if not candidates or not candidates[0].score - current.log_likelihood > enough:
            break
        for index in _worth_trying(candidates):
            others = candidates[:index] + candidates[index + 1 :]
            fitted = _refitted(context, chosen.and_(candidates[index]), [*rivals, others])
            current, tests, done = _settled(context, *fitted)
            first = fitted if index == 0 else first
            if done or not _rejecting(context, tests):
                break
        else:  # none of them suffices: go on from the likeliest
            fitted = first
            current, tests, done = _settled(context, *fitted)
        chosen, rivals = fitted
        if done:
            break
        if len(chosen.explanations) > 1:
            chosen, rivals = _refitted(context, *_exchanged(context, chosen, rivals))
            current, tests, done = _settled(context, chosen, rivals)
    if not any(one.fault.kind in _LAST for one in chosen.explanations):
        split, beside = _split(context, chosen, rivals)
        if split is not chosen:
            chosen, rivals = _refitted(context, *_exchanged(context, split, beside))
            current, tests, _ = _settled(context, chosen, rivals)
    return chosen, _tied(context, chosen, rivals), _rejecting(context, tests)


def _split(
    context: Context, chosen: _Chosen, rivals: list[list[Explanation]]
) -> tuple[_Chosen, list[list[Explanation]]]:
    """Each local fault replaced by two of its place, where these are far likelier: it may have stood in for both."""
    for index, one in reversed(list(enumerate(chosen.explanations))):
        if one.fault.kind not in LOCAL_KINDS or len(chosen.explanations) == _MOST_FAULTS:
            continue
        site = None if one.fault.sites is None else one.fault.sites[0]
        fitted = chosen.apply(context)
        if fitted.n_impossible or not signed_gain(fitted, site) > _BESIDE:
            continue
        context.options.progress.stage(f"two faults in place of {one.fault.what}")
        others = chosen.without(index)
        two = together(others.apply(context), site, fitted.log_likelihood + _BESIDE)
        if two is not None:
            chosen = others.and_(two[0]).and_(two[1])
            rivals = [*rivals[:index], *rivals[index + 1 :], [], []]
    return chosen, rivals


def _worth_trying(candidates: list[Explanation]) -> list[int]:
    """The likeliest, and others that are nearly as likely, one of a kind each: one of them may be enough by itself."""
    found: dict[FaultKind, int] = {}
    for index, one in enumerate(candidates):
        if candidates[0].score - one.score < 2 * _TOLD and len(found) < _TRIED:
            found.setdefault(one.fault.kind, index)
    return sorted(found.values())


def _settled(context: Context, chosen: _Chosen, rivals: list[list[Explanation]]) -> tuple[Context, list[Test], bool]:
    """The records under what is chosen, the tests of that, and whether nothing can follow it."""
    current = chosen.apply(context)
    last = chosen.explanations[-1].fault.kind
    return current, _judged(context, chosen, current), last in _LAST


def _exchanged(
    context: Context, chosen: _Chosen, rivals: list[list[Explanation]]
) -> tuple[_Chosen, list[list[Explanation]]]:
    """Each fault in turn replaced by the likeliest one beside the others, where that is another and likelier; in the
    order that they had.
    """
    for _ in chosen.explanations:
        first, others = chosen.explanations[0], chosen.without(0)
        context.options.progress.stage(f"another fault in place of {first.fault.what}")
        now = chosen.apply(context).log_likelihood
        candidates = _candidates(others.apply(context))
        if candidates and not candidates[0].log_likelihood < now - _TOLD:
            chosen, rivals = others.and_(candidates[0]), [*rivals[1:], candidates[1:]]
        else:
            chosen, rivals = others.and_(replace(first, strength=chosen.strengths[0])), [*rivals[1:], rivals[0]]
    return chosen, rivals


def _tied(context: Context, chosen: _Chosen, rivals: list[list[Explanation]]) -> list[list[Fault]]:
    """For each fault those that are as likely in its place, the others being as they are; those that give the same
    distribution are, in however many places they were looked for.
    """
    found, reached = [], chosen.apply(context).log_likelihood
    for index, one in enumerate(chosen.explanations):
        best = reached - one.log_places
        near = [rival for rival in rivals[index] if not rival.fault.same_as(one.fault)]
        if len(chosen.explanations) == 1:
            alike = (rival for rival in near if best - rival.score < _TOLD or _same(reached, rival.log_likelihood))
            found.append([rival.fault for rival in alike])
            continue
        others = chosen.without(index)
        same = []
        for rival in near[:_RIVALS]:
            total = _peak(context, others.and_(rival))
            if best - (total - rival.log_places) < _TOLD or _same(reached, total):
                same.append(rival.fault)
        found.append(same)
    return found


def _same(one: float, other: float) -> bool:
    """Whether log-likelihoods are equal but for what a fitted strength gains by chance."""
    return abs(one - other) < _ALIKE


def _peak(context: Context, chosen: _Chosen) -> float:
    """Log-likelihood with the strength of the last one fitted again."""
    last = chosen.explanations[-1]
    if last.curve is None:
        return chosen.apply(context).log_likelihood
    curve = _curve(context, chosen, chosen.strengths, len(chosen.strengths) - 1)
    return fit_strength(curve, *_around(last, chosen.strengths[-1]))[1]


def _around(one: Explanation, strength: float) -> tuple[list[float], tuple[float, float]]:
    """A grid about a strength, and its ends, within what is possible."""
    near = {strength * factor for factor in (0.0, 0.5, 0.8, 1.0, 1.25, 2.0)}
    inside = sorted(min(max(t, one.bounds[0]), one.bounds[1]) for t in near)
    return inside, (inside[0], inside[-1])


def _candidates(context: Context) -> list[Explanation]:
    found: list[Explanation] = []
    for family in FAMILIES:
        best = max((one.log_likelihood for one in found), default=-math.inf)
        found += [one for one in family(context, best) if math.isfinite(one.score)]
    return sorted(found, key=lambda one: -one.score)


def _refitted(
    context: Context, chosen: _Chosen, rivals: list[list[Explanation]]
) -> tuple[_Chosen, list[list[Explanation]]]:
    """All strengths fitted together, two rounds of one after another; faults that are not needed are dropped."""
    if len(chosen.explanations) == 1:
        return chosen, rivals
    strengths = list(chosen.strengths)
    for _ in range(2):
        for index, one in enumerate(chosen.explanations):
            if one.curve is not None:
                curve = _curve(context, chosen, strengths, index)
                strengths[index], _top = fit_strength(curve, *_around(one, strengths[index]))
    chosen, index = _Chosen(chosen.explanations, tuple(strengths)), 0
    while index < len(chosen.explanations) > 1:
        fewer = chosen.without(index)
        if chosen.apply(context).log_likelihood - fewer.apply(context).log_likelihood < _TOLD:
            chosen, rivals = fewer, rivals[:index] + rivals[index + 1 :]
        else:
            index += 1
    return chosen, rivals


def _curve(context: Context, chosen: _Chosen, strengths: Sequence[float], index: int) -> Callable[[float], float]:
    """Log-likelihood by the strength of one of the chosen, the others as they are."""

    one = chosen.explanations[index]
    if one.curve_of is not None:
        return one.curve_of(chosen.without(index).apply(context))

    def curve(t: float) -> float:
        moved = [*strengths[:index], t, *strengths[index + 1 :]]
        return chosen.apply(context, moved).log_likelihood

    return curve


def _rejecting(context: Context, tests: list[Test]) -> list[Test]:
    return [test for test in tests if test.rejects(context.options.alpha)]


def _judged(context: Context, chosen: _Chosen, fitted: Context) -> list[Test]:
    """Tests of the fitted distribution, on the records that it speaks of, smallest p first."""
    contexts = [fitted, *(part for one in chosen.explanations for part in one.rest(context))]
    tests: list[Test] = []
    for part in contexts:
        if part.n_impossible:
            return adjusted(list(OF_STATE[0](part)))
        for check in OF_STATE:
            tests += check(part)
        plain = replace(part, options=replace(part.options, alternative="kgram"))
        tests += learned(part, learned_ratios(plain))
    scores = dict(zip((one.fault.what for one in chosen.explanations), _scores(context, chosen, fitted), strict=True))
    tests += changes(fitted, {what: score for what, score in scores.items() if score.any()})
    return adjusted(tests)


def _sized(context: Context, chosen: _Chosen, intervals: bool) -> list[Fault]:
    """The faults; where the fit is believed with their sizes, in intervals that let the other strengths follow."""
    beside = len(chosen.explanations) > 1 or context.records.calibration is not None
    widening = _widening(context, chosen) if beside and intervals and chosen.explanations else None
    found = []
    for index, (one, strength) in enumerate(zip(chosen.explanations, chosen.strengths, strict=True)):
        if one.curve is None or not intervals:
            found.append(one.fault)
            continue
        curve = _curve(context, chosen, chosen.strengths, index)
        factor = 1.0 if widening is None else float(widening[index])
        found.append(replace(one.fault, size=_estimate(context, curve, one, strength, factor)))
    return found


def _estimate(
    context: Context, curve: Callable[[float], float], one: Explanation, strength: float, widening: float
) -> Estimate:
    """A strength with the interval of its likelihood ratio."""
    best, _top = fit_strength(curve, *_around(one, strength))
    level = context.options.level
    low, high, error = likelihood_interval(curve, best, one.bounds, level, widening)
    if one.fault.parameter == "angle":
        low, high = _with_other_peaks(curve, (low, best, high), one.bounds, context.records.n_sites)
    method = "maximum likelihood, interval by likelihood ratio"
    return Estimate(best, error, min(low, best), max(high, best), level, len(context.records), method)


def _with_other_peaks(
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


def _widening(context: Context, chosen: _Chosen) -> Reals:
    """How much wider an interval is for the other strengths being fitted, and readout errors within their calibration,
    from the scores of the records.
    """
    fitted, readout = chosen.apply(context), readout_model(chosen.apply(context))
    if readout is not None:
        information = _joint_information(context, chosen, fitted, readout.slopes())[1]
    else:
        scores = np.stack(_scores(context, chosen, fitted))
        information = scores @ scores.T
    inverse = np.linalg.pinv(information, rcond=1e-10, hermitian=True)
    found: Reals = np.sqrt(np.maximum(np.diag(inverse) * np.diag(information), 1.0))[: len(chosen.strengths)]
    return found


def _scores(context: Context, chosen: _Chosen, fitted: Context) -> list[Reals]:
    """What each record that the faults speak of adds to the slope of the log-likelihood in each strength, (n,); 0 where
    there is none.
    """
    base = fitted.log_prob
    scores = []
    for index, (one, strength) in enumerate(zip(chosen.explanations, chosen.strengths, strict=True)):
        if one.curve is None:
            scores.append(np.zeros(len(base)))
            continue
        step = 1e-3 * max(abs(strength), 1e-2) * (1 if strength < one.bounds[1] / 2 else -1)
        moved = chosen.apply(context, [t + step * (i == index) for i, t in enumerate(chosen.strengths)]).log_prob
        difference = (moved - base) / step if len(moved) == len(base) else np.zeros(len(base))
        scores.append(np.where(np.isfinite(difference), difference, 0.0))
    return scores


def _share(context: Context, fitted: Context, alternative: Learned | None) -> float | None:
    """The share of the alternative's gain over the target that the faults explain, on records it has not seen."""
    if alternative is None or len(fitted.records) != len(context.records) or fitted.records is not context.records:
        return None
    before, after = (
        np.concatenate(alternative.log_ratios(one.conditional_log_prob)) for one in (_without_zeros(context), fitted)
    )
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        return None
    seen = float(before.mean())
    if seen <= 2 * float(before.std()) / math.sqrt(len(before)):
        return None
    return min(1.0, max(0.0, 1 - max(0.0, float(after.mean())) / seen))


def _without_zeros(context: Context) -> Context:
    """The target with as much white noise as there are forbidden records, so that its likelihood is finite."""
    if not context.n_impossible:
        return context
    share = min(0.5, context.n_impossible / len(context.records))
    return context.under(context.hypothesis.mixed(share, context.hypothesis.alone(None)))
