"""All local errors of all qubits fitted together, by Fisher scoring within their bounds.

The local likelihoods of the records under the current strengths tell the score of every record in every strength; their
squares are the information. A step is the top of that parabola within the bounds; it is halved as long as the records
are less likely after it. Few records first, then all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from qtomo.verification.budget.model import ErrorModel
from qtomo.verification.context import Context

__all__ = ["Fit", "Scores", "evaluated", "fitted"]

Reals = NDArray[np.float64]

_FEW = 5_000  # records that a fit begins with
_ROUNDS = (12, 6)  # steps on few records, and on all
_SETTLED = 0.05  # nats that a step may still gain
_HALVINGS = 6
_RIDGE = 4.0  # information per strength that holds directions still which the records say nothing of
_CHUNK = 8192


@dataclass(frozen=True, eq=False)
class Scores:
    """Slopes of ln P of records in each strength.

    Args:
        context: the records under the strengths at which the slopes are.
        slopes: of the elements, (kinds, n_sites, K + 1, 4).
        shift: slope of ln P in the parameter of the target, (rows,); None where there is none.
    """

    context: Context
    slopes: Reals
    shift: Reals | None

    def of(self, piece: slice | NDArray[np.int64]) -> Reals:
        """Of some of the rows, (rows, n_parameters); 0 for impossible ones."""
        likelihoods, sites = self.context.likelihoods, np.arange(self.slopes.shape[1])
        labels = np.minimum(self.context.rows[piece], self.slopes.shape[2] - 1)  # 255, a lost outcome, is the last
        weights = likelihoods.weights[piece]
        chance = likelihoods.chance[piece]
        slopes = self.slopes.astype(np.float32)
        found = np.stack([np.einsum("nip,nip->ni", one[sites, labels], weights) for one in slopes], axis=1)
        found = np.where(chance[:, None, None] > 0, found / np.where(chance > 0, chance, 1.0)[:, None, None], 0.0)
        found = found.reshape(len(labels), -1)
        return found if self.shift is None else np.concatenate([found, self.shift[piece, None]], axis=1)

    def pieces(self) -> Iterator[tuple[slice, Reals]]:
        """Of all rows, some at a time."""
        for first in range(0, len(self.context.rows), _CHUNK):
            piece = slice(first, first + _CHUNK)
            yield piece, self.of(piece)


@dataclass(frozen=True, eq=False)
class Fit:
    """Likeliest strengths within their bounds, and what the records say about them there.

    Args:
        theta: the strengths, (n_parameters,).
        gradient: of the log-likelihood, prior included, (n_parameters,): not 0 where a bound holds a strength.
        information: of the records and the prior, (n_parameters, n_parameters).
        scores: of the records.
        log_likelihood: of the records and the prior, in nats.
    """

    theta: Reals
    gradient: Reals
    information: Reals
    scores: Scores
    log_likelihood: float

    @property
    def context(self) -> Context:
        """The records under these strengths."""
        return self.scores.context


def fitted(context: Context, model: ErrorModel) -> Fit:
    """The likeliest strengths of a model."""
    theta = model.start()
    few = context.part(_FEW, "error budget")
    if few is not context:
        context.options.progress.stage("error budget: few records")
        theta = _climbed(few, model, theta, _ROUNDS[0]).theta
    context.options.progress.stage("error budget: all records")
    return _climbed(context, model, theta, _ROUNDS[1 if few is not context else 0])


def _climbed(context: Context, model: ErrorModel, theta: Reals, rounds: int) -> Fit:
    """From some strengths to the likeliest in so many steps."""
    current = evaluated(context, model, theta)
    for _ in range(rounds):
        step = _step(model, current)
        gain = float(current.gradient @ step - step @ current.information @ step / 2)
        if gain < _SETTLED:
            break
        for halving in range(_HALVINGS):
            tried = evaluated(context, model, current.theta + step / 2**halving)
            if tried.log_likelihood > current.log_likelihood:
                break
        else:
            break
        current = tried
    return current


def evaluated(context: Context, model: ErrorModel, theta: Reals) -> Fit:
    """What the records say at some strengths."""
    under = context.under(model.under(theta))
    scores = Scores(under, model.slopes(theta), model.shift_scores(theta, under.rows))
    logs, gradient, prior = model.prior(theta)
    information = np.diag(prior)
    for piece, found in scores.pieces():
        weighted = found * under.counts[piece, None]
        gradient = gradient + weighted.sum(axis=0)
        information += weighted.T @ found
    return Fit(theta, gradient, information, scores, under.log_likelihood + logs)


def _step(model: ErrorModel, current: Fit) -> Reals:
    """To the top of the parabola within the bounds.

    With I = L L^T it is the least |L^T x - b| of x >= 0 above the lower bounds (Lawson and Hanson 1974).
    """
    low, high = model.bounds
    theta = current.theta
    root = linalg.cholesky(current.information + _RIDGE * np.eye(len(theta)), lower=True)
    wanted = root.T @ (theta - low) + linalg.solve_triangular(root, current.gradient, lower=True)
    above, _ = optimize.nnls(root.T, wanted, maxiter=30 * len(theta))
    return np.asarray(np.clip(low + above, low, high) - theta)
