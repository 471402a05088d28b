"""What a flow's transforms read coordinates with: tanh or sign, then a perceptron or convolutions along the chain.

The convolutions are those of WaveNet (van den Oord et al. 2016, arXiv 1609.03499), with a bias per place in place of
its condition. All places share their weights, so that what is learned of one stretch of a chain serves all.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["Conditioner", "Convolutions", "Reader", "perceptron", "reader"]

Conditioner = Literal["smooth", "sign"]

_TAPS = 3


class Reader(nn.Module):
    """tanh(b x) with a learned b per coordinate, from near linear to near the sign; or the sign itself.

    Args:
        features: F, the number of coordinates.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.log_steepness = nn.Parameter(torch.full((features,), math.log(3.0)))

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """Coordinates from number `first` on, (batch, n) to (batch, n)."""
        return torch.tanh(x * self.log_steepness[first : first + x.shape[-1]].exp())


class _Sign(Reader):
    """The sign: which half of its axis a coordinate is in, and no more."""

    def __init__(self, _: int) -> None:
        nn.Module.__init__(self)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        return torch.sign(x)


def reader(conditioner: Conditioner, features: int) -> Reader:
    """The reader of a setting."""
    return Reader(features) if conditioner == "smooth" else _Sign(features)


def perceptron(inputs: int, outputs: int, hidden: list[int]) -> nn.Sequential:
    """Linear layers with SiLU between; the outputs start at zero.

    Args:
        inputs: numbers read.
        outputs: numbers given.
        hidden: units of each hidden layer.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise([inputs, *hidden]):
        layers += [nn.Linear(before, after), nn.SiLU()]
    last = nn.Linear(hidden[-1], outputs)
    _silence(last)
    return nn.Sequential(*layers, last)


def _silence(layer: nn.Module) -> None:
    for weights in layer.parameters():
        nn.init.zeros_(weights)


class Convolutions(nn.Module):
    """Numbers for each place of a chain from those of its own and of earlier places.

    Dilations 1, 3, 9 ... let the last layer see the whole chain. The outputs start at zero.

    Args:
        places: length of the chain.
        inputs: numbers read at a place.
        outputs: numbers given for a place.
        channels: of each layer.
    """

    def __init__(self, places: int, inputs: int, outputs: int, channels: int) -> None:
        super().__init__()
        dilations = [1]
        while (_TAPS - 1) * sum(dilations) < places - 1:
            dilations.append(_TAPS * dilations[-1])
        self.inputs = nn.Linear(inputs, channels)
        self.reaches = [(_TAPS - 1) * dilation for dilation in dilations]
        self.layers = nn.ModuleList(_Gated(places, channels, dilation) for dilation in dilations)
        self.outputs = nn.Linear(channels, outputs)
        _silence(self.outputs)

    def start(self, batch: int) -> list[Tensor]:
        """What the layers read before place 0: (batch, reach, channels) each, zero."""
        weight = self.inputs.weight
        return [weight.new_zeros(batch, reach, weight.shape[0]) for reach in self.reaches]

    def forward(self, x: Tensor, past: list[Tensor] | None = None, first: int = 0) -> tuple[Tensor, list[Tensor]]:
        """Inputs of the places from number `first` on, with what was read before them, to outputs and past.

        Args:
            x: (batch, n, inputs).
            past: of `start` or of the call before; None at the start.
            first: number of the first of these places.

        Returns:
            Outputs (batch, n, outputs), and the past of the place after the last.
        """
        x, kept = self.inputs(x), []
        for layer, before in zip(self.layers, past or self.start(len(x)), strict=True):
            x, before = layer(x, before, first)
            kept.append(before)
        return self.outputs(x), kept


class _Gated(nn.Module):
    """y_t = x_t + tanh(f_t) * sigmoid(g_t), with (f_t, g_t) linear in three taps and a bias per place."""

    def __init__(self, places: int, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.gates = nn.Linear(_TAPS * channels, 2 * channels, bias=False)
        self.bias = nn.Parameter(0.1 * torch.randn(places, 2 * channels))

    def forward(self, x: Tensor, past: Tensor, first: int) -> tuple[Tensor, Tensor]:
        places = x.shape[1]
        known = torch.cat([past, x], dim=1)
        taps = [known[:, tap * self.dilation : tap * self.dilation + places] for tap in range(_TAPS)]
        signal, gate = (self.gates(torch.cat(taps, dim=2)) + self.bias[first : first + places]).chunk(2, dim=2)
        return x + torch.tanh(signal) * torch.sigmoid(gate), known[:, places:]
