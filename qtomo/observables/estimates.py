"""Observables estimated from records of any design, without a state.

A record a of an informationally complete POVM estimates a product of Paulis without bias by the product of the dual
values f_i(a_i) = Tr(D_{a_i} P_i) (Carrasquilla et al. 2019, arXiv 1810.10584, eq. 5). Shots in known bases estimate it
by the product of bits, averaged over the shots taken in its bases, however these were chosen.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.observables.duals import bit_values, dual_values
from qtomo.observables.paulis import Observable
from qtomo.records.records import Records, checked_records
from qtomo.statistics.estimate import Estimate, mean_of_moments

__all__ = ["estimate_observables", "record_values"]

Values = NDArray[np.float64]

_CHUNK = 16384  # records looked up at once


_Key = tuple[tuple[int, str], ...]  # a product of Paulis by site


def estimate_observables(
    observables: Sequence[Observable], records: Records, *, level: float = 0.95
) -> dict[str, Estimate]:
    """Each observable by name, with a studentised interval within the observable's range.

    Each Pauli product is averaged over the records that tell it: those that have all its sites and, of shots with
    settings, those taken in its bases. Lost outcomes bias nothing as long as losses do not depend on the state. The
    error of a sum is that of the sum of ratios (delta method). A product that m records tell, with values that span
    R, has z^2 R^2/(m + z^2)^2 added to the variance of its mean, so that a frequency of 0 or 1 in few shots does not
    give an error of zero (the width of Wilson's interval there).

    Args:
        observables: what to estimate.
        records: of any design.
        level: of the intervals, which hold asymptotically.

    Raises:
        InputError: something else than `Records`, a measurement that does not determine an observable, a site outside
            the records, or a product that no record tells.

    >>> from qtomo.observables import pauli
    >>> shots = Records([[0, 0], [0, 1]], settings=[[2, 0], [2, 0]])
    >>> round(estimate_observables([pauli("Z0")], shots)["Z0"].value, 3)
    1.0
    """
    records = checked_records(records, "estimate_observables")
    _check_sites(observables, records.n_sites)
    terms = {_key(product): product for observable in observables for _, product in observable.terms}
    moments = _Moments(records, terms)
    n, squares = len(records), moments.squares(observables)
    z_square = float(stats.norm.ppf((1 + level) / 2)) ** 2
    estimates = {}
    for observable, square in zip(observables, squares, strict=True):
        keys = [(coefficient, _key(product)) for coefficient, product in observable.terms]
        mean = sum(coefficient * moments.means[key] for coefficient, key in keys)
        few = sum((c * moments.spans[key] / (moments.counts[key] + z_square)) ** 2 for c, key in keys)
        variance = float(square) / (n - 1) + n * z_square * few if n > 1 else math.inf
        found = mean_of_moments(mean, variance, n, level, moments.method)
        reach = sum(abs(coefficient) for coefficient, _ in keys)
        estimates[observable.name] = found.within(-reach, reach)
    return estimates


class _Moments:
    """Means of Pauli products over the records that tell each, and what their errors are made of.

    Raises:
        InputError: a product that no record tells.
    """

    def __init__(self, records: Records, terms: Mapping[_Key, Mapping[int, str]]) -> None:
        self._outcomes, self._n = records.labels, len(records)
        table = bit_values if records.has_settings else dual_values
        self._lookup, self._there = table(records.povm, records.n_sites)
        self._whole = not records.has_settings and not records.lost.any()
        sums, self.counts = dict.fromkeys(terms, 0.0), dict.fromkeys(terms, 0.0)
        for values_of in self._chunks():
            for key, product in terms.items():
                values, present = values_of(product)
                sums[key] += float(values.sum())
                self.counts[key] += len(values) if self._whole else float(np.sum(present))
        for key, count in self.counts.items():
            if not count:
                what = "is measured in all bases" if records.has_settings else "has all sites"
                raise InputError(
                    Code.UNMEASURED, f"{records.name}: no record {what} of '{' '.join(f'{p}{i}' for i, p in key)}'"
                )
        self.means = {key: sums[key] / self.counts[key] for key in terms}
        self.spans = {key: _span(product, self._lookup, self._there) for key, product in terms.items()}
        self.method = "mean of bits over shots in the bases"
        if not records.has_settings:
            self.method = "mean of dual values over records" + ("" if self._whole else " that have the sites")
        self.method += ", Student interval"

    def _chunks(self) -> Iterator[Callable[[Mapping[int, str]], tuple[Values, Values | float]]]:
        for first in range(0, self._n, _CHUNK):
            outcomes = np.ascontiguousarray(self._outcomes[first : first + _CHUNK].T)
            yield _products(outcomes, self._lookup, self._there, self._whole)

    def squares(self, observables: Sequence[Observable]) -> Values:
        """Sum over records of the squared influence of each on each observable, (observables,)."""
        found = np.zeros(len(observables))
        for values_of in self._chunks():
            for index, observable in enumerate(observables):
                total: Values | float = 0.0
                for coefficient, product in observable.terms:
                    key = _key(product)
                    values, present = values_of(product)
                    scale = coefficient * self._n / self.counts[key]
                    total = total + scale * (values - self.means[key] * present)
                found[index] += np.sum(np.square(total))
        return found


def record_values(observables: Sequence[Observable], records: Records) -> Values:
    """What each record by itself says of each observable: the sum of its products of dual values.

    n records give (n, observables); their means are those of `estimate_observables` where no outcome is lost and
    bases, if any, were drawn uniformly at random.

    Raises:
        InputError: listed settings, a POVM that is not informationally complete, or a site outside the records.
    """
    records = checked_records(records, "record_values")
    if records.design == "listed":
        raise InputError(
            Code.UNMEASURED,
            f"{records.name}: a shot in listed settings says nothing by itself of what it did not measure",
        )
    _check_sites(observables, records.n_sites)
    values_of = _products(
        np.ascontiguousarray(records.labels.T), *dual_values(records.povm, records.n_sites), whole=True
    )
    found = np.zeros((len(records), len(observables)))
    for index, observable in enumerate(observables):
        for coefficient, product in observable.terms:
            found[:, index] += coefficient * values_of(product)[0]
    return found


def _check_sites(observables: Sequence[Observable], n_sites: int) -> None:
    for observable in observables:
        furthest = max((site for _, product in observable.terms for site in product), default=0)
        if furthest >= n_sites:
            raise InputError(
                Code.VALUE, f"observable '{observable.name}' on site {furthest} of records with {n_sites} sites"
            )


def _key(product: Mapping[int, str]) -> _Key:
    return tuple(sorted(product.items()))


def _span(product: Mapping[int, str], lookup: Mapping[str, Values], there: Mapping[str, Values]) -> float:
    """Largest less smallest value of a Pauli product."""
    low, high = 1.0, 1.0
    for site, letter in product.items():
        values = lookup[letter][site][there[letter][site] > 0]
        ends = np.outer([low, high], [values.min(), values.max()])
        low, high = float(ends.min()), float(ends.max())
    return high - low


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
