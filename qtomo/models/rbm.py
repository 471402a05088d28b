"""Restricted Boltzmann machines with softmax visible units: P(v) = exp(-F(v)) / Z.

One visible unit a site takes one of K labels (Salakhutdinov, Mnih, Hinton 2007), and H binary hidden units, written
h_j = +-1/2, each see all of them:

    E(v, h) = -sum_i a_i(v_i) - sum_j h_j x_j(v),   x_j(v) = b_j + sum_i [W_ij(v_i) - sum_k m_i(k) W_ij(k)]
    F(v) = -ln sum_h exp(-E) = -sum_i a_i(v_i) - sum_j ln 2 cosh(x_j(v)/2)

The offsets m, the label frequencies of the first batch, and the symmetric hidden units change no distribution that
the machine can have, only how well its parameters are conditioned (centring: Melchior, Fischer, Wiskott 2013,
arXiv 1311.1354).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from qtomo.config import Config
from qtomo.distribution import enumerate_outcomes
from qtomo.models.base import Model

__all__ = ["RBM", "LogZ", "RBMConfig"]

#: Number of states, of the hidden or of the visible units, up to which Z is summed exactly.
LARGEST_SUM = 2**20

_BLOCK = 1024  # states summed at once: they stay in the cache


class RBMConfig(Config):
    """Settings of a restricted Boltzmann machine."""

    #: Hidden units, H; with at most 20 of them Z is summed exactly, whatever the number of sites.
    hidden_size: int = Field(20, ge=1)
    #: Where the model's side of the gradient comes from: `cd` starts Markov chains at the data, `pcd` goes on with
    #: those of the step before, `tempering` exchanges them with hotter ones besides.
    negative_phase: Literal["cd", "pcd", "tempering"] = "pcd"
    #: Gibbs sweeps a step, the k of CD-k.
    sweeps: int = Field(1, ge=1)
    #: Persistent chains (at each temperature).
    chains: int = Field(500, ge=1)
    #: Temperatures of `tempering`.
    temperatures: int = Field(6, ge=2)
    #: Chains of annealed importance sampling.
    ais_chains: int = Field(128, ge=2)
    #: Temperatures of annealed importance sampling.
    ais_temperatures: int = Field(1000, ge=1)
    #: Sweeps while annealing a record to be drawn, and as many again at the end.
    sample_sweeps: int = Field(200, ge=1)


class LogZ(NamedTuple):
    """ln Z, and its standard error: 0 where it is exact."""

    value: Tensor
    standard_error: float


class RBM(Model):
    """A restricted Boltzmann machine with multinomial visible units.

    `likelihood` is "exact" where the hidden or the visible units have at most 2**20 states, over which Z is then
    summed, and from which records are drawn without a Markov chain. Beyond, it is "estimate": ln Z comes from
    annealed importance sampling.

    The loss in training has the gradient of the negative log-likelihood with the model's average taken over
    Markov chains, <dF/dw>_data - <dF/dw>_chains (Hinton 2002; Tieleman 2008 for persistent chains); its value means
    nothing. In evaluation mode the loss is the negative log-likelihood.

    Args:
        n_sites: N, the number of qubits.
        n_outcomes: K, the number of outcomes of one qubit.
        config: the settings.
    """

    Config = RBMConfig
    preset: ClassVar = {"learning_rate": 2e-2, "batch_size": 250, "epochs": 10}
    config: RBMConfig
    offsets: Tensor
    started: Tensor
    particles: Tensor

    def __init__(self, n_sites: int, n_outcomes: int, config: RBMConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        units = n_outcomes * n_sites
        self.visible_bias = nn.Parameter(torch.zeros(n_outcomes, n_sites))
        self.hidden_bias = nn.Parameter(torch.zeros(config.hidden_size))
        self.weight = nn.Parameter(torch.randn(units, config.hidden_size) / math.sqrt(units))
        self.register_buffer("offsets", torch.full((units,), 1 / n_outcomes))
        self.register_buffer("started", torch.tensor(False))
        rungs = {"cd": 0, "pcd": 1, "tempering": config.temperatures}[config.negative_phase]
        particles = torch.randint(0, n_outcomes, (rungs, config.chains, n_sites), dtype=torch.uint8)
        self.register_buffer("particles", particles)
        self._sums_hidden = 2**config.hidden_size <= n_outcomes**n_sites
        states = min(2**config.hidden_size, n_outcomes**n_sites)
        self.likelihood = "exact" if states <= LARGEST_SUM else "estimate"
        self._known: tuple[list[Tensor], LogZ, Tensor | None] | None = None

    def loss(self, outcomes: Tensor) -> Tensor:
        """In training, a scalar with the contrastive gradient; in evaluation mode the negative log-likelihood.

        A gradient in evaluation mode is right only where the likelihood is exact.
        """
        if not self.training:
            return -self._log_prob(outcomes).mean()
        if not self.started:
            self.start_from(outcomes)
        with torch.no_grad():
            negative = self._negative(outcomes)
        return self.free_energy(outcomes).mean() - self.free_energy(negative).mean()

    def free_energy(self, outcomes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """F(v) in nats: (batch, n_sites) to (batch,)."""
        units = self._one_hot(outcomes, dtype)
        field = units @ self.weight.to(dtype) + self._threshold(dtype)
        return -(units @ self.visible_bias.to(dtype).flatten()) - _log_cosh(field).sum(dim=1)

    def log_z(self) -> LogZ:
        """ln Z: exact where `likelihood` is, otherwise by annealed importance sampling from a fixed seed.

        Kept until the weights change.
        """
        if torch.is_grad_enabled() and self.likelihood == "exact":
            return LogZ(self._log_weights().logsumexp(0), 0.0)
        return self._sums()[0]

    @property
    def log_prob_error(self) -> float:
        """Standard error of ln Z, which all log-probabilities share."""
        with torch.no_grad():
            return self.log_z().standard_error

    def estimate_log_z(self, generator: torch.Generator) -> LogZ:
        """ln Z by annealed importance sampling (Neal 2001; Salakhutdinov and Murray 2008).

        The path scales the fields of the hidden units from 0, where sites are independent, to 1:
        p_beta(v) ~ exp(sum_i a_i(v_i)) prod_j 2 cosh(beta x_j(v)/2). The mean weight estimates Z without bias, so
        that ln Z is too small on average, the more the weights spread; the standard error is that of the weights,
        and knows nothing of a mode that no chain has found.
        """
        with torch.no_grad():
            path = torch.linspace(0, 1, self.config.ais_temperatures + 1).tolist()
            _, log_weights = self._anneal(self.config.ais_chains, path, generator)
            weights = (log_weights - log_weights.max()).exp()
            error = float(weights.std() / weights.mean()) / math.sqrt(len(weights))
            start = self.visible_bias.double().logsumexp(0).sum() + self.config.hidden_size * math.log(2)
            return LogZ(start + log_weights.logsumexp(0) - math.log(len(weights)), error)

    def _log_prob(self, outcomes: Tensor) -> Tensor:
        return -self.free_energy(outcomes, torch.float64) - self.log_z().value

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Independent records where Z is summed; otherwise the ends of independent annealed Markov chains."""
        table = self._sums()[1]
        if table is None:
            sweeps = self.config.sample_sweeps
            path = [*torch.linspace(0, 1, sweeps + 1).tolist(), *[1.0] * sweeps]
            return self._anneal(n, path, generator)[0]
        index = torch.multinomial(table, n, replacement=True, generator=generator)
        if not self._sums_hidden:
            return _digits(index, self.n_outcomes, self.n_sites)
        hidden = _digits(index, 2, self.config.hidden_size).to(self.weight.dtype) - 0.5
        return self._draw_visible(hidden, 1.0, generator)

    def start_from(self, outcomes: Tensor) -> None:
        """Begin at independent sites with the label frequencies of a batch."""
        frequencies = (self._one_hot(outcomes).sum(0) + 1) / (len(outcomes) + self.n_outcomes)
        with torch.no_grad():
            self.offsets.copy_(frequencies)
            self.visible_bias.copy_(frequencies.log().view_as(self.visible_bias))
            self.started.fill_(True)

    def _negative(self, outcomes: Tensor) -> Tensor:
        """Records of the model, as far as its Markov chains have come: (chains, n_sites)."""
        if not len(self.particles):
            for _ in range(self.config.sweeps):
                outcomes = self._sweep(outcomes, 1.0)
            return outcomes
        rungs, chains, _ = self.particles.shape
        inverse = torch.linspace(0, 1, rungs, device=self.device) if rungs > 1 else torch.ones(1, device=self.device)
        particles = self.particles.flatten(0, 1)
        for _ in range(self.config.sweeps):
            particles = self._sweep(particles, inverse.repeat_interleave(chains)[:, None])
            particles = self._exchange(particles.view_as(self.particles), inverse).flatten(0, 1)
        self.particles.copy_(particles.view_as(self.particles))
        return self.particles[-1]

    def _sweep(self, outcomes: Tensor, beta: float | Tensor) -> Tensor:
        return self._gibbs(self._field(outcomes), beta, None)

    def _gibbs(self, field: Tensor, beta: float | Tensor, generator: torch.Generator | None) -> Tensor:
        """All hidden units given the fields, then all sites given these: a sweep that keeps p_beta."""
        uniform = torch.rand(field.shape, generator=generator, device=field.device)
        hidden = (uniform < torch.sigmoid(beta * field)).to(field.dtype) - 0.5
        return self._draw_visible(hidden, beta, generator)

    def _draw_visible(self, hidden: Tensor, beta: float | Tensor, generator: torch.Generator | None) -> Tensor:
        logits = (beta * hidden @ self.weight.T).view(-1, self.n_outcomes, self.n_sites) + self.visible_bias
        edges = torch.softmax(logits, dim=1).cumsum(dim=1)[:, :-1]
        uniform = torch.rand((len(hidden), 1, self.n_sites), generator=generator, device=hidden.device)
        return (uniform >= edges).sum(dim=1, dtype=torch.uint8)

    def _exchange(self, particles: Tensor, inverse: Tensor) -> Tensor:
        """Swap neighbouring temperatures by Metropolis, which keeps their joint distribution: (rungs, chains, n_sites).

        Parallel tempering as Desjardins et al. 2010 (AISTATS) train by, here with the hidden units summed out.
        """
        rungs, chains, _ = particles.shape
        field = self._field(particles.flatten(0, 1)).view(rungs, chains, -1)
        particles = particles.clone()
        for first in (0, 1):
            for low in range(first, rungs - 1, 2):
                pair = [low, low + 1]
                at = inverse[pair, None, None] * field[pair]
                swapped = inverse[pair, None, None] * field[pair[::-1]]
                gain = (_log_cosh(swapped) - _log_cosh(at)).sum(dim=(0, 2))
                accept = (torch.rand(chains, device=gain.device) < gain.exp())[:, None]
                for values in (particles, field):
                    values[pair] = torch.where(accept, values[pair[::-1]], values[pair])
        return particles

    def _anneal(self, n: int, path: list[float], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Chains from independent sites along inverse temperatures, with their log importance weights."""
        still = self.weight.new_zeros(n, self.config.hidden_size)
        visible = self._draw_visible(still, 0.0, generator)
        log_weights = torch.zeros(n, dtype=torch.float64, device=self.device)
        for before, beta in pairwise(path):
            field = self._field(visible)
            log_weights += (_log_cosh(beta * field) - _log_cosh(before * field)).sum(1, dtype=torch.float64)
            visible = self._gibbs(field, beta, generator)
        return visible, log_weights

    def _sums(self) -> tuple[LogZ, Tensor | None]:
        """ln Z and, where it is exact, the probabilities of the states it was summed over."""
        weights = [*self.parameters(), self.offsets]
        if self._known is None or not all(map(torch.equal, weights, self._known[0])):
            with torch.no_grad():
                table = None
                if self.likelihood == "exact":
                    log_weights = self._log_weights()
                    log_z = LogZ(log_weights.logsumexp(0), 0.0)
                    table = (log_weights - log_z.value).exp()
                else:
                    log_z = self.estimate_log_z(torch.Generator(self.device).manual_seed(0))
            self._known = [weight.detach().clone() for weight in weights], log_z, table
        return self._known[1:]

    def _log_weights(self) -> Tensor:
        """ln of the unnormalised probability of all hidden or all visible states, whichever are fewer."""
        sizes = (self.config.hidden_size, 2) if self._sums_hidden else (self.n_sites, self.n_outcomes)
        weigh = self._hidden_log_weight if self._sums_hidden else self._visible_log_weight
        blocks = (torch.from_numpy(block).to(self.device) for block in enumerate_outcomes(*sizes, chunk=_BLOCK))
        return torch.cat([weigh(block) for block in blocks])

    def _visible_log_weight(self, outcomes: Tensor) -> Tensor:
        return -self.free_energy(outcomes, torch.float64)

    def _hidden_log_weight(self, bits: Tensor) -> Tensor:
        """ln sum_v exp(-E(v, h)) = sum_j h_j c_j + sum_i ln sum_k exp(a_i(k) + sum_j h_j W_ij(k))."""
        hidden = bits.double() - 0.5
        logits = (hidden @ self.weight.double().T).view(-1, self.n_outcomes, self.n_sites) + self.visible_bias
        return logits.logsumexp(dim=1).sum(dim=1) + hidden @ self._threshold(torch.float64)

    def _field(self, outcomes: Tensor) -> Tensor:
        return self._one_hot(outcomes) @ self.weight + self._threshold()

    def _threshold(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Fields of the hidden units where every label weighs nothing."""
        return self.hidden_bias.to(dtype) - self.offsets.to(dtype) @ self.weight.to(dtype)

    def _one_hot(self, outcomes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(batch, n_sites) to (batch, n_outcomes * n_sites), label by label: the sites of one label lie together."""
        labels = torch.arange(self.n_outcomes, device=outcomes.device)[:, None]
        return (outcomes[:, None] == labels).to(dtype).flatten(1)


def _log_cosh(field: Tensor) -> Tensor:
    """ln 2 cosh(field/2)."""
    return functional.softplus(field) - field / 2


def _digits(index: Tensor, base: int, length: int) -> Tensor:
    """Rows of `enumerate_outcomes` by their number."""
    places = base ** torch.arange(length - 1, -1, -1, device=index.device)
    return index[:, None] // places % base
