"""Shots that are not independent, or not all alike: duplicates, bits that stay, and a change along the shots."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.distribution import LOST
from qtomo.errors import Code, InputError
from qtomo.seeds import stream
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.statistics.evidence import log_mean_exp
from qtomo.verification.context import Context
from qtomo.verification.faults.base import Explanation, Fault, FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS, applied, everywhere_curve, fit_strength, site_curve
from qtomo.verification.faults.local import explanations as local_explanations

__all__ = ["Segments", "drift_explanations", "duplicates", "explanations", "memory", "segments"]

Reals = NDArray[np.float64]

_SHARES = np.array([0.005, 0.01, 0.03, 0.1, 0.3, 0.6, 0.95])
_BLOCKS = 40
_RARE = 0.05  # equal shots expected by chance, from which a copy tells nothing
_CHANGED = 3.0  # nats by which blocks have to be likelier with an onset than without
_FOLLOWED, _CLOSE = 3, 10.0  # faults whose onset is looked for, and nats that they may be behind the likeliest
_FEW = 4000  # records that a strength is found on first
_LARGEST = 2**19  # outcomes whose likelihoods are looked at together
_STRENGTHS = 8  # of a fault's grid that a change of it is looked for with, from the largest


@dataclass(frozen=True, eq=False)
class Copies:
    """How likely each shot is, alone and as a copy of an earlier one.

    Args:
        log_prob: ln P(bits | settings), or ln P(outcomes), (n,).
        copy: probability that a copy of an earlier shot of its setting, drawn at random, is this one; 0 where so many
            are like it by chance that a copy would tell nothing, (n,).
        possible: whether there is an earlier one, (n,).
    """

    log_prob: Reals
    copy: Reals
    possible: NDArray[np.bool_]

    def curve(self, share: float) -> float:
        """Log-likelihood of all shots if so large a share of those that may be copies are, less that if none is.

        What common shots would gain is left out, so that it is at most that of a distribution.
        """
        with np.errstate(divide="ignore"):
            copied = np.log(share) + np.log(self.copy) - self.log_prob if share else np.full(len(self.copy), -np.inf)
            logs = np.logaddexp(np.log1p(-share) if share < 1 else -np.inf, copied)
        return float(logs[self.possible].sum())

    def log_e(self) -> float:
        """ln of the average likelihood ratio over shares: an e-value."""
        return log_mean_exp([self.curve(float(share)) for share in _SHARES])


def duplicates(context: Context) -> Copies:
    """Shots in random order, each as a copy of any before it in its setting: in order they need not be."""
    n = len(context.records)
    order = stream(context.options.seed, "duplicates").permutation(n)
    index = context.records.setting_index
    setting = np.zeros(n, dtype=np.int64) if index is None else index
    same = _earlier(context.inverse[order])
    earlier = _earlier(setting[order])
    log_prob = context.conditional_log_prob[order]
    rare = earlier * np.exp(log_prob) < _RARE
    copy = np.where(rare & (earlier > 0), same / np.maximum(earlier, 1), 0.0)
    return Copies(log_prob, copy, earlier > 0)


def _earlier(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many equal keys stand before each."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(starts, len(keys)))
    rank = np.arange(len(keys)) - np.repeat(starts, sizes)
    found = np.empty(len(keys), dtype=np.int64)
    found[order] = rank
    return found


def repeats(context: Context, lag: int) -> float:
    """The p-value of as many shots being equal to the one `lag` before them, whatever their distribution.

    Shots of one setting are exchangeable if they are independent, all shots where settings were drawn at random: of c
    equal ones among m, any two are equal with probability c(c - 1)/(m(m - 1)). The number of such coincidences is
    Poisson.
    """
    records, order = context.records, context.records.order
    assert order is not None
    rows = context.inverse[order]
    listed = records.design == "listed" and records.setting_index is not None
    groups = records.setting_index[order] if listed and records.setting_index is not None else np.zeros(len(rows), int)
    together = groups[lag:] == groups[:-lag]
    equal = int(np.count_nonzero(together & (rows[lag:] == rows[:-lag])))
    if not equal:
        return 1.0
    n_groups = int(groups.max()) + 1
    sizes = np.bincount(groups, minlength=n_groups).astype(np.float64)
    group_of_row = np.zeros(len(context.rows), dtype=np.int64)
    group_of_row[rows] = groups
    same = np.bincount(group_of_row, context.counts * (context.counts - 1), n_groups)
    chance = same / np.maximum(sizes * (sizes - 1), 1)
    expected = float((np.bincount(groups[lag:][together], minlength=n_groups) * chance).sum())
    return float(stats.poisson.sf(equal - 1, expected))


def memory(context: Context) -> tuple[Reals, Reals]:
    """Log-likelihood of all shots if one qubit's bit is that of the shot before with some probability, less that if
    not: at each qubit (shares, n_sites), and at one drawn at random for each shot (shares,).
    """
    records, order = context.records, context.records.order
    assert order is not None
    povm, n = context.hypothesis.povm, len(records)
    table = pauli_coefficients(povm.site_elements(records.n_sites))
    rows = context.inverse[order]
    bits = records.outcomes[order]
    at_site, anywhere = np.zeros((len(_SHARES), records.n_sites)), np.zeros(len(_SHARES))
    sites = np.arange(records.n_sites)
    plain = context.hypothesis.plain_sites
    for first in range(1, n, 8192):
        last = min(n, first + 8192)
        now, before = bits[first:last], bits[first - 1 : last - 1]
        known = (now != LOST) & (before != LOST) & plain
        weights = context.likelihoods.weights[rows[first:last]]
        chance = context.likelihoods.chance[rows[first:last]]
        if records.has_settings:
            bases = records.shot_settings[order[first:last]]
            pair = table[sites, 2 * bases] + table[sites, 2 * bases + 1]
        else:
            pair = np.broadcast_to(np.array([1.0, 0.0, 0.0, 0.0]), (last - first, records.n_sites, 4))
        stays = np.where(now == before, np.einsum("nip,nip->ni", pair, weights), 0.0)
        for index, share in enumerate(_SHARES):
            mixed = np.where(known, (1 - share) * chance[:, None] + share * stays, chance[:, None])
            with np.errstate(divide="ignore", invalid="ignore"):
                at_site[index] += np.log(mixed / chance[:, None]).sum(axis=0)
                anywhere[index] += np.log(mixed.mean(axis=1) / chance).sum()
    return at_site, anywhere


@dataclass(frozen=True, eq=False)
class Segments:
    """What blocks of shots, in their order, say of each local fault.

    Args:
        rows: row numbers in order, a block each.
        before: log-likelihood of each block without a fault, -inf where it has a forbidden record, (blocks,).
        logs: by kind, the same with the fault at each qubit, and last at one drawn at random for each shot:
            (strengths, n_sites + 1, blocks).
        strengths: by kind.
    """

    rows: list[NDArray[np.int64]]
    before: Reals
    logs: dict[FaultKind, Reals]
    strengths: dict[FaultKind, Reals]

    def onsets(self, kind: FaultKind) -> Reals:
        """Log-likelihood of all records if the fault sets in with each block but the first:
        (strengths, n_sites + 1, blocks - 1).
        """
        after: Reals = np.cumsum(self.logs[kind][:, :, ::-1], axis=2)[:, :, ::-1][:, :, 1:]
        return np.cumsum(self.before)[:-1] + after

    def constant(self) -> float:
        """Log-likelihood of all records under the best fault that is there all along, or none; -inf where none of these
        allows them.
        """
        return max(float(self.before.sum()), *(float(logs.sum(axis=2).max()) for logs in self.logs.values()))

    def log_e(self) -> float:
        """ln of the average likelihood ratio over kinds, places, strengths and onsets to the best that is there all
        along: an e-value against both the hypothesis and faults that do not change. Where none of these allows the
        records they do not tell of a change.
        """
        constant = self.constant()
        if not math.isfinite(constant):
            return 0.0
        return log_mean_exp([log_mean_exp(self.onsets(kind) - constant) for kind in self.logs])


def segments(context: Context) -> Segments:
    """Evidence of a fault that sets in along the shots.

    Raises:
        InputError: fewer than two shots whose order is known.
    """
    order = context.records.order
    if order is None or len(order) < 2:
        raise InputError(Code.UNSUPPORTED, "the order of the shots is not known")
    n_blocks = min(_BLOCKS, len(order))
    blocks = np.array_split(order, n_blocks)
    logs: dict[FaultKind, Reals] = {}
    strengths: dict[FaultKind, Reals] = {}
    likelihoods = context.likelihoods
    before = np.array([context.log_prob[block].sum() for block in blocks])
    scales = np.array([likelihoods.log_scale[context.inverse[block]].sum() for block in blocks])
    sites = np.arange(context.records.n_sites)
    at_once = max(1, _LARGEST // (len(blocks[0]) * len(sites)))
    for kind, local in LOCAL_KINDS.items():
        try:
            parts = local.parts(context.hypothesis.povm, len(sites))
        except InputError:
            continue
        chosen = np.array(local.grid[-_STRENGTHS:])
        functions = local.functions(chosen)
        table = parts.astype(np.float32)
        found = np.zeros((len(chosen), len(sites) + 1, n_blocks))
        for first in range(0, n_blocks, at_once):
            group = blocks[first : first + at_once]
            rows = context.inverse[np.concatenate(group)]
            starts = np.cumsum([0, *map(len, group[:-1])])
            labels = np.minimum(context.rows[rows], parts.shape[2] - 1)
            values = np.einsum("knip,nip->kni", table[:, sites, labels], likelihoods.weights[rows])
            for place, weights in enumerate(functions.T):
                chances = np.tensordot(weights, values, 1).clip(0)
                with np.errstate(divide="ignore"):
                    of_sites, of_any = np.log(chances), np.log(chances.mean(axis=1))
                found[place, :-1, first : first + at_once] = np.add.reduceat(of_sites, starts, axis=0).T
                found[place, -1, first : first + at_once] = np.add.reduceat(of_any, starts)
        logs[kind], strengths[kind] = found + scales, chosen
    return Segments(blocks, before, logs, strengths)


def explanations(context: Context, _best: float = -math.inf) -> Iterable[Explanation]:
    """Copies among the shots, and a fault that sets in along them."""
    if len(context.records) > 1 and not context.n_impossible:
        yield from _copies(context)
    if context.records.order is not None:
        yield from drift_explanations(context)


def _copies(context: Context) -> Iterator[Explanation]:
    most = 0.999 * float(context.once(duplicates).possible.mean())
    if not most:
        return

    def apply(context: Context, _share: float) -> Context:
        first = np.sort(np.unique(context.inverse, return_index=True)[1])
        return context.of(context.records.take(first))

    def curve_of(context: Context) -> Callable[[float], float]:
        found = context.once(duplicates)
        among = float(found.possible.mean())
        return lambda share: context.log_likelihood + found.curve(min(share / among, 1.0))

    curve = curve_of(context)
    strength, top = fit_strength(curve, (float(share) * most for share in _SHARES), (0.0, most))
    if top > context.log_likelihood:
        fault = Fault(FaultKind.DUPLICATES, None, parameter="share")
        yield Explanation(fault, strength, top, 0.0, apply, curve, (0.0, most), curve_of=curve_of)


def drift_explanations(context: Context) -> Iterator[Explanation]:
    """Faults that set in, the likeliest of those after the likeliest onset: for each the onset and the strength."""
    try:
        found = context.once(segments)
    except InputError:
        return
    logs = np.stack([found.onsets(kind).max(axis=(0, 1)) for kind in found.logs])
    if not logs.size or not logs.max() > found.constant() + _CHANGED:
        return
    cut = int(logs.max(axis=0).argmax())
    later = context.of(context.records.take(np.concatenate(found.rows[cut + 1 :])))
    likely = sorted(local_explanations(later), key=lambda one: -one.score)
    for one in likely[:_FOLLOWED]:
        if likely[0].score - one.score < _CLOSE:
            yield _sets_in(context, found, one, cut)


def _sets_in(context: Context, found: Segments, fault: Explanation, cut: int) -> Explanation:
    """The onset and the strength after it of a fault that was found after a cut."""
    order = np.concatenate(found.rows)
    kind, strength = fault.fault.kind, fault.strength
    site = fault.fault.sites[0] if fault.fault.sites else None
    local = LOCAL_KINDS[kind]
    onset = sum(len(rows) for rows in found.rows[: cut + 1])
    for again in (False, True):  # the onset at this strength, and at that after it
        if again:
            later = context.of(context.records.take(order[onset:]))
            few = later.part(_FEW, "drift")
            curve = everywhere_curve(few, kind) if site is None else site_curve(later, kind, site)
            strength, _ = fit_strength(curve, local.grid, local.bounds)
        after = applied(context.hypothesis, kind, strength, site).log_prob(context.rows)
        good, bad = context.log_prob[order], after[context.inverse[order]]
        total = np.cumsum(good)[:-1] + np.cumsum(bad[::-1])[::-1][1:]
        onset = int(np.argmax(total)) + 1
    later = context.of(context.records.take(order[onset:]))
    earlier = context.of(context.records.take(order[:onset]))
    base = earlier.log_likelihood

    def likelihood(t: float) -> float:
        logs = applied(context.hypothesis, kind, t, site).log_prob(later.rows)
        return base + float(later.counts @ logs) if np.isfinite(logs).all() else -math.inf

    near = [strength * f for f in (0.5, 0.8, 1.0, 1.25, 2.0)]
    inside = [min(max(t, local.bounds[0]), local.bounds[1]) for t in near]
    strength, top = fit_strength(likelihood, inside, (min(inside), max(inside)))
    inner = Fault(kind, None if site is None else (site,), parameter=local.parameter)
    when = f"from about shot {onset:,} of {len(order):,} on"
    places = math.log(len(found.logs)) + math.log((context.records.n_sites + 1) * len(order))

    def apply(current: Context, t: float) -> Context:
        moved = applied(current.hypothesis, kind, t, site)
        return current.of(current.records.take(order[onset:])).under(moved)

    def rest(current: Context) -> list[Context]:
        return [current.of(current.records.take(order[:onset]))]

    named = Fault(FaultKind.DRIFT, inner.sites, parameter=local.parameter, detail=inner.what, when=when)
    return Explanation(named, strength, top, places, apply, likelihood, local.bounds, rest)
