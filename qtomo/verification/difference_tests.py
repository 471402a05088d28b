"""Tests of two sets of records for a difference of what was measured, whatever the state.

All are conditional on the settings: shots are compared within a basis, a pair of bases, or a setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import stats

from qtomo.measurement.povm import BASES
from qtomo.records.frequencies import equal_bits, outcome_pairs
from qtomo.records.records import Records
from qtomo.results import Probability, Real, stating
from qtomo.states.state import State
from qtomo.statistics.holm import holm
from qtomo.verification.context import Context
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS, anywhere_log_ratios, applied
from qtomo.verification.hypothesis import Hypothesis
from qtomo.worded import Worded

__all__ = ["DifferenceKind", "DifferenceTest", "adjusted", "differences", "matched"]

Reals = NDArray[np.float64]

_LOOKED_AT = 200  # cells whose exact p-value is taken, those that differ most
_FEWEST = 30
_SOFT = 0.03  # depolarizing of every qubit that makes all outcomes of a target possible


class DifferenceKind(Worded):
    """What is compared."""

    SITES = "single-qubit-frequencies", "single-qubit frequencies"
    PAIRS = "pair-frequencies", "pair frequencies"
    REGISTER = "parity-of-a-setting", "parity of all bits, by setting"
    TARGET = "likelihood-in-the-target", "likelihoods in the target"
    KERNEL = "kernel-distance", "kernel distance"
    CLASSIFIER = "classifier", "classifier two-sample test"


@dataclass(frozen=True)
class DifferenceTest:
    """A test of equal distributions of two files' records.

    Args:
        kind: what is compared.
        p_value: if the distributions are equal.
        statistic: what was found, in words.
        place: where it shows most, if anywhere.
        adjusted: p-value after Holm's correction over the tests of all files.
    """

    kind: DifferenceKind
    p_value: Probability
    statistic: str
    place: str = ""
    adjusted: Annotated[Real, Field(alias="adjusted_p_value")] = math.nan

    _stated = stating("name")

    @property
    def name(self) -> str:
        """What is compared, in words."""
        return self.kind.words


def adjusted(tests: Sequence[Sequence[DifferenceTest]]) -> list[list[DifferenceTest]]:
    """The tests of several files with p-values that hold for all together (Holm 1979), smallest first for each file."""
    corrected = iter(holm([test.p_value for file in tests for test in file]))
    found = [[replace(test, adjusted=next(corrected)) for test in file] for file in tests]
    return [sorted(file, key=lambda test: test.p_value) for file in found]


def matched(a: Records, b: Records, generator: np.random.Generator) -> tuple[Records, Records]:
    """As many records of either, in random order; of listed settings row i of both in the same one."""
    rows = [generator.permutation(len(one)) for one in (a, b)]
    if a.design != "listed" and b.design != "listed":
        size = min(len(a), len(b))
        return a.take(rows[0][:size]), b.take(rows[1][:size])
    places: list[dict[bytes, list[int]]] = []
    for one, order in zip((a, b), rows, strict=True):
        settings, found = one.shot_settings, dict[bytes, list[int]]()
        for row in order.tolist():
            found.setdefault(settings[row].tobytes(), []).append(row)
        places.append(found)
    pairs = [pair for key, mine in places[0].items() for pair in zip(mine, places[1].get(key, []), strict=False)]
    chosen = np.array(pairs, dtype=np.int64).reshape(-1, 2)[generator.permutation(len(pairs))]
    return a.take(chosen[:, 0]), b.take(chosen[:, 1])


def differences(
    a: Records, b: Records, target: State | None, generator: np.random.Generator
) -> Iterator[DifferenceTest]:
    """Exact tests of frequencies, and of likelihoods in a target where there is one."""
    yield from _sites(a, b)
    if a.n_sites > 1:
        yield from _pairs(a, b)
        yield from _register(a, b)
    if target is not None:
        yield from _likelihoods(a, b, target, generator)


def _worst(
    kind: DifferenceKind, first: tuple[Reals, Reals], second: tuple[Reals, Reals], places: Sequence[str]
) -> Iterator[DifferenceTest]:
    """The smallest p-value of Fisher's exact test over cells, each (successes, shots) of both, times their number."""
    (k, n), (other, m) = first, second
    there = (n > 0) & (m > 0)
    if not there.any():
        return
    share = (k + other) / np.maximum(n + m, 1)
    spread = np.sqrt(np.maximum(share * (1 - share) * (1 / np.maximum(n, 1) + 1 / np.maximum(m, 1)), 1e-12))
    z = np.where(there, np.abs(k / np.maximum(n, 1) - other / np.maximum(m, 1)) / spread, -1.0)
    best, cell = 2.0, 0
    for index in np.argsort(-z, kind="stable")[:_LOOKED_AT].tolist():
        table = [[k[index], n[index] - k[index]], [other[index], m[index] - other[index]]]
        p_value = float(stats.fisher_exact(np.rint(table).astype(int)).pvalue)
        if p_value < best:
            best, cell = p_value, index
    text = f"{k[cell] / n[cell]:.4f} and {other[cell] / m[cell]:.4f}"
    yield DifferenceTest(kind, min(1.0, best * int(there.sum())), text, places[cell])


def _sites(a: Records, b: Records) -> Iterator[DifferenceTest]:
    """Each outcome of each qubit; of shots, ones in each basis."""

    def counted(one: Records) -> tuple[Reals, Reals]:
        labels = one.labels
        counts = np.stack([(labels == outcome).sum(axis=0) for outcome in range(one.povm.n_outcomes)], axis=1)
        if one.has_settings:
            both = counts.reshape(one.n_sites, len(BASES), 2)
            return both[:, :, 1].ravel().astype(float), both.sum(axis=2).ravel().astype(float)
        totals = np.repeat(counts.sum(axis=1, keepdims=True), counts.shape[1], axis=1)
        return counts.ravel().astype(float), totals.ravel().astype(float)

    names = list(BASES) if a.has_settings else [f"outcome {k}" for k in range(a.povm.n_outcomes)]
    places = [f"qubit {site}, {name}" for site in range(a.n_sites) for name in names]
    yield from _worst(DifferenceKind.SITES, counted(a), counted(b), places)


def _pairs(a: Records, b: Records) -> Iterator[DifferenceTest]:
    """Equal bits of each pair of qubits in each two bases; or each two outcomes."""
    pairs = np.stack(np.triu_indices(a.n_sites, 1), axis=1)
    kinds = len(BASES) if a.has_settings else a.povm.n_outcomes

    def counted(one: Records) -> tuple[Reals, Reals]:
        once = np.ones(len(one))
        if one.has_settings:
            counts, totals = equal_bits(one.labels, once, pairs)
        else:
            counts, totals = outcome_pairs(one.labels, once, pairs, kinds)
        return counts.ravel(), totals.ravel()

    places = [f"qubits {x} and {y}" for x, y in pairs for _ in range(kinds * kinds)]
    yield from _worst(DifferenceKind.PAIRS, counted(a), counted(b), places)


def _register(a: Records, b: Records) -> Iterator[DifferenceTest]:
    """The parity of all bits in each setting that both have."""
    if not a.has_settings:
        return
    found: list[dict[bytes, tuple[int, int]]] = []
    for one in (a, b):
        whole = one.whole()
        odd = whole.outcomes.sum(axis=1, dtype=np.int64) % 2
        counts: dict[bytes, tuple[int, int]] = {}
        assert whole.settings is not None
        assert whole.setting_index is not None
        ones = np.bincount(whole.setting_index, odd, len(whole.settings))
        shots = np.bincount(whole.setting_index, minlength=len(whole.settings))
        for setting, k, n in zip(whole.settings, ones, shots, strict=True):
            if n:
                counts[setting.tobytes()] = int(k), int(n)
        found.append(counts)
    shared = [key for key in found[0] if key in found[1]]
    if not shared:
        return
    first, second = (np.array([counts[key] for key in shared], dtype=np.float64).T for counts in found)
    letters = ["".join(BASES[b] for b in np.frombuffer(key, dtype=np.uint8)) for key in shared]
    yield from _worst(DifferenceKind.REGISTER, (first[0], first[1]), (second[0], second[1]), letters)


def _likelihoods(a: Records, b: Records, target: State, generator: np.random.Generator) -> Iterator[DifferenceTest]:
    """ln P in the target, and ln P with each fault of a qubit less that, of records of either: Welch's test,
    Bonferroni.

    Records that the target forbids are scored in the target with a little noise. Of listed settings, shots of one
    setting are compared.
    """
    hypothesis = applied(Hypothesis.of(target, a.povm), FaultKind.DEPOLARIZING, _SOFT, None)
    listed = "listed" in (a.design, b.design)
    if listed:
        a, b = matched(a, b, generator)
        if len(a) < _FEWEST:
            return
    x, y = (_features(Context(one, hypothesis)) for one in (a, b))
    names = ["ln P", *(kind.words for kind in LOCAL_KINDS)]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = stats.ttest_rel(x, y, axis=0) if listed else stats.ttest_ind(x, y, axis=0, equal_var=False)
    p_values = np.nan_to_num(np.asarray(found.pvalue), nan=1.0)
    best = int(p_values.argmin())
    text = f"{x[:, best].mean():.4g} and {y[:, best].mean():.4g}"
    p_value = min(1.0, float(p_values[best]) * len(p_values))
    yield DifferenceTest(DifferenceKind.TARGET, p_value, text, names[min(best, len(names) - 1)])


def _features(context: Context) -> Reals:
    columns = [context.log_prob]
    for kind in LOCAL_KINDS:
        try:
            columns.append(anywhere_log_ratios(context, kind, np.array([0.3]))[0][context.inverse])
        except ValueError:
            columns.append(np.zeros(len(context.records)))
    return np.stack(columns, axis=1)
