"""Do fitted errors explain the records? Frequencies of single qubits and of pairs, and the likelihood, beyond the fit.

What was fitted follows the records, so that a frequency differs less from its fitted probability than chance would have
it. With the scores g and the information I of the strengths, and the slope G of an expected number in them, the number
less what is expected and less G I^-1 g has no part along what was fitted; its variance is smaller by G I^-1 G (as in
White 1982). It is standardised by that, so that tests keep their level and are not blind. The correlation of two qubits
that is left shows what no local error does: crosstalk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.measurement.povm import BASES
from qtomo.records.frequencies import equal_bits, outcome_pairs
from qtomo.seeds import stream
from qtomo.verification.budget.fitting import scores
from qtomo.verification.budget.reading import Reading
from qtomo.verification.checks.base import Test, TestKind

__all__ = ["Residuals"]

Reals = NDArray[np.float64]

_FEWEST = 25.0  # expected number, of what is counted and of the rest, from which a frequency is normal
_LEAST = 0.05  # of the variance of a frequency that must be left
_ROUNDING = 1e-5  # nats by which means of ln P may differ by rounding
_REFERENCE = 20_000  # exact records that tell the mean of ln P
_CHUNK = 8192


@dataclass(frozen=True, eq=False)
class Residuals:
    """Of the records under fitted errors.

    Args:
        reading: the fit.
    """

    reading: Reading

    @cached_property
    def _tables(self) -> tuple[Reals, Reals]:
        """Coefficients of the elements, (n_sites, K, 4), and slopes in each strength, (kinds, n_sites, K, 4)."""
        model, theta = self.reading.model, self.reading.fit.theta
        return model.coefficients(theta), model.slopes(theta)[:, :, :-1]

    @cached_property
    def _free(self) -> Reals:
        """The gradient of the strengths that no bound holds against more than noise, (n_parameters,)."""
        return np.where(self.reading.held, 0.0, self.reading.fit.gradient)

    def sites(self) -> Reals:
        """Standardised frequencies of each outcome, or of a bit 1 in each basis, (n_sites, cells); NaN where few."""
        context = self.reading.fit.context
        means = self.reading.model.hypothesis.marginals.sites
        table, slopes = self._tables
        chances = np.einsum("nap,np->na", table, means)
        changes = np.einsum("knap,np->kna", slopes, means)
        counts = np.stack([context.counts @ (context.rows == a) for a in range(chances.shape[1])], axis=1)
        totals = np.repeat(counts.sum(axis=1, keepdims=True), counts.shape[1], axis=1)
        if context.records.has_settings:
            n = len(counts)
            totals = counts.reshape(n, 3, 2).sum(axis=2)
            counts, chances, changes = counts[:, 1::2], 3 * chances[:, 1::2], 3 * changes[:, :, 1::2]
        n_kinds, n_sites, cells = changes.shape
        inverse = self.reading.covariance
        found = np.empty((n_sites, cells))
        for site in range(n_sites):
            own = np.arange(n_kinds) * n_sites + site
            found[site] = self._standardised(
                (counts[site], totals[site], chances[site]), changes[:, site], (own, inverse[np.ix_(own, own)])
            )
        return found

    def pairs(self) -> Reals:
        """Standardised frequencies of equal bits in each two bases, or of each two outcomes, (pairs, cells)."""
        context, marginals = self.reading.fit.context, self.reading.model.hypothesis.marginals
        (table, slopes), places = self._tables, marginals.places
        bits = context.records.has_settings
        if bits:
            counts, totals = equal_bits(context.rows, context.counts, places)
            table, slopes = (3 * (array[..., ::2, :] - array[..., 1::2, :]) for array in (table, slopes))
        else:
            counts, totals = outcome_pairs(context.rows, context.counts, places, table.shape[1])
        n_kinds, n_sites = slopes.shape[:2]
        inverse = self.reading.covariance
        found = np.empty(counts.shape)
        for number, (i, j) in enumerate(places):
            pair = marginals.pairs[number]
            left, right = table[i] @ pair, table[j] @ pair.T
            chance = (left @ table[j].T).ravel()
            first = np.einsum("kap,bp->kab", slopes[:, i], right).reshape(n_kinds, -1)
            second = np.einsum("ap,kbp->kab", left, slopes[:, j]).reshape(n_kinds, -1)
            change = np.concatenate([first, second])
            if bits:
                chance, change = (1 + chance) / 2, change / 2
            own = np.concatenate([np.arange(n_kinds) * n_sites + site for site in (i, j)])
            found[number] = self._standardised(
                (counts[number], totals[number], chance), change, (own, inverse[np.ix_(own, own)])
            )
        return found

    def _standardised(
        self, cell: tuple[Reals, Reals, Reals], change: Reals, own: tuple[NDArray[np.intp], Reals]
    ) -> Reals:
        """Numbers beyond the fit over their standard errors.

        Args:
            cell: numbers, of how many, and probabilities, (cells,) each.
            change: slopes of the probabilities in the strengths that they depend on, (strengths, cells).
            own: which strengths, and their part of the inverse of the information.
        """
        counts, totals, chances = cell
        places, inverse = own
        slope = totals * change
        rest = counts - totals * chances - slope.T @ (self.reading.covariance[places] @ self._free)
        plain = totals * chances * (1 - chances)
        variance = plain - np.einsum("ic,ij,jc->c", slope, inverse, slope)
        enough = (totals * np.minimum(chances, 1 - chances) > _FEWEST) & (variance > _LEAST * plain)
        return np.where(enough, rest / np.sqrt(np.where(enough, variance, 1.0)), np.nan)

    def likelihood(self) -> tuple[float, float]:
        """Mean of ln P less that of exact records, beyond the fit, in nats; and in standard errors."""
        context, model = self.reading.fit.context, self.reading.model
        slopes = model.slopes(self.reading.fit.theta)
        logs, counts = context.log_prob_rows, context.counts
        n = float(counts.sum())
        part = context.part(_REFERENCE, "error budget, exact records")
        exact = part.hypothesis.sample_like(part.records, stream(context.options.seed, "error budget"))
        mean = float(logs @ counts) / n
        slope = np.zeros(model.n_parameters)
        for first in range(0, len(logs), _CHUNK):
            piece = slice(first, first + _CHUNK)
            slope += ((logs[piece] - mean) * counts[piece]) @ scores(context, slopes, piece)
        drawn = part.hypothesis.log_prob(exact.labels)
        rest = mean - drawn.mean() - float(slope @ self.reading.covariance @ self._free) / n
        own = float(counts @ (logs - mean) ** 2) / n
        variance = own / n - float(slope @ self.reading.covariance @ slope) / n**2
        # Exact records are in the settings of those of the records that they were drawn for.
        error = math.sqrt(max(variance, _LEAST * own / n) + float(drawn.var(ddof=1)) / len(drawn) + _ROUNDING**2)
        return rest, rest / error

    def tests(self, sites: Reals, pairs: Reals) -> Iterator[Test]:
        """Whether any frequency, or the likelihood, is not what the fit says (Bonferroni within each test)."""
        places = self.reading.model.hypothesis.marginals.places
        for kind, found in ((TestKind.SITES, sites), (TestKind.PAIRS, pairs)):
            if not np.isfinite(found).any():
                continue
            row = int(np.nanargmax(np.abs(found))) // found.shape[1]
            largest = float(np.nanmax(np.abs(found)))
            p_value = min(1.0, 2 * float(stats.norm.sf(largest)) * int(np.isfinite(found).sum()))
            where = (row,) if kind == TestKind.SITES else (int(places[row, 0]), int(places[row, 1]))
            yield Test(kind, p_value, f"{largest:.1f} σ beyond the fit", sites=where)
        rest, z = self.likelihood()
        yield Test(TestKind.LOG_LIKELIHOOD, 2 * float(stats.norm.sf(abs(z))), f"{rest:+.4f} nats beyond the fit")

    def correlations(self, pairs: Reals) -> Reals:
        """The largest of each pair with its sign, (n_sites, n_sites)."""
        n = self.reading.model.n_sites
        found = np.zeros((n, n))
        signed = np.nan_to_num(pairs)
        if not self.reading.fit.context.records.has_settings or signed.shape[1] != len(BASES) ** 2:
            signed = np.abs(signed)
        largest = np.take_along_axis(signed, np.abs(signed).argmax(axis=1)[:, None], axis=1)[:, 0]
        i, j = self.reading.model.hypothesis.marginals.places.T
        found[i, j] = found[j, i] = largest
        return found
