"""A generative adversarial network that infers its latents: generator and encoder against one critic of pairs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from qtomo.distribution import Outcomes
from qtomo.models.findings import Finding, FindingKind, Severity
from qtomo.models.gan.gan import GAN, GANConfig, perceptron_critic
from qtomo.statistics.estimate import sample_mean

__all__ = ["BiGAN", "BiGANConfig"]


class BiGANConfig(GANConfig):
    """Settings of a bidirectional network."""

    #: A game that is the same from both sides.
    loss: Literal["saturating", "non_saturating", "wasserstein"] = "non_saturating"
    generator: Literal["perceptron", "convolutional", "recurrent"] = "perceptron"
    #: The critic of pairs is a perceptron, and so is what infers the noise of a whole record.
    critic: Literal["perceptron"] = "perceptron"
    latent_size: int = Field(8, ge=1)


class BiGAN(GAN):
    """Pairs (a, E(a)) of records against pairs (G(z), z) of noise (arXiv 1605.09782, eq. 3; arXiv 1606.00704).

    At the optimum both have one distribution, so that E inverts G.
    """

    Config = BiGANConfig
    config: BiGANConfig

    def __init__(self, n_sites: int, n_outcomes: int, config: BiGANConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        hidden = config.hidden_size
        self.encoder = nn.Sequential(
            nn.Linear(n_sites * n_outcomes, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, self._n_latents),
        )

    def encode(self, outcomes: Tensor) -> Tensor:
        """E(a): (batch, n_sites) outcomes to (batch, latents), a latent for each random number of a record."""
        found: Tensor = self.encoder(self._one_hot(outcomes))
        return found

    def inference_gain(self, outcomes: Tensor) -> Tensor:
        """ln p(a|E(a)) less ln p(a|z) of the noise of another record, (batch,) for (batch, n_sites) outcomes.

        Its mean is 0 where the encoder says nothing of a record.
        """
        one_hot = functional.one_hot(outcomes, self.n_outcomes).to(self._dtype)
        inferred = self.encode(outcomes).reshape(-1, *self.generator.noise_shape)
        scores = [self.generator.score(z, one_hot) for z in (inferred, inferred.roll(1, dims=0))]
        return scores[0] - scores[1]

    def diagnose(self, outcomes: Outcomes, level: float = 0.95) -> tuple[Finding, ...]:
        """Whether the encoder infers anything: `inference_gain`, its mean over records (n, n_sites)."""
        gain = sample_mean(self.by_record(outcomes, self.inference_gain), method="mean over records", level=level)
        if gain.low > 0:
            says, severity = f"E(a) tells {gain.value:.3f} nats of a record more than other noise.", Severity.OK
        else:
            says, severity = "E(a) tells no more of a record than other noise: nothing is inferred.", Severity.COLLAPSED
        return (Finding(FindingKind.INFERENCE_GAIN, gain, says, severity),)

    @property
    def _n_latents(self) -> int:
        return math.prod(self.generator.noise_shape)

    def _new_critic(self) -> nn.Sequential:
        return perceptron_critic(self.n_sites * self.n_outcomes + self._n_latents, self.config.hidden_size)

    def _seen_of_real(self, real: Tensor) -> Tensor:
        return torch.cat([real, self.encoder(real)], dim=1)

    def _seen_of_fake(self, fake: Tensor, noise: Tensor) -> Tensor:
        return torch.cat([fake, noise.flatten(1)], dim=1)

    def _move(self, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, log_prob: Tensor) -> Tensor:
        """The game is the same from both sides: the encoder's pairs gain by a low score as generated ones by a high."""
        return super()._move(critic, real, fake, log_prob) + self.game.generator(-critic(real))
