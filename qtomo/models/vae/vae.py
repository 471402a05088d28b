"""Variational autoencoders: P(a) = int p(z) p(a|z) dz, known by a lower bound.

One model. Its settings choose posterior, decoder, number of draws and penalty; a family is a set of defaults.
docs/models.md has the equations.
"""

from __future__ import annotations

import itertools
import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn import functional

from qtomo.config import Config
from qtomo.distribution import Outcomes
from qtomo.models.base import Model
from qtomo.models.findings import Finding
from qtomo.models.rnn import GRU, RNNConfig
from qtomo.models.vae.diagnosis import diagnose
from qtomo.models.vae.penalties import PENALTIES
from qtomo.models.vae.posteriors import POSTERIORS

__all__ = ["VAE", "Count", "PenaltyName", "PosteriorName", "Scale", "VAEConfig", "Weight"]

_SITE_SIZE = 8  # numbers of a learned vector a site
_VALIDATION_SAMPLES = 8  # draws a record in the validation loss

Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]
Scale = Annotated[float, Field(ge=0, lt=1)]
PosteriorName = Literal["gaussian", "planar", "iaf", "sphere"]
PenaltyName = Literal["none", "total_correlation", "adversarial_total_correlation", "dhsic", "mmd", "adversarial_prior"]


class VAEConfig(Config):
    """Settings of a variational autoencoder."""

    model_config = ConfigDict(validate_default=True)

    #: D, numbers in z.
    latent_size: Count = 8
    #: Units of each hidden layer of encoder, decoder and any further network.
    hidden_size: Count = 128
    #: Hidden layers of the encoder and of an independent decoder.
    layers: Count = 2
    #: q(z|a): independent normals, the same moved by planar maps or by an inverse autoregressive flow, or a
    #: power-spherical density on the unit sphere (with the uniform prior).
    posterior: PosteriorName = "gaussian"
    #: Maps of a flow posterior.
    flow_layers: Count = 4
    #: Smallest standard deviation of a Gaussian draw: it limits what a latent can tell about a record.
    min_scale: Scale = 1e-3
    #: p(a|z): `windowed`, each site given z and the `window` sites before it; `independent` sites given z; or
    #: `autoregressive`, a GRU that reads z at every site.
    decoder: Literal["windowed", "independent", "autoregressive"] = "windowed"
    #: Sites before its own that a site of a windowed decoder sees.
    window: Count = 4
    #: Weight of ln q(z|a)/p(z) in the training loss; 1 makes it a bound on the log-likelihood.
    beta: Weight = 1.0
    #: Share of each cycle of the training in which beta and penalty_weight rise linearly from 0, so that the decoder
    #: learns to read z before z has its full price (Bowman et al. 2015, arXiv 1511.06349); 0 keeps them from the start.
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.2
    #: Equal parts of the training, in each of which they rise anew (Fu et al. 2019, arXiv 1903.10145).
    cycles: Count = 1
    #: Nats up to which a latent's KL, a mean over the batch, is no cheaper than this (Kingma et al. 2016,
    #: arXiv 1606.04934, eq. 15); for the sum of all where the posterior does not factorise.
    free_bits: Weight = 0.02
    #: Draws a record in the training loss, averaged inside the logarithm; 1 is the ELBO.
    training_samples: Count = 1
    #: Draws a record in the bound that `log_prob` reports.
    importance_samples: Count = 64
    #: What else the training loss holds.
    penalty: PenaltyName = "none"
    #: Weight of the penalty.
    penalty_weight: Weight = 1.0

    @field_validator("posterior")
    @classmethod
    def _sphere_has_two_dimensions(cls, value: str, info: ValidationInfo) -> str:
        if value == "sphere" and info.data.get("latent_size") == 1:
            raise ValueError("needs a latent_size of 2 or more")
        return value

    @field_validator("penalty")
    @classmethod
    def _total_correlation_needs_densities(cls, value: str, info: ValidationInfo) -> str:
        if value == "total_correlation" and info.data.get("posterior") != "gaussian":
            raise ValueError("needs posterior = 'gaussian'; 'adversarial_total_correlation' takes any")
        return value


class VAE(Model):
    """A variational autoencoder (Kingma and Welling 2013, arXiv 1312.6114)."""

    Config = VAEConfig
    preset: ClassVar = {"learning_rate": 2e-3, "epochs": 60}
    config: VAEConfig
    likelihood = "lower_bound"
    price: Tensor

    def __init__(self, n_sites: int, n_outcomes: int, config: VAEConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        latent, hidden = config.latent_size, config.hidden_size
        self.posterior = POSTERIORS[config.posterior](latent, config.flow_layers, hidden, config.min_scale)
        self.encoder = _perceptron(n_sites * n_outcomes, hidden, config.layers, self.posterior.n_features)
        self.decoder = _DECODERS[config.decoder](n_sites, n_outcomes, config)
        self.penalty = PENALTIES[config.penalty](latent, hidden)
        self.register_buffer("price", torch.tensor(1.0), persistent=False)

    def set_progress(self, done: float) -> None:
        """Set the share of its price that z has when a share `done` of the steps is done."""
        in_cycle = self.config.cycles * done % 1 if done < 1 else 1.0
        self.price.fill_(min(1.0, in_cycle / self.config.warmup) if self.config.warmup else 1.0)

    def loss(self, outcomes: Tensor) -> Tensor:
        """-E ln mean_k [p(a|z_k) (p(z_k)/q(z_k|a))^beta], z_k ~ q(z|a), free bits, and the weighted penalty of z_1.

        While the price of z rises, beta and the weight of the penalty are that share of themselves.
        """
        beta = self.price * self.config.beta
        features = self.encode(outcomes)
        z, log_q = self.posterior(features, self.config.training_samples)
        log_ratio = self.posterior.log_prior(z) - log_q
        log_weights = self.score(outcomes, z) + beta * log_ratio
        bound = torch.logsumexp(log_weights, dim=0) - math.log(len(z))
        penalty: Tensor = self.penalty(z[0], features, self.posterior)
        missing = self._missing_bits(features, -log_ratio.mean()) if self.config.free_bits else 0.0
        return self.price * self.config.penalty_weight * penalty - bound.mean() + beta * missing

    def _missing_bits(self, features: Tensor, kl: Tensor) -> Tensor:
        """Nats by which the KL of latents falls short of the free bits, summed; of all, `kl`, where it is one."""
        free = self.config.free_bits
        if self.posterior.factorises:
            return functional.relu(free - self.posterior.kl(features).mean(dim=0)).sum()
        return functional.relu(free * self.config.latent_size - kl)

    def validation_loss(self, outcomes: Tensor) -> Tensor:
        """What a run is judged by, the bound, of few draws: not the training loss, where beta or a penalty is in it."""
        weights = self.log_weights(outcomes, _VALIDATION_SAMPLES)
        return math.log(_VALIDATION_SAMPLES) - torch.logsumexp(weights, dim=1).mean()

    def encode(self, outcomes: Tensor) -> Tensor:
        """What the posterior is made of: (batch, n_sites) outcomes to (batch, features)."""
        one_hot = functional.one_hot(outcomes, self.n_outcomes).flatten(1)
        features: Tensor = self.encoder(one_hot.to(next(self.encoder.parameters()).dtype))
        return features

    def posterior_mean(self, outcomes: Tensor) -> Tensor:
        """E[z|a]: (batch, n_sites) to (batch, latent_size)."""
        return self.posterior.mean(self.encode(outcomes))

    def posterior_kl(self, outcomes: Tensor) -> Tensor:
        """KL(q(z|a)||p(z)), a column a latent where it is their sum, else in one column, for (batch, n_sites)."""
        return self.posterior.kl(self.encode(outcomes))

    def log_weights(self, outcomes: Tensor, n: int) -> Tensor:
        """ln p(a, z_k)/q(z_k|a) of `n` draws: (batch, n_sites) to (batch, n), float64.

        The log of their mean is a lower bound on ln P(a) on average, tighter for more draws (Burda, Grosse and
        Salakhutdinov 2015, arXiv 1509.00519, theorem 1).
        """
        features = self.encode(outcomes)
        columns = []
        for _ in range(n):
            z, log_q = self.posterior(features, 1)
            columns.append((self.score(outcomes, z) + self.posterior.log_prior(z) - log_q)[0].double())
        return torch.stack(columns, dim=1)

    def score(self, outcomes: Tensor, z: Tensor) -> Tensor:
        """ln p(a|z): outcomes (batch, n_sites) and z (draws, batch, latent_size) to (draws, batch)."""
        repeated = outcomes.expand(len(z), -1, -1).flatten(0, 1)
        return self.decoder.score(repeated, z.flatten(0, 1)).reshape(z.shape[:2])

    def diagnose(self, outcomes: Outcomes, level: float = 0.95) -> tuple[Finding, ...]:
        """Latents in use, the KL and its parts, and what z gains over the decoder: see `models/vae/diagnosis.py`."""
        return diagnose(self, outcomes, level)

    def _log_prob(self, outcomes: Tensor) -> Tensor:
        n = self.config.importance_samples
        return torch.logsumexp(self.log_weights(outcomes, n), dim=1) - math.log(n)

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        like = next(self.parameters()).new_empty(n, self.config.latent_size)
        return self.decoder.draw(self.posterior.sample_prior(like, generator), generator)


class _Independent(nn.Module):
    """p(a|z) = prod_i p_i(a_i|z)."""

    def __init__(self, n_sites: int, n_outcomes: int, config: VAEConfig) -> None:
        super().__init__()
        self.n_sites = n_sites
        self.network = _perceptron(config.latent_size, config.hidden_size, config.layers, n_sites * n_outcomes)

    def score(self, outcomes: Tensor, z: Tensor) -> Tensor:
        """ln p(a|z): (batch, n_sites) and (batch, latent_size) to (batch,)."""
        return self._log_table(z).gather(2, outcomes[..., None]).sum(dim=(1, 2))

    def draw(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """A record for each z (batch, latent_size): (batch, n_sites)."""
        table = self._log_table(z).exp().flatten(0, 1)
        return torch.multinomial(table, 1, generator=generator).reshape(len(z), self.n_sites)

    def _log_table(self, z: Tensor) -> Tensor:
        """(batch, latent_size) to (batch, n_sites, n_outcomes)."""
        return torch.log_softmax(self._logits(z), dim=2)

    def _logits(self, z: Tensor) -> Tensor:
        found: Tensor = self.network(z)
        return found.reshape(len(z), self.n_sites, -1)


class _Windowed(_Independent):
    """p(a|z) = prod_i p(a_i | a_{i-w} ... a_{i-1}, z), with logits f_i(z) + g_i(a_{i-w} ... a_{i-1}).

    What lies further back than the window can only come through z (Chen et al. 2016, arXiv 1611.02731).
    """

    def __init__(self, n_sites: int, n_outcomes: int, config: VAEConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        self.n_outcomes, self.window = n_outcomes, config.window
        self.sites = nn.Parameter(0.1 * torch.randn(n_sites, _SITE_SIZE))
        self.near = _perceptron(config.window * n_outcomes + _SITE_SIZE, config.hidden_size, 1, n_outcomes)

    def score(self, outcomes: Tensor, z: Tensor) -> Tensor:
        """ln p(a|z): (batch, n_sites) and (batch, latent_size) to (batch,)."""
        padded = functional.pad(outcomes, (self.window, 0), value=self.n_outcomes)
        windows = padded.unfold(1, self.window, 1)[:, : self.n_sites]  # (batch, n_sites, window)
        logits = self._logits(z) + self._near(windows, self.sites)
        return torch.log_softmax(logits, dim=2).gather(2, outcomes[..., None]).sum(dim=(1, 2))

    def draw(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """A record for each z (batch, latent_size): (batch, n_sites)."""
        far = self._logits(z)
        record = torch.full((len(z), self.window + self.n_sites), self.n_outcomes, device=z.device)
        for site in range(self.n_sites):
            near = self._near(record[:, None, site : site + self.window], self.sites[site : site + 1])
            distribution = torch.softmax(far[:, site] + near[:, 0], dim=1)
            record[:, self.window + site] = torch.multinomial(distribution, 1, generator=generator)[:, 0]
        return record[:, self.window :]

    def _near(self, windows: Tensor, sites: Tensor) -> Tensor:
        """The window's part of the logits: (batch, places, window) and (places, site size) to (batch, places, K)."""
        seen = functional.one_hot(windows, self.n_outcomes + 1)[..., :-1].flatten(2).to(sites.dtype)
        logits: Tensor = self.near(torch.cat([seen, sites.expand(len(seen), -1, -1)], dim=2))
        return logits


class _Autoregressive(GRU):
    """p(a|z) = prod_i p(a_i|a_0 ... a_{i-1}, z)."""

    def __init__(self, n_sites: int, n_outcomes: int, config: VAEConfig) -> None:
        settings = {"hidden_size": config.hidden_size, "latent_size": config.latent_size}
        super().__init__(n_sites, n_outcomes, RNNConfig.model_validate(settings))
        self.latent = None  # z takes the place of the learned constant

    def score(self, outcomes: Tensor, z: Tensor) -> Tensor:
        """ln p(a|z): (batch, n_sites) and (batch, latent_size) to (batch,)."""
        return self._score(outcomes, self._start(len(z), z)).to(z.dtype)

    def draw(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """A record for each z (batch, latent_size): (batch, n_sites)."""
        return self._draw(len(z), generator, self._start(len(z), z))


_DECODERS: dict[str, type[_Independent] | type[_Autoregressive]] = {
    "windowed": _Windowed,
    "independent": _Independent,
    "autoregressive": _Autoregressive,
}


def _perceptron(inputs: int, hidden_size: int, layers: int, outputs: int) -> nn.Sequential:
    sizes = [inputs] + [hidden_size] * layers
    hidden = [layer for pair in itertools.pairwise(sizes) for layer in (nn.Linear(*pair), nn.SiLU())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], outputs))
