"""Normalizing flows over embedded records: a bound on ln P(a), and samples.

A flow is an invertible map f from the embedded record u to z, whose coordinates are independent and
logistic: ln p(u) = sum_i ln s(z_i) + ln|det df/du|, s(z) = exp(-z) / (1 + exp(-z))^2. Its identity is
the uniform distribution of records. The transforms are zuko's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import AffineTransform, SigmoidTransform, Transform, constraints
from torch.nn import functional
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.flows.continuous import FFJTransform
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.lazy import LazyComposedTransform, UnconditionalTransform
from zuko.transforms import (
    AdditiveTransform,
    ComposedTransform,
    DependentTransform,
    LULinearTransform,
    MonotonicAffineTransform,
    MonotonicRQSTransform,
    PermutationTransform,
)

from qtomo.config import Config
from qtomo.models.base import Model
from qtomo.models.embeddings import Embedding, EmbeddingName, log_logistic, logistic

__all__ = [
    "CNF",
    "IAF",
    "MAF",
    "NICE",
    "NSF",
    "CNFConfig",
    "ConditionedConfig",
    "FlowConfig",
    "Glow",
    "IAFConfig",
    "MAFConfig",
    "NSFConfig",
    "RealNVP",
]

_Shapes = tuple[tuple[int, ...], ...]  # of the numbers a univariate map takes a coordinate
_Layers = Iterator[nn.Module]


class FlowConfig(Config):
    """Settings of a flow."""

    #: Transforms in a row.
    transforms: int = Field(4, ge=1)
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


class ConditionedConfig(FlowConfig):
    """Settings of a flow whose transforms of some coordinates depend on others."""

    #: What a conditioner's network reads of a coordinate x: `smooth` is tanh(b x) with learned b, `sign` its sign.
    conditioner: Literal["smooth", "sign"] = "smooth"


class _Smooth(nn.Module):
    """tanh(b x), from near linear to near the sign, as each coordinate's learned b says."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.log_steepness = nn.Parameter(torch.full((features,), math.log(3.0)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x * self.log_steepness.exp())


class _Sign(nn.Module):
    """The sign: which half of its axis a coordinate is in, and no more."""

    def __init__(self, _: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return torch.sign(x)


_CONDITIONERS = {"smooth": _Smooth, "sign": _Sign}


class _Shift(Transform):
    """y_i = x_i + m_i(signs of the coordinates from i - reach to i - 1), which keeps volume."""

    domain = codomain = constraints.real_vector
    bijective = True

    def __init__(self, window: _Window) -> None:
        super().__init__()
        self.window = window

    def _call(self, x: Tensor) -> Tensor:
        reach, features = self.window.reach, x.shape[-1]
        before = functional.pad(torch.sign(x), (reach, 0)).unfold(-1, reach, 1)[..., :features, :]
        return x + self.window.shifts(before, self.window.coordinates)

    def _inverse(self, y: Tensor) -> Tensor:
        reach = self.window.reach
        signs, found = functional.pad(torch.zeros_like(y), (reach, 0)), []
        for i, coordinate in enumerate(self.window.coordinates):
            before = signs[..., None, i : i + reach]
            found.append(y[..., i] - self.window.shifts(before, coordinate[None])[..., 0])
            signs[..., reach + i] = torch.sign(found[-1])
        return torch.stack(found, dim=-1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-1])


class _Window(nn.Module):
    """The network of a `_Shift`. With the identity after it, P(a) is a Markov chain of the binary embedding's bits.

    Couplings and mixings of all coordinates start far from such a chain, which the records of a chain of qubits are
    near to; from here on they learn what reaches further.
    """

    def __init__(self, features: int, reach: int, hidden_size: int) -> None:
        super().__init__()
        self.reach = reach
        self.coordinates = nn.Parameter(0.1 * torch.randn(features, 8))
        self.network = nn.Sequential(nn.Linear(reach + 8, hidden_size), nn.SiLU(), nn.Linear(hidden_size, 1))

    def forward(self, _context: Tensor | None = None) -> _Shift:
        return _Shift(self)

    def shifts(self, before: Tensor, coordinates: Tensor) -> Tensor:
        """Signs (batch, coordinates, reach) and a vector a coordinate to shifts (batch, coordinates)."""
        read = torch.cat([before, coordinates.expand(*before.shape[:-1], -1)], dim=-1)
        shifts: Tensor = self.network(read)[..., 0]
        return shifts


class _Flow(Model):
    """Any flow: a subclass says which transforms in a row take u to z, after the shift by a window."""

    Config: ClassVar[type[FlowConfig]] = FlowConfig
    config: FlowConfig
    likelihood = "lower_bound"

    def __init__(self, n_sites: int, n_outcomes: int, config: FlowConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        self.hidden = [config.hidden_size or max(48, 4 * n_sites)] * config.layers
        self.embedding = Embedding(n_sites, n_outcomes, config.embedding, self.hidden)
        self.transform = LazyComposedTransform(*self._shift(), *self._transforms())

    def _shift(self) -> _Layers:
        if self.config.window:
            width = self.embedding.shape[1]
            yield _Window(self.embedding.features, (self.config.window + 1) * width - 1, self.hidden[0])

    def _transforms(self) -> _Layers:
        raise NotImplementedError

    def loss(self, outcomes: Tensor) -> Tensor:
        """Mean of -ln p(u)/q(u|a) with one u a record: an upper bound on the negative log-likelihood."""
        return -self._log_weights(outcomes).mean()

    def log_density(self, points: Tensor) -> Tensor:
        """ln p(u): (batch, F) to (batch,)."""
        z, ladj = self.transform().call_and_ladj(points)
        density: Tensor = log_logistic(z).sum(dim=-1) + ladj
        return density

    def _log_weights(self, outcomes: Tensor) -> Tensor:
        points, log_q = self.embedding(outcomes)
        weights: Tensor = self.log_density(points) - log_q
        return weights

    def _log_prob(self, outcomes: Tensor) -> Tensor:
        """ln of the mean of S weights p(u)/q(u|a), at most ln P(a) on average (IWAE, arXiv 1509.00519)."""
        samples = self.config.importance_samples
        weights = torch.stack([self._log_weights(outcomes).double() for _ in range(samples)])
        return weights.logsumexp(dim=0) - math.log(samples)

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(n, self.embedding.features, generator=generator, device=self.device)
        points: Tensor = self.transform().inv(logistic(uniform))
        return self.embedding.read(points)


class _Conditioned(_Flow):
    """A flow of couplings or autoregressions."""

    Config: ClassVar[type[FlowConfig]] = ConditionedConfig
    config: ConditionedConfig


def _conditioned(transform: nn.Module, conditioner: str) -> nn.Module:
    """The transform, its network reading what `conditioner` says."""
    network = getattr(transform, "hyper", None)
    if isinstance(network, nn.Module):  # a lone coordinate is conditioned on nothing
        reader = _CONDITIONERS[conditioner](network.in_features)  # type: ignore[arg-type]
        transform.hyper = nn.Sequential(reader, network)
    return transform


def _couplings(flow: _Conditioned, univariate: Any = MonotonicAffineTransform, shapes: _Shapes = ((), ())) -> _Layers:
    """Couplings y_1 = x_1, y_2 = g(x_2; m(x_1)): first sites, then coordinates, take turns in being x_1."""
    coordinate = torch.arange(flow.embedding.features)
    site = coordinate // flow.embedding.shape[1]
    for index in range(flow.config.transforms):
        turn = site if index // 2 % 2 == 0 and flow.n_sites > 1 else coordinate
        coupling = GeneralCouplingTransform(
            len(coordinate),
            mask=turn % 2 == index % 2,
            univariate=univariate,
            shapes=shapes,
            hidden_features=flow.hidden,
            activation=nn.SiLU,
        )
        yield _conditioned(coupling, flow.config.conditioner)


def _autoregressions(
    flow: _Conditioned, univariate: Any = MonotonicAffineTransform, shapes: _Shapes = ((), ())
) -> _Layers:
    """Maps z_i = g(u_i; m(u_<i)), every second one in reverse order."""
    order = torch.arange(flow.embedding.features)
    for index in range(flow.config.transforms):
        autoregression = MaskedAutoregressiveTransform(
            len(order),
            order=order.flip(0) if index % 2 else order,
            univariate=univariate,
            shapes=shapes,
            hidden_features=flow.hidden,
            activation=nn.SiLU,
        )
        yield _conditioned(autoregression, flow.config.conditioner)


class NICE(_Conditioned):
    """Additive couplings y_2 = x_2 + m(x_1), which keep volume (Dinh, Krueger, Bengio 2014, arXiv 1410.8516)."""

    preset: ClassVar = {"epochs": 30}

    def _transforms(self) -> _Layers:
        return _couplings(self, AdditiveTransform, ((),))


class RealNVP(_Conditioned):
    """Affine couplings y_2 = x_2 exp(s(x_1)) + t(x_1) (Dinh, Sohl-Dickstein, Bengio 2016, arXiv 1605.08803)."""

    preset: ClassVar = {"epochs": 30}

    def _transforms(self) -> _Layers:
        return _couplings(self)


def _actnorm(shift: Tensor, log_scale: Tensor) -> DependentTransform:
    return DependentTransform(AffineTransform(shift, log_scale.exp()), 1)


def _mixing(steps: Tensor) -> Transform:
    """x -> L U x, the identity for steps (F, F) of zero; F of them move a coordinate as far as one step of its own."""
    mixing: Transform = LULinearTransform(torch.eye(len(steps)).to(steps) + steps / len(steps))
    return mixing


class Glow(_Conditioned):
    """Actnorm, mixing x -> L U P x, affine coupling (Kingma, Dhariwal 2018, arXiv 1807.03039).

    Where Glow mixes the channels of a pixel, all coordinates are mixed here; P is a fixed permutation.
    """

    preset: ClassVar = {"epochs": 30}

    initialised: Tensor

    def __init__(self, n_sites: int, n_outcomes: int, config: FlowConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        self.register_buffer("initialised", torch.tensor(False))

    def _transforms(self) -> _Layers:
        features = self.embedding.features
        for coupling in _couplings(self):
            yield UnconditionalTransform(_actnorm, shift=torch.zeros(features), log_scale=torch.zeros(features))
            yield UnconditionalTransform(PermutationTransform, torch.randperm(features), buffer=True)
            yield UnconditionalTransform(_mixing, steps=torch.zeros(features, features))
            yield coupling

    def loss(self, outcomes: Tensor) -> Tensor:
        """As for every flow; the first in training lets each actnorm standardise its batch (section 3.1)."""
        if self.training and not self.initialised:
            self.start_from(outcomes)
        return super().loss(outcomes)

    @torch.no_grad()
    def start_from(self, outcomes: Tensor) -> None:
        """Let each actnorm standardise what it reads of a batch."""
        points, _ = self.embedding(outcomes)
        for layer in self.transform.transforms:
            if getattr(layer, "f", None) is _actnorm:
                spread = points.std(dim=0, correction=0).clamp_min(1e-2)
                layer.log_scale.copy_(-spread.log())
                layer.shift.copy_(-points.mean(dim=0) / spread)
            points = layer()(points)
        self.initialised.fill_(True)


class MAFConfig(ConditionedConfig):
    """Settings of an autoregressive flow.

    With one transform and `sign`, P(a) is a product of one conditional probability a coordinate, each given
    the cells of the coordinates before it.
    """

    transforms: int = Field(1, ge=1)
    #: Units of each hidden layer of each network; 0 is 4 a site and at least 48: a masked network shares them out
    #: over the coordinates.
    hidden_size: int = Field(0, ge=0)
    conditioner: Literal["smooth", "sign"] = "sign"
    #: A window adds nothing to a network that sees every coordinate before.
    window: int = Field(0, ge=0)


class MAF(_Conditioned):
    """Affine autoregression z_i = u_i exp(s(u_<i)) + t(u_<i) (Papamakarios et al. 2017, arXiv 1705.07057)."""

    Config = MAFConfig
    preset: ClassVar = {"batch_size": 500, "epochs": 40}

    def _transforms(self) -> _Layers:
        return _autoregressions(self)


class IAFConfig(ConditionedConfig):
    """Settings of an inverse autoregressive flow."""

    transforms: int = Field(1, ge=1)


class IAF(_Conditioned):
    """A MAF turned round, u_i = z_i exp(s(z_<i)) + t(z_<i) (Kingma et al. 2016, arXiv 1606.04934).

    Sampling takes one pass of the network, a density as many as there are coordinates.
    """

    Config = IAFConfig
    preset: ClassVar = {"epochs": 10}

    def _transforms(self) -> _Layers:
        for transform in _autoregressions(self):
            yield transform.inv  # type: ignore[misc]


class NSFConfig(MAFConfig):
    """Settings of a neural spline flow."""

    #: Bins of each spline.
    bins: int = Field(8, ge=2)
    window: int = Field(4, ge=0)


def _to_box() -> DependentTransform:
    """R^F to [-1, 1]^F, the logistic distribution to the uniform one."""
    return DependentTransform(ComposedTransform(SigmoidTransform(), AffineTransform(-1.0, 2.0)), 1)


class NSF(_Conditioned):
    """Autoregressive rational-quadratic splines, on the box x = 2 / (1 + exp(-u)) - 1 (arXiv 1906.04032)."""

    Config = NSFConfig
    preset: ClassVar = {"batch_size": 500, "epochs": 40}
    config: NSFConfig

    def _transforms(self) -> _Layers:
        bins, g = self.config.bins, partial(MonotonicRQSTransform, bound=1.0)
        box = UnconditionalTransform(_to_box)
        yield box
        yield from _autoregressions(self, g, ((bins,), (bins,), (bins - 1,)))
        yield box.inv


class CNFConfig(FlowConfig):
    """Settings of a continuous flow."""

    transforms: int = Field(1, ge=1)
    importance_samples: int = Field(1, ge=1)
    #: The trace of the Jacobian: summed, or Hutchinson's estimate. Scores of several samples always sum it.
    trace: Literal["exact", "hutchinson"] = "hutchinson"
    #: Error of a step of the integrator, absolute and relative.
    tolerance: float = Field(1e-3, gt=0)


class CNF(_Flow):
    """du/dt = f(u, t) from u at 0 to z at 1, ln|det dz/du| = integral of tr df/du (arXiv 1806.07366, 1810.01367).

    Hutchinson's tr J = E[e^T J e] is unbiased for ln p, not for p: one sample's score stays a bound with it, but the
    mean of several samples' p needs the trace itself.
    """

    Config = CNFConfig
    preset: ClassVar = {"epochs": 6}
    config: CNFConfig

    def _transforms(self) -> _Layers:
        tolerance = self.config.tolerance
        for _ in range(self.config.transforms):
            flow = FFJTransform(self.embedding.features, atol=tolerance, rtol=tolerance, hidden_features=self.hidden)
            for last in flow.ode[-1].parameters():  # starts as the identity: with a window, as a Markov chain
                nn.init.zeros_(last)
            yield flow

    def log_density(self, points: Tensor) -> Tensor:
        """ln p(u): (batch, F) to (batch,)."""
        averages_p = not self.training and self.config.importance_samples > 1
        for transform in self.transform.transforms:
            transform.exact = averages_p or self.config.trace == "exact"
        return super().log_density(points)
