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

__all__ = [
    "FIDELITY",
    "REJECTED_FIDELITY",
    "Quantity",
    "QuantityKind",
    "dense_quantities",
    "entropy_quantity",
    "negativity_quantity",
    "observable_quantity",
    "purity_quantity",
]


class QuantityKind(Enum):
    """What a number of a state is."""

    FIDELITY = "fidelity"
    DIRECT_FIDELITY = "direct fidelity"
    REJECTED_FIDELITY = "fidelity of a rejected fit"
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
#: Of a pure state that was fitted to records which reject it: not the fidelity of the state that was measured.
REJECTED_FIDELITY = Quantity(
    QuantityKind.REJECTED_FIDELITY, "fidelity of the pure fit, rejected by the records", 0.0, 1.0
)


def purity_quantity(n_sites: int) -> Quantity:
    """Tr(rho^2), from 2**-N to 1."""
    return Quantity(QuantityKind.PURITY, "purity", 2.0**-n_sites, 1.0)


def entropy_quantity(n_sites: int) -> Quantity:
    """The von Neumann entropy in nats, from 0 to N ln 2."""
    return Quantity(QuantityKind.ENTROPY, "von Neumann entropy", 0.0, n_sites * math.log(2))


def negativity_quantity(n_sites: int) -> Quantity:
    """The negativity of the first N // 2 qubits against the rest."""
    return Quantity(QuantityKind.NEGATIVITY, "negativity", 0.0, (2.0 ** (n_sites // 2) - 1) / 2)


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
    found = {purity_quantity(n_sites): purity(matrix)}
    if physical:
        found[entropy_quantity(n_sites)] = entropy(matrix)
        if n_sites > 1:
            found[negativity_quantity(n_sites)] = negativity(matrix, n_sites // 2)
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
