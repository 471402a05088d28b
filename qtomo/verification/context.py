"""Records under one hypothesis, with what several tests ask of them computed once."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.measurement.povm import BASES
from qtomo.progress import SILENT, Progress
from qtomo.records.records import Records, distinct_rows
from qtomo.seeds import stream
from qtomo.states.born.local_likelihoods import LocalLikelihoods
from qtomo.verification.hypothesis import Hypothesis

__all__ = ["Context", "Options"]

Reals = NDArray[np.float64]
Made = TypeVar("Made")

_CHUNK = 8192
_MOST_COPIES = 50  # exact records beside each of few


@dataclass(frozen=True)
class Options:
    """How a verification is done.

    Args:
        alpha: probability that records of the target are called inconsistent, over all tests together.
        level: confidence of intervals and bounds.
        resolution: strength of a fault of every qubit that a consistent verdict must exclude.
        alternative: what is learned from the records: `auto`, `kgram`, `none`, or a family with exact likelihood.
        n_reference: exact records that are drawn for comparison.
        seed: of all randomness.
        device: where to work.
        budget: whether an error budget is fitted; None where it takes little time.
        progress: told what is being done.
    """

    alpha: float = 0.01
    level: float = 0.95
    resolution: float = 0.05
    alternative: str = "auto"
    n_reference: int = 20_000
    seed: int = 0
    device: str = "cpu"
    budget: bool | None = None
    progress: Progress = SILENT


@dataclass(frozen=True, eq=False)
class Context:
    """Records and the distribution that they are held against.

    Args:
        records: of one design.
        hypothesis: the target as it would be measured, or with faults found so far.
        options: how.
    """

    records: Records
    hypothesis: Hypothesis
    options: Options = Options()

    def under(self, hypothesis: Hypothesis) -> Context:
        """The same records under another hypothesis."""
        return replace(self, hypothesis=hypothesis)

    def of(self, records: Records) -> Context:
        """Other records, or these otherwise labelled, under the same hypothesis."""
        return replace(self, records=records)

    def part(self, most: int, purpose: str) -> Context:
        """At most so many records, drawn at random by the seed and `purpose`."""
        if len(self.records) <= most:
            return self
        rows = stream(self.options.seed, purpose).choice(len(self.records), most, replace=False)
        return self.of(self.records.take(np.sort(rows)))

    @cached_property
    def _made(self) -> dict[Hashable, Any]:
        return {}

    def once(self, make: Callable[..., Made], *args: Hashable) -> Made:
        """What `make(context, *args)` gives, made once however many tests and faults ask for it."""
        key = make, args
        if key not in self._made:
            self._made[key] = make(self, *args)
        found: Made = self._made[key]
        return found

    @cached_property
    def _distinct(self) -> tuple[Outcomes, Reals, NDArray[np.int64]]:
        labels = self.records.labels
        first, inverse = distinct_rows(labels)
        return labels[first], np.bincount(inverse, minlength=len(first)).astype(np.float64), inverse

    @property
    def rows(self) -> Outcomes:
        """The different records there are, as POVM elements (distinct, n_sites)."""
        return self._distinct[0]

    @property
    def counts(self) -> Reals:
        """How often each of `rows` is there."""
        return self._distinct[1]

    @property
    def inverse(self) -> NDArray[np.int64]:
        """The place in `rows` of each record."""
        return self._distinct[2]

    @cached_property
    def likelihoods(self) -> LocalLikelihoods:
        """Local likelihoods of `rows`, weights in single precision."""
        parts = []
        for first in range(0, len(self.rows), _CHUNK):
            found = self.hypothesis.likelihoods(self.rows[first : first + _CHUNK])
            parts.append((found.log_prob, found.log_scale, found.weights.astype(np.float32)))
            if len(self.rows) > _CHUNK:
                self.options.progress.update(min(first + _CHUNK, len(self.rows)), len(self.rows), "scored")
        return LocalLikelihoods(*(np.concatenate(values) for values in zip(*parts, strict=True)))

    @cached_property
    def log_prob_rows(self) -> Reals:
        """ln P of each of `rows`."""
        if "likelihoods" in self.__dict__:
            return self.likelihoods.log_prob
        return self.hypothesis.log_prob(self.rows)

    @property
    def log_prob(self) -> Reals:
        """ln P of each record, (n,)."""
        return self.log_prob_rows[self.inverse]

    @property
    def conditional_log_prob(self) -> Reals:
        """ln P of each record given its settings, (n,)."""
        found = self.log_prob
        if self.records.has_settings:
            found = found + math.log(len(BASES)) * (~self.records.lost).sum(axis=1)
        return found

    @property
    def log_likelihood(self) -> float:
        """ln P of all records together; -inf where one is impossible."""
        return float(self.counts @ self.log_prob_rows) if np.isfinite(self.log_prob_rows).all() else -np.inf

    @property
    def n_impossible(self) -> int:
        """Records that the hypothesis forbids."""
        return int(self.counts[np.isneginf(self.log_prob_rows)].sum())

    @cached_property
    def reference(self) -> tuple[NDArray[np.int64], Reals]:
        """Row numbers of records (m,), and ln P of k exact ones in the settings of each, (m, k).

        Where there are more records than `n_reference`, those of m drawn at random have one companion each.
        """
        n, most = len(self.records), self.options.n_reference
        rng = stream(self.options.seed, "reference")
        rows = np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))
        copies = max(1, min(_MOST_COPIES, most // len(rows)))
        chosen = self.records.take(np.repeat(rows, copies))
        drawn = self.hypothesis.sample_like(chosen, rng).labels
        first, inverse = distinct_rows(drawn)
        return rows, self.hypothesis.log_prob(drawn[first])[inverse].reshape(len(rows), copies)
