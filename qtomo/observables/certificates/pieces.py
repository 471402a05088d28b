"""A bound on fidelity as a sum of expectations, each told by the shots of some settings: planned, and estimated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.measurement.povm import POVM, named_povm
from qtomo.observables.certificates.witness import Witness
from qtomo.records.records import Records
from qtomo.seeds import stream
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.mps import MPS
from qtomo.statistics.bounds import IndependentTerms

__all__ = ["LARGEST", "Pieces", "allotted", "may_be_planned", "pieces_witness"]

Reals = NDArray[np.float64]
Indices = NDArray[np.int64]

#: Shots of the target that are drawn in each setting, to know means and deviations before outcomes are seen.
_PILOT = 200

_CHUNK = 20_000

#: Qubits up to which gaps are found, and up to which that takes no time to speak of.
LARGEST, _QUICK = 20, 12

#: Different settings beyond which records are not of a plan.
_MOST_SETTINGS = 5_000


class Pieces(Protocol):
    """F >= constant + sum of the expectations of `count` pieces."""

    @property
    def constant(self) -> float:
        """What is known without a shot."""

    @property
    def count(self) -> int:
        """Number of pieces."""

    def told(self, setting: Outcomes) -> Indices:
        """The pieces that a setting (n_sites,) tells, sorted."""

    def values(self, setting: Outcomes, bits: Outcomes, povm: POVM) -> Reals:
        """Their values in shots (n, n_sites) of the setting, (n, told)."""

    def reach(self, setting: Outcomes, weights: Reals, povm: POVM) -> float:
        """The largest absolute value that a weighted sum of them can have."""


def may_be_planned(records: Records, pattern: Callable[[Outcomes], NDArray[np.bool_]]) -> bool:
    """Whether it is worth to find a gap for these records: they are few qubits, or nearly all settings have a pattern.

    Args:
        records: of any design.
        pattern: which of some settings (S, n_sites) have it.
    """
    settings = records.settings
    if records.n_sites > LARGEST:
        return False
    if records.n_sites <= _QUICK:
        return True
    return settings is not None and len(settings) <= _MOST_SETTINGS and float(pattern(settings).mean()) > 0.9


def pieces_witness(pieces: Pieces, target: MPS, records: Records) -> Witness | None:
    """The bound from records in listed settings; None where they do not tell every piece.

    Every shot counts for each piece that its setting tells, all shots of a piece alike. From each setting's sum the
    mean that it has in the target is taken, as shots that are drawn from the target show it, and added again.
    """
    whole = records.whole()
    settings, index = whole.settings, whole.setting_index
    if settings is None or index is None or not len(whole) or len(settings) > _MOST_SETTINGS:
        return None
    shots = np.bincount(index, minlength=len(settings)).astype(np.float64)
    told = [pieces.told(setting) for setting in settings]
    totals = _totals(pieces, told, shots)
    if not totals.all():
        return None
    order = np.argsort(index, kind="stable")
    ends = np.cumsum(shots).astype(np.int64)
    born, rng = BornDistribution(target, whole.povm), stream(0, "pilot of a certificate")
    terms, known, variance, reach = [], 0.0, 0.0, 0.0
    for number, setting in enumerate(settings):
        if not shots[number] or not len(told[number]):
            terms.append(np.zeros(int(shots[number])))
            continue
        weights = 1 / totals[told[number]]
        pilot = _sums(pieces, setting, born.sample_bits(np.tile(setting, (_PILOT, 1)), rng), whole.povm, weights)
        rows = order[ends[number] - int(shots[number]) : ends[number]]
        found = _sums(pieces, setting, whole.outcomes[rows], whole.povm, weights)
        terms.append(found - pilot.mean())
        known += shots[number] * float(pilot.mean())
        variance += shots[number] * float(pilot.var(ddof=1))
        reach = max(reach, pieces.reach(setting, weights, whole.povm) + abs(float(pilot.mean())))
    sums = IndependentTerms(np.concatenate(terms), -reach, reach, float(np.sqrt(variance)))
    return Witness(sums, 1 - pieces.constant - known)


def allotted(pieces: Pieces, target: MPS, settings: Outcomes, total_shots: int) -> NDArray[np.int64]:
    """Shots of each setting in proportion to the deviation of its sum in the target, one or more each."""
    told = [pieces.told(setting) for setting in settings]
    totals = _totals(pieces, told, np.ones(len(settings)))
    povm = named_povm("pauli6")
    born, rng = BornDistribution(target, povm), stream(0, "pilot of a plan")
    sizes = np.array([
        _sums(pieces, s, born.sample_bits(np.tile(s, (_PILOT, 1)), rng), povm, 1 / totals[mine]).std()
        for s, mine in zip(settings, told, strict=True)
    ])  # fmt: skip
    sizes = np.maximum(sizes, 0.1 * sizes.mean() + 1e-12)  # errors deviate where the target does not
    shots: NDArray[np.int64] = np.maximum(np.floor(total_shots * sizes / sizes.sum()), 1).astype(np.int64)
    shots[int(shots.argmax())] += total_shots - int(shots.sum())
    return shots


def _totals(pieces: Pieces, told: list[Indices], shots: Reals) -> Reals:
    """Shots that tell each piece."""
    totals = np.zeros(pieces.count)
    for mine, count in zip(told, shots, strict=True):
        totals[mine] += count
    return totals


def _sums(pieces: Pieces, setting: Outcomes, bits: Outcomes, povm: POVM, weights: Reals) -> Reals:
    """The weighted sum of pieces in each shot, (n,)."""
    parts = [pieces.values(setting, bits[i : i + _CHUNK], povm) @ weights for i in range(0, len(bits), _CHUNK)]
    found: Reals = np.concatenate(parts)
    return found
