"""Bounds on fidelity from a sum over independent shots whose mean is below it, whatever the state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from qtomo.observables.certificates.base import GUARANTEES, Certificate, CertificateKind
from qtomo.statistics.bounds import IndependentTerms, sum_lower_limit
from qtomo.statistics.estimate import Guarantee

__all__ = ["SHOTS_ASSUMED", "Witness", "fidelity_bounds"]

#: What every bound from shots assumes of them.
SHOTS_ASSUMED = (
    "shots are independent, of a state which may be mixed in any way",
    "each qubit is measured as the file's POVM says, readout error included",
)

#: Largest error of a normal limit's confidence by Berry and Esseen (constant of Shevtsova 2010).
_NORMAL, _BERRY_ESSEEN = 0.03, 0.56


@dataclass(frozen=True, eq=False)
class Witness:
    """F >= 1 - loss + E sum of `terms`, for every state, so that the mean of the sum is at most `loss`.

    Args:
        terms: what each independent shot adds.
        loss: how far the sum's mean is to be below 1; what cannot be measured, at its worst.
    """

    terms: IndependentTerms
    loss: float = 0.0

    @property
    def value(self) -> float:
        """The estimate of what bounds the fidelity."""
        return 1 - self.loss + float(self.terms.values.sum())

    @property
    def error(self) -> float:
        """Standard error of `value`, from the squares of the terms, which have means of 0 in the target."""
        return float(np.sqrt((self.terms.values**2).sum()))

    @property
    def is_normal(self) -> bool:
        """Whether the sum is normal to within 3 % of confidence, by the third moments of its terms."""
        third = float((np.abs(self.terms.values) ** 3).sum())
        return self.error > 0 and _BERRY_ESSEEN * third <= _NORMAL * self.error**3


def fidelity_bounds(
    kind: CertificateKind, witness: Witness, level: float, assumptions: Sequence[str]
) -> list[Certificate]:
    """The bound that holds at any number of shots, and the closer one of a normal sum, where it is normal.

    Args:
        kind: what it is called.
        witness: the sum.
        level: confidence, one-sided.
        assumptions: what the inequality rests on, beside the shots.
    """
    base = 1 - witness.loss
    limit = base + sum_lower_limit(witness.terms, witness.loss, level)
    text = "the limit holds at any number of shots, for a sum of independent bounded terms"
    found = [_certificate(kind, witness, level, limit, "finite-sample", [*assumptions, *SHOTS_ASSUMED, text])]
    if witness.is_normal:
        limit = witness.value - float(stats.norm.ppf(level)) * witness.error
        text = f"the sum over {len(witness.terms.values):,} shots is normal, by its third moments"
        found.append(_certificate(kind, witness, level, limit, "asymptotic", [*assumptions, *SHOTS_ASSUMED, text]))
    return found


def _certificate(
    kind: CertificateKind, witness: Witness, level: float, limit: float, guarantee: Guarantee, assumptions: list[str]
) -> Certificate:
    value = min(limit, 1.0)
    if value > 0:
        says = f"F ≥ {value:.4f} at {level:.0%} ({GUARANTEES[guarantee]})"
        return Certificate(kind, value, level, says, assumptions, guarantee)
    n, reach = len(witness.terms.values), witness.value
    if reach <= 0:
        says = "no bound: too few shots" if reach + 2 * witness.error > 0 else "no bound: the witness is too low"
        return Certificate(kind, value, level, says, assumptions, guarantee, False)
    needed = max(math.ceil(n * ((reach - limit) / reach) ** 2), n + 1)
    says = f"no bound: too few shots (about {needed:,} needed)"
    return Certificate(kind, value, level, says, assumptions, guarantee, False, needed)
