"""k-grams: each outcome given the k before it, counted. A model that does not beat them learned nothing."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import Code, InputError

__all__ = ["STRENGTHS", "KGram"]

#: Strengths that `KGram.fitted` chooses from, in counts.
STRENGTHS = (4.0, 16.0, 64.0, 200.0, 600.0, 2000.0)


class KGram:
    """P(a) = prod_i p_i(a_i | a_{i-k} ... a_{i-1}), counted site by site.

    Counts are smoothed towards the (k-1)-gram of the same site, that one towards the next shorter, and the
    0-gram towards uniform: p = (count + strength * shorter) / (total + strength) (MacKay and Bauman Peto
    1995, hierarchical Dirichlet), so no record has probability zero.

    Shots in known bases (`n_bases` 3, outcomes 2 * basis + bit) are counted as P(bits | settings): each bit given its
    basis and the bases and bits before it. Outcomes that were lost are counted as context and predict nothing.

    Args:
        outcomes: training records (n, n_sites), 255 where lost.
        n_outcomes: K.
        order: k, how many earlier outcomes are remembered; 0 gives independent sites.
        strength: weight of the shorter context, in counts.
        n_bases: equal groups of outcomes, which one being given; 1 where all K are one measurement.

    Raises:
        InputError: a negative order, or tables of more than 2**28 numbers.
    """

    likelihood: Literal["exact"] = "exact"

    def __init__(
        self, outcomes: Outcomes, n_outcomes: int, order: int, strength: float = 16.0, n_bases: int = 1
    ) -> None:
        if order < 0:
            raise InputError(Code.VALUE, f"order of a k-gram is {order}, expected 0 or more")
        self.n_sites = outcomes.shape[1]
        self._with_lost = bool((outcomes == LOST).any())
        self._symbols = n_outcomes + self._with_lost
        if self.n_sites * self._symbols ** (order + 1) > 2**28:
            raise InputError(
                Code.TOO_LARGE, f"a {order}-gram of {n_outcomes} outcomes and {self.n_sites} sites is too large a table"
            )
        self.n_outcomes = n_outcomes
        self.n_bases = n_bases
        self.order = order
        self.strength = strength
        #: One table per site: (symbols**min(k, site), K), rows by context, most recent outcome fastest.
        self.tables = [self._table(outcomes, site, strength) for site in range(self.n_sites)]

    @classmethod
    def fitted(cls, outcomes: Outcomes, held_out: Outcomes, n_outcomes: int, order: int, *, n_bases: int = 1) -> KGram:
        """The k-gram whose strength, of `STRENGTHS`, gives other records the largest mean log-probability.

        Args:
            outcomes: training records (n, n_sites), which it is counted from.
            held_out: the other records (m, n_sites), with no lost outcomes where the training records have none.
            n_outcomes: K.
            order: k.
            n_bases: as for the class.

        Raises:
            InputError: as for the class, or no held-out records.
        """
        if not len(held_out):
            raise InputError(Code.TOO_FEW, "no held-out records to choose a strength by, expected at least 1")
        grams = (cls(outcomes, n_outcomes, order, strength, n_bases) for strength in STRENGTHS)
        return max(grams, key=lambda gram: float(gram.log_prob(held_out).mean()))

    def __repr__(self) -> str:
        return f"KGram(order {self.order}, {self.n_sites} sites)"

    @property
    def n_parameters(self) -> int:
        """Number of counted probabilities."""
        return sum(table.size for table in self.tables)

    def log_prob(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """Natural log-probability of each record, of shots given their settings: (batch, n_sites) to (batch,).

        Raises:
            InputError: lost outcomes, of which the training records had none.
        """
        lost = outcomes == LOST
        if lost.any() and not self._with_lost:
            raise InputError(Code.UNSUPPORTED, "lost outcomes in records for a k-gram that was counted from whole ones")
        total = np.zeros(len(outcomes))
        for site, table in enumerate(self.tables):
            known = np.minimum(outcomes[:, site], self.n_outcomes - 1)
            logs = np.log(table)[self._context(outcomes, site, self.order), known]
            total += np.where(lost[:, site], 0.0, logs)
        return total

    def sample(self, n: int, generator: np.random.Generator) -> Outcomes:
        """`n` independent records, uint8 (n, n_sites); of shots in bases drawn uniformly at random."""
        out = np.empty((n, self.n_sites), dtype=np.uint8)
        for site, table in enumerate(self.tables):
            edges = table.cumsum(axis=1)[self._context(out, site, self.order)]
            drawn = (generator.random(n)[:, None] * edges[:, -1:] >= edges).sum(axis=1)
            out[:, site] = np.minimum(drawn, self.n_outcomes - 1)
        return out

    def _context(self, outcomes: Outcomes, site: int, order: int) -> NDArray[np.int64]:
        """The outcomes before `site`, at most `order` of them, as one number per record."""
        context = np.zeros(len(outcomes), dtype=np.int64)
        for earlier in range(max(0, site - order), site):
            context = context * self._symbols + np.minimum(outcomes[:, earlier], self._symbols - 1)
        return context

    def _table(self, outcomes: Outcomes, site: int, strength: float) -> NDArray[np.float64]:
        k, groups = self.n_outcomes, self.n_bases
        table = np.full((1, k), groups / k)
        seen = outcomes[outcomes[:, site] != LOST]
        for order in range(min(self.order, site) + 1):
            index = self._context(seen, site, order) * k + seen[:, site]
            counts = np.bincount(index, minlength=self._symbols**order * k).reshape(-1, k)
            shorter = np.tile(table, (len(counts) // len(table), 1))
            totals = counts.reshape(-1, groups, k // groups).sum(axis=2).repeat(k // groups, axis=1)
            table = (counts + strength * shorter) / (totals + strength)
        return table
