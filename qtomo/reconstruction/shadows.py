"""Observables straight from the records, without a state: what a reconstruction or a model has to beat.

A record a estimates <O> by Tr(D_a O), with duals D_a such that sum_a Tr(M_a rho) D_a = rho. Those of a POVM of more
than 4 outcomes are not unique, and the choice decides on the scatter: see `optimal_duals`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.distribution import Outcomes
from qtomo.measurement.povm import PAULIS, POVM
from qtomo.observables.estimates import estimate_observables
from qtomo.observables.paulis import Observable
from qtomo.reconstruction.frequencies import Frequencies
from qtomo.records.records import Records
from qtomo.states.pauli import along_sites, to_paulis
from qtomo.statistics.estimate import Estimate, mean_of_moments

__all__ = ["direct_estimates", "direct_expectation", "median_of_means", "optimal_duals"]

Reals = NDArray[np.float64]

_LEAST = 1e-3  # share of an outcome's probability in the maximally mixed state that weights never go below


def optimal_duals(povm: POVM, shares: Reals) -> NDArray[np.complex128]:
    """Duals of each site that scatter least where outcome a of site i comes with probability `shares[i, a]`.

    D_a = F^-1(M_a)/p_a with F = sum_a |M_a)(M_a|/p_a minimises sum_a p_a Tr(D_a O)^2 for every O of one qubit (weighted
    least squares; Fischer, Dao, Tavernelli and Tacchino 2024, arXiv 2401.18071, who use products of such duals for
    many). For K = 4 they are the canonical ones, whatever the weights.

    Args:
        povm: informationally complete.
        shares: (n_sites, K), as the records have them.

    Returns:
        complex (n_sites, K, 2, 2).
    """
    elements = povm.site_elements(len(shares))
    floor = _LEAST * np.einsum("naii->na", elements).real / 2
    roots = np.sqrt(np.maximum(shares, floor))[:, :, None]
    frames = elements.reshape(*elements.shape[:2], 4) / roots
    duals = np.linalg.pinv(frames).conj().swapaxes(-1, -2) / roots
    return np.ascontiguousarray(duals).reshape(elements.shape)


def median_of_means(values: Reals, level: float, generator: np.random.Generator, method: str) -> Estimate:
    """The median of the means of groups of records, drawn at random: heavy tails do not move it.

    With k = 8 ln(1/alpha) groups it is off by more than sd sqrt(32 ln(1/alpha)/n) with probability at most alpha = 1 -
    level (Lugosi and Mendelson 2019, arXiv 1906.04280, theorem 2); the standard deviation is that of the values.
    """
    n, failure = len(values), 1 - level
    groups = max(1, min(n // 2, math.ceil(8 * math.log(1 / failure))))
    means = [part.mean() for part in np.array_split(generator.permutation(values), groups)]
    value, spread = float(np.median(means)), float(values.std(ddof=1))
    reach = spread * math.sqrt(32 * math.log(1 / failure) / n)
    error = spread * math.sqrt(math.pi / (2 * n))  # of a median of nearly normal means
    return Estimate(value, error, value - reach, value + reach, level, n, method)


def direct_estimates(
    observables: Sequence[Observable],
    records: Records,
    level: float,
    generator: np.random.Generator,
) -> dict[str, dict[str, Estimate]]:
    """Each observable by name, by each way that the measurement allows: canonical duals (or bits in their bases),
    optimal duals, and the median of means of the canonical values.

    Optimal duals are made from one half of the records for the other, so that
    they bias nothing; they and the median need whole records and no settings.

    Raises:
        InputError: as `estimate_observables`.
    """
    first = "bits in their bases" if records.has_settings else "canonical duals"
    found = {first: estimate_observables(observables, records, level=level)}
    if records.has_settings or records.lost.any() or len(records) < 100:
        return found
    outcomes, povm, n_sites = records.labels, records.povm, records.n_sites
    order = generator.permutation(len(outcomes))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    canonical = _values(observables, outcomes, np.broadcast_to(povm.duals(), povm.site_elements(n_sites).shape))
    if povm.n_outcomes > 4:
        parts = []
        for learned, used in (halves, halves[::-1]):
            counts = [np.bincount(column, minlength=povm.n_outcomes) for column in outcomes[learned].T]
            duals = optimal_duals(povm, np.array(counts) / len(learned))
            parts.append(_values(observables, outcomes[used], duals))
        method = "mean of optimal dual values, Student interval"
        joined = np.concatenate(parts)
        moments = zip(joined.mean(axis=0).tolist(), joined.var(axis=0, ddof=1).tolist(), strict=True)
        found["optimal duals"] = {
            observable.name: mean_of_moments(mean, variance, len(joined), level, method)
            for observable, (mean, variance) in zip(observables, moments, strict=True)
        }
    found["median of means"] = {
        observable.name: median_of_means(column, level, generator, "median of means of canonical dual values")
        for observable, column in zip(observables, canonical.T, strict=True)
    }
    return found


def _values(observables: Sequence[Observable], outcomes: Outcomes, duals: NDArray[np.complex128]) -> Reals:
    """What each record says of each observable with these duals (n_sites, K, 2, 2): (n, observables)."""
    tables = {letter: np.einsum("naij,ji->na", duals, PAULIS[letter]).real for letter in "XYZ"}

    @functools.cache
    def column(site: int, letter: str) -> Reals:
        taken: Reals = tables[letter][site][outcomes[:, site]]
        return taken

    found = np.zeros((len(outcomes), len(observables)))
    for index, observable in enumerate(observables):
        for coefficient, product in observable.terms:
            factors = (column(site, letter) for site, letter in product.items())
            found[:, index] += coefficient * math.prod(factors, start=np.ones(len(outcomes)))
    return found


def direct_expectation(frequencies: Frequencies, operator: NDArray[np.complex128], level: float) -> Estimate:
    """Tr(rho O) of the linear inversion for any O (2**N, 2**N), with a Student interval: no bias, and none to come.

    With O = sum_P c_P P, a record a adds sum_P c_P (f_P(a) - mean_P)/n_P over the Pauli products that it tells, so that
    the error is that of a sum of ratios (delta method).

    Raises:
        InputError: a measurement that is not complete.
    """
    frequencies.check_complete()
    n = frequencies.n_records
    values, there, sums, numbers = frequencies.pauli_sums()
    weights = to_paulis(operator) / 2**frequencies.n_sites / numbers
    mean = float((weights * sums).sum())
    back = [table.T for table in values], [table.T for table in there]
    scatter = along_sites(weights, back[0]) - along_sites(weights * sums / numbers, back[1])
    # Means of few records, which may all be alike, are as uncertain as Wilson's interval has them.
    z_square = float(stats.norm.ppf((1 + level) / 2)) ** 2
    spans = 2 * functools.reduce(np.multiply.outer, [np.abs(table).max(axis=1) for table in values])
    spans.flat[0] = 0.0  # of the identity, which is known
    few = z_square * float(((weights * numbers * spans / (numbers + z_square)) ** 2).sum())
    error = math.sqrt(n / (n - 1) * float((frequencies.counts * scatter**2).sum()) + few) if n > 1 else math.inf
    reach = float(stats.t.ppf((1 + level) / 2, n - 1)) * error if n > 1 else math.inf
    return Estimate(mean, error, mean - reach, mean + reach, level, n, "linear inversion, Student interval")
