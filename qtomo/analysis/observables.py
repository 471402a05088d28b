"""Observables as sums of Pauli products: exact in a state, and estimated from records of any kind.

A record a of an informationally complete POVM estimates a product of Paulis without bias by the product
of the dual values f_i(a_i) = Tr(D_{a_i} P_i) (Carrasquilla et al. 2019, arXiv 1810.10584, eq. 5).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.analysis.estimate import Estimate, mean_of_moments
from qtomo.distribution import Outcomes
from qtomo.errors import InputError
from qtomo.povm import PAULIS, POVM
from qtomo.states import MPS, Terms

__all__ = ["Observable", "chain_observables", "estimate_observables", "exact_value", "pauli"]


_CHUNK = 16384  # records looked up at once


@dataclass(frozen=True)
class Observable:
    """A sum of coefficients times products of Paulis.

    Args:
        name: how tables call it.
        terms: (coefficient, {site: "X", "Y" or "Z"}) each.
    """

    name: str
    terms: tuple[tuple[float, Mapping[int, str]], ...]

    def __post_init__(self) -> None:
        for _, product in self.terms:
            for site, letter in product.items():
                if letter not in ("X", "Y", "Z") or site < 0:
                    raise InputError(f"observable {self.name}: '{letter}' on site {site}, expected X, Y or Z on a site")


def pauli(text: str) -> Observable:
    """A product of Paulis by letter and site, such as "Z3 Z7".

    Raises:
        InputError: not letters with site numbers, or a site named twice.

    >>> pauli("Z3 Z7").terms
    ((1.0, {3: 'Z', 7: 'Z'}),)
    """
    product: dict[int, str] = {}
    for word in text.split():
        letter, digits = word[0], word[1:]
        if letter not in "XYZ" or not digits.isdigit() or int(digits) in product:
            raise InputError(f"'{text}' is not a product of Paulis, expected letters with sites, such as 'Z3 Z7'")
        product[int(digits)] = letter
    if not product:
        raise InputError("an empty product of Paulis, expected letters with sites, such as 'Z3 Z7'")
    return Observable(text, ((1.0, product),))


def chain_observables(n_sites: int, terms: Terms = ()) -> list[Observable]:
    """What one asks of a chain, in the order: energy per site (where `terms` give the Hamiltonian), mean <X>,
    every <X_i>, <Z_i Z_j> of neighbours and from mid-chain to every site, and mean <Z>.
    """
    middle = n_sites // 2
    pairs = [(i, i + 1) for i in range(n_sites - 1)] + [
        (min(middle, j), max(middle, j)) for j in range(n_sites) if abs(j - middle) > 1
    ]
    energy = [Observable("energy per site", tuple((c / n_sites, product) for c, product in terms))] if terms else []
    return [
        *energy,
        Observable("mean X", tuple((1 / n_sites, {i: "X"}) for i in range(n_sites))),
        *(pauli(f"X{i}") for i in range(n_sites)),
        *(pauli(f"Z{i} Z{j}") for i, j in pairs),
        Observable("mean Z", tuple((1 / n_sites, {i: "Z"}) for i in range(n_sites))),
    ]


def exact_value(observable: Observable, state: MPS) -> float:
    """The expectation in a state.

    Raises:
        InputError: a site outside the chain.
    """
    return sum(
        coefficient * state.expectation({site: PAULIS[letter] for site, letter in product.items()}).real
        for coefficient, product in observable.terms
    )


def estimate_observables(
    observables: Sequence[Observable], outcomes: Outcomes, povm: POVM, level: float = 0.95
) -> dict[str, Estimate]:
    """Each observable by name, from records (n, n_sites), with studentised intervals.

    Raises:
        InputError: a POVM that is not informationally complete, or a site outside the records.
    """
    n, n_sites = outcomes.shape
    for observable in observables:
        furthest = max((site for _, product in observable.terms for site in product), default=0)
        if furthest >= n_sites:
            raise InputError(f"observable '{observable.name}' on site {furthest} of records with {n_sites} sites")
    shape = povm.site_elements(n_sites).shape[:2]
    values = {letter: np.broadcast_to(povm.outcome_values(PAULIS[letter]), shape) for letter in "XYZ"}
    sums, squares = np.zeros(len(observables)), np.zeros(len(observables))
    for first in range(0, n, _CHUNK):
        rows = np.ascontiguousarray(outcomes[first : first + _CHUNK].T)
        columns: dict[tuple[int, str], NDArray[np.float64]] = {}
        for index, observable in enumerate(observables):
            total = _values(observable, rows, values, columns)
            sums[index] += total.sum()
            squares[index] += total @ total
    method = "mean of dual values over records, Student interval"
    estimates = {}
    for observable, mean, square in zip(observables, sums / n, squares / n, strict=True):
        variance = max(0.0, square - mean**2) * n / (n - 1) if n > 1 else math.inf
        estimates[observable.name] = mean_of_moments(mean, variance, n, level, method)
    return estimates


def _values(
    observable: Observable,
    rows: Outcomes,
    values: Mapping[str, NDArray[np.float64]],
    columns: dict[tuple[int, str], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """The observable's estimate by each record of (n_sites, n) outcomes; `columns` keeps what was looked up."""
    total = np.zeros(rows.shape[1])
    for coefficient, product in observable.terms:
        term: NDArray[np.float64] | float = coefficient
        for site, letter in product.items():
            if (site, letter) not in columns:
                columns[site, letter] = values[letter][site][rows[site]]
            term = term * columns[site, letter]
        total += term
    return total
