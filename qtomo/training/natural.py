"""Maximum likelihood of tensor networks by the natural gradient: a few tens of steps where Adam takes thousands.

A step solves (F + damping) d = g, with g the gradient of the mean log-likelihood of all records and F the Fisher
matrix, the second moment of the scores, the gradients of ln P(a), over records (Amari 1998, Neural Computation 10,
251). The damping is a share of F's diagonal that shrinks where the step gains what it promised and grows where not
(Levenberg 1944; Marquardt 1963). Gradients and scores are closed forms of the environments of a record from its left
and its right, so that all the work is matrix products over records that share an outcome.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qtomo.distribution import Outcomes
from qtomo.models.tensor_network import TensorNetwork, log_norm, transfer_derivatives
from qtomo.progress import SILENT, Progress

__all__ = ["NaturalFit", "Step", "fisher_matrix", "fit_natural", "mean_log_prob", "scores"]

_LARGEST_CHUNK = 16384  # records at once
_NUMBERS = 2**17  # of their environments at one bond
_SMALLEST = 1e-300
_UNDAMPED = 1e-3
_TRIALS = 8  # dampings tried for a step
_LARGEST_SCORE = 1e6  # that of a record which the weights hold to be all but impossible


@dataclass(frozen=True)
class Step:
    """Where a fit stands after a step.

    Args:
        log_prob: mean ln P of the training records.
        validation: mean ln P of the held-out records, nan without any.
        damping: as the step had it.
        gain: of `log_prob` by the step.
    """

    log_prob: float
    validation: float
    damping: float
    gain: float


@dataclass(frozen=True)
class NaturalFit:
    """How a fit went.

    Args:
        steps: one by one.
        log_prob: mean ln P of the training records under the weights kept.
        validation: of the held-out records, nan without any.
        best_step: after which of the steps these weights stood; 0 is the start.
    """

    steps: list[Step]
    log_prob: float
    validation: float
    best_step: int


def fit_natural(
    model: TensorNetwork,
    outcomes: Outcomes,
    validation: Outcomes | None = None,
    steps: int = 30,
    *,
    tolerance: float = 0.02,
    fisher_records: int = 0,
    damping: float = 1.0,
    patience: int = 2,
    progress: Progress = SILENT,
) -> NaturalFit:
    """Climb the likelihood from where the model stands; it ends with the best weights met.

    Args:
        model: a tensor network that knows its measurement and has been started.
        outcomes: training records (n, n_sites).
        validation: held-out records: the weights kept are those that are best for them.
        steps: at most.
        tolerance: stop where an undamped step promises less than this share of what noise alone gains, P/(2n) for P
            parameters.
        fisher_records: records that F is the mean over, the first ones; 0 takes 25 a parameter, which moves the
            steps but not where they end.
        damping: to begin with.
        patience: steps without a better validation before the end.
        progress: told the steps done of those there may be, with ln P.
    """
    n, size = len(outcomes), model.n_parameters
    some = outcomes[: fisher_records or max(20_000, 25 * size)]
    enough = tolerance * size / (2 * n)
    value, gradient = _value_and_gradient(model, outcomes)
    held_out = mean_log_prob(model, validation) if validation is not None else float("nan")
    kept = NaturalFit([], value, held_out, 0)
    best_weights = _flat(model)
    done: list[Step] = []
    while len(done) < steps:
        fisher = fisher_matrix(model, some)
        if done and float(gradient @ _damped_solve(fisher, gradient, _UNDAMPED)) / 2 < enough:
            break
        uphill = _uphill(model, outcomes, value, gradient, fisher, damping)
        if uphill is None:
            break
        gain, promised, used = uphill
        ratio = gain / max(promised, _SMALLEST)
        damping = max(used * (0.2 if ratio > 0.7 else 0.5 if ratio > 0.4 else 2.0), 1e-6)
        value, gradient = _value_and_gradient(model, outcomes)
        if validation is not None:
            held_out = mean_log_prob(model, validation)
        done.append(Step(value, held_out, used, gain))
        progress.update(len(done), steps, _note(done[-1]))
        if validation is None or held_out > kept.validation:
            kept, best_weights = NaturalFit([], value, held_out, len(done)), _flat(model)
        if gain < 1e-3 * enough or len(done) - kept.best_step >= patience:
            break
    if done:
        progress.update(len(done), len(done), _note(done[-1]))
    _set(model, best_weights)
    return replace(kept, steps=done)


def _note(step: Step) -> str:
    held_out = "" if math.isnan(step.validation) else f", held out {step.validation:.5f}"
    return f"steps, ln P {step.log_prob:.5f} per record{held_out}"


def _uphill(
    model: TensorNetwork, outcomes: Outcomes, value: float, gradient: Tensor, fisher: Tensor, damping: float
) -> tuple[float, float, float] | None:
    """Move the model to where the likelihood is larger, with as little damping as it takes: the gain, that promised by
    the quadratic model, and the damping; None, and no move, where no step gains.
    """
    before = _flat(model)
    for _ in range(_TRIALS):
        move = _damped_solve(fisher, gradient, damping)
        promised = float(gradient @ move - move @ fisher @ move / 2)
        _set(model, before + move)
        trial = mean_log_prob(model, outcomes)
        if trial > value:
            return trial - value, promised, damping
        damping *= 4
    _set(model, before)
    return None


def mean_log_prob(model: TensorNetwork, outcomes: Outcomes) -> float:
    """Mean ln P of records (n, n_sites)."""
    with torch.no_grad():
        transfers = model.transfers()
        total = 0.0
        for labels in _chunks(model, outcomes):
            groups = _groups(labels, transfers)
            state, logs = transfers[0].new_ones(labels.shape[1], 1), transfers[0].new_zeros(labels.shape[1])
            for matrices, parts in zip(transfers, groups, strict=True):
                state = _advance(state, matrices, parts)
                state, scale = _scaled(state)
                logs += scale
            total += float((logs + torch.log(state[:, 0].clamp_min(_SMALLEST))).sum())
        return total / len(outcomes) - float(log_norm(transfers))


def scores(model: TensorNetwork, outcomes: Outcomes) -> NDArray[np.float64]:
    """d ln P(a)/d theta of each record: (n, n_sites) to (n, P), in the order of `torch.nn.Module.parameters`."""
    engine = _Scores(model, torch.float64)
    return np.concatenate([engine(labels).numpy() for labels in _chunks(model, outcomes)])


def fisher_matrix(model: TensorNetwork, outcomes: Outcomes) -> Tensor:
    """The mean over records of the outer product of their scores, float64 (P, P), computed in float32."""
    engine = _Scores(model, torch.float32)
    total = torch.zeros(model.n_parameters, model.n_parameters, dtype=torch.float64)
    for labels in _chunks(model, outcomes):
        rows = engine(labels)
        total += rows.T @ rows
    return total / len(outcomes)


def _damped_solve(fisher: Tensor, gradient: Tensor, damping: float) -> Tensor:
    diagonal = fisher.diagonal()
    floor = 1e-3 * diagonal.mean()
    damped = fisher + torch.diag(damping * (diagonal + floor))
    factor, failed = torch.linalg.cholesky_ex(damped)
    jitter = 1e-6
    while failed:  # rounding of products in float32
        jitter *= 10
        factor, failed = torch.linalg.cholesky_ex(damped + torch.diag(jitter * (diagonal + floor)))
    return torch.cholesky_solve(gradient[:, None], factor)[:, 0]


def _value_and_gradient(model: TensorNetwork, outcomes: Outcomes) -> tuple[float, Tensor]:
    """Mean ln P, and its gradient by all parameters, (P,)."""
    transfers = model.transfers()
    plain = [matrices.detach() for matrices in transfers]
    slopes = [torch.zeros_like(matrices) for matrices in plain]
    total = 0.0
    for labels in _chunks(model, outcomes):
        groups = _groups(labels, plain)
        lefts, logs = _lefts(plain, groups)
        right = plain[0].new_ones(labels.shape[1], 1)
        total += float((logs + torch.log(lefts[-1][:, 0].clamp_min(_SMALLEST))).sum())
        for site in reversed(range(len(plain))):
            ahead = torch.empty(len(right), plain[site].shape[1], dtype=right.dtype)
            for outcome, rows in groups[site]:
                left, after = lefts[site][rows], right[rows]
                near = after @ plain[site][outcome].T
                weight = (left * near).sum(1, keepdim=True).clamp_min(_SMALLEST)
                slopes[site][outcome] += left.T @ (after / weight)
                ahead[rows] = near
            right = _scaled(ahead)[0]
    n = len(outcomes)
    parameters = list(model.parameters())
    surrogate = sum((t * s).sum() / n for t, s in zip(transfers, slopes, strict=True)) - log_norm(transfers)
    gradients = torch.autograd.grad(surrogate, parameters)
    return total / n - float(log_norm(plain)), torch.cat([g.flatten() for g in gradients])


class _Scores:
    """Scores of chunks of records, given as labels (n_sites, rows)."""

    def __init__(self, model: TensorNetwork, dtype: torch.dtype) -> None:
        with torch.no_grad():
            self._transfers = [matrices.to(dtype) for matrices in model.transfers()]
            #: (K, left**2 * right**2, parameters) a site
            self._derivatives = [
                transfer_derivatives(tensor, element).to(dtype)
                for tensor, element in zip(model.tensors, model.elements(), strict=True)
            ]
        norm = log_norm(model.transfers())
        gradients = torch.autograd.grad(norm, list(model.parameters()))
        self._of_norm = torch.cat([g.flatten() for g in gradients]).to(dtype)

    def __call__(self, labels: NDArray[np.uint8]) -> Tensor:
        """(rows, P)."""
        transfers = self._transfers
        groups = _groups(labels, transfers)
        lefts, _ = _lefts(transfers, groups)
        right = transfers[0].new_ones(labels.shape[1], 1)
        found = torch.empty(labels.shape[1], len(self._of_norm), dtype=right.dtype)
        last = len(self._of_norm)
        for site in reversed(range(len(transfers))):
            derivatives = self._derivatives[site]
            first = last - derivatives.shape[2]
            ahead = torch.empty(len(right), transfers[site].shape[1], dtype=right.dtype)
            for outcome, rows in groups[site]:
                left, after = lefts[site][rows], right[rows]
                near = after @ transfers[site][outcome].T
                weight = (left * near).sum(1, keepdim=True).clamp_min(1e-30)
                pairs = (left[:, :, None] * (after / weight)[:, None, :]).flatten(1)
                found[rows, first:last] = pairs @ derivatives[outcome]
                ahead[rows] = near
            right = _scaled(ahead)[0]
            last = first
        return found.clamp_(-_LARGEST_SCORE, _LARGEST_SCORE) - self._of_norm


def _chunks(model: TensorNetwork, outcomes: Outcomes) -> list[NDArray[np.uint8]]:
    """Labels (n_sites, rows) each."""
    bond = max(tensor.shape[-1] for tensor in model.tensors)
    rows = max(256, min(_LARGEST_CHUNK, _NUMBERS // bond**2))
    return [np.ascontiguousarray(outcomes[first : first + rows].T) for first in range(0, len(outcomes), rows)]


def _groups(labels: NDArray[np.uint8], transfers: Sequence[Tensor]) -> list[list[tuple[int, Tensor]]]:
    """A site: the rows of each outcome that is there."""
    order = np.argsort(labels, axis=1, kind="stable")
    found = []
    for site, matrices in enumerate(transfers):
        rows, first, parts = torch.from_numpy(order[site]), 0, []
        for outcome, count in enumerate(np.bincount(labels[site], minlength=len(matrices)).tolist()):
            if count:
                parts.append((outcome, rows[first : first + count]))
            first += count
        found.append(parts)
    return found


def _lefts(transfers: Sequence[Tensor], groups: list[list[tuple[int, Tensor]]]) -> tuple[list[Tensor], Tensor]:
    """Environments before each site, and that after the last, of norm 1; the logs of what was divided by."""
    rows = sum(len(part) for _, part in groups[0])
    lefts, logs = [transfers[0].new_ones(rows, 1)], torch.zeros(rows, dtype=torch.float64)
    for matrices, parts in zip(transfers, groups, strict=True):
        state, scale = _scaled(_advance(lefts[-1], matrices, parts))
        logs += scale
        lefts.append(state)
    return lefts, logs


def _advance(state: Tensor, matrices: Tensor, parts: list[tuple[int, Tensor]]) -> Tensor:
    out = torch.empty(len(state), matrices.shape[2], dtype=state.dtype)
    for outcome, rows in parts:
        out[rows] = state[rows] @ matrices[outcome]
    return out


def _scaled(state: Tensor) -> tuple[Tensor, Tensor]:
    norm = torch.linalg.vector_norm(state, dim=1).clamp_min(1e-30)
    return state / norm[:, None], torch.log(norm.double())


def _flat(model: TensorNetwork) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def _set(model: TensorNetwork, values: Tensor) -> None:
    first = 0
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(values[first : first + parameter.numel()].view_as(parameter))
            first += parameter.numel()
