"""The numbers of a reconstructed state, each with its kind and what is physically possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from qtomo.observables.paulis import Observable
from qtomo.states.density import DensityMatrix
from qtomo.states.mps import MPS
from qtomo.states.pauli import to_paulis
from qtomo.states.quantities import entropy, fidelity, negativity, purity

__all__ = ["FIDELITY", "Quantity", "QuantityKind", "dense_quantities", "observable_quantity"]


class QuantityKind(Enum):
    """What a number of a state is."""

    FIDELITY = "fidelity"
    DIRECT_FIDELITY = "direct fidelity"
    PURITY = "purity"
    ENTROPY = "entropy"
    NEGATIVITY = "negativity"
    OBSERVABLE = "observable"


@dataclass(frozen=True)
class Quantity:
    """A number of a state.

    Args:
        kind: what it is.
        name: as it is shown.
        low: the smallest value that is physically possible.
        high: the largest.
    """

    kind: QuantityKind
    name: str
    low: float = -math.inf
    high: float = math.inf


FIDELITY = Quantity(QuantityKind.FIDELITY, "fidelity with the target", 0.0, 1.0)


def observable_quantity(observable: Observable) -> Quantity:
    """An expectation value, within the sum of the absolute coefficients."""
    largest = sum(abs(coefficient) for coefficient, _ in observable.terms)
    return Quantity(QuantityKind.OBSERVABLE, observable.name, -largest, largest)


def dense_quantities(
    matrix: NDArray[np.complex128],
    target: MPS | DensityMatrix | None = None,
    physical: bool = True,
    observables: Sequence[Observable] = (),
) -> dict[Quantity, float]:
    """Purity, von Neumann entropy (nats), negativity and fidelity of a matrix (2**N, 2**N), and observables.

    The negativity is that of the first N // 2 qubits against the rest. Of an operator that is not a physical state only
    the quantities that are defined for it are given, without bounds.
    """
    n_sites = len(matrix).bit_length() - 1
    found = {Quantity(QuantityKind.PURITY, "purity", 2.0**-n_sites, 1.0): purity(matrix)}
    if physical:
        largest = n_sites * math.log(2)
        found[Quantity(QuantityKind.ENTROPY, "von Neumann entropy", 0.0, largest)] = entropy(matrix)
        if n_sites > 1:
            half = n_sites // 2
            largest = (2.0**half - 1) / 2
            found[Quantity(QuantityKind.NEGATIVITY, "negativity", 0.0, largest)] = negativity(matrix, half)
    if target is not None and (physical or isinstance(target, MPS)):
        found[FIDELITY] = fidelity(matrix, target)
    if observables:
        values = to_paulis(matrix)
        for observable in observables:
            found[observable_quantity(observable)] = sum(
                coefficient * float(values[tuple("IXYZ".index(product.get(site, "I")) for site in range(n_sites))])
                for coefficient, product in observable.terms
            )
    return found
