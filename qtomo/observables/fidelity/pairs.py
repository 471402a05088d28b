"""Fidelity with a W state from the populations and from the coherence of every pair of qubits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.measurement.settings import SettingList
from qtomo.observables.fidelity.base import AS_THE_FILE_SAYS, SHOTS_ALIKE, Aim, Asked, Fidelity, FidelityKind, possible
from qtomo.observables.fidelity.stabilisers import Signs
from qtomo.states.library import W
from qtomo.statistics.estimate import Estimate

__all__ = ["by_pairs", "pair_settings", "weighted_pair_settings"]

Reals = NDArray[np.float64]


def by_pairs(asked: Asked) -> Iterable[Fidelity]:
    """F = P(a single 1)/N + Σ_i<j <(X_i X_j + Y_i Y_j) P_0>/(2N), P_0 the projector on 0 of all other qubits.

    That takes N(N-1) + 1 settings: Z everywhere, and for each pair X or Y there and Z elsewhere.
    """
    records, n_sites = asked.records.whole(), asked.records.n_sites
    if not isinstance(asked.aim.system, W) or n_sites < 2 or records.settings is None or records.setting_index is None:
        return
    places = {tuple(setting): index for index, setting in enumerate(records.settings.tolist())}
    signs = Signs.of(records)
    value, variance = 0.0, 0.0
    z_square = float(stats.norm.ppf((1 + asked.level) / 2)) ** 2
    for setting, share in pair_settings(n_sites):
        place = places.get(tuple(setting.tolist()))
        rows = np.flatnonzero(records.setting_index == place) if place is not None else np.zeros(0, np.int64)
        if not len(rows):
            return
        values, span = _told(signs.corrected[rows], setting), 1.0 if (setting == 2).all() else 2.0
        value += share * float(values.mean())
        few = z_square * (span / (len(rows) + z_square)) ** 2
        variance += share**2 * (float(values.var()) / max(1, len(rows) - 1) + few)
    error = math.sqrt(variance)
    reach = math.sqrt(z_square) * error
    method = "coherences of all pairs, normal interval"
    estimate = Estimate(value, error, value - reach, value + reach, asked.level, len(records), method)
    yield Fidelity(FidelityKind.PAIRS, possible(estimate), [SHOTS_ALIKE, AS_THE_FILE_SAYS])


def pair_settings(n_sites: int) -> Iterable[tuple[NDArray[np.uint8], float]]:
    """Settings (N,), 0 X, 1 Y, 2 Z, with the share that the mean of each has in F."""
    yield np.full(n_sites, 2, np.uint8), 1 / n_sites
    for pair in itertools.combinations(range(n_sites), 2):
        for basis in (0, 1):
            setting = np.full(n_sites, 2, np.uint8)
            setting[list(pair)] = basis
            yield setting, 1 / (2 * n_sites)


def weighted_pair_settings(aim: Aim, shots: int, _generator: np.random.Generator) -> SettingList | None:
    """The settings of `pair_settings`, each as often as its share in the fidelity asks."""
    if not isinstance(aim.system, W) or aim.n_sites < 2:
        return None
    settings, shares = zip(*pair_settings(aim.n_sites), strict=True)
    often = np.array(shares) / sum(shares) * shots
    return SettingList(np.stack(settings), np.maximum(1, np.round(often)).astype(np.int64))


def _told(signs: Reals, setting: NDArray[np.uint8]) -> Reals:
    """What each shot says: that a single bit is 1, or the coherence of the pair where the others are 0."""
    zero, one = (1 + signs) / 2, (1 - signs) / 2
    turned = np.flatnonzero(setting != 2)
    if len(turned):
        found: Reals = signs[:, turned].prod(axis=1) * zero[:, setting == 2].prod(axis=1)
        return found
    sites = range(signs.shape[1])
    singles: Reals = np.sum([one[:, i] * np.delete(zero, i, axis=1).prod(axis=1) for i in sites], axis=0)
    return singles
