"""Autoregressive flows: each coordinate is transformed by a network of the ones before it."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import AffineTransform, SigmoidTransform, Transform, constraints
from torch.nn import functional
from zuko.lazy import LazyInverse, UnconditionalTransform
from zuko.transforms import (
    ComposedTransform,
    DependentTransform,
    MonotonicAffineTransform,
    MonotonicRQSTransform,
    PermutationTransform,
)

from qtomo.models.flows.base import ConditionedConfig, Flow, Layers, split
from qtomo.models.flows.conditioners import Conditioner, Convolutions, reader
from qtomo.models.flows.window import Window

__all__ = ["IAF", "MAF", "NSF", "Autoregression", "IAFConfig", "MAFConfig", "NSFConfig"]


class Autoregression(nn.Module):
    """z_i = g(u_i; m(u_<i)) + w_i, with the shift w of a window where there is one.

    A causal convolution gives m of all coordinates in one pass; the inverse walks along them and keeps what later ones
    need, for the work of one pass.

    Args:
        features: F, the number of coordinates.
        config: the settings of the network m.
        univariate: the map g of a coordinate, from its numbers.
        sizes: how many numbers each of g's arguments is; a number of its own counts 0.
        window: gives w.
    """

    def __init__(
        self,
        features: int,
        config: AutoregressiveConfig,
        univariate: Any = MonotonicAffineTransform,
        sizes: tuple[int, ...] = (0, 0),
        window: Window | None = None,
    ) -> None:
        super().__init__()
        self.univariate, self.sizes, self.window = univariate, sizes, window
        self.reader = reader(config.conditioner, features)
        numbers = sum(max(1, size) for size in sizes)
        self.network = Convolutions(features, 1, numbers, config.channels)

    def forward(self, _context: Tensor | None = None) -> Transform:
        """The transform; it depends on no context."""
        return _Causal(self)

    def walls(self, signs: Tensor) -> Tensor:
        """z_i at u_i = 0, where the coordinates before have these signs and the network reads no more: (batch, F)."""
        walls: Tensor = self.maps(signs)(torch.zeros_like(signs))
        return walls + self.shifts(signs)

    def maps(self, x: Tensor) -> Any:
        """g of all coordinates given them, (batch, F)."""
        numbers, _ = self.network(functional.pad(self.reader(x), (1, 0))[..., :-1, None])
        return self._map(numbers)

    def shifts(self, x: Tensor) -> Tensor:
        """w of all coordinates given them: (batch, F) to (batch, F)."""
        return torch.zeros_like(x) if self.window is None else self.window.shifts(torch.sign(x))

    def invert(self, z: Tensor) -> Tensor:
        """u of z, coordinate after coordinate: (batch, F) to (batch, F)."""
        reach = self.window.reach if self.window is not None else 0
        signs = functional.pad(torch.zeros_like(z), (reach, 0))
        found: list[Tensor] = []
        before, past = torch.zeros_like(z[:, :1]), self.network.start(len(z))
        for i in range(z.shape[-1]):
            numbers, past = self.network(before[..., None], past, i)
            shift = 0 if self.window is None else self.window.shift(signs[:, i : i + reach], i)[:, None]
            found.append(self._map(numbers).inv(z[:, i : i + 1] - shift))
            before = self.reader(found[-1], i)
            if reach:
                signs[:, reach + i] = torch.sign(found[-1][:, 0])
        return torch.cat(found, dim=1)

    def _map(self, numbers: Tensor) -> Any:
        return DependentTransform(self.univariate(*split(numbers, self.sizes)), 1)


class _Causal(Transform):
    domain = codomain = constraints.real_vector
    bijective = True

    def __init__(self, module: Autoregression) -> None:
        super().__init__()
        self.module = module

    def _call(self, x: Tensor) -> Tensor:
        y: Tensor = self.module.maps(x)(x) + self.module.shifts(x)
        return y

    def _inverse(self, y: Tensor) -> Tensor:
        return self.module.invert(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.call_and_ladj(x)[1]

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and ln|det dz/du|, which the shifts by earlier coordinates leave alone."""
        y, ladj = self.module.maps(x).call_and_ladj(x)
        return y + self.module.shifts(x), ladj


def autoregressions(
    features: int,
    config: AutoregressiveConfig,
    univariate: Any = MonotonicAffineTransform,
    sizes: tuple[int, ...] = (0, 0),
    window: Window | None = None,
) -> Layers:
    """Autoregressions, as `Autoregression`, every second one in reverse order; the first takes the window."""
    backwards = torch.arange(features).flip(0)
    for index in range(config.transforms):
        if index:
            yield UnconditionalTransform(PermutationTransform, backwards, buffer=True)
        yield Autoregression(features, config, univariate, sizes, None if index else window)


class _SignsOnly(Flow):
    """An autoregressive flow, whose one transform may read signs and nothing else."""

    config: ConditionedConfig
    window_inside = True

    def _transform_walls(self, transform: nn.Module, signs: Tensor) -> Tensor | None:
        if self.config.conditioner == "sign" and isinstance(transform, Autoregression):
            return transform.walls(signs)
        return None


class AutoregressiveConfig(ConditionedConfig):
    """Settings of an autoregressive flow."""

    transforms: int = Field(1, ge=0)
    #: Channels of each layer of each network of the transforms.
    channels: int = Field(32, ge=1)


class MAFConfig(AutoregressiveConfig):
    """Settings of an autoregressive flow.

    With one transform and `sign`, P(a) is a product of one conditional probability a coordinate, each given
    the cells of the coordinates before it, and the likelihood is exact.
    """

    conditioner: Conditioner = "sign"


class MAF(_SignsOnly):
    """Affine autoregression z_i = u_i exp(s(u_<i)) + t(u_<i) (Papamakarios et al. 2017, arXiv 1705.07057)."""

    Config: ClassVar[type[MAFConfig]] = MAFConfig
    preset: ClassVar = {"learning_rate": 5e-3, "batch_size": 100, "averaging": 0.999}
    config: MAFConfig

    def _transforms(self) -> Layers:
        return autoregressions(self.embedding.features, self.config, window=self._window())


class IAFConfig(AutoregressiveConfig):
    """Settings of an inverse autoregressive flow."""


class IAF(Flow):
    """A MAF turned round, u_i = z_i exp(s(z_<i)) + t(z_<i) (Kingma et al. 2016, arXiv 1606.04934).

    Sampling takes one pass of the network; a density walks along the coordinates.
    """

    Config: ClassVar[type[IAFConfig]] = IAFConfig
    preset: ClassVar = {**Flow.preset, "epochs": 10}
    config: IAFConfig

    def _transforms(self) -> Layers:
        for transform in autoregressions(self.embedding.features, self.config):
            yield LazyInverse(transform)


class NSFConfig(AutoregressiveConfig):
    """Settings of a neural spline flow."""

    #: Bins of each spline.
    bins: int = Field(8, ge=2)


def spline(*numbers: Tensor) -> Transform:
    """A spline of x = 2 / (1 + exp(-u)) - 1 on [-1, 1], where the logistic distribution is the uniform one."""
    box = ComposedTransform(SigmoidTransform(), AffineTransform(-1.0, 2.0))
    spline: Transform = ComposedTransform(box, MonotonicRQSTransform(*numbers, bound=1.0), box.inv)
    return spline


class NSF(_SignsOnly):
    """Autoregressive rational-quadratic splines (Durkan et al. 2019, arXiv 1906.04032)."""

    Config: ClassVar[type[NSFConfig]] = NSFConfig
    preset: ClassVar = {**Flow.preset, "epochs": 10}
    config: NSFConfig

    def _transforms(self) -> Layers:
        bins = self.config.bins
        sizes = (bins, bins, bins - 1)
        return autoregressions(self.embedding.features, self.config, spline, sizes, window=self._window())
