"""Errors that two qubits make together: Paulis on both at once, and bits that are misread together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import InputError
from qtomo.measurement.povm import PAULIS, POVM
from qtomo.verification.context import Context
from qtomo.verification.faults.base import Explanation, Fault, FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS, fit_strength, mixture_curve, one_qubit_curves
from qtomo.verification.faults.matching import expectations
from qtomo.verification.hypothesis import Hypothesis

__all__ = ["explanations"]

Reals = NDArray[np.float64]

_FEW = 400  # records on which all variants are tried
_FOLLOWED = 6
_SITES, _PAIRS = 5, 6  # likeliest single qubits, and pairs by their correlations, that are looked at
_STRENGTHS = np.array([0.02, 0.1, 0.4])
_SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7)


@dataclass(frozen=True)
class _Variant:
    """Paulis on a pair of qubits; None: both bits read wrongly at once."""

    pair: tuple[int, int]
    letters: tuple[str, str] | None

    @property
    def fault(self) -> Fault:
        kind = FaultKind.PAIR_ERROR if self.letters else FaultKind.PAIR_READOUT
        return Fault(kind, self.pair, parameter="probability", detail="".join(self.letters or ()))

    def happened(self, hypothesis: Hypothesis) -> Hypothesis:
        """The hypothesis if the error happened in every shot."""

        def change(povm: POVM) -> POVM:
            elements = np.array(povm.site_elements(hypothesis.n_sites))
            for place, site in enumerate(self.pair):
                if self.letters is None:
                    elements[site] = elements[site, [1, 0, 3, 2, 5, 4]]
                else:
                    pauli = PAULIS[self.letters[place]]
                    elements[site] = pauli @ elements[site] @ pauli
            return POVM(elements, povm.name)

        return hypothesis.measured(change)


def explanations(context: Context, _best: float = -math.inf) -> Iterable[Explanation]:
    """The likeliest errors of pairs, among qubits that stand out alone or together and among neighbours."""
    if context.records.n_sites < 2:
        return
    few = context.part(_FEW, "pairs")
    kinds: list[tuple[str, str] | None] = [(p, q) for p in "XYZ" for q in "XYZ"]
    if context.records.has_settings:
        kinds.append(None)
    variants = [_Variant(pair, letters) for pair in _pairs(context) for letters in kinds]
    before = few.log_prob_rows
    gains = [_fit(before, variant.happened(few.hypothesis).log_prob(few.rows), few.counts)[1] for variant in variants]
    places = math.log(10 * math.comb(context.records.n_sites, 2))
    ranked = sorted(range(len(variants)), key=lambda index: -gains[index])
    for index in ranked[:_FOLLOWED]:
        yield _explained(context, variants[index], places)


def _explained(context: Context, variant: _Variant, places: float) -> Explanation:
    before, counts = context.log_prob_rows, context.counts
    after = variant.happened(context.hypothesis).log_prob(context.rows)
    strength, top = _fit(before, after, counts)
    return Explanation(
        variant.fault,
        strength,
        top,
        places,
        lambda found, t: found.under(found.hypothesis.mixed(t, variant.happened(found.hypothesis))),
        mixture_curve(before, after, counts),
    )


def _fit(before: Reals, after: Reals, counts: Reals) -> tuple[float, float]:
    return fit_strength(mixture_curve(before, after, counts), _SHARES, (0.0, 1.0))


def _pairs(context: Context) -> list[tuple[int, int]]:
    """Qubits with the largest evidence of a fault of their own, pairs with the largest residual correlations, and
    neighbours of the former.
    """
    n = context.records.n_sites
    best = np.full(n, -np.inf)
    for kind in LOCAL_KINDS:
        try:
            values, _ = one_qubit_curves(context, kind, _STRENGTHS)
        except InputError:
            continue
        best = np.maximum(best, values.max(axis=0))
    sites = sorted(map(int, np.argsort(-best, kind="stable")[:_SITES]))
    found = set(itertools.combinations(sites, 2))
    found |= {(i, i + 1) for site in sites[:2] for i in (site - 1, site) if 0 <= i < n - 1}
    try:
        pairs = context.once(expectations)
    except InputError:
        return sorted(found)
    z = np.abs(pairs.seen - pairs.exact) * np.sqrt(pairs.weights)
    largest = np.triu(z.max(axis=(2, 3)), 1)
    for index in np.argsort(-largest, axis=None, kind="stable")[:_PAIRS]:
        i, j = (int(x) for x in np.unravel_index(int(index), largest.shape))
        if i < j:
            found.add((i, j))
    return sorted(found)
