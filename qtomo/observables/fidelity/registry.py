"""Every estimator of the fidelity: a function in a file of its own, and its name in ESTIMATORS."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qtomo.errors import InputError
from qtomo.observables.fidelity.base import Asked, Fidelity
from qtomo.observables.fidelity.duals import by_duals
from qtomo.observables.fidelity.expansion import by_expansion
from qtomo.observables.fidelity.pairs import by_pairs
from qtomo.observables.fidelity.stabilisers import by_drawn_stabilisers

__all__ = ["ESTIMATORS", "fidelities"]

#: All of them.
ESTIMATORS: tuple[Callable[[Asked], Iterable[Fidelity]], ...] = (
    by_expansion,
    by_drawn_stabilisers,
    by_pairs,
    by_duals,
)


def fidelities(asked: Asked) -> list[Fidelity]:
    """Every estimate that the records allow, that of the smallest standard error first."""
    found: list[Fidelity] = []
    for estimator in ESTIMATORS:
        try:
            found += estimator(asked)
        except InputError:
            continue  # a measurement whose bits are not those of X, Y and Z
    return sorted(found, key=lambda one: one.estimate.standard_error)
