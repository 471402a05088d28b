"""Where records and target disagree: outcome by outcome, and batch by batch along the shots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.analysis.estimate import Estimate
from qtomo.analysis.faults import Law, Scores
from qtomo.distribution import LOST, Outcomes
from qtomo.povm import PAULIS
from qtomo.states.local import pauli_coefficients

__all__ = ["Batch", "batch_map", "outcome_map"]

Reals = NDArray[np.float64]

_BLOCKS = 20
_MOST_BATCHES = 60


@dataclass(frozen=True)
class Batch:
    """What the shots of one batch say, all batches' intervals holding together.

    Args:
        label: which shots.
        log_prob: mean of ln P less that of exact records; None where settings were listed, whose bases differ from
            batch to batch.
        depolarizing: strength of depolarizing on every qubit, to first order.
    """

    label: str
    log_prob: Estimate | None
    depolarizing: Estimate

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return {
            "label": self.label,
            "log_prob": self.log_prob.to_dict() if self.log_prob else None,
            "depolarizing": self.depolarizing.to_dict(),
        }


def outcome_map(outcomes: Outcomes, law: Law, level: float, given_settings: bool) -> list[list[Estimate]]:
    """Share of each outcome at each site less its exact probability, n_sites lists of n_outcomes.

    Of shots with settings, the shares are those among the shots in the outcome's basis. Intervals are Clopper and
    Pearson's and hold for all sites and outcomes together (Bonferroni). A single outcome may be right everywhere and
    pairs wrong: that shows in correlations alone.

    Args:
        outcomes: records (n, n_sites), 255 where lost.
        law: of the target.
        level: of the intervals together.
        given_settings: whether outcomes are 2 * basis + bit of shots in known bases.
    """
    n_sites, k = law.n_sites, law.born.n_outcomes
    letters = [PAULIS[letter] for letter in "IXYZ"]
    bloch = np.array([[law.born.state.expectation({i: p}).real for p in letters] for i in range(n_sites)])
    exact = np.einsum("ikp,ip->ik", pauli_coefficients(law.born.povm.site_elements(n_sites)), bloch).clip(0, 1)
    counts = np.stack([np.bincount(column[column != LOST], minlength=k)[:k] for column in outcomes.T])
    totals = np.repeat(counts.sum(axis=1, keepdims=True), k, axis=1)
    if given_settings:
        exact = exact / np.repeat(exact.reshape(n_sites, -1, 2).sum(axis=2), 2, axis=1)
        totals = np.repeat(counts.reshape(n_sites, -1, 2).sum(axis=2), 2, axis=1)
    tail = (1 - level) / (2 * n_sites * k)
    low = np.where(counts > 0, stats.beta.ppf(tail, np.maximum(counts, 1), totals - counts + 1), 0.0)
    high = np.where(counts < totals, stats.beta.isf(tail, counts + 1, np.maximum(totals - counts, 1)), 1.0)
    share = counts / np.maximum(totals, 1)
    method = "share less the exact probability, simultaneous Clopper-Pearson intervals"

    def one(i: int, j: int) -> Estimate:
        n = int(totals[i, j])
        error = math.sqrt(exact[i, j] * (1 - exact[i, j]) / n) if n else math.inf
        value, bottom, top = (float(a[i, j] - exact[i, j]) for a in (share, low, high))
        return Estimate(value, error, bottom, top, level, n, method)

    return [[one(i, j) for j in range(k)] for i in range(n_sites)]


def batch_map(
    data: Scores,
    reference: Scores,
    order: NDArray[np.intp],
    columns: Mapping[str, NDArray[Any]] | None,
    level: float,
    listed_settings: bool,
) -> list[Batch]:
    """The mean ln P and the depolarizing of every qubit, a batch: of the column `batch`, else twenty in order.

    Args:
        data: scores of the records.
        reference: of exact ones.
        order: of the shots.
        columns: of the record file.
        level: of the intervals of a quantity together.
        listed_settings: whether bases were chosen by a list, so that ln P depends on the place in it.
    """
    named = columns.get("batch") if columns else None
    if named is not None and 1 < len(np.unique(named)) <= _MOST_BATCHES:
        groups = {f"batch {value:g}": np.flatnonzero(named == value) for value in np.unique(named)}
    else:
        by_time = " by time" if columns and "time" in columns else ""
        parts = np.array_split(order, max(1, min(_BLOCKS, len(order) // 25)))
        ends = np.cumsum([len(part) for part in parts])
        groups = {f"shots {end - len(p)} to {end - 1}{by_time}": p for p, end in zip(parts, ends, strict=True)}
    scores, exact = (x.sites["depolarizing"].sum(axis=1) for x in (data, reference))
    information = max(float(np.square(exact).mean()), 1e-300)
    centre = float(reference.log_prob[np.isfinite(reference.log_prob)].mean())
    reach = float(stats.norm.ppf(1 - (1 - level) / (2 * len(groups))))

    def mean(values: Reals, what: str) -> Estimate:
        n = len(values)
        value, error = float(values.mean()) if n else math.nan, math.inf
        if n > 1:
            error = float(values.std(ddof=1)) / math.sqrt(n)
        return Estimate(value, error, value - reach * error, value + reach * error, level, n, what)

    found = []
    for label, rows in groups.items():
        log_prob = data.log_prob[rows]
        found.append(
            Batch(
                label,
                None
                if listed_settings
                else mean(
                    log_prob[np.isfinite(log_prob)] - centre, "mean ln P less exact, simultaneous normal intervals"
                ),
                mean(scores[rows] / information, "score over its information, simultaneous normal intervals"),
            )
        )
    return found
