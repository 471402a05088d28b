"""Autoregressive recurrent networks, GRU and LSTM: P(a) = prod_i P(a_i | a_0 ... a_{i-1}).

The network reads the outcomes from site 0 on, one-hot, and gives at each site the probabilities of the
next (Carrasquilla, Torlai, Melko, Aolita 2019, arXiv 1810.10584).
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from qtomo.config import Config
from qtomo.models.base import Model

__all__ = ["GRU", "LSTM", "RNNConfig"]


class RNNConfig(Config):
    """Settings of a recurrent network."""

    #: Units of each layer.
    hidden_size: int = Field(128, ge=1)
    #: Stacked layers.
    layers: int = Field(1, ge=1)
    #: Probability of dropping a unit between stacked layers while training.
    dropout: float = Field(0.0, ge=0, lt=1)
    #: Learn the state before site 0, which is zero otherwise.
    learned_start: bool = True
    #: Size of a learned vector a site, fed beside the previous outcome: an open chain is not the same
    #: everywhere, and without it the network cannot know where the chain ends.
    site_size: int = Field(8, ge=0)
    #: Size of a learned constant fed at every site beside the previous outcome, as the 2018 recipe does.
    latent_size: int = Field(0, ge=0)


class _RNN(Model):
    Config = RNNConfig
    config: RNNConfig
    _cell: type[nn.GRU] | type[nn.LSTM]
    _states: int  # hidden tensors that the cell carries

    def __init__(self, n_sites: int, n_outcomes: int, config: RNNConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        self.rnn = self._cell(
            n_outcomes + config.site_size + config.latent_size,
            config.hidden_size,
            config.layers,
            batch_first=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.head = nn.Linear(config.hidden_size, n_outcomes)
        shape = (self._states, config.layers, 1, config.hidden_size)
        self.start = nn.Parameter(torch.zeros(shape)) if config.learned_start else None
        self.sites = nn.Parameter(0.1 * torch.randn(n_sites, config.site_size)) if config.site_size else None
        self.latent = nn.Parameter(0.1 * torch.randn(config.latent_size)) if config.latent_size else None

    def loss(self, outcomes: Tensor) -> Tensor:
        """Mean negative log-likelihood a record."""
        logits = self._logits(outcomes)
        total = functional.cross_entropy(logits.reshape(-1, self.n_outcomes), outcomes.reshape(-1), reduction="sum")
        return total / len(outcomes)

    def _log_prob(self, outcomes: Tensor) -> Tensor:
        chosen = torch.log_softmax(self._logits(outcomes), dim=-1).gather(2, outcomes[..., None])
        return chosen.sum(dim=(1, 2), dtype=torch.float64)

    def _logits(self, outcomes: Tensor, latent: Tensor | None = None) -> Tensor:
        """(batch, n_sites) outcomes to (batch, n_sites, n_outcomes), site i given the sites before it.

        `latent` (batch, latent_size) takes the place of the learned constant.
        """
        one_hot = functional.one_hot(outcomes[:, :-1], self.n_outcomes).to(self.head.weight.dtype)
        before = functional.pad(one_hot, (0, 0, 1, 0))  # nothing comes before site 0
        hidden, _ = self.rnn(self._features(before, 0, latent), self._start(len(outcomes)))
        logits: Tensor = self.head(hidden)
        return logits

    def _features(self, before: Tensor, first_site: int, latent: Tensor | None) -> Tensor:
        """What the cell reads at each site from `first_site` on: (batch, sites, features)."""
        batch, sites, _ = before.shape
        features = [before]
        if self.sites is not None:
            features.append(self.sites[first_site : first_site + sites].expand(batch, -1, -1))
        constant = self.latent if latent is None else latent[:, None]
        if constant is not None:
            features.append(constant.expand(batch, sites, -1))
        return torch.cat(features, dim=2)

    def _start(self, batch: int) -> Any:
        """The cell's state before site 0, as torch wants it; None is zero."""
        if self.start is None:
            return None
        start = self.start.expand(-1, -1, batch, -1).contiguous()
        return start[0] if self._states == 1 else (start[0], start[1])

    def _sample(self, n: int, generator: torch.Generator, latent: Tensor | None = None) -> Tensor:
        state = self._start(n)
        before = self.head.weight.new_zeros(n, 1, self.n_outcomes)
        drawn = []
        for site in range(self.n_sites):
            hidden, state = self.rnn(self._features(before, site, latent), state)
            probabilities = torch.softmax(self.head(hidden[:, 0]), dim=-1)
            outcome = torch.multinomial(probabilities, 1, generator=generator)
            drawn.append(outcome)
            before = functional.one_hot(outcome, self.n_outcomes).to(before.dtype)
        return torch.cat(drawn, dim=1)


class GRU(_RNN):
    """Gated recurrent units (Cho et al. 2014, arXiv 1406.1078)."""

    _cell = nn.GRU
    _states = 1


class LSTM(_RNN):
    """Long short-term memory (Hochreiter and Schmidhuber 1997)."""

    _cell = nn.LSTM
    _states = 2
