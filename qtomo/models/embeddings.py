"""Embeddings of labels into real vectors, so that flows on R^F can learn them.

Each record owns a cell of R^F, and the cells of all records fill it. A flow with density p then gives

    P(a) = integral of p over the cell of a >= exp E_q(u|a) [ln p(u) - ln q(u|a)]

for any q that lives in the cell (arXiv 1511.01844, 1902.00275). Here the cells are drawn in the unit
cube of x = 1 / (1 + exp(-u)), where a map of constant Jacobian fills each from noise t in the cube.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from zuko.flows.autoregressive import MaskedAutoregressiveTransform

__all__ = ["Embedding", "EmbeddingName", "log_logistic"]

EmbeddingName = Literal["uniform", "variational", "argmax", "binary"]

_EDGE = 1e-6  # noise keeps this distance from the walls, where single precision cannot tell 1 - x


class _Cells(NamedTuple):
    """How records share the unit cube."""

    #: Coordinates a site for K outcomes.
    width: Callable[[int], int]
    #: Noise (batch, N, width) and outcomes (batch, N) and K to a point of the cell.
    fill: Callable[[Tensor, Tensor, int], Tensor]
    #: The label whose cell has the point: (batch, N, width) and K to (batch, N).
    read: Callable[[Tensor, int], Tensor]
    #: Cells a site that are equally large, so that each has volume 1 / count.
    count: Callable[[int], int]


def _bits(n_outcomes: int) -> int:
    return max(1, (n_outcomes - 1).bit_length())


def _fill_interval(noise: Tensor, outcomes: Tensor, n_outcomes: int) -> Tensor:
    return (outcomes[..., None] + noise) / n_outcomes


def _read_interval(x: Tensor, n_outcomes: int) -> Tensor:
    return (x[..., 0] * n_outcomes).long().clamp(max=n_outcomes - 1)


def _fill_binary(noise: Tensor, outcomes: Tensor, _: int) -> Tensor:
    places = torch.arange(noise.shape[-1], device=noise.device)
    return ((outcomes[..., None] >> places & 1) + noise) / 2


def _read_binary(x: Tensor, n_outcomes: int) -> Tensor:
    places = torch.arange(x.shape[-1], device=x.device)
    codes = ((x >= 0.5).long() << places).sum(dim=-1)
    return codes % n_outcomes  # where K is no power of two some labels own a second cell, which q leaves out


def _fill_argmax(noise: Tensor, outcomes: Tensor, n_outcomes: int) -> Tensor:
    chosen = functional.one_hot(outcomes, n_outcomes).bool()
    largest = noise.gather(-1, outcomes[..., None]) ** (1 / n_outcomes)
    return torch.where(chosen, largest, largest * noise)


def _read_argmax(x: Tensor, _: int) -> Tensor:
    return x.argmax(dim=-1)


_INTERVAL = _Cells(lambda k: 1, _fill_interval, _read_interval, lambda k: k)

_CELLS: dict[EmbeddingName, _Cells] = {
    "uniform": _INTERVAL,
    "variational": _INTERVAL,
    "argmax": _Cells(lambda k: k, _fill_argmax, _read_argmax, lambda k: k),
    "binary": _Cells(_bits, _fill_binary, _read_binary, lambda k: int(2 ** _bits(k))),
}


def log_logistic(x: Tensor) -> Tensor:
    """ln of the standard logistic density exp(-x) / (1 + exp(-x))^2, which is the slope of the sigmoid."""
    return functional.logsigmoid(x) + functional.logsigmoid(-x)


class Embedding(nn.Module):
    """Records as points of R^F, one cell a record.

    | name | cell in the unit cube | noise |
    |---|---|---|
    | `uniform` | [a/K, (a+1)/K] a site (Theis, van den Oord, Bethge 2016, arXiv 1511.01844) | uniform |
    | `variational` | the same (Ho et al. 2019, arXiv 1902.00275) | learned |
    | `argmax` | x_a the largest of K a site (Hoogeboom et al. 2021, arXiv 2102.05379) | learned |
    | `binary` | the half of each of ceil(log2 K) coordinates that its bit says (ibid.) | learned |

    Learned noise is q(t|a): t = sigmoid(v), v = e exp(s) + m with logistic e, where s and m of a coordinate
    depend on the whole record and on the coordinates of e before it (inverse autoregressive, arXiv
    1606.04934). With s = 0 that is the posterior of a logistic variable of any mean given its sign, so the
    bound of a flow whose conditionals are such is tight. The argmax cell is filled by x_a = t_a^(1/K),
    x_k = x_a t_k in place of the softplus of the paper: a bijection onto the same cell, whose Jacobian is
    1/K everywhere.

    Args:
        n_sites: N.
        n_outcomes: K.
        name: which of the four.
        hidden: sizes of the hidden layers of the noise's network.
    """

    def __init__(self, n_sites: int, n_outcomes: int, name: EmbeddingName, hidden: list[int]) -> None:
        super().__init__()
        self.n_outcomes = n_outcomes
        self.cells = _CELLS[name]
        self.shape = (n_sites, self.cells.width(n_outcomes))
        #: F, the coordinates of a record.
        self.features = math.prod(self.shape)
        self.noise: nn.Module | None = None
        if name != "uniform":
            self.noise = MaskedAutoregressiveTransform(
                self.features, n_sites * n_outcomes, hidden_features=hidden, activation=nn.SiLU
            )

    def forward(self, outcomes: Tensor) -> tuple[Tensor, Tensor]:
        """A point u of each record's cell, and ln q(u|a): (batch, N) to (batch, F) and (batch,).

        Noise is drawn from torch's global generator.
        """
        noise = torch.rand(len(outcomes), self.features, device=outcomes.device).clamp(_EDGE, 1 - _EDGE)
        log_q = noise.new_zeros(len(outcomes))
        if self.noise is not None:
            record = functional.one_hot(outcomes, self.n_outcomes).flatten(1).to(noise.dtype)
            start = noise.logit()
            moved, ladj = self.noise(record).call_and_ladj(start)
            log_q = (log_logistic(start) - log_logistic(moved)).sum(dim=-1) - ladj
            noise = moved.sigmoid().clamp(_EDGE, 1 - _EDGE)
        x = self.cells.fill(noise.reshape(-1, *self.shape), outcomes, self.n_outcomes).flatten(1)
        points = x.logit()
        log_volume = -self.shape[0] * math.log(self.cells.count(self.n_outcomes))
        return points, log_q - log_volume + log_logistic(points).sum(dim=-1)

    def read(self, points: Tensor) -> Tensor:
        """The records whose cells the points are in: (batch, F) to (batch, N)."""
        return self.cells.read(points.sigmoid().reshape(-1, *self.shape), self.n_outcomes)
