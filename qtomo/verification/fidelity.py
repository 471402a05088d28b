"""How near the prepared state is to a pure target."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from qtomo.observables.fidelity.base import Aim, Asked, Fidelity
from qtomo.verification.context import Context

__all__ = ["disagreement", "fidelity_asked"]

_DISAGREE = 3.0  # standard errors


def fidelity_asked(context: Context) -> Asked | None:
    """What an estimate of the fidelity is made from; None where the target is mixed."""
    hypothesis, options = context.hypothesis, context.options
    aim = Aim.of(hypothesis.first.state, hypothesis.system) if hypothesis.first.state is not None else None
    if aim is None:
        return None
    return Asked(context.records.measured_by(hypothesis.povm), aim, options.level, options.seed)


def disagreement(found: Sequence[Fidelity]) -> list[str]:
    """A sentence about the two estimates that differ most, where that is more than three standard errors."""
    worst, pair = _DISAGREE, None
    for one, other in itertools.combinations(found, 2):
        error = math.hypot(one.estimate.standard_error, other.estimate.standard_error)
        apart = abs(one.estimate.value - other.estimate.value)
        if apart > worst * error:
            worst, pair = apart / error if error else math.inf, (one, other)
    if pair is None:
        return []
    first, second = (f"{one.estimate} ({one.name})" for one in pair)
    return [f"Estimates of the fidelity disagree: {first} and {second}; one of their assumptions does not hold."]
