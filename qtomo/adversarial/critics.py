"""Critics trained against a generator that stays as it is: what clipping and the gradient penalty make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from qtomo.adversarial.gan import NonFiniteError, critic_update, mlp
from qtomo.adversarial.losses import AdversarialLoss, find_loss
from qtomo.adversarial.penalties import find_penalty, input_gradients
from qtomo.adversarial.toys import Sampler
from qtomo.adversarial.wasserstein import DualEstimate, dual_estimate, exact_w1
from qtomo.config import Config
from qtomo.errors import Code, InputError
from qtomo.seeds import stream, torch_generator

__all__ = [
    "CriticSettings",
    "CriticStudy",
    "layer_gradient_norms",
    "noisy",
    "sample_slopes",
    "share_at_bounds",
    "study_critic",
    "train_critic",
    "value_surface",
]


class CriticSettings(Config):
    """How a critic alone is made and trained.

    Args:
        loss: a name of `LOSSES`.
        penalty: a name of `PENALTIES`.
        strength: of the penalty, see `find_penalty`.
        steps: of Adam.
        batch_size: real samples, and fake ones, a step.
        learning_rate: of Adam, going to zero on a straight line over the second half.
        hidden_size: width of the hidden layers.
        hidden_layers: number of hidden layers.
        leak: of their ReLU, see `mlp`. Where weights are clipped, many plain ReLU die and leave theirs inside the
            bounds.
    """

    loss: str = "wasserstein"
    penalty: str = "gradient_penalty"
    strength: float = 10.0
    steps: int = Field(default=1000, ge=1)
    batch_size: int = Field(default=256, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    hidden_size: int = Field(default=64, ge=1)
    hidden_layers: int = Field(default=3, ge=1)
    leak: float = Field(default=0.2, ge=0, lt=1)


@dataclass(frozen=True)
class CriticStudy:
    """What became of a critic.

    Args:
        dual: its estimate of W1.
        w1: the exact distance of as many samples as an assignment takes.
        gradient_norms: mean norm of the loss's gradient at each hidden layer, from the input on.
        at_bounds: share of the weights within 10 % of the largest (of the bound, under clipping).
        at_bounds_before: the same before training.
        weights: all entries of the layers' matrices.
        surface: the critic's values on a grid (rows y, columns x), less their mean.
        extent: of the grid: from -extent to extent in both directions.
    """

    dual: DualEstimate
    w1: float
    gradient_norms: NDArray[np.float64]
    at_bounds: float
    at_bounds_before: float
    weights: NDArray[np.float64]
    surface: NDArray[np.float64]
    extent: float

    @property
    def decades(self) -> float:
        """Decades that the gradient norms span: log10 of the largest over the smallest."""
        return float(np.ptp(np.log10(self.gradient_norms)))

    @property
    def captured(self) -> float:
        """Share of W1 that the critic finds, once divided by its largest slope; 0 for one that is flat."""
        return self.dual.value / self.dual.steepest / self.w1 if self.dual.value else 0.0


def noisy(sampler: Sampler, noise: float = 1.0) -> Sampler:
    """The fixed generator of the study: real samples plus Gaussian noise (arXiv 1704.00028, section 3)."""

    def sample(n: int, generator: torch.Generator) -> Tensor:
        clean = sampler(n, generator)
        return clean + noise * torch.randn(clean.shape, generator=generator)

    return sample


def _new_critic(settings: CriticSettings, size: int, seed: int) -> nn.Sequential:
    """The critic before training, prepared by its penalty."""
    penalty = find_penalty(settings.penalty, settings.strength)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(seed, "critic weights").integers(2**63)))
        critic = mlp(size, 1, settings.hidden_size, settings.hidden_layers, settings.leak)
        penalty.prepare(critic)
    return critic


def train_critic(real: Sampler, fake: Sampler, settings: Mapping[str, Any], seed: int) -> nn.Sequential:
    """A critic of two fixed distributions; the same numbers for the same seed.

    Args:
        real: draws n samples (n, D) of P.
        fake: draws them of Q.
        settings: fields of `CriticSettings`.
        seed: of weights and batches.

    Raises:
        InputError: an unknown or bad setting, or numbers that stop being finite (says at which step).
    """
    given = CriticSettings.parse(settings, "critic")
    loss, penalty = find_loss(given.loss), find_penalty(given.penalty, given.strength)
    random = torch_generator(stream(seed, "critic"))
    critic = _new_critic(given, real(1, random).shape[1], seed)
    # Clipped deep critics start with gradients far below Adam's usual eps, which would freeze their first layers.
    optimizer = torch.optim.Adam(critic.parameters(), given.learning_rate, (0.5, 0.9), eps=1e-16, fused=True)
    for step in range(given.steps):
        optimizer.param_groups[0]["lr"] = given.learning_rate * min(1.0, 2 * (1 - step / given.steps))
        batches = real(given.batch_size, random), fake(given.batch_size, random)
        try:
            critic_update(critic, optimizer, loss, penalty, *batches, generator=random)
        except NonFiniteError:
            raise InputError(
                Code.DIVERGED, f"critic: loss or gradient not finite at step {step + 1}; lower the rate"
            ) from None
    return critic.eval()


def layer_gradient_norms(
    critic: nn.Sequential, loss: AdversarialLoss, real: Tensor, fake: Tensor
) -> NDArray[np.float64]:
    """The mean over samples of |d loss/d activation| at each hidden layer's output, for the loss of one sample.

    Args:
        critic: linear layers and activations in turn, as `mlp` makes them.
        loss: whose critic's side is meant.
        real: samples (n, D), as many as
        fake: of these.
    """
    values = torch.cat([real, fake])
    activations = []
    for layer in critic:
        values = layer(values)
        if not isinstance(layer, nn.Linear):
            activations.append(values)
    total = loss.critic(values[: len(real)], values[len(real) :]) * len(real)  # the mean over samples, undone
    gradients = torch.autograd.grad(total, activations)
    return np.array([gradient.double().norm(dim=1).mean().item() for gradient in gradients])


def sample_slopes(critic: nn.Module, loss: AdversarialLoss, fake: Tensor) -> Tensor:
    """|d loss/d sample| (n) of the generator's loss of one sample, at fake samples (n, D): all it can learn from.

    Against a discriminator that tells the two apart the saturating loss leaves nothing (Arjovsky and Bottou 2017,
    arXiv 1701.04862, theorem 2.4 and figure 2).
    """
    slopes: Tensor = input_gradients(lambda x: loss.generator(critic(x)) * len(x), fake).detach().norm(dim=1)
    return slopes


def share_at_bounds(critic: nn.Module, bound: float) -> float:
    """Share of the entries of the layers' matrices that are at least 0.9 of the bound, in size."""
    return float((np.abs(_weights(critic)) >= 0.9 * bound).mean())


def _weights(critic: nn.Module) -> NDArray[np.float64]:
    layers = [layer.weight.detach().flatten() for layer in critic.modules() if isinstance(layer, nn.Linear)]
    return np.asarray(torch.cat(layers), dtype=np.float64)


def value_surface(critic: nn.Module, extent: float, points: int = 101) -> NDArray[np.float64]:
    """The critic's values on a square grid around the origin (rows y, columns x), less their mean."""
    line = torch.linspace(-extent, extent, points)
    y, x = torch.meshgrid(line, line, indexing="ij")
    with torch.no_grad():
        values = critic(torch.stack([x, y], dim=2).reshape(-1, 2)).reshape(points, points).double()
    return np.asarray(values - values.mean())


def study_critic(
    sampler: Sampler, settings: Mapping[str, Any], seed: int, n_exact: int = 1500, extent: float = 3.0
) -> CriticStudy:
    """Trains a critic of two-dimensional samples against the same with unit noise, and measures it.

    Args:
        sampler: draws n real samples (n, 2).
        settings: fields of `CriticSettings`.
        seed: of everything.
        n_exact: samples for the exact distance.
        extent: of the value surface, from -extent to extent.

    Raises:
        InputError: as `train_critic`.
    """
    given = CriticSettings.parse(settings, "critic")
    fixed = noisy(sampler)
    critic = train_critic(sampler, fixed, settings, seed)
    random = torch_generator(stream(seed, "critic study"))
    real, fake = sampler(10_000, random), fixed(10_000, random)
    before, weights = _new_critic(given, 2, seed), _weights(critic)

    def bound(network: nn.Module) -> float:
        return given.strength if given.penalty == "clipping" else float(np.abs(_weights(network)).max())

    return CriticStudy(
        dual=dual_estimate(critic, real, fake, random),
        w1=exact_w1(real[:n_exact], fake[:n_exact]),
        gradient_norms=layer_gradient_norms(critic, find_loss(given.loss), real[:1000], fake[:1000]),
        at_bounds=share_at_bounds(critic, bound(critic)),
        at_bounds_before=share_at_bounds(before, bound(before)),
        weights=weights,
        surface=value_surface(critic, extent),
        extent=extent,
    )
