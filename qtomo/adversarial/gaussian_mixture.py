"""A Gaussian fitted to a mixture of two, by every f-divergence: the study of arXiv 1606.00709, section 3.2.

Each divergence pays a misfit differently, so each has a Gaussian of its own that is nearest. The fit is known to
any accuracy by quadrature, which makes it a test of adversarial training: a critic and a Gaussian that see samples
only must come to the same place, and their bound to the divergence from below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize
from torch import Tensor, nn

from qtomo.adversarial.fdivergences import CriticForm, Divergence, bound_with_error, exact_divergence, variational_bound
from qtomo.errors import Code, InputError
from qtomo.seeds import stream, torch_generator

__all__ = [
    "AdversarialFit",
    "DirectFit",
    "Plan",
    "adversarial_fit",
    "cross_table",
    "direct_fit",
    "divergence_from_gaussian",
    "mean_with_error",
    "mixture_log_prob",
    "sample_mixture",
]

#: Weights, means and standard deviations of the mixture's normals.
WEIGHTS = (0.33, 0.67)
MEANS = (-1.0, 2.0)
SCALES = (0.255, 1.415)

#: Where quadrature begins and ends.
RANGE = (-30.0, 32.0)

#: Means and standard deviations from which direct fits start: wide, and on each of the two normals.
STARTS = ((1.0, 2.0), (-1.0, 0.3), (2.0, 1.4), (0.0, 3.0))


@dataclass(frozen=True)
class Plan:
    """How long and how fast critic and Gaussian are trained; rates fall to zero along a cosine.

    Args:
        hidden_size: tanh units of the critic's one hidden layer.
        batch_size: fresh samples of each of P and Q a step.
        warm_up_steps: of the critic alone, at the start.
        joint_steps: of critic and Gaussian, by the gradient of one bound; the Gaussian's result is its mean over
            the last half.
        final_steps: of the critic alone, with the result held.
        critic_rate: Adam's rate of the critic.
        gaussian_rate: Adam's rate of mean and log standard deviation.
        fresh_samples: of each of P and Q, on which the bound is measured.
    """

    hidden_size: int = 64
    batch_size: int = 1024
    warm_up_steps: int = 200
    joint_steps: int = 1500
    final_steps: int = 500
    critic_rate: float = 0.01
    gaussian_rate: float = 0.01
    fresh_samples: int = 1_000_000


@dataclass(frozen=True)
class DirectFit:
    """The nearest Gaussian, by quadrature.

    Args:
        divergence: D_f(P||Q) at the minimum.
        mean: of the Gaussian.
        scale: its standard deviation.
    """

    divergence: float
    mean: float
    scale: float


@dataclass(frozen=True)
class AdversarialFit:
    """The Gaussian found by adversarial training.

    Args:
        bound: the critic's bound on fresh samples.
        bound_error: its standard error.
        divergence: what the bound bounds, D_f(P||Q) at this Gaussian by quadrature.
        mean: of the Gaussian.
        scale: its standard deviation.
    """

    bound: float
    bound_error: float
    divergence: float
    mean: float
    scale: float


def mixture_log_prob(x: Tensor) -> Tensor:
    """The log-density of the mixture, elementwise."""
    parts = [
        math.log(weight) + _normal_log_prob(x, mean, scale)
        for weight, mean, scale in zip(WEIGHTS, MEANS, SCALES, strict=True)
    ]
    return torch.logaddexp(*parts)


def sample_mixture(n: int, generator: torch.Generator) -> Tensor:
    """`n` independent draws of the mixture."""
    first = torch.rand(n, generator=generator) < WEIGHTS[0]
    mean = torch.where(first, *MEANS)
    scale = torch.where(first, *SCALES)
    return mean + scale * torch.randn(n, generator=generator)


def divergence_from_gaussian(divergence: Divergence, mean: float, scale: float) -> float:
    """D_f(P||Q) of the mixture P and the normal Q, by quadrature."""
    return exact_divergence(divergence, mixture_log_prob, lambda x: _normal_log_prob(x, mean, scale), *RANGE)


def direct_fit(divergence: Divergence, starts: Sequence[tuple[float, float]] = STARTS) -> DirectFit:
    """The Gaussian of least divergence, by descent from several (mean, standard deviation) without gradients.

    Reverse KL has a second minimum on the narrow normal, so one start is not enough. A start at which the divergence
    is infinite is left out.

    Raises:
        InputError: the divergence is infinite at every start.
    """

    def objective(parameters: np.ndarray) -> float:
        return divergence_from_gaussian(divergence, float(parameters[0]), math.exp(parameters[1]))

    runs = []
    for mean, scale in starts:
        start = np.array([mean, math.log(scale)])
        if math.isfinite(objective(start)):
            options = {"xatol": 1e-7, "fatol": 1e-12}
            runs.append(optimize.minimize(objective, start, method="Nelder-Mead", options=options))
    if not runs:
        raise InputError(
            Code.DIVERGED,
            f"{divergence} is infinite at every start {list(starts)}, expected a wider Gaussian among them",
        )
    best = min(runs, key=lambda run: float(run.fun))
    return DirectFit(float(best.fun), float(best.x[0]), math.exp(best.x[1]))


def adversarial_fit(
    divergence: Divergence, seed: int, plan: Plan | None = None, form: CriticForm = "log_ratio"
) -> AdversarialFit:
    """The Gaussian that training against a critic finds, from samples alone.

    Both follow the gradient of the same bound, up and down (the single-step method of arXiv 1606.00709, algorithm
    1), on fresh samples in each step; the Gaussian's are mean + scale * noise.

    Args:
        divergence: what to minimise.
        seed: of weights and samples.
        plan: lengths and rates.
        form: how the critic's output is read, "log_ratio" or "activation".
    """
    plan = plan or Plan()
    generator = torch_generator(stream(seed, f"gaussian mixture, {divergence}"))
    critic = _critic(plan.hidden_size, generator)
    start = sample_mixture(plan.batch_size, generator)
    gaussian = torch.stack([start.mean(), start.std().log()]).requires_grad_()

    def train(steps: int, gaussian_rate: float) -> list[Tensor]:
        path = []
        optimizer = torch.optim.Adam(
            [
                {"params": list(critic.parameters()), "lr": plan.critic_rate, "maximize": True},
                {"params": [gaussian], "lr": gaussian_rate},
            ]
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
        for _ in range(steps):
            on_p = critic(sample_mixture(plan.batch_size, generator)[:, None])
            on_q = critic(_draw(gaussian, plan.batch_size, generator)[:, None])
            optimizer.zero_grad()
            variational_bound(divergence, on_p, on_q, form).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            path.append(gaussian.detach().clone())
        return path

    train(plan.warm_up_steps, 0.0)
    path = train(plan.joint_steps, plan.gaussian_rate)
    with torch.no_grad():
        gaussian.copy_(torch.stack(path[len(path) // 2 :]).mean(dim=0))
    train(plan.final_steps, 0.0)
    with torch.no_grad():
        on_p = _in_parts(critic, sample_mixture(plan.fresh_samples, generator))
        on_q = _in_parts(critic, _draw(gaussian, plan.fresh_samples, generator))
    reached, error = bound_with_error(divergence, on_p, on_q, form)
    mean, log_scale = gaussian.tolist()
    scale = math.exp(log_scale)
    return AdversarialFit(reached, error, divergence_from_gaussian(divergence, mean, scale), mean, scale)


def cross_table(
    fits: Mapping[str, Sequence[AdversarialFit]], tested_by: Sequence[Divergence]
) -> dict[str, dict[str, tuple[float, float]]]:
    """What the Gaussians trained with each row's divergence are worth by each column's.

    Args:
        fits: by the name of the divergence trained with, several seeds each.
        tested_by: the columns.

    Returns:
        Exact values of D_f(P||Q), not learned bounds: their mean over the seeds and its standard error, by row
        and column.
    """

    def judge(row: Sequence[AdversarialFit], column: Divergence) -> tuple[float, float]:
        return mean_with_error([divergence_from_gaussian(column, fit.mean, fit.scale) for fit in row])

    return {name: {column.name: judge(row, column) for column in tested_by} for name, row in fits.items()}


def mean_with_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean over seeds and its standard error, nan for one seed."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(np.mean(values)), error


def _critic(hidden_size: int, generator: torch.Generator) -> nn.Sequential:
    """One hidden layer whose steps lie all over the mixture, and an output of zero to begin with."""
    first, last = nn.Linear(1, hidden_size), nn.Linear(hidden_size, 1)
    slopes = 1.5 * torch.randn(hidden_size, generator=generator)
    low, high = min(MEANS) - 3, max(MEANS) + 6
    middles = low + (high - low) * torch.rand(hidden_size, generator=generator)
    with torch.no_grad():
        first.weight.copy_(slopes[:, None])
        first.bias.copy_(-slopes * middles)
        last.weight.zero_()
        last.bias.zero_()
    return nn.Sequential(first, nn.Tanh(), last)


def _in_parts(critic: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([critic(part[:, None]) for part in torch.split(x, 100_000)])


def _draw(gaussian: Tensor, n: int, generator: torch.Generator) -> Tensor:
    return gaussian[0] + gaussian[1].exp() * torch.randn(n, generator=generator)


def _normal_log_prob(x: Tensor, mean: float, scale: float) -> Tensor:
    return -(((x - mean) / scale).square()) / 2 - math.log(scale * math.sqrt(2 * math.pi))
