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
from qtomo.povm import BASES, PAULIS, POVM
from qtomo.states import State, Terms

__all__ = [
    "Observable",
    "bit_values",
    "chain_observables",
    "dual_values",
    "estimate_observables",
    "exact_value",
    "pauli",
    "record_values",
]


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


def exact_value(observable: Observable, state: State) -> float:
    """The expectation in a state.

    Raises:
        InputError: a site outside the chain.
    """
    return sum(
        coefficient * state.expectation({site: PAULIS[letter] for site, letter in product.items()}).real
        for coefficient, product in observable.terms
    )


def estimate_observables(
    observables: Sequence[Observable],
    outcomes: Outcomes,
    povm: POVM,
    level: float = 0.95,
    given_settings: bool = False,
) -> dict[str, Estimate]:
    """Each observable by name, from records (n, n_sites), with studentised intervals.

    Each Pauli product is averaged over the records that have all its sites: lost outcomes, 255, bias nothing
    as long as losses do not depend on the state. With `given_settings` the outcomes are shots, 2 * basis + bit, and
    each product is averaged over those measured in its bases, however these were chosen. The error of a sum is
    that of the sum of ratios (delta method).

    Raises:
        InputError: a POVM that is not informationally complete, a site outside the records, or a product
            that no record has all sites of.
    """
    n, n_sites = outcomes.shape
    _check_sites(observables, n_sites)
    lookup, there = bit_values(povm, n_sites) if given_settings else dual_values(povm, n_sites)
    whole = not given_settings and not np.any(outcomes == LOST)

    def chunks() -> Iterator[Callable[[Mapping[int, str]], tuple[Values, Values | float]]]:
        for first in range(0, n, _CHUNK):
            yield _products(np.ascontiguousarray(outcomes[first : first + _CHUNK].T), lookup, there, whole)

    terms = {_key(product): product for observable in observables for _, product in observable.terms}
    sums, counts = dict.fromkeys(terms, 0.0), dict.fromkeys(terms, 0.0)
    for values_of in chunks():
        for key, product in terms.items():
            values, present = values_of(product)
            sums[key] += float(values.sum())
            counts[key] += len(values) if whole else float(np.sum(present))
    for key, count in counts.items():
        if not count:
            what = "is measured in all bases" if given_settings else "has all sites"
            raise InputError(f"no record {what} of '{' '.join(f'{p}{i}' for i, p in key)}'")
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
    method = "mean of bits over shots in the bases" if given_settings else "mean of dual values over records"
    method += ("" if whole or given_settings else " that have the sites") + ", Student interval"
    estimates = {}
    for observable, square in zip(observables, squares, strict=True):
        mean = sum(coefficient * means[_key(product)] for coefficient, product in observable.terms)
        variance = float(square) / (n - 1) if n > 1 else math.inf
        estimates[observable.name] = mean_of_moments(mean, variance, n, level, method)
    return estimates


def record_values(observables: Sequence[Observable], outcomes: Outcomes, povm: POVM) -> Values:
    """What each record by itself says of each observable: the sum of its products of dual values.

    Records (n, n_sites) give (n, observables); their means are those of `estimate_observables` where no outcome
    is lost.

    Raises:
        InputError: a POVM that is not informationally complete, or a site outside the records.
    """
    n_sites = outcomes.shape[1]
    _check_sites(observables, n_sites)
    values_of = _products(np.ascontiguousarray(outcomes.T), *dual_values(povm, n_sites), whole=True)
    found = np.zeros((len(outcomes), len(observables)))
    for index, observable in enumerate(observables):
        for coefficient, product in observable.terms:
            found[:, index] += coefficient * values_of(product)[0]
    return found


def _check_sites(observables: Sequence[Observable], n_sites: int) -> None:
    for observable in observables:
        furthest = max((site for _, product in observable.terms for site in product), default=0)
        if furthest >= n_sites:
            raise InputError(f"observable '{observable.name}' on site {furthest} of records with {n_sites} sites")


def _key(product: Mapping[int, str]) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(product.items()))


def dual_values(povm: POVM, n_sites: int) -> tuple[dict[str, Values], dict[str, Values]]:
    """By letter, the value of each outcome at each site, and 1 where it has one: (n_sites, 256) each.

    Raises:
        InputError: a POVM that is not informationally complete.
    """
    values, there = {}, {}
    shape = povm.site_elements(n_sites).shape[:2]
    for letter in "XYZ":
        values[letter], there[letter] = np.zeros((2, n_sites, LOST + 1))
        values[letter][:, : shape[1]] = np.broadcast_to(povm.outcome_values(PAULIS[letter]), shape)
        there[letter][:, : shape[1]] = 1.0
    return values, there


def bit_values(povm: POVM, n_sites: int) -> tuple[dict[str, Values], dict[str, Values]]:
    """The same for shots: f with f_0 E_0 + f_1 E_1 = P, where the effects of the bits of basis P sum to 1.

    Raises:
        InputError: a basis that the noise has turned away from its Pauli.
    """
    elements = 3 * povm.site_elements(n_sites)
    values, there = {}, {}
    for basis, letter in enumerate(BASES):
        effect = elements[:, 2 * basis]  # c 1 + r.sigma
        bloch = np.stack([np.einsum("nij,ji->n", effect, PAULIS[p]).real / 2 for p in BASES], axis=1)
        along = bloch[:, basis]
        turned = np.abs(np.delete(bloch, basis, axis=1)).max(axis=1) > 1e-9
        wrong = np.flatnonzero(turned | (np.abs(along) < 1e-9))
        if len(wrong):
            raise InputError(f"site {wrong[0]}: basis {letter} of POVM '{povm.name}' does not measure {letter}")
        centre = np.einsum("nii->n", effect).real / 2
        values[letter], there[letter] = np.zeros((2, n_sites, LOST + 1))
        values[letter][:, 2 * basis] = (1 - centre) / along
        values[letter][:, 2 * basis + 1] = -centre / along
        there[letter][:, 2 * basis : 2 * basis + 2] = 1.0
    return values, there


def _products(
    rows: Outcomes, lookup: Mapping[str, Values], there: Mapping[str, Values], whole: bool
) -> Callable[[Mapping[int, str]], tuple[Values, Values | float]]:
    """For (n_sites, n) outcomes: what a Pauli product is by each record, and 1 where it is there at all."""

    @functools.cache
    def column(site: int, letter: str) -> Values:
        taken: Values = lookup[letter][site][rows[site]]
        return taken

    @functools.cache
    def present(site: int, letter: str) -> Values:
        kept: Values = there[letter][site][rows[site]]
        return kept

    def values(product: Mapping[int, str]) -> tuple[Values, Values | float]:
        ones = np.ones(rows.shape[1])
        result = math.prod((column(site, letter) for site, letter in product.items()), start=ones)
        kept = 1.0 if whole else math.prod((present(site, letter) for site, letter in product.items()), start=ones)
        return result, kept

    return values
