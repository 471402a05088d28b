"""Embeddings of labels into real vectors, so that flows on R^F can learn them.

Each record owns a cell of R^F, and the cells of all records fill it. A flow with density p then gives

    P(a) = integral of p over the cell of a >= exp E_q(u|a) [ln p(u) - ln q(u|a)]

for any q that lives in the cell (arXiv 1511.01844, 1902.00275). Here the cells are drawn in the unit
cube of x = 1 / (1 + exp(-u)), where a map of constant Jacobian fills each from noise t in the cube.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from zuko.flows.autoregressive import MaskedAutoregressiveTransform

__all__ = ["Embedding", "EmbeddingName", "log_logistic", "logistic"]

EmbeddingName = Literal["uniform", "variational", "argmax", "binary"]

_EDGE = 1e-7  # uniform noise keeps this distance from 0 and 1, where its logit is infinite

#: u = logit(x) and ln dx/du = ln x(1 - x), made from logarithms: near a wall x itself rounds to it.
_Place = tuple[Tensor, Tensor]


class _Cells(NamedTuple):
    """How records share the unit cube; t = sigmoid(v) is the noise."""

    #: Coordinates a site for K outcomes.
    width: Callable[[int], int]
    #: v (batch, N, width), outcomes (batch, N) and K to a point of the cell and ln dx/du there.
    fill: Callable[[Tensor, Tensor, int], _Place]
    #: The label whose cell has u = logit(x): (batch, N, width) and K to (batch, N).
    read: Callable[[Tensor, int], Tensor]
    #: Cells a site that are equally large, so that each has volume 1 / count.
    count: Callable[[int], int]


def _bits(n_outcomes: int) -> int:
    return max(1, (n_outcomes - 1).bit_length())


def _log_sum(digits: Tensor, v: Tensor) -> Tensor:
    """ln(digit + sigmoid(v)), precise where the sigmoid is close to 0 or to 1."""
    return torch.where(digits == 0, functional.logsigmoid(v), torch.log1p((digits - 1).clamp(min=0) + torch.sigmoid(v)))


def _interval(v: Tensor, digits: Tensor, base: int) -> _Place:
    """x = (digit + t) / base."""
    below, above = _log_sum(digits, v), _log_sum(base - 1 - digits, -v)
    return below - above, below + above - 2 * math.log(base)


def _fill_interval(v: Tensor, outcomes: Tensor, n_outcomes: int) -> _Place:
    return _interval(v, outcomes[..., None], n_outcomes)


def _read_interval(u: Tensor, n_outcomes: int) -> Tensor:
    return (u[..., 0].sigmoid() * n_outcomes).long().clamp(max=n_outcomes - 1)


def _fill_binary(v: Tensor, outcomes: Tensor, _: int) -> _Place:
    return _interval(v, outcomes[..., None] >> torch.arange(v.shape[-1], device=v.device) & 1, 2)


def _read_binary(u: Tensor, n_outcomes: int) -> Tensor:
    codes = ((u >= 0).long() << torch.arange(u.shape[-1], device=u.device)).sum(dim=-1)
    return codes % n_outcomes  # where K is no power of two some labels own a second cell, which q leaves out


def _fill_argmax(v: Tensor, outcomes: Tensor, n_outcomes: int) -> _Place:
    log_t = functional.logsigmoid(v)
    largest = log_t.gather(-1, outcomes[..., None]) / n_outcomes
    chosen = functional.one_hot(outcomes, n_outcomes).bool()
    log_x = torch.where(chosen, largest, largest + log_t)
    log_rest = torch.log(-torch.expm1(log_x))
    return log_x - log_rest, log_x + log_rest


def _read_argmax(u: Tensor, _: int) -> Tensor:
    return u.argmax(dim=-1)


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


def logistic(uniform: Tensor) -> Tensor:
    """Standard logistic variables from uniform ones."""
    return uniform.clamp(_EDGE, 1 - _EDGE).logit()


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
            hyper: Any = self.noise.hyper
            for last in hyper[-1].parameters():  # starts as the noise that `means` say
                nn.init.zeros_(last)

    def signs(self, outcomes: Tensor) -> Tensor:
        """The half of each coordinate that the binary embedding's bit says, 1 or -1: (batch, N) to (batch, F)."""
        bits = outcomes[..., None] >> torch.arange(self.shape[1], device=outcomes.device) & 1
        return (2.0 * bits - 1).flatten(1)

    def forward(self, outcomes: Tensor, means: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """A point u of each record's cell, and ln q(u|a): (batch, N) to (batch, F) and (batch,).

        Noise is drawn from torch's global generator. Means, (batch, F), are added to learned noise v.
        """
        uniform = torch.rand(len(outcomes), self.features, device=outcomes.device)
        v = logistic(uniform)
        log_q = v.new_zeros(len(outcomes))
        if self.noise is not None:
            record = functional.one_hot(outcomes, self.n_outcomes).flatten(1).to(v.dtype)
            moved, ladj = self.noise(record).call_and_ladj(v)
            moved = moved if means is None else moved + means
            log_q = (log_logistic(v) - log_logistic(moved)).sum(dim=-1) - ladj
            v = moved
        points, slope = self.cells.fill(v.reshape(-1, *self.shape), outcomes, self.n_outcomes)
        log_volume = -self.shape[0] * math.log(self.cells.count(self.n_outcomes))
        return points.flatten(1), log_q - log_volume + slope.flatten(1).sum(dim=-1)

    def read(self, points: Tensor) -> Tensor:
        """The records whose cells the points are in: (batch, F) to (batch, N)."""
        return self.cells.read(points.reshape(-1, *self.shape), self.n_outcomes)
