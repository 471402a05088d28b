"""k-grams: each outcome given the k before it, counted. A model that does not beat them learned nothing."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.errors import InputError

__all__ = ["KGram"]


class KGram:
    """P(a) = prod_i p_i(a_i | a_{i-k} ... a_{i-1}), counted site by site.

    Counts are smoothed towards the (k-1)-gram of the same site, that one towards the next shorter, and the
    0-gram towards uniform: p = (count + strength * shorter) / (total + strength) (MacKay and Bauman Peto
    1995, hierarchical Dirichlet), so no record has probability zero.

    Args:
        outcomes: training records (n, n_sites).
        n_outcomes: K.
        order: k, how many earlier outcomes are remembered; 0 gives independent sites.
        strength: weight of the shorter context, in counts.

    Raises:
        InputError: a negative order, or tables of more than 2**28 numbers.
    """

    likelihood: Literal["exact"] = "exact"

    def __init__(self, outcomes: Outcomes, n_outcomes: int, order: int, strength: float = 16.0) -> None:
        if order < 0:
            raise InputError(f"order of a k-gram is {order}, expected 0 or more")
        self.n_sites = outcomes.shape[1]
        if self.n_sites * n_outcomes ** (order + 1) > 2**28:
            raise InputError(f"a {order}-gram of {n_outcomes} outcomes and {self.n_sites} sites is too large a table")
        self.n_outcomes = n_outcomes
        self.order = order
        #: One table a site: (K**min(k, site), K), rows by context, most recent outcome fastest.
        self.tables = [self._table(outcomes, site, strength) for site in range(self.n_sites)]

    def __repr__(self) -> str:
        return f"KGram(order {self.order}, {self.n_sites} sites)"

    @property
    def n_parameters(self) -> int:
        """Number of counted probabilities."""
        return sum(table.size for table in self.tables)

    def log_prob(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """Natural log-probability of each record: (batch, n_sites) to (batch,)."""
        total = np.zeros(len(outcomes))
        for site, table in enumerate(self.tables):
            total += np.log(table)[self._context(outcomes, site, self.order), outcomes[:, site]]
        return total

    def sample(self, n: int, generator: np.random.Generator) -> Outcomes:
        """`n` independent records, uint8 (n, n_sites)."""
        out = np.empty((n, self.n_sites), dtype=np.uint8)
        for site, table in enumerate(self.tables):
            edges = table.cumsum(axis=1)[self._context(out, site, self.order)]
            drawn = (generator.random(n)[:, None] * edges[:, -1:] >= edges).sum(axis=1)
            out[:, site] = np.minimum(drawn, self.n_outcomes - 1)
        return out

    def _context(self, outcomes: Outcomes, site: int, order: int) -> NDArray[np.int64]:
        """The outcomes before `site`, at most `order` of them, as one number a record."""
        context = np.zeros(len(outcomes), dtype=np.int64)
        for earlier in range(max(0, site - order), site):
            context = context * self.n_outcomes + outcomes[:, earlier]
        return context

    def _table(self, outcomes: Outcomes, site: int, strength: float) -> NDArray[np.float64]:
        k = self.n_outcomes
        table = np.full((1, k), 1.0 / k)
        for order in range(min(self.order, site) + 1):
            index = self._context(outcomes, site, order) * k + outcomes[:, site]
            counts = np.bincount(index, minlength=k ** (order + 1)).reshape(-1, k)
            shorter = np.tile(table, (len(counts) // len(table), 1))
            table = (counts + strength * shorter) / (counts.sum(axis=1, keepdims=True) + strength)
        return table
