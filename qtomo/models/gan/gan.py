"""Generative adversarial networks: a generator that is only sampled, trained by a critic of its records.

Noise and, at each site, a draw from a softmax make a record; the critic learns to tell such records from real ones,
and the generator to please it. There is no likelihood. Settings choose the game; docs/models.md has the equations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from qtomo.adversarial.losses import find_loss
from qtomo.adversarial.penalties import find_penalty
from qtomo.config import Config
from qtomo.errors import InputError
from qtomo.models.base import Model

__all__ = ["GAN", "GANConfig", "perceptron_critic"]

_FRESH = 8  # generated records a held-out one


class GANConfig(Config):
    """Settings of an adversarial network."""

    #: The game: `saturating`, `non_saturating`, `wasserstein`, or an f-divergence such as `kl` or `alpha(0.5)`.
    loss: str = "non_saturating"
    #: What keeps the critic from growing too steep: `gradient_penalty`, `r1`, `clipping`, `spectral` or `none`.
    penalty: str = "r1"
    #: Its strength: the factor of a penalty, the bound of clipping.
    penalty_strength: float = Field(0.1, gt=0)
    #: Steps of the critic a step of the generator.
    n_critic: int = Field(1, ge=1)
    #: How gradients pass the draw of an outcome: `straight_through` (outcomes on the way there, the softmax on the
    #: way back), `gumbel` (softened outcomes both ways, so that the critic sees numbers that no record has) or
    #: `score` (the score-function estimator, with the batch mean as its baseline).
    relaxation: Literal["straight_through", "gumbel", "score"] = "straight_through"
    #: Of the softened draw.
    temperature: float = Field(1.0, gt=0)
    #: From noise to sites: `perceptron`, `convolutional`, or `recurrent`, which reads what it has drawn before.
    generator: Literal["perceptron", "convolutional", "recurrent"] = "recurrent"
    critic: Literal["perceptron", "convolutional"] = "perceptron"
    #: Random numbers a record (a site, where the generator is recurrent).
    latent_size: int = Field(8, ge=1)
    #: Units of each hidden layer, channels of each convolution.
    hidden_size: int = Field(64, ge=1)
    #: How much of the mean of the generator's weights is kept at each step; records are drawn with the mean.
    averaging: float = Field(0.999, ge=0, lt=1)

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, value: str) -> str:
        return _known(value, find_loss)

    @field_validator("penalty")
    @classmethod
    def _known_penalty(cls, value: str) -> str:
        return _known(value, lambda name: find_penalty(name, 1.0))


def _known(value: str, find: Any) -> str:
    try:
        find(value)
    except InputError as error:
        raise ValueError(str(error)) from None
    return value


class GAN(Model):
    """A generative adversarial network (Goodfellow et al. 2014, arXiv 1406.2661) of unordered outcomes.

    One backward pass moves both sides: the generator's term sees the critic with its weights held, the critic's term
    sees records cut off from the generator. Adam's steps do not depend on the scale of a gradient, so one optimiser
    serves both.
    """

    preset: ClassVar = {"learning_rate": 3e-3, "momentum": 0.0, "gradient_clip": 0.0, "epochs": 30}

    Config: ClassVar[type[GANConfig]] = GANConfig
    config: GANConfig
    likelihood = "none"
    validation_unit = "squared distance of two-site marginals"
    accumulates = False  # each call of the loss is a turn of the game
    steps: Tensor

    def __init__(self, n_sites: int, n_outcomes: int, config: GANConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        self.game = find_loss(config.loss)
        self.penalty = find_penalty(config.penalty, config.penalty_strength)
        self.generator = _GENERATORS[config.generator](n_sites, n_outcomes, config)
        self.discriminator = self._new_critic()
        self.penalty.prepare(self.discriminator)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        for name, weight in self.generator.named_parameters():
            self.register_buffer(_mean_name(name), weight.detach().clone())

    def _new_critic(self) -> nn.Sequential:
        return _CRITICS[self.config.critic](self.n_sites, self.n_outcomes, self.config.hidden_size)

    def loss(self, outcomes: Tensor) -> Tensor:
        """The generator's loss, with the gradients of both sides; only every `n_critic`-th call moves it."""
        if self.training:
            self._follow()
        real = self._one_hot(outcomes)
        turn = not self.training or int(self.steps - 1) % self.config.n_critic == 0
        with torch.set_grad_enabled(turn and torch.is_grad_enabled()):
            noise = self._noise(len(real))
            drawn, log_prob = self.generator(noise, None)
            real, fake = self._seen_of_real(real), self._seen_of_fake(drawn.flatten(1), noise)
            held = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
            value = self._move(lambda seen: functional_call(self.discriminator, held, (seen,)), real, fake, log_prob)
        real, fake = real.detach(), fake.detach()
        term = self.game.critic(self.discriminator(real), self.discriminator(fake))
        term = term + self.penalty.term(self.discriminator, real, fake, torch.default_generator)
        return value + term - term.detach()

    def _seen_of_real(self, real: Tensor) -> Tensor:
        """What the critic sees of one-hot records: (batch, N K) to (batch, D)."""
        return real

    def _seen_of_fake(self, fake: Tensor, noise: Tensor) -> Tensor:
        """What the critic sees of generated records."""
        return fake

    def _move(self, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, log_prob: Tensor) -> Tensor:
        """What all but the critic make small."""
        return self._generator_loss(critic(fake), log_prob)

    def validation_loss(self, outcomes: Tensor) -> Tensor:
        """Squared distance of two-site marginals from those of fresh records, the mean over pairs of sites.

        It is the unbiased squared maximum mean discrepancy with the kernel (share of equal outcomes)^2 (Gretton et
        al. 2012, JMLR 13, eq. 3). Fresh records are many, so that epochs differ by the model and not by the draw.
        """
        drawn = self._draw(self._noise(_FRESH * len(outcomes)), None)
        real, fake = self._one_hot(outcomes), self._one_hot(drawn)

        def mean_kernel(x: Tensor, y: Tensor) -> Tensor:
            kernel = (x @ y.T / self.n_sites).square()
            if x is not y:
                return kernel.mean()
            return (kernel.sum() - len(x)) / max(1, len(x) * (len(x) - 1))  # a record with itself has kernel 1

        return mean_kernel(real, real) + mean_kernel(fake, fake) - 2 * mean_kernel(real, fake)

    def features(self, outcomes: Tensor) -> Tensor:
        """What the critic's last layer reads: (batch, n_sites) outcomes to (batch, hidden_size)."""
        found: Tensor = self.discriminator[:-1](self._seen_of_real(self._one_hot(outcomes)))
        return found

    def _one_hot(self, outcomes: Tensor) -> Tensor:
        """(batch, n_sites) outcomes to (batch, N K), as the critic reads them."""
        return functional.one_hot(outcomes, self.n_outcomes).flatten(1).to(self._dtype)

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.generator.parameters()).dtype

    def _noise(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        shape = (n, *self.generator.noise_shape)
        return torch.randn(shape, generator=generator, device=self.device, dtype=self._dtype)

    def _generator_loss(self, scores: Tensor, log_prob: Tensor) -> Tensor:
        loss = self.game.generator(scores)
        if self.config.relaxation != "score":
            return loss
        each = torch.vmap(self.game.generator)(scores.detach())
        surrogate = ((each - each.mean()) * log_prob).mean()
        return loss.detach() + surrogate - surrogate.detach()

    def _follow(self) -> None:
        """Bring weights within the penalty's bounds and the mean of the generator's weights up to the last step."""
        if self.steps > 0:
            self.penalty.after_step(self.discriminator)
        # As much as an average over all steps so far, until there are enough.
        keep = min(self.config.averaging, float(self.steps) / (float(self.steps) + 10))
        for name, weight in self.generator.named_parameters():
            self.get_buffer(_mean_name(name)).lerp_(weight.detach(), 1 - keep)
        self.steps += 1

    def _draw(self, noise: Tensor, generator: torch.Generator | None) -> Tensor:
        means = {name: self.get_buffer(_mean_name(name)) for name, _ in self.generator.named_parameters()}
        one_hot: Tensor = functional_call(self.generator, means, (noise, generator))[0]
        return one_hot.argmax(dim=-1)

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self._draw(self._noise(n, generator), generator)


def _mean_name(name: str) -> str:
    return "mean_" + name.replace(".", "_")


def _softened(logits: Tensor, config: GANConfig, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Draws of softmax(logits) through which gradients pass, (..., K), and their log-probabilities, (...).

    The largest of logit + Gumbel noise is a draw of the softmax; its softened form is differentiable (Jang, Gu, Poole
    2016, arXiv 1611.01144, eq. 1-2).
    """
    uniform = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
    gumbel = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
    perturbed = logits + gumbel
    hard = functional.one_hot(perturbed.argmax(dim=-1), logits.shape[-1]).to(logits.dtype)
    log_prob = (torch.log_softmax(logits, dim=-1) * hard).sum(dim=-1)
    if config.relaxation == "score":
        return hard, log_prob
    soft = torch.softmax(perturbed / config.temperature, dim=-1)
    return (soft if config.relaxation == "gumbel" else hard + soft - soft.detach()), log_prob


class _Generator(nn.Module):
    """Noise to records: (batch, *noise_shape) to one-hot or softened (batch, N, K), and (batch,) log-probabilities."""

    noise_shape: tuple[int, ...]

    def __init__(self, n_sites: int, n_outcomes: int, config: GANConfig) -> None:
        super().__init__()
        self.shape, self.config = (n_sites, n_outcomes), config

    def forward(self, noise: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """All sites at once, independent given the noise."""
        outcomes, log_prob = _softened(self.logits(noise).reshape(-1, *self.shape), self.config, generator)
        return outcomes, log_prob.sum(dim=1)

    def score(self, noise: Tensor, outcomes: Tensor) -> Tensor:
        """ln p(a|z) of one-hot outcomes (batch, N, K), (batch,)."""
        logits = self.logits(noise).reshape(-1, *self.shape)
        return (torch.log_softmax(logits, dim=2) * outcomes).sum(dim=(1, 2))

    def logits(self, noise: Tensor) -> Tensor:
        """(batch, N K) of the noise."""
        raise NotImplementedError


class _Perceptron(_Generator):
    def __init__(self, n_sites: int, n_outcomes: int, config: GANConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        self.noise_shape = (config.latent_size,)
        hidden = config.hidden_size
        self.layers = nn.Sequential(
            nn.Linear(config.latent_size, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, n_sites * n_outcomes),
        )

    def logits(self, noise: Tensor) -> Tensor:
        found: Tensor = self.layers(noise)
        return found


class _Convolutional(_Generator):
    """Noise at every site, seen by a window of neighbours that grows with each layer, and a learned vector a site."""

    def __init__(self, n_sites: int, n_outcomes: int, config: GANConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        self.noise_shape = (config.latent_size, n_sites)
        hidden = config.hidden_size
        self.sites = nn.Parameter(0.1 * torch.randn(hidden, n_sites))
        self.first = nn.Conv1d(config.latent_size, hidden, 5, padding="same")
        self.layers = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.Conv1d(hidden, hidden, 5, padding="same", dilation=2),
            nn.LeakyReLU(0.2),
            nn.Conv1d(hidden, hidden, 5, padding="same", dilation=4),
            nn.LeakyReLU(0.2),
            nn.Conv1d(hidden, n_outcomes, 1),
        )

    def logits(self, noise: Tensor) -> Tensor:
        found: Tensor = self.layers(self.first(noise) + self.sites)
        return found.transpose(1, 2)


class _Recurrent(_Generator):
    """A GRU that reads at each site fresh noise and the outcome before it, and draws the next."""

    def __init__(self, n_sites: int, n_outcomes: int, config: GANConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        self.noise_shape = (n_sites, config.latent_size)
        self.sites = nn.Parameter(0.1 * torch.randn(n_sites, 8))
        self.cell = nn.GRUCell(config.latent_size + n_outcomes + 8, config.hidden_size)
        self.head = nn.Linear(config.hidden_size, n_outcomes)

    def forward(self, noise: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """One site after the other."""
        state, before = self._start(noise)
        outcomes, log_probs = [], []
        for site in range(self.shape[0]):
            state = self._next(noise, site, before, state)
            before, log_prob = _softened(self.head(state), self.config, generator)
            outcomes.append(before)
            log_probs.append(log_prob)
        return torch.stack(outcomes, dim=1), torch.stack(log_probs).sum(dim=0)

    def score(self, noise: Tensor, outcomes: Tensor) -> Tensor:
        """ln p(a|z) of one-hot outcomes (batch, N, K), (batch,): each site given those before it."""
        state, before = self._start(noise)
        found = torch.zeros_like(noise[:, 0, 0])
        for site in range(self.shape[0]):
            state = self._next(noise, site, before, state)
            before = outcomes[:, site]
            found = found + (torch.log_softmax(self.head(state), dim=1) * before).sum(dim=1)
        return found

    def _start(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        return noise.new_zeros(len(noise), self.cell.hidden_size), noise.new_zeros(len(noise), self.shape[1])

    def _next(self, noise: Tensor, site: int, before: Tensor, state: Tensor) -> Tensor:
        seen = [noise[:, site], before, self.sites[site].expand(len(noise), -1)]
        found: Tensor = self.cell(torch.cat(seen, 1), state)
        return found


_GENERATORS: dict[str, type[_Generator]] = {
    "perceptron": _Perceptron,
    "convolutional": _Convolutional,
    "recurrent": _Recurrent,
}


def perceptron_critic(n_features: int, hidden_size: int) -> nn.Sequential:
    """Scores of (batch, n_features), from three hidden layers."""
    return nn.Sequential(
        nn.Linear(n_features, hidden_size),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden_size, hidden_size),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden_size, hidden_size),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden_size, 1, bias=False),  # a constant tells no records apart
    )


def _convolutional_critic(n_sites: int, n_outcomes: int, hidden_size: int) -> nn.Sequential:
    """Windows of neighbours, and one layer that reads them all with their places."""
    channels = max(8, hidden_size // 4)
    return nn.Sequential(
        nn.Unflatten(1, (n_sites, n_outcomes)),
        _Transpose(),
        nn.Conv1d(n_outcomes, hidden_size, 3, padding="same"),
        nn.LeakyReLU(0.2),
        nn.Conv1d(hidden_size, hidden_size, 3, padding="same", dilation=2),
        nn.LeakyReLU(0.2),
        nn.Conv1d(hidden_size, channels, 3, padding="same", dilation=4),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(channels * n_sites, hidden_size),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden_size, 1, bias=False),  # a constant tells no records apart
    )


class _Transpose(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """(batch, N, K) to (batch, K, N)."""
        return x.transpose(1, 2)


_CRITICS = {
    "perceptron": lambda n_sites, n_outcomes, hidden_size: perceptron_critic(n_sites * n_outcomes, hidden_size),
    "convolutional": _convolutional_critic,
}
