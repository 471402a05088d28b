"""Flows of points of R^D, where they were invented: the same transforms without records, cells and windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from zuko.lazy import LazyComposedTransform, LazyInverse
from zuko.transforms import AdditiveTransform

from qtomo.config import near_miss
from qtomo.errors import Code, InputError
from qtomo.models.embeddings import log_logistic, logistic
from qtomo.models.flows.autoregressive import AutoregressiveConfig, NSFConfig, autoregressions, spline
from qtomo.models.flows.base import ConditionedConfig, FlowConfig, Layers
from qtomo.models.flows.continuous import CNFConfig, continuous
from qtomo.models.flows.coupling import GlowConfig, couplings, mixed_couplings

__all__ = ["POINT_FLOWS", "PointFlow", "fit_points"]


def _iaf(features: int, config: AutoregressiveConfig) -> Layers:
    return (LazyInverse(layer) for layer in autoregressions(features, config))


def _nsf(features: int, config: NSFConfig) -> Layers:
    return autoregressions(features, config, spline, (config.bins, config.bins, config.bins - 1))


#: Settings and transforms of D coordinates, by name.
POINT_FLOWS: dict[str, tuple[type[FlowConfig], Callable[[int, Any], Layers]]] = {
    "nice": (ConditionedConfig, lambda d, config: couplings((d, 1), config, AdditiveTransform, (0,))),
    "realnvp": (ConditionedConfig, lambda d, config: couplings((d, 1), config)),
    "glow": (GlowConfig, lambda d, config: mixed_couplings((d, 1), config)),
    "maf": (AutoregressiveConfig, autoregressions),
    "iaf": (AutoregressiveConfig, _iaf),
    "nsf": (NSFConfig, _nsf),
    "cnf": (CNFConfig, continuous),
}


class PointFlow(nn.Module):
    """ln p(u) = sum_i ln s(z_i) + ln|det dz/du| of points u of R^D, with the standard logistic density s.

    Args:
        name: a name of `POINT_FLOWS`.
        features: D.
        settings: of the family, such as `transforms`; window and embedding have no meaning here.

    Raises:
        InputError: an unknown name, or a bad setting.
    """

    def __init__(self, name: str, features: int = 2, **settings: Any) -> None:
        super().__init__()
        if name not in POINT_FLOWS:
            raise InputError(Code.UNKNOWN, f"unknown flow '{name}'{near_miss(name, list(POINT_FLOWS))}")
        config, layers = POINT_FLOWS[name]
        self.features = features
        self.transform = LazyComposedTransform(*layers(features, config.parse(settings, name)))

    def log_density(self, points: Tensor) -> Tensor:
        """ln p(u): (batch, D) to (batch,)."""
        z, ladj = self.transform().call_and_ladj(points)
        density: Tensor = log_logistic(z).sum(dim=-1) + ladj
        return density

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """`n` points, (n, D)."""
        points: Tensor = self.transform().inv(logistic(torch.rand(n, self.features, generator=generator)))
        return points


def fit_points(
    flow: PointFlow,
    sample: Callable[[int, torch.Generator], Tensor],
    generator: torch.Generator,
    *,
    steps: int = 1000,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
) -> None:
    """Lower the mean of -ln p over fresh samples by Adam, its step size falling to zero as a cosine.

    Args:
        flow: to be trained.
        sample: draws n points (n, D) with a generator.
        generator: of the samples.
        steps: of Adam.
        batch_size: points a step.
        learning_rate: the first step size.
    """
    optimizer = torch.optim.Adam(flow.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = -flow.log_density(sample(batch_size, generator)).mean()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimizer.step()
        schedule.step()
