"""Continuous flows: coordinates move along a learned velocity field."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from zuko.flows.continuous import FFJTransform

from qtomo.models.flows.base import Flow, FlowConfig, Layers

__all__ = ["CNF", "CNFConfig", "continuous"]


class CNFConfig(FlowConfig):
    """Settings of a continuous flow."""

    transforms: int = Field(1, ge=0)
    importance_samples: int = Field(1, ge=1)
    #: The trace of the Jacobian: summed, or Hutchinson's estimate. Scores of several samples always sum it.
    trace: Literal["exact", "hutchinson"] = "hutchinson"
    #: Error of a step of the integrator in training, absolute and relative.
    tolerance: float = Field(1e-3, gt=0)
    #: The same in scores and samples.
    score_tolerance: float = Field(1e-4, gt=0)


def continuous(features: int, config: CNFConfig) -> Layers:
    """Flows of F coordinates along a field each, from time 0 to 1; the fields start at zero."""
    for _ in range(config.transforms):
        tolerance, hidden = config.tolerance, [config.hidden_size] * config.layers
        flow = FFJTransform(features, atol=tolerance, rtol=tolerance, hidden_features=hidden)
        for last in flow.ode[-1].parameters():
            nn.init.zeros_(last)
        yield flow


class CNF(Flow):
    """du/dt = f(u, t) from u at 0 to z at 1, ln|det dz/du| = integral of tr df/du (arXiv 1806.07366, 1810.01367).

    Hutchinson's tr J = E[e^T J e] is unbiased for ln p, not for p: one sample's score stays a bound with it, but the
    mean of several samples' p needs the trace itself.
    """

    Config: ClassVar[type[CNFConfig]] = CNFConfig
    preset: ClassVar = {**Flow.preset, "epochs": 6}
    config: CNFConfig

    def _transforms(self) -> Layers:
        return continuous(self.embedding.features, self.config)

    def train(self, mode: bool = True) -> CNF:
        """Training mode with the tolerance of training, or evaluation mode with that of scores."""
        super().train(mode)
        for transform in self.transform.transforms:
            if isinstance(transform, FFJTransform):
                transform.atol = transform.rtol = self.config.tolerance if mode else self.config.score_tolerance
        return self

    def log_density(self, points: Tensor) -> Tensor:
        """ln p(u): (batch, F) to (batch,)."""
        averages_p = not self.training and self.config.importance_samples > 1
        for transform in self.transform.transforms:
            transform.exact = averages_p or self.config.trace == "exact"
        return super().log_density(points)
