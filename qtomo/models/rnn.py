"""Autoregressive recurrent networks, GRU and LSTM: P(a) = prod_i P(a_i | a_0 ... a_{i-1}).

The network reads the outcomes one after the other, one-hot, and gives the probabilities of the next
(Carrasquilla, Torlai, Melko, Aolita 2019, arXiv 1810.10584).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from qtomo.models.autoregressive import Autoregressive, AutoregressiveConfig

__all__ = ["GRU", "LSTM", "GRUConfig", "RNNConfig"]


class RNNConfig(AutoregressiveConfig):
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


class GRUConfig(RNNConfig):
    """Settings of gated recurrent units."""

    hidden_size: int = Field(64, ge=1)


class _RNN(Autoregressive):
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

    def _start(self, n: int, latent: Tensor | None = None) -> tuple[Any, Tensor | None]:
        """The cell's state before place 0 as torch wants it, None where it is zero; and the constant.

        `latent` (n, latent_size) takes the place of the learned constant.
        """
        constant = self.latent if latent is None else latent[:, None]
        if self.start is None:
            return None, constant
        start = self.start.expand(-1, -1, n, -1).contiguous()
        return start[0] if self._states == 1 else (start[0], start[1]), constant

    def _read(self, before: Tensor, first: int, state: tuple[Any, Tensor | None]) -> tuple[Tensor, Any]:
        cell, constant = state
        batch, places = before.shape
        features = [self._one_hot(before)]
        if self.sites is not None:
            features.append(self.sites[first : first + places].expand(batch, -1, -1))
        if constant is not None:
            features.append(constant.expand(batch, places, -1))
        hidden, cell = self.rnn(torch.cat(features, dim=2), cell)
        return self.head(hidden), (cell, constant)


class GRU(_RNN):
    """Gated recurrent units (Cho et al. 2014, arXiv 1406.1078)."""

    Config = GRUConfig
    preset: ClassVar = {"learning_rate": 1.2e-2, "batch_size": 100, "averaging": 0.999}
    _cell = nn.GRU
    _states = 1


class LSTM(_RNN):
    """Long short-term memory (Hochreiter and Schmidhuber 1997)."""

    preset: ClassVar = {"learning_rate": 1e-2, "batch_size": 50, "averaging": 0.999}

    _cell = nn.LSTM
    _states = 2
