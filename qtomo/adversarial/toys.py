"""Distributions in one and two dimensions that show how adversarial training goes: their modes are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qtomo.errors import Code, InputError

__all__ = [
    "TOYS",
    "Sampler",
    "Toy",
    "eight_gaussians",
    "find_toy",
    "gaussian_mixture",
    "mixture_1d",
    "rings",
    "swiss_roll",
    "twenty_five_gaussians",
]

#: Of (n, generator): n samples (n, D), float32.
Sampler = Callable[[int, torch.Generator], Tensor]


@dataclass(frozen=True)
class Toy:
    """A distribution to learn.

    Args:
        sample: draws n samples (n, D) with a generator of random numbers.
        modes: centres (K, D), where it is a mixture of Gaussians.
        scales: the standard deviation of each of them (K).
        weights: the probability of each of them (K).
    """

    sample: Sampler
    modes: Tensor | None = None
    scales: Tensor | None = None
    weights: Tensor | None = None


def gaussian_mixture(modes: Tensor, scales: Tensor, weights: Tensor) -> Toy:
    """A mixture of round Gaussians at `modes` (K, D), with standard deviations and probabilities (K)."""

    def sample(n: int, generator: torch.Generator) -> Tensor:
        which = torch.multinomial(weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, modes.shape[1], generator=generator)
        return modes[which] + scales[which, None] * noise

    return Toy(sample, modes, scales, weights)


def mixture_1d(means: Sequence[float], scales: Sequence[float], weights: Sequence[float]) -> Toy:
    """A mixture of Gaussians on the line.

    Raises:
        InputError: not as many means, scales and weights, a scale or weight not positive, or weights whose sum is
            not 1.
    """
    if not len(means) == len(scales) == len(weights) > 0:
        raise InputError(
            Code.MISMATCH, f"mixture: {len(means)} means, {len(scales)} scales and {len(weights)} weights; equally many"
        )
    if min(*scales, *weights) <= 0 or not math.isclose(sum(weights), 1, abs_tol=1e-6):
        raise InputError(Code.VALUE, "mixture: scales and weights must be positive and the weights sum to 1")
    return gaussian_mixture(torch.tensor(means)[:, None], torch.tensor(scales), torch.tensor(weights))


def eight_gaussians(scale: float = 0.05) -> Toy:
    """Eight Gaussians, evenly on a circle of radius 2 as in arXiv 1611.02163; neighbours lie 30 scales apart."""
    angles = 2 * math.pi * torch.arange(8) / 8
    return _even(2 * torch.stack([angles.cos(), angles.sin()], dim=1), scale)


def twenty_five_gaussians(scale: float = 0.05) -> Toy:
    """25 Gaussians on a square grid of spacing 1 around the origin; neighbours 20 scales apart."""
    line = torch.arange(-2.0, 3.0)
    return _even(torch.cartesian_prod(line, line), scale)


def _even(modes: Tensor, scale: float) -> Toy:
    return gaussian_mixture(modes, torch.full((len(modes),), scale), torch.full((len(modes),), 1 / len(modes)))


def swiss_roll(noise: float = 0.25) -> Toy:
    """A spiral of one and a half turns with noise, divided by 7.5 to be of order 1.

    The two coordinates in which arXiv 1704.00028 uses scikit-learn's roll.
    """

    def sample(n: int, generator: torch.Generator) -> Tensor:
        angle = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=generator))
        curve = angle[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
        return (curve + noise * torch.randn(n, 2, generator=generator)) / 7.5

    return Toy(sample)


def rings(radii: Sequence[float] = (0.5, 1.0, 1.5), noise: float = 0.05) -> Toy:
    """Rings around the origin, equally likely, with noise."""

    def sample(n: int, generator: torch.Generator) -> Tensor:
        radius = torch.tensor(radii)[torch.randint(len(radii), (n,), generator=generator)]
        angle = 2 * math.pi * torch.rand(n, generator=generator)
        circle = radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
        return circle + noise * torch.randn(n, 2, generator=generator)

    return Toy(sample)


#: By name; each made with its default scale.
TOYS: dict[str, Callable[[], Toy]] = {
    "two_gaussians_1d": lambda: mixture_1d([-1.0, 1.0], [0.2, 0.2], [0.5, 0.5]),
    "eight_gaussians": eight_gaussians,
    "twenty_five_gaussians": twenty_five_gaussians,
    "swiss_roll": swiss_roll,
    "rings": rings,
}


def find_toy(name: str) -> Toy:
    """The toy of that name.

    Raises:
        InputError: there is none; the message lists the known ones.
    """
    if name not in TOYS:
        raise InputError(Code.UNKNOWN, f"toy: unknown distribution '{name}'; known: {', '.join(TOYS)}")
    return TOYS[name]()
