"""The window: a shift of each coordinate by the signs of the ones just before it, a Markov chain of bits on its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Transform, constraints
from torch.nn import functional

__all__ = ["Window"]

_PLACE = 8  # numbers that say which coordinate is shifted


class Window(nn.Module):
    """y_i = x_i + m_i(signs of the coordinates from i - reach to i - 1), which keeps volume.

    With the identity after it, P(a) is a Markov chain of the binary embedding's bits. Records of a chain of qubits
    are near to one; transforms that start here learn what reaches further.

    Args:
        features: F, the number of coordinates.
        reach: coordinates before its own that a shift depends on.
        hidden_size: units of the network, which all coordinates share.
    """

    def __init__(self, features: int, reach: int, hidden_size: int) -> None:
        super().__init__()
        self.reach = reach
        self.coordinates = nn.Parameter(0.1 * torch.randn(features, _PLACE))
        self.network = nn.Sequential(nn.Linear(reach + _PLACE, hidden_size), nn.SiLU(), nn.Linear(hidden_size, 1))

    def forward(self, _context: Tensor | None = None) -> Transform:
        """The shift; it depends on no context."""
        return _Shift(self)

    def shifts(self, signs: Tensor) -> Tensor:
        """m of all coordinates from the signs of all: (batch, F) to (batch, F)."""
        before = functional.pad(signs, (self.reach, 0)).unfold(-1, self.reach, 1)[..., : signs.shape[-1], :]
        return self._shifts(before, self.coordinates)

    def shift(self, before: Tensor, place: int) -> Tensor:
        """m of one coordinate from the `reach` signs before it, zero before the first: (batch, reach) to (batch,)."""
        return self._shifts(before[..., None, :], self.coordinates[place, None])[..., 0]

    def _shifts(self, before: Tensor, coordinates: Tensor) -> Tensor:
        read = torch.cat([before, coordinates.expand(*before.shape[:-1], -1)], dim=-1)
        shifts: Tensor = self.network(read)[..., 0]
        return shifts


class _Shift(Transform):
    domain = codomain = constraints.real_vector
    bijective = True

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window

    def _call(self, x: Tensor) -> Tensor:
        return x + self.window.shifts(torch.sign(x))

    def _inverse(self, y: Tensor) -> Tensor:
        reach = self.window.reach
        signs, found = functional.pad(torch.zeros_like(y), (reach, 0)), []
        for i in range(y.shape[-1]):
            found.append(y[..., i] - self.window.shift(signs[..., i : i + reach], i))
            signs[..., reach + i] = torch.sign(found[-1])
        return torch.stack(found, dim=-1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-1])
