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
            n_outcomes + config.latent_size,
            config.hidden_size,
            config.layers,
            batch_first=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.head = nn.Linear(config.hidden_size, n_outcomes)
        shape = (self._states, config.layers, 1, config.hidden_size)
        self.start = nn.Parameter(torch.zeros(shape), requires_grad=config.learned_start)
        self.latent = nn.Parameter(0.1 * torch.randn(config.latent_size)) if config.latent_size else None

    def loss(self, outcomes: Tensor) -> Tensor:
        """Mean negative log-likelihood a record."""
        logits = self._logits(outcomes)
        total = functional.cross_entropy(logits.reshape(-1, self.n_outcomes), outcomes.reshape(-1), reduction="sum")
        return total / len(outcomes)

    def _log_prob(self, outcomes: Tensor) -> Tensor:
        chosen = torch.log_softmax(self._logits(outcomes), dim=-1).gather(2, outcomes[..., None])
        return chosen.sum(dim=(1, 2), dtype=torch.float64)

    def _logits(self, outcomes: Tensor) -> Tensor:
        """(batch, n_sites) outcomes to (batch, n_sites, n_outcomes), site i given the sites before it."""
        before = self._encode(outcomes[:, :-1])
        first = self._features(before.new_zeros(len(outcomes), 1, self.n_outcomes))
        hidden, _ = self.rnn(torch.cat([first, before], dim=1), self._start(len(outcomes)))
        logits: Tensor = self.head(hidden)
        return logits

    def _encode(self, outcomes: Tensor) -> Tensor:
        return self._features(functional.one_hot(outcomes, self.n_outcomes).to(self.head.weight.dtype))

    def _features(self, one_hot: Tensor) -> Tensor:
        if self.latent is None:
            return one_hot
        return torch.cat([one_hot, self.latent.expand(*one_hot.shape[:2], -1)], dim=2)

    def _start(self, batch: int) -> Any:
        start = self.start.expand(-1, -1, batch, -1).contiguous()
        return start[0] if self._states == 1 else (start[0], start[1])

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        state = self._start(n)
        feed = self._features(self.head.weight.new_zeros(n, 1, self.n_outcomes))
        drawn = []
        for _ in range(self.n_sites):
            hidden, state = self.rnn(feed, state)
            probabilities = torch.softmax(self.head(hidden[:, 0]), dim=-1)
            outcome = torch.multinomial(probabilities, 1, generator=generator)
            drawn.append(outcome)
            feed = self._encode(outcome)
        return torch.cat(drawn, dim=1)


class GRU(_RNN):
    """Gated recurrent units (Cho et al. 2014, arXiv 1406.1078)."""

    _cell = nn.GRU
    _states = 1


class LSTM(_RNN):
    """Long short-term memory (Hochreiter and Schmidhuber 1997)."""

    _cell = nn.LSTM
    _states = 2
