"""Do fitted errors explain the records? Frequencies of single qubits and of pairs, errors that two neighbours make
together, and the likelihood, beyond the fit.

What was fitted follows the records, so that a frequency differs less from its fitted probability than chance would
have it. With the scores g and the information I of the strengths, and the slope G of an expected number in them, the
number less what is expected, and less what the strengths without bounds make of it (to first order G I^-1 g), has no
part along what was fitted; its variance is smaller by G I^-1 G (as in White 1982). It is standardised by that, so that
tests keep their level and are not blind. The correlation of two qubits that is left shows what no local error does:
crosstalk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.records.frequencies import equal_bits, outcome_pairs
from qtomo.seeds import stream
from qtomo.states.born.marginals import Marginals, marginals
from qtomo.states.born.pair_likelihoods import neighbour_ratios
from qtomo.states.mps import MPS
from qtomo.verification.budget.model import SHIFT_STEP
from qtomo.verification.budget.reading import Reading
from qtomo.verification.checks.base import Test, TestKind

__all__ = ["Residuals"]

Reals = NDArray[np.float64]

_FEWEST = 25.0  # expected number, of what is counted and of the rest, from which a frequency is normal
_LEAST = 0.2  # of the variance of a frequency that must be left
_SINGLE = 1e-5  # mean square of a score in single precision that may be nothing but rounding
_ROUNDING = 1e-5  # nats by which means of ln P may differ by rounding
_REFERENCE = 20_000  # exact records that tell the mean of ln P
_FURTHEST = 100  # sites between qubits of a pair that is looked at
_SCORED = 40_000  # different records whose neighbours are scored
#: Whether X, Y or Z commutes with I, X, Y and Z.
_SIGNS = np.array([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]])


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
    def _marginals(self) -> tuple[Marginals, Marginals | None]:
        """Expectations of the state before errors of qubits, and their slopes in the parameter of the target."""
        model, theta = self.reading.model, self.reading.fit.theta
        if model.shift is None:
            return model.hypothesis.marginals, None
        here = model.prepared(theta).marginals
        amount = float(theta[-1])
        low, high = (marginals(model.shift.state(amount + step), _FURTHEST) for step in (-SHIFT_STEP, SHIFT_STEP))
        sites, pairs = high.sites - low.sites, high.pairs - low.pairs
        return here, Marginals(sites / (2 * SHIFT_STEP), pairs / (2 * SHIFT_STEP), here.places)

    @cached_property
    def sites(self) -> Reals:
        """Standardised frequencies of each outcome, or of a bit 1 in each basis, (n_sites, cells); NaN where few."""
        context, (means, shifted) = self.reading.fit.context, self._marginals
        table, slopes = self._tables
        counts = np.stack([context.counts @ (context.rows == a) for a in range(table.shape[1])], axis=1)
        totals = np.repeat(counts.sum(axis=1, keepdims=True), counts.shape[1], axis=1)
        if context.records.has_settings:
            totals = counts.reshape(len(counts), 3, 2).sum(axis=2)
            counts, table, slopes = counts[:, 1::2], 3 * table[:, 1::2], 3 * slopes[:, :, 1::2]
        found = np.empty(counts.shape)
        for site, mean in enumerate(means.sites):
            change = slopes[:, site] @ mean
            if shifted is not None:
                change = np.concatenate([change, (table[site] @ shifted.sites[site])[None]])
            chances = table[site] @ mean
            found[site] = self._standardised((counts[site], totals[site], chances), change, self._own(site))
        return found

    @cached_property
    def pairs(self) -> Reals:
        """Standardised frequencies of equal bits in each two bases, or of each two outcomes, (pairs, cells)."""
        context, (means, shifted) = self.reading.fit.context, self._marginals
        (table, slopes), places = self._tables, means.places
        bits = context.records.has_settings
        if bits:
            counts, totals = equal_bits(context.rows, context.counts, places)
            table, slopes = (3 * (array[..., ::2, :] - array[..., 1::2, :]) for array in (table, slopes))
        else:
            counts, totals = outcome_pairs(context.rows, context.counts, places, table.shape[1])
        found = np.empty(counts.shape)
        for number, (i, j) in enumerate(places.tolist()):
            pair = means.pairs[number]
            left, right = table[i] @ pair, table[j] @ pair.T
            chances = (left @ table[j].T).ravel()
            first = np.einsum("kap,bp->kab", slopes[:, i], right)
            second = np.einsum("ap,kbp->kab", left, slopes[:, j])
            change = np.concatenate([first, second]).reshape(-1, len(chances))
            if shifted is not None:
                moved = table[i] @ shifted.pairs[number] @ table[j].T
                change = np.concatenate([change, moved.reshape(1, -1)])
            if bits:
                chances, change = (1 + chances) / 2, change / 2
            found[number] = self._standardised((counts[number], totals[number], chances), change, self._own(i, j))
        return found

    def _own(self, *sites: int) -> NDArray[np.intp]:
        """Which strengths the frequencies of some qubits depend on."""
        model = self.reading.model
        local = [np.arange(len(model.kinds)) * model.n_sites + site for site in sites]
        return np.concatenate([*local, np.arange(model.n_local, model.n_parameters)])

    def _standardised(self, cell: tuple[Reals, Reals, Reals], change: Reals, own: NDArray[np.intp]) -> Reals:
        """Numbers beyond the fit over their standard errors.

        Args:
            cell: numbers, of how many, and probabilities, (cells,) each.
            change: slopes of the probabilities in the strengths that they depend on, (strengths, cells).
            own: which strengths.
        """
        counts, totals, chances = cell
        slope, inverse = totals * change, self.reading.covariance[own]
        rest = counts - totals * chances - slope.T @ self.reading.further[own]
        plain = totals * chances * (1 - chances)
        variance = plain - np.einsum("ic,ij,jc->c", slope, inverse[:, own], slope)
        enough = (totals * np.minimum(chances, 1 - chances) > _FEWEST) & (variance > _LEAST * plain)
        return np.where(enough, rest / np.sqrt(np.where(enough, variance, 1.0)), np.nan)

    @cached_property
    def neighbours(self) -> Reals:
        """Standardised scores of each two Paulis on two neighbours together, (n_sites - 1, 9); NaN where few records
        carry them.

        Positive where there are more such errors than the fit says. How few there can be is not told: an error that
        the fit makes very rare is likely not to be seen at all.
        """
        reading, context, model = self.reading, self.reading.fit.context, self.reading.model
        state, n_sites = context.hypothesis.first.state, model.n_sites
        assert isinstance(state, MPS)
        table = model.coefficients(reading.fit.theta)
        elements = np.concatenate([table, table.sum(axis=1, keepdims=True)], axis=1)
        sums = np.zeros((3, n_sites - 1, 9))  # of scores, of their squares and of fourth powers
        slope = np.zeros((n_sites - 1, 9, model.n_parameters))
        rows = self._some_rows()
        own: tuple[slice, Reals] = slice(0), np.empty(0)
        for piece, site, ratios in neighbour_ratios(state, table, context.rows[rows]):
            if piece != own[0]:
                own = piece, reading.fit.scores.of(rows[piece])
            labels = np.minimum(context.rows[rows[piece]], elements.shape[1] - 1)
            left, right = (elements[i, labels[:, i]] for i in (site, site + 1))
            # A Pauli turns the signs of the two others.
            found = np.einsum("np,npq,nq,kp,lq->nkl", left, ratios, right, _SIGNS, _SIGNS, optimize=True)
            found = found.reshape(len(found), 9) - 1
            counts = context.counts[rows[piece], None]
            sums[:, site] += [(counts * found**power).sum(axis=0) for power in (1, 2, 4)]
            slope[site] += (counts * found).T @ own[1]
        rest = sums[0] - slope @ reading.further
        variance = sums[1] - np.einsum("skp,pq,skq->sk", slope, reading.covariance, slope, optimize=True)
        carried = sums[1] ** 2 / np.maximum(sums[2], 1e-300)
        n = float(context.counts[rows].sum())
        enough = (carried > _FEWEST) & (variance > _LEAST * sums[1]) & (sums[1] > _SINGLE * n)
        return np.where(enough, rest / np.sqrt(np.where(enough, variance, 1.0)), np.nan)

    def _some_rows(self) -> NDArray[np.int64]:
        """Of the rows, as many as are scored, drawn at random."""
        context = self.reading.fit.context
        n = len(context.rows)
        if n <= _SCORED:
            return np.arange(n)
        return np.sort(stream(context.options.seed, "error budget, neighbours").choice(n, _SCORED, replace=False))

    def likelihood(self) -> tuple[float, float]:
        """Mean of ln P less that of exact records, beyond the fit, in nats; and in standard errors."""
        context, model = self.reading.fit.context, self.reading.model
        logs, counts = context.log_prob_rows, context.counts
        n = float(counts.sum())
        part = context.part(_REFERENCE, "error budget, exact records")
        exact = part.hypothesis.sample_like(part.records, stream(context.options.seed, "error budget"))
        mean = float(logs @ counts) / n
        slope = np.zeros(model.n_parameters)
        for piece, found in self.reading.fit.scores.pieces():
            slope += ((logs[piece] - mean) * counts[piece]) @ found
        drawn = part.hypothesis.log_prob(exact.labels)
        rest = mean - drawn.mean() - float(slope @ self.reading.further) / n
        own = float(counts @ (logs - mean) ** 2) / n
        variance = own / n - float(slope @ self.reading.covariance @ slope) / n**2
        # Exact records are in the settings of those of the records that they were drawn for.
        error = math.sqrt(max(variance, _LEAST * own / n) + float(drawn.var(ddof=1)) / len(drawn) + _ROUNDING**2)
        return rest, rest / error

    def tests(self) -> Iterator[Test]:
        """Whether any frequency or score, or the likelihood, is not what the fit says (Bonferroni within each test)."""
        n, places = self.reading.model.n_sites, self._marginals[0].places.tolist()
        for kind, found, where in (
            (TestKind.SITES, self.sites, [(i,) for i in range(n)]),
            (TestKind.PAIRS, self.pairs, [(i, j) for i, j in places]),
            (TestKind.NEIGHBOURS, self.neighbours, [(i, i + 1) for i in range(n - 1)]),
        ):
            if not np.isfinite(found).any():
                continue
            sides = 1 if kind == TestKind.NEIGHBOURS else 2
            size = np.abs(found) if sides == 2 else found
            row, largest = int(np.nanargmax(size)) // found.shape[1], float(np.nanmax(size))
            p_value = min(1.0, sides * float(stats.norm.sf(largest)) * int(np.isfinite(found).sum()))
            yield Test(kind, p_value, f"{largest:.1f} σ beyond the fit", sites=where[row])
        rest, z = self.likelihood()
        yield Test(TestKind.LOG_LIKELIHOOD, 2 * float(stats.norm.sf(abs(z))), f"{rest:+.4f} nats beyond the fit")

    def correlations(self) -> Reals:
        """The largest of each pair with its sign, (n_sites, n_sites)."""
        n = self.reading.model.n_sites
        found = np.zeros((n, n))
        for number, (i, j) in enumerate(self._marginals[0].places.tolist()):
            cells = self.pairs[number]
            if j == i + 1:
                cells = np.concatenate([cells, self.neighbours[i].clip(0)])
            cells = np.nan_to_num(cells)
            found[i, j] = found[j, i] = cells[np.abs(cells).argmax()]
        return found
