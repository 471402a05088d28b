"""Observables as sums of Pauli products: exact in a state, and estimated from records of any kind.

A record a of an informationally complete POVM estimates a product of Paulis without bias by the product
of the dual values f_i(a_i) = Tr(D_{a_i} P_i) (Carrasquilla et al. 2019, arXiv 1810.10584, eq. 5).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.analysis.estimate import Estimate, mean_of_moments
from qtomo.distribution import LOST, Outcomes
from qtomo.errors import InputError
from qtomo.povm import PAULIS, POVM
from qtomo.states import MPS, Terms

__all__ = ["Observable", "chain_observables", "estimate_observables", "exact_value", "pauli"]


Values = NDArray[np.float64]

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

    Each Pauli product is averaged over the records that have all its sites: lost outcomes, 255, bias nothing
    as long as losses do not depend on the state. The error of a sum is that of the sum of ratios (delta method).

    Raises:
        InputError: a POVM that is not informationally complete, a site outside the records, or a product
            that no record has all sites of.
    """
    n, n_sites = outcomes.shape
    for observable in observables:
        furthest = max((site for _, product in observable.terms for site in product), default=0)
        if furthest >= n_sites:
            raise InputError(f"observable '{observable.name}' on site {furthest} of records with {n_sites} sites")
    lookup = _lookup(povm, n_sites)
    whole = not np.any(outcomes == LOST)

    def chunks() -> Iterator[Callable[[Mapping[int, str]], tuple[Values, Values | float]]]:
        for first in range(0, n, _CHUNK):
            yield _products(np.ascontiguousarray(outcomes[first : first + _CHUNK].T), lookup, whole)

    terms = {_key(product): product for observable in observables for _, product in observable.terms}
    sums, counts = dict.fromkeys(terms, 0.0), dict.fromkeys(terms, 0.0)
    for values_of in chunks():
        for key, product in terms.items():
            values, present = values_of(product)
            sums[key] += float(values.sum())
            counts[key] += len(values) if whole else float(np.sum(present))
    for key, count in counts.items():
        if not count:
            raise InputError(f"no record has all sites of '{' '.join(f'{p}{i}' for i, p in key)}'")
    means = {key: sums[key] / counts[key] for key in terms}
    squares = np.zeros(len(observables))
    for values_of in chunks():
        for index, observable in enumerate(observables):
            total: Values | float = 0.0
            for coefficient, product in observable.terms:
                key = _key(product)
                values, present = values_of(product)
                total = total + coefficient * n / counts[key] * (values - means[key] * present)
            squares[index] += np.sum(np.square(total))
    method = "mean of dual values over records" + ("" if whole else " that have the sites") + ", Student interval"
    estimates = {}
    for observable, square in zip(observables, squares, strict=True):
        mean = sum(coefficient * means[_key(product)] for coefficient, product in observable.terms)
        variance = float(square) / (n - 1) if n > 1 else math.inf
        estimates[observable.name] = mean_of_moments(mean, variance, n, level, method)
    return estimates


def _key(product: Mapping[int, str]) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(product.items()))


def _lookup(povm: POVM, n_sites: int) -> dict[str, Values]:
    """By letter, the value of each outcome at each site, (n_sites, 256): zero where the outcome was lost."""
    table = {}
    shape = povm.site_elements(n_sites).shape[:2]
    for letter in "XYZ":
        table[letter] = np.zeros((n_sites, LOST + 1))
        table[letter][:, : shape[1]] = np.broadcast_to(povm.outcome_values(PAULIS[letter]), shape)
    return table


def _products(
    rows: Outcomes, lookup: Mapping[str, Values], whole: bool
) -> Callable[[Mapping[int, str]], tuple[Values, Values | float]]:
    """For (n_sites, n) outcomes: what a Pauli product is by each record, and 1 where all its sites are there."""

    @functools.cache
    def column(site: int, letter: str) -> Values:
        taken: Values = lookup[letter][site][rows[site]]
        return taken

    @functools.cache
    def there(site: int) -> Values:
        kept: Values = (rows[site] != LOST).astype(np.float64)
        return kept

    def values(product: Mapping[int, str]) -> tuple[Values, Values | float]:
        result = math.prod((column(site, letter) for site, letter in product.items()), start=np.ones(rows.shape[1]))
        return result, 1.0 if whole else math.prod((there(site) for site in product), start=np.ones(rows.shape[1]))

    return values
