"""Causal convolutions in one dimension: P(a) = prod_t P(a_t | a_0 ... a_{t-1}) from gated, dilated layers.

A masked convolution sees only what comes before (van den Oord, Kalchbrenner, Kavukcuoglu 2016, arXiv 1601.06759);
its units are gated, tanh times sigmoid (van den Oord et al. 2016, arXiv 1606.05328, eq. 2), and conditioned on the
site as there on a label (eq. 4); dilation lets a few layers see the whole chain (WaveNet: van den Oord et al. 2016,
arXiv 1609.03499).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from qtomo.models.autoregressive import Autoregressive, AutoregressiveConfig

__all__ = ["CNN", "CNNConfig"]


class CNNConfig(AutoregressiveConfig):
    """Settings of a causal convolutional network."""

    #: Channels of each layer.
    hidden_size: int = Field(32, ge=1)
    #: Places that a unit reads in the layer below, itself and earlier ones.
    kernel_size: int = Field(2, ge=2)
    #: Distance between these places, a number a layer. Where empty: 1, kernel_size, kernel_size**2 ... until the
    #: last place sees all before it.
    dilations: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    #: Size of a learned vector a site, which moves every gate; 0 gives every site the same weights, so that the
    #: network knows where the chain starts and not where it ends.
    site_size: int = Field(8, ge=0)


class CNN(Autoregressive):
    """Causal convolutions with gates and dilation."""

    Config = CNNConfig
    preset: ClassVar = {"learning_rate": 5e-3, "weight_decay": 0.2, "averaging": 0.999}
    config: CNNConfig

    def __init__(self, n_sites: int, n_outcomes: int, config: CNNConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        size, kernel = config.hidden_size, config.kernel_size
        self.dilations = config.dilations or _covering(kernel, n_sites)
        self.sites = nn.Parameter(0.1 * torch.randn(n_sites, config.site_size)) if config.site_size else None
        self.inputs = nn.Linear(n_outcomes, size)
        self.layers = nn.ModuleList(
            _GatedLayer(size, kernel, dilation, config.site_size) for dilation in self.dilations
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, n_outcomes))

    def _start(self, n: int) -> list[Tensor]:
        """What each layer read before place 0, which is zero: (n, reach, hidden_size)."""
        weight, size = self.inputs.weight, self.config.hidden_size
        return [weight.new_zeros(n, (self.config.kernel_size - 1) * dilation, size) for dilation in self.dilations]

    def _read(self, before: Tensor, first: int, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        sites = None if self.sites is None else self.sites[first : first + before.shape[1]]
        x = self.inputs(self._one_hot(before))  # (batch, places, hidden_size)
        kept = []
        for layer, past in zip(self.layers, state, strict=True):
            x, past = layer(x, past, sites)
            kept.append(past)
        return self.head(x), kept


class _GatedLayer(nn.Module):
    """y_t = x_t + U [tanh(f_t) * sigmoid(g_t)], (f_t, g_t) = sum_j W_j x_{t - j dilation} + V s_t + c.

    A convolution of a few taps is written as one product with the taps side by side, which is what it is.
    """

    def __init__(self, size: int, kernel_size: int, dilation: int, site_size: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.reach = (kernel_size - 1) * dilation  # places before, which the layer reads and therefore keeps
        self.gates = nn.Linear(kernel_size * size, 2 * size)
        self.site = nn.Linear(site_size, 2 * size, bias=False) if site_size else None
        self.outputs = nn.Linear(size, size)

    def forward(self, x: Tensor, past: Tensor, sites: Tensor | None) -> tuple[Tensor, Tensor]:
        """Inputs (batch, places, size), those of the `reach` places before and site vectors; to outputs and past."""
        places = x.shape[1]
        known = torch.cat([past, x], dim=1)  # (batch, reach + places, size)
        taps = [known[:, back : back + places] for back in range(0, self.reach + 1, self.dilation)]
        gates = self.gates(torch.cat(taps, dim=2))
        if self.site is not None:
            gates = gates + self.site(sites)
        signal, gate = gates.chunk(2, dim=2)
        return x + self.outputs(torch.tanh(signal) * torch.sigmoid(gate)), known[:, places:]


def _covering(kernel_size: int, n_sites: int) -> list[int]:
    """Dilations 1, kernel_size, kernel_size**2 ... with which the last place sees all n_sites - 1 before it."""
    dilations = [1]
    while dilations[-1] * kernel_size < n_sites - 1:
        dilations.append(dilations[-1] * kernel_size)
    return dilations
