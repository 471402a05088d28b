"""Tests that name no fault: forbidden outcomes, the likelihood, frequencies, a classifier, what was learned."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST
from qtomo.measurement.povm import BASES
from qtomo.records.frequencies import equal_bits, outcome_pairs
from qtomo.seeds import stream
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.statistics.evidence import binomial_p_values, p_of_log_e, randomisation_p_value
from qtomo.statistics.two_sample import SMALLEST, classifier_two_sample_test
from qtomo.verification.checks.base import Test, TestKind
from qtomo.verification.context import Context
from qtomo.verification.learned import Learned

__all__ = ["classifier", "forbidden", "learned", "log_likelihood", "pair_frequencies", "site_frequencies"]

Reals = NDArray[np.float64]

_CLASSIFIED = 20_000
_LOOKED_AT = 500  # cells whose exact p-value is taken, those furthest from what is expected
_FEWEST = 5


def forbidden(context: Context) -> Iterator[Test]:
    """Outcomes whose probability is zero: one is enough."""
    rows = np.flatnonzero(np.isneginf(context.log_prob))
    place = f"row {rows[0]}" if len(rows) else ""
    yield Test(TestKind.FORBIDDEN, 0.0 if len(rows) else 1.0, f"{len(rows):,} records", place=place)


def log_likelihood(context: Context) -> Iterator[Test]:
    """The mean of ln P against that of exact records in the same settings."""
    if len(context.records) < _FEWEST:
        return
    rows, reference = context.reference
    data = context.log_prob[rows]
    kept = np.isfinite(data) & np.isfinite(reference).all(axis=1)
    if not kept.any():
        return
    generator = stream(context.options.seed, "log-likelihood")
    p_value = randomisation_p_value(data[kept], reference[kept], generator)
    difference = float(data[kept].mean() - reference[kept].mean())
    yield Test(TestKind.LOG_LIKELIHOOD, p_value, f"{difference:+.4f} nats")


def site_frequencies(context: Context) -> Iterator[Test]:
    """How often each qubit gave each outcome, of shots in each basis: exact binomial, Bonferroni over all."""
    records, sites = context.records, context.hypothesis.marginals.sites
    coefficients = pauli_coefficients(context.hypothesis.povm.site_elements(records.n_sites))
    chances = np.einsum("nap,np->na", coefficients, sites).clip(0, 1)
    counts = np.zeros(chances.shape)
    for outcome in range(chances.shape[1]):
        counts[:, outcome] = context.counts @ (context.rows == outcome)
    totals = np.repeat(counts.sum(axis=1, keepdims=True), counts.shape[1], axis=1)
    if records.has_settings:
        counts, totals, chances = _of_bits(counts, chances)
    yield from _worst(TestKind.SITES, counts, totals, chances, _plain(context))


def _of_bits(counts: Reals, chances: Reals) -> tuple[Reals, Reals, Reals]:
    """Ones, shots and probability of a one in each basis, from those of 2 * basis + bit: (n_sites, 3) each."""
    both, chance = (array.reshape(len(array), len(BASES), 2) for array in (counts, chances))
    return both[:, :, 1], both.sum(axis=2), chance[:, :, 1] / chance.sum(axis=2)


def _plain(context: Context) -> NDArray[np.int64]:
    return np.flatnonzero(context.hypothesis.plain_sites)


def _worst(kind: TestKind, counts: Reals, totals: Reals, chances: Reals, places: NDArray[np.int64]) -> Iterator[Test]:
    """The smallest p-value of a cell, times the number of cells; `places` are the rows to look at, a site each."""
    counts, totals, chances = (array[places] for array in (counts, totals, chances))
    measured = totals > 0
    if not measured.any():
        return
    expected = totals * chances
    z = np.abs(counts - expected) / np.sqrt(np.maximum(expected * (1 - chances), 1e-12))
    order = np.argsort(-np.where(measured, z, -1), axis=None, kind="stable")[:_LOOKED_AT]
    p_values = binomial_p_values(counts.ravel()[order], totals.ravel()[order], chances.ravel()[order])
    best = int(p_values.argmin())
    row, column = np.unravel_index(order[best], counts.shape)
    share, chance = counts[row, column] / totals[row, column], chances[row, column]
    text = f"{share:.4f}, exact {chance:.4f}"
    p_value = min(1.0, float(p_values[best]) * int(measured.sum()))
    yield Test(kind, p_value, text, sites=(int(places[row]),))


def pair_frequencies(context: Context) -> Iterator[Test]:
    """How often two qubits gave equal bits in each two bases, or each two outcomes: exact binomial, Bonferroni."""
    records = context.records
    if records.n_sites < 2:
        return
    marginals = context.hypothesis.marginals
    plain = context.hypothesis.plain_sites
    kept = plain[marginals.places].all(axis=1)
    places = marginals.places[kept]
    if not len(places):
        return
    i, j = places.T
    coefficients = pauli_coefficients(context.hypothesis.povm.site_elements(records.n_sites))
    if records.has_settings:
        counts, totals = equal_bits(context.rows, context.counts, places)
        chances = _chances_of_equal_bits(coefficients, places, marginals.pairs[kept])
    else:
        counts, totals = outcome_pairs(context.rows, context.counts, places, coefficients.shape[1])
        chances = np.einsum("eap,ebq,epq->eab", coefficients[i], coefficients[j], marginals.pairs[kept])
        chances = chances.reshape(len(places), -1).clip(0, 1)
    for test in _worst(TestKind.PAIRS, counts, totals, chances, np.arange(len(places))):
        pair = places[test.sites[0]]
        yield Test(test.kind, test.p_value, test.statistic, sites=(int(pair[0]), int(pair[1])))


def _chances_of_equal_bits(coefficients: Reals, places: NDArray[np.int64], pairs: Reals) -> Reals:
    """The probability of equal bits, by pair and by bases, (pairs, 9)."""
    i, j = places.T
    difference = 3 * (coefficients[:, ::2] - coefficients[:, 1::2])  # (site, basis, 4)
    expected = np.einsum("ebp,ecq,epq->ebc", difference[i], difference[j], pairs).reshape(len(places), -1)
    return np.asarray(((1 + expected) / 2).clip(0, 1))


def classifier(context: Context) -> Iterator[Test]:
    """Can a classifier tell records from as many exact ones in the same settings, with the same outcomes lost?"""
    if len(context.records) < 2 * SMALLEST:
        return
    part = context.part(_CLASSIFIED, "classifier")
    generator = stream(context.options.seed, "classifier")
    exact = part.hypothesis.sample_like(part.records, generator)
    k, lost = context.hypothesis.povm.n_outcomes, bool(part.records.lost.any())
    mine, theirs = (np.where(one.labels == LOST, k, one.labels).astype(np.uint8) for one in (part.records, exact))
    found = classifier_two_sample_test(mine, theirs, k + lost, context.options.seed, matched=True)
    yield Test(TestKind.CLASSIFIER, found.p_value, f"accuracy {found.accuracy}")


def learned(context: Context, found: Learned | None) -> Iterator[Test]:
    """Any difference that an alternative learned from the other half of the records."""
    if found is None:
        return
    log_e = found.log_e(context.conditional_log_prob)
    yield Test(TestKind.LEARNED, p_of_log_e(log_e), f"ln E = {log_e:.1f}, {found.name}")
