"""Fidelity with a stabiliser state from settings drawn for it, and bounds from whatever settings there are.

The projector on a stabiliser state is the average of its 2^N stabilisers. Draw one for each shot, measure its letters,
and Z where it has none: the signed parity of its bits has mean F (Flammia and Liu 2011, arXiv 1104.4695). A setting may
have been drawn for several, which differ by stabilisers of Z alone; their average is the parity, if all of those are
right, and zero if one is not. So the all-Z setting of a GHZ state stands for half of the group: F = P(all equal)/2 +
<C>/2, with C the mean over the settings of X and Y.

Generators of the whole group, measured in a few settings, bound F by the union of their failures: with P_s the
probability that all stabilisers of setting s are right, F >= 1 - Σ_s (1 - P_s) (Tóth and Gühne 2005,
quant-ph/0405165, has two settings).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.measurement.settings import SettingList
from qtomo.observables.duals import bit_values
from qtomo.observables.fidelity.base import AS_THE_FILE_SAYS, SHOTS_ALIKE, Aim, Asked, Fidelity, FidelityKind, possible
from qtomo.records.records import Records
from qtomo.seeds import stream
from qtomo.states.stabilisers import Stabilisers, kernel, solved
from qtomo.statistics.bounds import mean_lower_limit, proportion_lower_limit
from qtomo.statistics.estimate import Estimate

__all__ = [
    "Drawn",
    "Signs",
    "Stratum",
    "Union",
    "by_drawn_stabilisers",
    "covering_settings",
    "drawn",
    "drawn_settings",
    "union",
]

Reals = NDArray[np.float64]
Bits = NDArray[np.uint8]

_FEWEST = 30  # settings that were drawn, from which their scatter is told
_LIKE_CHANCE = 6.0  # standard errors by which letters of settings that were drawn may be off
_ENUMERATED = 12  # independent stabilisers of Z, or of their complement, that are summed over
_SAMPLED = 4096  # stabilisers that settings are held against
_ROUNDS = 30  # shots of each setting, from which their sums are many enough
_UNION = 40  # settings at most that a union bound goes over


@dataclass(frozen=True, eq=False)
class Stratum:
    """Shots of settings that stand for a part of the group.

    Args:
        share: of the group, that the part is.
        values: of each shot; their mean over settings, drawn or weighted, is that of the part, (n,).
        setting: the number of each shot's setting, (n,).
        weights: of settings by that number, where all there are were measured; None where they were drawn.
        reach: the largest absolute value that a shot can have.
    """

    share: float
    values: Reals
    setting: NDArray[np.int64]
    weights: Reals | None
    reach: float

    def mean(self, z_square: float) -> tuple[float, float]:
        """The mean and its variance; few shots, which may all be alike, are as uncertain as Wilson's interval has
        them.
        """
        index, shots = np.unique(self.setting, return_inverse=True)
        counts = np.bincount(shots)
        means = np.bincount(shots, self.values) / counts
        n, few = len(self.values), z_square * (2 * self.reach / (len(self.values) + z_square)) ** 2
        if self.weights is not None:
            weights = self.weights[index]
            inside = float(((self.values - means[shots]) ** 2).sum()) / max(1, n - len(index))
            return float(weights @ means), inside * float((weights**2 / counts).sum()) + few
        mean = float(self.values.mean())
        scatter = float((counts**2 * (means - mean) ** 2).sum()) / n**2
        return mean, scatter * len(index) / max(1, len(index) - 1) + few

    def lower_limit(self, level: float, generator: np.random.Generator) -> float:
        """Below the mean, with this confidence at any number of shots."""
        index, shots = np.unique(self.setting, return_inverse=True)
        counts = np.bincount(shots)
        ends = set(np.unique(self.values).tolist())
        if self.weights is not None:
            units = self._units(self.weights[index], shots, counts, generator)
        else:
            units = np.bincount(shots, self.values) / counts
        alike = len(index) == 1 or bool((counts == 1).all())
        if alike and (ends <= {0.0, 1.0} or ends <= {-1.0, 1.0}):
            right, n, low = int((self.values == 1).sum()), len(self.values), min(0.0, *ends)
            return float(low + (1 - low) * proportion_lower_limit(right, n, level))
        return mean_lower_limit(generator.permutation(units), -self.reach, self.reach, level)

    def _units(
        self, weights: Reals, shots: NDArray[np.int64], counts: NDArray[np.int64], generator: np.random.Generator
    ) -> Reals:
        """Independent numbers alike, whose mean is that of the weighted settings: sums of a shot of each setting, as
        many as the least measured has; where that is few, shots of settings drawn by their weights until one is used
        up.
        """
        order = np.lexsort([generator.random(len(shots)), shots])
        firsts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        if counts.min() >= _ROUNDS:
            sums: Reals = self.values[order[firsts[None] + np.arange(counts.min())[:, None]]] @ weights
            return sums
        taken = generator.choice(len(weights), len(shots), p=weights)
        before = np.array([np.count_nonzero(taken[:i] == setting) for i, setting in enumerate(taken)])
        there = np.logical_and.accumulate(before < counts[taken])
        drawn_ones: Reals = self.values[order[(firsts[taken] + before)[there]]]
        return drawn_ones


@dataclass(frozen=True, eq=False)
class Drawn:
    """Shots in settings drawn for stabilisers, by parts of the group.

    Args:
        known: what the identity adds, which needs no shot.
        strata: the rest.
        is_raw: whether bits are taken as they were read, so that readout error counts as infidelity.
    """

    known: float
    strata: tuple[Stratum, ...]
    is_raw: bool

    @property
    def assumptions(self) -> list[str]:
        """What an estimate rests on."""
        found = [SHOTS_ALIKE]
        if any(one.weights is None for one in self.strata):
            found.append("settings were drawn at random for stabilisers of the target, as their letters suggest")
        raw = "bits are taken as they were read, so that readout error counts as infidelity"
        return [*found, raw if self.is_raw else AS_THE_FILE_SAYS]

    def estimate(self, level: float) -> Estimate:
        """F with a normal interval, within what is possible."""
        z_square = float(stats.norm.ppf((1 + level) / 2)) ** 2
        parts = [(one.share, *one.mean(z_square)) for one in self.strata]
        value = self.known + sum(share * mean for share, mean, _ in parts)
        error = math.sqrt(sum(share**2 * variance for share, _, variance in parts))
        reach = math.sqrt(z_square) * error
        n = sum(len(one.values) for one in self.strata)
        method = "mean parity of drawn stabilisers, normal interval"
        return possible(Estimate(value, error, value - reach, value + reach, level, n, method))

    def lower_limit(self, level: float, seed: int) -> float:
        """Below F at any number of shots; -inf where readout error is not corrected, so that there is none."""
        if self.is_raw:
            return -math.inf
        generator = stream(seed, "order of bets on stabilisers")
        each = 1 - (1 - level) / max(1, len(self.strata))
        return self.known + sum(one.share * one.lower_limit(each, generator) for one in self.strata)


def by_drawn_stabilisers(asked: Asked) -> Iterable[Fidelity]:
    """F from settings drawn at random for stabilisers, or from all of them."""
    found = drawn(asked)
    if found is not None:
        yield Fidelity(FidelityKind.STABILISERS, found.estimate(asked.level), found.assumptions)


def drawn_settings(aim: Aim, shots: int, generator: np.random.Generator) -> SettingList | None:
    """Settings of stabilisers drawn at random, one for each shot."""
    if aim.stabilisers is None:
        return None
    return SettingList.of_shots(aim.stabilisers.draw_settings(shots, generator))


def covering_settings(aim: Aim, shots: int, _generator: np.random.Generator) -> SettingList | None:
    """A few settings that together measure all generators, as often each."""
    if aim.stabilisers is None:
        return None
    return SettingList.evenly(aim.stabilisers.covering_settings(), shots)


def drawn(asked: Asked) -> Drawn | None:
    """The shots whose settings were drawn for stabilisers; None where there are none, or not of every part."""
    records, group = asked.records.whole(), asked.aim.stabilisers
    if group is None or records.settings is None or records.setting_index is None or not len(records):
        return None
    measured = _Measured.of(records, group)
    index, plain = records.setting_index, (records.settings == 2).all(axis=1)
    identity = 2.0**-group.n_sites
    of_z = identity * 2.0 ** len(group.measured_in(np.full(group.n_sites, 2)))
    known = identity if of_z == identity else 0.0
    told = measured.told & ~(plain[index] if known else np.zeros(len(index), dtype=bool))
    shares = np.where(np.bincount(index[told], minlength=len(plain)) > 0, measured.shares, 0.0)
    total = float(shares.sum())

    def stratum(share: float, rows: NDArray[np.bool_], weights: Reals | None) -> Stratum:
        return Stratum(share, measured.values[rows], index[rows], weights, measured.reach)

    if total > 0 and math.isclose(known + total, 1.0, abs_tol=1e-9):
        return Drawn(known, (stratum(total, told, shares / total),), measured.is_raw)
    turned = told & ~plain[index]
    settings = records.settings[np.unique(index[turned])]
    if len(settings) < _FEWEST or not _like_drawn(settings, group, asked.seed):
        return None
    if known:
        return Drawn(known, (stratum(1 - known, turned, None),), measured.is_raw)
    flat = told & plain[index]
    if not flat.any():
        return None
    strata = (stratum(of_z, flat, plain.astype(np.float64)), stratum(1 - of_z, turned, None))
    return Drawn(0.0, strata, measured.is_raw)


def _like_drawn(settings: Bits, group: Stabilisers, seed: int) -> bool:
    """Whether the letters of different settings, and pairs of them, are as common as in stabilisers drawn at random."""
    generator = stream(seed, "stabilisers")
    x, z, _ = group.elements(generator.integers(0, 2, (_SAMPLED, group.n_sites), dtype=np.uint8))
    meant = np.where(x == 0, 2, z)
    meant = meant[(meant != 2).any(axis=1)]

    def moments(rows: Bits) -> tuple[Reals, Reals]:
        ones = (rows[:, :, None] == np.arange(2)).reshape(len(rows), -1).astype(np.float64)
        mean = ones.T @ ones / len(rows)
        return mean, mean * (1 - mean) / len(rows)

    (mine, one), (theirs, other) = moments(settings), moments(meant)
    off = np.abs(mine - theirs) > _LIKE_CHANCE * np.sqrt(np.maximum(one + other, 1 / len(settings) ** 2))
    return not off.any()


@dataclass(frozen=True, eq=False)
class _Measured:
    """What shots say of the stabilisers that their settings were drawn for.

    Args:
        values: of each shot, NaN where its setting was drawn for none.
        shares: of the group, by setting.
        is_raw: as in `Drawn`.
        reach: the largest absolute value that a shot can have.
    """

    values: Reals
    shares: Reals
    is_raw: bool
    reach: float

    @property
    def told(self) -> NDArray[np.bool_]:
        return np.isfinite(self.values)

    @classmethod
    def of(cls, records: Records, group: Stabilisers) -> _Measured:
        assert records.settings is not None
        assert records.setting_index is not None
        values, shares = np.full(len(records), np.nan), np.zeros(len(records.settings))
        is_raw, reach = False, 1.0
        for rows, chosen, beside in group.drawn_as(records.settings):
            place = np.full(len(records.settings), -1)
            place[rows] = np.arange(len(rows))
            own = place[records.setting_index]
            mine = np.flatnonzero(own >= 0)
            signs = Signs.of(records.take(mine))
            x, z, sign = group.elements(chosen)
            of_z, raw = signs.all_right(group, beside)
            values[mine] = sign[own[mine]] * signs.product((x | z)[own[mine]], raw) * of_z
            shares[rows] = 2.0 ** (len(beside) - group.n_sites)
            is_raw, reach = is_raw or raw, max(reach, signs.reach)
        return cls(values, shares, is_raw, 1.0 if is_raw else reach)


@dataclass(frozen=True, eq=False)
class Signs:
    """What each bit says of the Pauli of its basis: 1 or -1, or a value of that mean where readout errs.

    Args:
        read: 1 or -1, as the bits were read, (n, N).
        corrected: the same, corrected for readout error.
        reach: the largest absolute value of their product.
    """

    read: Reals
    corrected: Reals
    reach: float

    @classmethod
    def of(cls, records: Records) -> Signs:
        """Those of shots with settings, none of which lost an outcome.

        Raises:
            InputError: a basis that the noise has turned away from its Pauli.
        """
        read: Reals = 1.0 - 2.0 * records.outcomes.astype(np.float64)
        lookup, _ = bit_values(records.povm, records.n_sites)
        labels, sites = records.labels, np.arange(records.n_sites)
        corrected = sum(np.where(labels // 2 == b, lookup[p][sites, labels], 0.0) for b, p in enumerate("XYZ"))
        largest = np.max([np.abs(lookup[p]).max(axis=1) for p in "XYZ"], axis=0)
        return cls(read, np.asarray(corrected), float(np.prod(largest)))

    @property
    def is_sharp(self) -> bool:
        """Whether there is no readout error to correct for."""
        return bool(np.allclose(self.read, self.corrected, atol=1e-12))

    def product(self, support: Bits, raw: bool) -> Reals:
        """The parity over the sites that have a letter, of each shot; `support` is (n, N)."""
        found: Reals = np.where(support > 0, self.read if raw else self.corrected, 1.0).prod(axis=1)
        return found

    def all_right(self, group: Stabilisers, chosen: Bits) -> tuple[Reals, bool]:
        """What shots say of whether all of some commuting stabilisers are right, the average over their products:
        1 or 0, or a value of that mean; and whether it is uncorrected, because that would take too long.
        """
        x, z, sign = group.elements(chosen)
        support, wanted = x | z, (sign < 0).astype(np.uint8)
        if self.is_sharp or not len(chosen):
            return _indicator(self.read, support, wanted), False
        codewords = kernel(support)
        if len(codewords) > _ENUMERATED:
            return _indicator(self.read, support, wanted), True
        # Σ over the products of stabilisers of the signs at their sites is Σ over the bits they allow, site by site
        first = solved(support, wanted[:, None])[0][0]
        taken = (np.arange(2 ** len(codewords))[:, None] >> np.arange(len(codewords))) & 1
        allowed = (first + taken @ codewords) % 2
        chances = [((1 + (1.0 - 2.0 * bits) * self.corrected) / 2).prod(axis=1) for bits in allowed]
        return np.asarray(np.stack(chances).sum(axis=0)), False


def _indicator(read: Reals, support: Bits, wanted: Bits) -> Reals:
    wrong = ((read < 0).astype(np.int64) @ support.T.astype(np.int64) + wanted) % 2
    right: Reals = (wrong == 0).all(axis=1).astype(np.float64)
    return right


@dataclass(frozen=True, eq=False)
class Union:
    """Shots of settings that together measure generators of the whole group.

    Args:
        values: of each setting, what its shots say of whether all that it measures is right.
        is_sharp: whether that is yes or no.
        reach: the largest absolute value that a shot can have.
    """

    values: tuple[Reals, ...]
    is_sharp: bool
    reach: float

    def lower_limit(self, level: float, seed: int) -> float:
        """Below F at any number of shots, by the union of failures."""
        generator = stream(seed, "order of bets on settings")
        each, found = 1 - (1 - level) / len(self.values), 1.0
        for values in self.values:
            if self.is_sharp:
                found -= 1 - proportion_lower_limit(int(values.sum()), len(values), each)
            else:
                found -= 1 - mean_lower_limit(generator.permutation(values), 1 - self.reach, self.reach, each)
        return found


def union(asked: Asked) -> Union | None:
    """The settings with most shots that measure generators of the whole group; None where none do, or where readout
    error takes too long to correct.
    """
    records, group = asked.records.whole(), asked.aim.stabilisers
    if group is None or records.settings is None or records.setting_index is None or not len(records):
        return None
    shots = np.bincount(records.setting_index, minlength=len(records.settings))
    most = np.argsort(-shots, kind="stable")[:_UNION]
    measured = {int(s): group.measured_in(records.settings[s]) for s in most if shots[s]}
    taken: list[int] = []
    rank = 0
    while rank < group.n_sites:
        ranks = {s: group.rank_together([measured[t] for t in (*taken, s)]) for s in measured if s not in taken}
        best = max(ranks, key=lambda s: (ranks[s], shots[s]), default=None)
        if best is None or ranks[best] == rank:
            return None
        taken, rank = [*taken, best], ranks[best]
    found, is_sharp, reach = [], True, 1.0
    for setting in taken:
        signs = Signs.of(records.take(records.setting_index == setting))
        values, raw = signs.all_right(group, measured[setting])
        if raw:
            return None
        found.append(values)
        is_sharp, reach = is_sharp and signs.is_sharp, max(reach, signs.reach)
    return Union(tuple(found), is_sharp, reach)
