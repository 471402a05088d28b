"""Which listed faults explain records that are not of the target, how large they are, and whether they explain all.

Faults are taken one after another, each the likeliest given those before; strengths are then fitted together, and
what is no longer needed is dropped. The result is believed only if the records do not reject it in their turn: what
is learned from them and every test of a state are asked again of the fitted distribution. Its likelihood is that of
the best member of its family, so that likelihood ratios against it hold as they do against the target (universal
inference, arXiv 1912.11436).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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
from qtomo.verification.readout import readout_beside, readout_model
from qtomo.verification.strengths import Chosen, around, jointly, scores_of, sized, strength_curve

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
_TRIED = 4  # of the likeliest kinds, that are asked whether they explain the records alone
_READ_BESIDE = 6  # faults that readout errors are fitted beside
_RIVALS = 12  # of a fault, other than alike ones, that are tried in its place beside others
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
    faults = sized(context, chosen, intervals=not rejecting)
    share = _share(context, fitted, alternative) if chosen.explanations else None
    return Diagnosis(faults, tied, rejecting, share, fitted)


_Selected = tuple[Chosen, list[list[Fault]], list[Test]]


def _read_anew(declared: Context, found: _Selected, size: int) -> tuple[Context, *_Selected]:
    """Readout errors and strengths fitted together, for the faults found and for each of the likeliest alone; others
    are looked for beside the best where the records reject it.
    """
    part, (chosen, _, _) = declared.part(size, "diagnosis"), found
    singles: list[Explanation] = []
    for one in [*_candidates(part), *(chosen.explanations if len(chosen.explanations) == 1 else ())]:
        if len(singles) < _READ_BESIDE and not any(one.fault.same_as(other.fault) for other in singles):
            singles.append(one)
    fits = [jointly(part, Chosen().and_(one)) for one in singles]
    fits.sort(key=lambda fit: -fit.score)
    best = jointly(part, Chosen())
    if fits and fits[0].score > best.score + _TOLD:
        best = fits[0]
    if len(chosen.explanations) > 1:
        several = jointly(part, chosen)
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


def _selected(context: Context) -> tuple[Chosen, list[list[Fault]], list[Test]]:
    """Forward selection until the records do not reject the fit, and nothing beside it makes them far likelier; where
    there are two or more, each is looked for anew beside the others.
    """
    chosen, current, tests = Chosen(), context, list[Test]()
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


def _split(context: Context, chosen: Chosen, rivals: list[list[Explanation]]) -> tuple[Chosen, list[list[Explanation]]]:
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


def _settled(context: Context, chosen: Chosen, rivals: list[list[Explanation]]) -> tuple[Context, list[Test], bool]:
    """The records under what is chosen, the tests of that, and whether nothing can follow it."""
    current = chosen.apply(context)
    last = chosen.explanations[-1].fault.kind
    return current, _judged(context, chosen, current), last in _LAST


def _exchanged(
    context: Context, chosen: Chosen, rivals: list[list[Explanation]]
) -> tuple[Chosen, list[list[Explanation]]]:
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


def _tied(context: Context, chosen: Chosen, rivals: list[list[Explanation]]) -> list[list[Fault]]:
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
        same: list[Fault] = []
        tried: dict[tuple[FaultKind, float], bool] = {}
        for rival in near:
            known = rival.fault.kind, round(rival.log_likelihood, 3)
            if known not in tried:
                if len(tried) == _RIVALS:
                    break
                total = _peak(context, others.and_(rival))
                tried[known] = best - (total - rival.log_places) < _TOLD or _same(reached, total)
            same += [rival.fault] if tried[known] else []
        found.append(same)
    return found


def _same(one: float, other: float) -> bool:
    """Whether log-likelihoods are equal but for what a fitted strength gains by chance."""
    return abs(one - other) < _ALIKE


def _peak(context: Context, chosen: Chosen) -> float:
    """Log-likelihood with the strength of the last one fitted again."""
    last = chosen.explanations[-1]
    if last.curve is None:
        return chosen.apply(context).log_likelihood
    curve = strength_curve(context, chosen, chosen.strengths, len(chosen.strengths) - 1)
    return fit_strength(curve, *around(last, chosen.strengths[-1]))[1]


def _candidates(context: Context) -> list[Explanation]:
    found: list[Explanation] = []
    for family in FAMILIES:
        best = max((one.log_likelihood for one in found), default=-math.inf)
        found += [one for one in family(context, best) if math.isfinite(one.score)]
    return sorted(found, key=lambda one: -one.score)


def _refitted(
    context: Context, chosen: Chosen, rivals: list[list[Explanation]]
) -> tuple[Chosen, list[list[Explanation]]]:
    """All strengths fitted together, two rounds of one after another; faults that are not needed are dropped."""
    if len(chosen.explanations) == 1:
        return chosen, rivals
    strengths = list(chosen.strengths)
    for _ in range(2):
        for index, one in enumerate(chosen.explanations):
            if one.curve is not None:
                curve = strength_curve(context, chosen, strengths, index)
                strengths[index], _top = fit_strength(curve, *around(one, strengths[index]))
    chosen, index = Chosen(chosen.explanations, tuple(strengths)), 0
    while index < len(chosen.explanations) > 1:
        fewer = chosen.without(index)
        if chosen.apply(context).log_likelihood - fewer.apply(context).log_likelihood < _TOLD:
            chosen, rivals = fewer, rivals[:index] + rivals[index + 1 :]
        else:
            index += 1
    return chosen, rivals


def _rejecting(context: Context, tests: list[Test]) -> list[Test]:
    return [test for test in tests if test.rejects(context.options.alpha)]


def _judged(context: Context, chosen: Chosen, fitted: Context) -> list[Test]:
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
    scores = dict(zip((one.fault.what for one in chosen.explanations), scores_of(context, chosen, fitted), strict=True))
    tests += changes(fitted, {what: score for what, score in scores.items() if score.any()})
    return adjusted(tests)


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
