"""What every flow is: an invertible map of embedded records, a bound on ln P(a) or ln P(a) itself, and samples.

A flow is an invertible map f from the embedded record u to z, whose coordinates are independent and
logistic: ln p(u) = sum_i ln s(z_i) + ln|det df/du|, s(z) = exp(-z) / (1 + exp(-z))^2. Its identity is
the uniform distribution of records. Transforms of a coordinate are zuko's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn import functional
from zuko.lazy import LazyComposedTransform

from qtomo.config import Config
from qtomo.distribution import Likelihood, Outcomes
from qtomo.errors import Code, InputError
from qtomo.models.base import Model
from qtomo.models.embeddings import Embedding, EmbeddingName, log_logistic, logistic
from qtomo.models.findings import Finding, FindingKind, Severity
from qtomo.models.flows.conditioners import Conditioner
from qtomo.models.flows.window import Window
from qtomo.statistics.estimate import sample_mean

__all__ = ["ConditionedConfig", "Flow", "FlowConfig", "Layers", "split"]

Layers = Iterator[nn.Module]

_WINDOW_RATE = 3.0
_ROUNDING = 1e-5  # nats per record by which a flow and its window may differ for nothing


class FlowConfig(Config):
    """Settings of a flow."""

    #: Transforms in a row; 0 leaves the window alone.
    transforms: int = Field(4, ge=0)
    #: Units of each hidden layer of each network.
    hidden_size: int = Field(128, ge=1)
    #: Hidden layers of each network.
    layers: int = Field(2, ge=1)
    #: How labels become numbers; see `qtomo.models.embeddings.Embedding`.
    embedding: EmbeddingName = "binary"
    #: Points of a record's cell that its score averages over; the bound tightens with more.
    importance_samples: int = Field(16, ge=1)
    #: Sites before its own that shift a coordinate before the family's transforms; 0 leaves the shift out.
    window: int = Field(4, ge=0)

    @field_validator("window")
    @classmethod
    def _something(cls, value: int, info: ValidationInfo) -> int:
        if value == 0 and info.data.get("transforms") == 0:
            raise ValueError("expected 1 or more where transforms is 0")
        return value


class ConditionedConfig(FlowConfig):
    """Settings of a flow whose transforms of some coordinates depend on others."""

    #: What a transform's network reads of a coordinate x: `smooth` is tanh(b x) with learned b, `sign` its sign.
    conditioner: Conditioner = "smooth"


def split(numbers: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
    """Arguments of a map, side by side in the last axis, one by one; a size of 0 is a number without an axis."""
    parts = torch.split(numbers, [max(1, size) for size in sizes], dim=-1)
    return [part if size else part[..., 0] for part, size in zip(parts, sizes, strict=True)]


class Flow(Model):
    """Any flow: a subclass says which transforms in a row take u to z.

    The likelihood is a lower bound. It is exact where z_i crosses from cell to cell at a wall that depends on the cells
    of the coordinates before and on nothing else: for a window alone, and for one autoregression that reads signs; of
    the binary embedding with as many outcomes as codes.
    """

    Config: ClassVar[type[FlowConfig]] = FlowConfig
    config: FlowConfig
    likelihood: Likelihood = "lower_bound"
    preset: ClassVar = {"learning_rate": 3e-3, "averaging": 0.999, "epochs": 30}
    #: Whether the first transform takes the window into itself; otherwise the window goes before.
    window_inside: ClassVar[bool] = False

    def __init__(self, n_sites: int, n_outcomes: int, config: FlowConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        self.embedding = Embedding(n_sites, n_outcomes, config.embedding, [config.hidden_size] * config.layers)
        self.transform = LazyComposedTransform(*self._layers())
        if self._walls(torch.zeros(1, self.embedding.features)) is not None:
            self.likelihood = "exact"
            self.embedding.noise = None

    def learning_rate_scale(self, name: str) -> float:
        """A window before the transforms learns faster than they do: its loss has no noise."""
        own = not self.window_inside and self.config.window and name.startswith("transform.transforms.0.")
        return _WINDOW_RATE if own else 1.0

    def _layers(self) -> Layers:
        window = None if self.window_inside and self.config.transforms else self._window()
        if window is not None:
            yield window
        yield from self._transforms()

    def _window(self) -> Window | None:
        if not self.config.window:
            return None
        reach = (self.config.window + 1) * self.embedding.shape[1] - 1
        return Window(self.embedding.features, reach, self.config.hidden_size)

    def _transforms(self) -> Layers:
        raise NotImplementedError

    def loss(self, outcomes: Tensor) -> Tensor:
        """Mean negative log-likelihood where it is exact; else of -ln p(u)/q(u|a), above it on average, one u each.

        A window before the transforms learns from its own exact likelihood alone, so that it ends as it would without
        them and they can only add to it. The value is the bound's; its gradient has both parts.
        """
        if self.likelihood == "exact":
            return -self._log_prob(outcomes).mean()
        window = self._own_window()
        if window is None or self.window_inside or not self._bits_are_records():
            return -self._log_weights(outcomes).mean()
        own = -self.window_log_prob(outcomes).mean()
        with _frozen(window):
            return own - own.detach() - self._log_weights(outcomes).mean()

    def validation_loss(self, outcomes: Tensor) -> Tensor:
        """Mean of what scores are, with as many samples."""
        return -self._log_prob(outcomes).mean()

    def log_density(self, points: Tensor) -> Tensor:
        """ln p(u): (batch, F) to (batch,)."""
        z, ladj = self.transform().call_and_ladj(points)
        density: Tensor = log_logistic(z).sum(dim=-1) + ladj
        return density

    def window_log_prob(self, outcomes: Tensor) -> Tensor:
        """ln P of the window of this flow with the identity after it: (batch, N) to (batch,).

        Raises:
            InputError: no window, or an embedding whose cells it does not tell apart exactly.
        """
        window = self._own_window()
        if window is None or not self._bits_are_records():
            raise InputError(
                Code.UNSUPPORTED,
                "the window alone has a likelihood with window > 0, the binary embedding and 2^n outcomes",
            )
        signs = self.embedding.signs(outcomes)
        return _chain_log_prob(window.shifts(signs), signs)

    def diagnose(self, outcomes: Outcomes, level: float = 0.95) -> tuple[Finding, ...]:
        """What the transforms gain over the window, record by record, where a window goes before them.

        Raises:
            InputError: records that do not fit the model, or fewer than 2.
        """
        if self.window_inside or not self.config.transforms or not self.config.window or not self._bits_are_records():
            return ()
        gains = self.log_prob(outcomes) - self.by_record(outcomes, self.window_log_prob)
        gain = sample_mean(gains, level, "mean over records, Student interval")
        if gain.low > _ROUNDING:
            return (Finding(FindingKind.GAIN_OVER_WINDOW, gain, f"The flow gains {gain} nats over its window alone."),)
        says = f"The flow does not do better than its window alone ({gain} nats)."
        return (Finding(FindingKind.GAIN_OVER_WINDOW, gain, says, Severity.COLLAPSED),)

    def _own_window(self) -> Window | None:
        return next((module for module in self.transform.modules() if isinstance(module, Window)), None)

    def _bits_are_records(self) -> bool:
        return self.config.embedding == "binary" and self.n_outcomes == 2 ** self.embedding.shape[1]

    def _walls(self, signs: Tensor) -> Tensor | None:
        """Where each z_i crosses from cell to cell, given the cells; None where that depends on more than these."""
        layers = list(self.transform.transforms)
        if len(layers) != 1 or not self._bits_are_records():
            return None
        if isinstance(layers[0], Window):
            return layers[0].shifts(signs)
        return self._transform_walls(layers[0], signs)

    def _transform_walls(self, _transform: nn.Module, _signs: Tensor) -> Tensor | None:
        """The walls of the family's only transform, where they depend on the cells and no more."""
        return None

    def _points(self, outcomes: Tensor) -> tuple[Tensor, Tensor]:
        """A point of each record's cell and ln q there; the noise starts as what the window alone makes best."""
        window, means = self._own_window(), None
        if window is not None and self.config.embedding == "binary":
            signs = self.embedding.signs(outcomes)
            means = _noise_means(window.shifts(signs), signs)
        points: tuple[Tensor, Tensor] = self.embedding(outcomes, means)
        return points

    def _log_weights(self, outcomes: Tensor) -> Tensor:
        points, log_q = self._points(outcomes)
        return self.log_density(points) - log_q

    def _log_prob(self, outcomes: Tensor) -> Tensor:
        """ln P(a), or ln of the mean of S weights p(u)/q(u|a), at most ln P(a) on average (IWAE, arXiv 1509.00519)."""
        if self.likelihood == "exact":
            signs = self.embedding.signs(outcomes)
            walls = self._walls(signs)
            assert walls is not None
            return _chain_log_prob(walls, signs)
        samples = self.config.importance_samples
        weights = torch.stack([self._log_weights(outcomes).double() for _ in range(samples)])
        return weights.logsumexp(dim=0) - math.log(samples)

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(n, self.embedding.features, generator=generator, device=self.device)
        points: Tensor = self.transform().inv(logistic(uniform))
        return self.embedding.read(points)


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """The block computes with the module's weights as constants."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def _chain_log_prob(walls: Tensor, signs: Tensor) -> Tensor:
    """Sum of ln P(z_i on the side that its sign says) of logistic z_i: (batch, F) twice to (batch,)."""
    return functional.logsigmoid(-signs * walls).sum(dim=-1)


def _noise_means(walls: Tensor, signs: Tensor) -> Tensor:
    """Means of the noise with which u_i is a logistic variable of mean -wall_i, given its sign: (batch, F).

    Of the upper half x = (1 + t)/2, t = sigmoid(e + c): (sigmoid(u - m) - sigmoid(-m)) / sigmoid(m) = sigmoid(e) has
    the solution c = ln((1 + exp m)/2).
    """
    return signs * (functional.softplus(-signs * walls) - math.log(2))
