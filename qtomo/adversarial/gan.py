"""Training of a small generator against a critic, on any distribution that can be sampled."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from qtomo.adversarial.losses import AdversarialLoss, find_loss
from qtomo.adversarial.penalties import Penalty, find_penalty
from qtomo.adversarial.toys import Sampler
from qtomo.config import Config
from qtomo.seeds import stream, torch_generator

__all__ = ["RECIPES", "GanSettings", "NonFiniteError", "TrainedGan", "critic_update", "mlp", "train_gan"]


class GanSettings(Config):
    """How a generator and its critic are made and trained.

    Args:
        loss: a name of `LOSSES`.
        penalty: a name of `PENALTIES`.
        strength: of the penalty: the bound of clipping, lambda of the gradient penalty, gamma of R1.
        n_critic: steps of the critic for each of the generator.
        steps: of the generator.
        batch_size: real samples, and fake ones, a step.
        learning_rate: of Adam, for both sides.
        beta_1: Adam's decay of the mean gradient.
        beta_2: Adam's decay of the mean square.
        decay_from: share of the steps after which the learning rate goes to zero, on a straight line.
        averaging: decay of the exponential moving average of the generator's weights; 0 keeps the last weights.
        latent_size: standard normal numbers that the generator turns into a sample.
        hidden_size: width of both networks' hidden layers.
        hidden_layers: number of both networks' hidden layers.
    """

    loss: str = "non_saturating"
    penalty: str = "r1"
    strength: float = 0.01
    n_critic: int = Field(default=1, ge=1)
    steps: int = Field(default=4000, ge=1)
    batch_size: int = Field(default=256, ge=1)
    learning_rate: float = Field(default=4e-3, gt=0)
    beta_1: float = Field(default=0.0, ge=0, lt=1)
    beta_2: float = Field(default=0.99, ge=0, lt=1)
    decay_from: float = Field(default=0.5, ge=0, le=1)
    averaging: float = Field(default=0.99, ge=0, lt=1)
    latent_size: int = Field(default=2, ge=1)
    hidden_size: int = Field(default=64, ge=1)
    hidden_layers: int = Field(default=3, ge=1)


_LINES = {"steps": 3000, "n_critic": 2, "learning_rate": 2e-3, "beta_1": 0.5, "beta_2": 0.9, "strength": 0.1}

_AHEAD = {"n_critic": 5, "steps": 1000}

#: Settings that train on the toys in a minute or two of one core, by name. Those without a penalty are here to show
#: how they fail: the original loss above all, once the critic runs ahead of the generator.
RECIPES: dict[str, dict[str, Any]] = {
    "saturating": {"loss": "saturating", "penalty": "none"},
    "saturating, 5 critic steps": {"loss": "saturating", "penalty": "none", **_AHEAD},
    "non_saturating": {"penalty": "none"},
    "non_saturating, 5 critic steps": {"penalty": "none", **_AHEAD},
    "non_saturating, spectral": {"penalty": "spectral"},
    "non_saturating, R1": {"penalty": "r1"},
    "non_saturating, R1, 5 critic steps": {"penalty": "r1", **_AHEAD},
    "non_saturating, R1, large batch": {"penalty": "r1", "strength": 0.005, "batch_size": 512, "decay_from": 0.25},
    "wasserstein, clipping": {
        "loss": "wasserstein", "penalty": "clipping", "strength": 0.1, "n_critic": 2, "learning_rate": 5e-4,
    },
    "wasserstein, gradient penalty": {"loss": "wasserstein", "penalty": "gradient_penalty", **_LINES},
    "wasserstein, Lipschitz penalty": {"loss": "wasserstein", "penalty": "lipschitz_penalty", **_LINES},
}  # fmt: skip


@dataclass(frozen=True)
class TrainedGan:
    """What training leaves.

    Args:
        generator: of latents (n, latent_size), with averaged weights.
        critic: of samples (n, D), the scores (n, 1).
        settings: as trained.
        critic_losses: penalty included, of each finished step (the last of its n_critic).
        generator_losses: of each finished step.
        stopped_at: the step, from 1, at which a number was no longer finite; None where training went to its end.
            The weights are then those with which the last step began that was finite throughout.
    """

    generator: nn.Module
    critic: nn.Module
    settings: GanSettings
    critic_losses: list[float]
    generator_losses: list[float]
    stopped_at: int | None

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n samples (n, D)."""
        with torch.no_grad():
            made: Tensor = self.generator(torch.randn(n, self.settings.latent_size, generator=generator))
        return made


class NonFiniteError(ArithmeticError):
    """A loss or a gradient is infinite or not a number."""


def mlp(n_inputs: int, n_outputs: int, hidden_size: int, hidden_layers: int, leak: float = 0.0) -> nn.Sequential:
    """Linear layers with ReLU between them, which let through `leak` of what is negative.

    Weights start so that values keep their scale with depth (He et al. 2015, arXiv 1502.01852).
    """
    widths = [n_inputs, *[hidden_size] * hidden_layers]
    layers: list[nn.Module] = []
    for width, following in itertools.pairwise(widths):
        linear = nn.Linear(width, following)
        nn.init.kaiming_uniform_(linear.weight, a=leak)
        layers += [linear, nn.LeakyReLU(leak)]
    return nn.Sequential(*layers, nn.Linear(hidden_size, n_outputs))


def critic_update(
    critic: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: AdversarialLoss,
    penalty: Penalty,
    real: Tensor,
    fake: Tensor,
    *,
    generator: torch.Generator,
) -> float:
    """One step of the critic; its loss with the penalty, before the step.

    Raises:
        NonFiniteError: the loss or its gradient is not finite; no step was made.
    """
    value = loss.critic(critic(real), critic(fake)) + penalty.term(critic, real, fake, generator)
    found = _step(critic, optimizer, value)
    penalty.after_step(critic)
    return found


def train_gan(
    sampler: Sampler, settings: Mapping[str, Any], seed: int, watch: Callable[[int, nn.Module], None] | None = None
) -> TrainedGan:
    """A generator of the sampler's distribution; the same numbers for the same seed.

    Args:
        sampler: draws n real samples (n, D).
        settings: fields of `GanSettings`.
        seed: of the weights, the batches and the latents.
        watch: called as watch(steps done, generator) after each finished step. The generator has the averaged
            weights and goes on changing: draw from it, with a generator of random numbers of your own.

    Returns:
        The trained networks. Numbers that stop being finite end training early, see `TrainedGan.stopped_at`.

    Raises:
        InputError: an unknown or bad setting.
    """
    given = GanSettings.parse(settings, "gan")
    loss, penalty = find_loss(given.loss), find_penalty(given.penalty, given.strength)
    random = torch_generator(stream(seed, "gan"))
    generator, critic = _networks(given, sampler(1, random).shape[1], seed, penalty)
    average = copy.deepcopy(generator).requires_grad_(False)
    networks = (generator, critic, average)
    optimizers = [_optimizer(network, given) for network in (generator, critic)]

    def fakes() -> Tensor:
        made: Tensor = generator(torch.randn(given.batch_size, given.latent_size, generator=random))
        return made

    def train_step() -> tuple[float, float]:
        for _ in range(given.n_critic):
            with torch.no_grad():
                fake = fakes()
            real = sampler(given.batch_size, random)
            critic_loss = critic_update(critic, optimizers[1], loss, penalty, real, fake, generator=random)
        critic.requires_grad_(False)  # only the path through it to the generator is needed
        value = loss.generator(critic(fakes()))
        critic.requires_grad_(True)
        return critic_loss, _step(generator, optimizers[0], value)

    losses: list[tuple[float, float]] = []
    stopped_at = None
    good = [_copy(network) for network in networks]
    for step in range(given.steps):
        _set_rate(optimizers, given.learning_rate * _rate(step / given.steps, given.decay_from))
        before = [_copy(network) for network in networks]
        try:
            losses.append(train_step())
        except NonFiniteError:
            for network, state in zip(networks, good, strict=True):
                network.load_state_dict(state)
            stopped_at = step + 1
            break
        good = before
        _follow(average, generator, given.averaging)
        if watch is not None:
            watch(step + 1, average)
    of_critic, of_generator = ([pair[side] for pair in losses] for side in (0, 1))
    return TrainedGan(average, critic.eval(), given, of_critic, of_generator, stopped_at)


def _networks(given: GanSettings, size: int, seed: int, penalty: Penalty) -> tuple[nn.Module, nn.Module]:
    with torch.random.fork_rng(devices=[]):  # layers draw their first weights from the global generator alone
        torch.manual_seed(int(stream(seed, "gan weights").integers(2**63)))
        generator = mlp(given.latent_size, size, given.hidden_size, given.hidden_layers)
        critic = mlp(size, 1, given.hidden_size, given.hidden_layers)
        penalty.prepare(critic)
    return generator, critic


def _optimizer(network: nn.Module, given: GanSettings) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), given.learning_rate, (given.beta_1, given.beta_2), fused=True)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    norm = nn.utils.clip_grad_norm_(network.parameters(), math.inf)  # measures, clips nothing
    value = loss.item()
    if not (math.isfinite(value) and math.isfinite(norm.item())):
        raise NonFiniteError
    optimizer.step()
    return value


def _set_rate(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["lr"] = rate


def _follow(average: nn.Module, network: nn.Module, averaging: float) -> None:
    """Move averaged weights towards those of a network."""
    with torch.no_grad():
        for kept, new in zip(average.parameters(), network.parameters(), strict=True):
            kept.lerp_(new, 1 - averaging)


def _rate(progress: float, decay_from: float) -> float:
    """The learning rate in units of its start."""
    return 1.0 if progress < decay_from else (1 - progress) / (1 - decay_from)
