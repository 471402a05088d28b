"""Purity, entropy, negativity and fidelity of a reconstructed state, with what they can be at most."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qtomo.observables.paulis import Observable
from qtomo.states.density import DensityMatrix
from qtomo.states.mps import MPS
from qtomo.states.pauli import to_paulis
from qtomo.states.quantities import entropy, fidelity, negativity, purity

__all__ = ["FIDELITY", "number_bounds", "state_numbers"]

FIDELITY = "fidelity with the target"


def state_numbers(
    matrix: NDArray[np.complex128],
    target: MPS | DensityMatrix | None = None,
    physical: bool = True,
    observables: Sequence[Observable] = (),
) -> dict[str, float]:
    """Numbers of a state (2**N, 2**N) by name, and observables.

    Of an operator that is no state only those that still mean something. The negativity is that of the first N // 2
    qubits against the rest.
    """
    n_sites = len(matrix).bit_length() - 1
    found = {"purity": purity(matrix)}
    if physical:
        found["von Neumann entropy"] = entropy(matrix)
        if n_sites > 1:
            found["negativity"] = negativity(matrix, n_sites // 2)
    if target is not None and (physical or isinstance(target, MPS)):
        found[FIDELITY] = fidelity(matrix, target)
    if observables:
        values = to_paulis(matrix)
        for observable in observables:
            found[observable.name] = sum(
                coefficient * float(values[tuple("IXYZ".index(product.get(site, "I")) for site in range(n_sites))])
                for coefficient, product in observable.terms
            )
    return found


def number_bounds(name: str, n_sites: int, observables: Sequence[Observable] = ()) -> tuple[float, float]:
    """Smallest and largest value that a state of N qubits can have, or a bound on them."""
    for observable in observables:
        if observable.name == name:
            largest = sum(abs(coefficient) for coefficient, _ in observable.terms)
            return -largest, largest
    smaller = 2.0 ** (n_sites // 2)
    return {
        "purity": (2.0**-n_sites, 1.0),
        "von Neumann entropy": (0.0, n_sites * math.log(2)),
        "negativity": (0.0, (smaller - 1) / 2),
        FIDELITY: (0.0, 1.0),
    }[name]
