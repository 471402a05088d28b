"""Flows of couplings: each transforms a half of the coordinates by a network of the other half."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import AffineTransform, Transform
from zuko.lazy import UnconditionalTransform
from zuko.transforms import (
    AdditiveTransform,
    CouplingTransform,
    DependentTransform,
    LULinearTransform,
    MonotonicAffineTransform,
)

from qtomo.distribution import Outcomes
from qtomo.models.findings import Finding, FindingKind
from qtomo.models.flows.base import ConditionedConfig, Flow, Layers, split
from qtomo.models.flows.conditioners import perceptron, reader
from qtomo.statistics.estimate import exact

__all__ = ["NICE", "Coupling", "Glow", "GlowConfig", "RealNVP", "couplings", "mixed_couplings"]


class Coupling(nn.Module):
    """y_1 = x_1, y_2 = g(x_2; m(x_1)).

    Args:
        mask: which of the F coordinates are x_1.
        config: the settings of the network m.
        univariate: the map g of a coordinate, from its numbers.
        sizes: how many numbers each of g's arguments is; a number of its own counts 0.
    """

    mask: Tensor

    def __init__(
        self,
        mask: Tensor,
        config: ConditionedConfig,
        univariate: Any = MonotonicAffineTransform,
        sizes: tuple[int, ...] = (0, 0),
    ) -> None:
        super().__init__()
        self.univariate, self.sizes = univariate, sizes
        self.register_buffer("mask", mask)
        self.reader = reader(config.conditioner, len(mask))
        numbers = len(mask) * sum(max(1, size) for size in sizes)
        self.network = perceptron(len(mask), numbers, [config.hidden_size] * config.layers)

    def forward(self, _context: Tensor | None = None) -> Transform:
        """The transform; it depends on no context."""
        transform: Transform = CouplingTransform(self._other_half, self.mask)
        return transform

    def _other_half(self, fixed: Tensor) -> Transform:
        """The transform of x_2 given x_1, (batch, coordinates of x_1)."""
        x = fixed.new_zeros(*fixed.shape[:-1], len(self.mask))
        x[..., self.mask] = fixed
        numbers = self.network(torch.where(self.mask, self.reader(x), 0)).unflatten(-1, (len(self.mask), -1))
        numbers = numbers[..., ~self.mask, :]
        transform: Transform = DependentTransform(self.univariate(*split(numbers, self.sizes)), 1)
        return transform


def couplings(shape: tuple[int, int], config: ConditionedConfig, *of: Any) -> Iterator[Coupling]:
    """Couplings in which first sites, then coordinates, take turns in being x_1; `of` goes to `Coupling`."""
    coordinate = torch.arange(math.prod(shape))
    site = coordinate // shape[1]
    for index in range(config.transforms):
        turn = site if index // 2 % 2 == 0 and shape[0] > 1 else coordinate
        yield Coupling(turn % 2 == index % 2, config, *of)


class NICE(Flow):
    """Additive couplings y_2 = x_2 + m(x_1), which keep volume (Dinh, Krueger, Bengio 2014, arXiv 1410.8516)."""

    Config: ClassVar[type[ConditionedConfig]] = ConditionedConfig
    config: ConditionedConfig

    def _transforms(self) -> Layers:
        return couplings(self.embedding.shape, self.config, AdditiveTransform, (0,))


class RealNVP(Flow):
    """Affine couplings y_2 = x_2 exp(s(x_1)) + t(x_1) (Dinh, Sohl-Dickstein, Bengio 2016, arXiv 1605.08803)."""

    Config: ClassVar[type[ConditionedConfig]] = ConditionedConfig
    config: ConditionedConfig

    def _transforms(self) -> Layers:
        return couplings(self.embedding.shape, self.config)


class GlowConfig(ConditionedConfig):
    """Settings of a Glow."""

    #: Whether coordinates are mixed before each coupling.
    mixing: bool = True
    #: How far a step moves an entry of a mixing matrix, beside other weights; 0 is 1/sqrt(F).
    mixing_rate: float = Field(0.0, ge=0)


def _actnorm(shift: Tensor, log_scale: Tensor) -> DependentTransform:
    return DependentTransform(AffineTransform(shift, log_scale.exp()), 1)


class Mixing(nn.Module):
    """x -> L U x with L U = 1 + rate W, the identity at its start; Adam moves L U by `rate` times its step size.

    Args:
        features: F.
        rate: see above.
    """

    def __init__(self, features: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.steps = nn.Parameter(torch.zeros(features, features))

    def matrix(self) -> Tensor:
        """What it multiplies with, (F, F)."""
        lu = self._lu()
        return (torch.tril(lu)) @ (torch.triu(lu, diagonal=1) + torch.eye(len(lu)).to(lu))

    def forward(self, _context: Tensor | None = None) -> Transform:
        """The transform; it depends on no context."""
        transform: Transform = LULinearTransform(self._lu())
        return transform

    def _lu(self) -> Tensor:
        return torch.eye(len(self.steps)).to(self.steps) + self.rate * self.steps


def mixed_couplings(shape: tuple[int, int], config: GlowConfig) -> Layers:
    """Affine couplings, each after an actnorm and, where `config.mixing`, a mixing."""
    features = math.prod(shape)
    for coupling in couplings(shape, config):
        yield UnconditionalTransform(_actnorm, shift=torch.zeros(features), log_scale=torch.zeros(features))
        if config.mixing:
            yield Mixing(features, config.mixing_rate or 1 / math.sqrt(features))
        yield coupling


class Glow(Flow):
    """Actnorm, mixing x -> L U x, affine coupling (Kingma, Dhariwal 2018, arXiv 1807.03039).

    Where Glow mixes the channels of a pixel, all coordinates are mixed here.
    """

    Config: ClassVar[type[GlowConfig]] = GlowConfig
    config: GlowConfig
    initialised: Tensor

    def __init__(self, n_sites: int, n_outcomes: int, config: GlowConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        self.register_buffer("initialised", torch.tensor(False))

    def _transforms(self) -> Layers:
        return mixed_couplings(self.embedding.shape, self.config)

    def loss(self, outcomes: Tensor) -> Tensor:
        """As for every flow; the first in training lets each actnorm standardise its batch (section 3.1)."""
        if self.training and not self.initialised:
            self.start_from(outcomes)
        return super().loss(outcomes)

    def diagnose(self, outcomes: Outcomes, level: float = 0.95) -> tuple[Finding, ...]:
        """As every flow, and how far the mixing matrices are from diagonal ones."""
        matrices = [layer.matrix().detach() for layer in self.transform.transforms if isinstance(layer, Mixing)]
        found = super().diagnose(outcomes, level)
        if not matrices:
            return found
        largest = max(float((matrix - matrix.diag().diag()).abs().max()) for matrix in matrices)
        says = f"The largest off-diagonal entry of the mixing matrices is {largest:.3f}; 0 does not mix."
        return (*found, Finding(FindingKind.MIXING, exact(largest), says))

    @torch.no_grad()
    def start_from(self, outcomes: Tensor) -> None:
        """Let each actnorm standardise what it reads of a batch."""
        points, _ = self._points(outcomes)
        for layer in self.transform.transforms:
            if getattr(layer, "f", None) is _actnorm:
                spread = points.std(dim=0, correction=0).clamp_min(1e-2)
                layer.log_scale.copy_(-spread.log())
                layer.shift.copy_(-points.mean(dim=0) / spread)
            points = layer()(points)
        self.initialised.fill_(True)
