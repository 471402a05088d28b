"""Decoder-only transformers: P(a) = prod_t P(a_t | a_0 ... a_{t-1}) from causal self-attention.

Attention is that of Vaswani et al. 2017, arXiv 1706.03762, eq. 1, with norms before each branch (Xiong et al. 2020,
arXiv 2002.04745) and rotary (Su et al. 2021, arXiv 2104.09864) or learned positions.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn import functional

from qtomo.models.autoregressive import Autoregressive, AutoregressiveConfig

__all__ = ["Transformer", "TransformerConfig"]

Past = tuple[Tensor, Tensor] | None  # keys and values of the places read, (batch, heads, places, head size)


class TransformerConfig(AutoregressiveConfig):
    """Settings of a transformer."""

    model_config = ConfigDict(validate_default=True)

    #: Width of the residual stream.
    hidden_size: int = Field(32, ge=1)
    #: Blocks of attention and perceptron.
    layers: int = Field(2, ge=1)
    #: `learned`: a learned vector a place is added to the outcome's. `rotary`: queries and keys turn with the place,
    #: so that attention depends on distances; where a place is it knows only from its distance to the start.
    positions: Literal["learned", "rotary"] = "learned"
    #: Heads of each attention; they share the width.
    heads: int = Field(2, ge=1)
    #: Probability of dropping an attention weight or a unit of a branch while training.
    dropout: float = Field(0.0, ge=0, lt=1)

    @field_validator("heads")
    @classmethod
    def _heads_share_the_width(cls, value: int, info: ValidationInfo) -> int:
        size = info.data.get("hidden_size", value)
        if size % value:
            raise ValueError(f"expected a divisor of hidden_size = {size}")
        if info.data.get("positions") == "rotary" and size // value % 2:
            raise ValueError(f"rotary positions need an even number of units a head, found {size // value}")
        return value


class Transformer(Autoregressive):
    """Causal self-attention."""

    Config = TransformerConfig
    preset: ClassVar = {"averaging": 0.999}
    config: TransformerConfig

    def __init__(self, n_sites: int, n_outcomes: int, config: TransformerConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        size = config.hidden_size
        self.outcomes = nn.Embedding(n_outcomes + 1, size)  # the last row is nothing
        self.positions = nn.Parameter(0.1 * torch.randn(n_sites, size)) if config.positions == "learned" else None
        self.blocks = nn.ModuleList(
            _Block(size, config.heads, config.dropout, config.positions == "rotary") for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(size)
        self.head = nn.Linear(size, n_outcomes)

    def _start(self, n: int) -> list[Past]:
        return [None] * len(self.blocks)

    def _read(self, before: Tensor, first: int, state: list[Past]) -> tuple[Tensor, list[Past]]:
        x = self.outcomes(before)  # (batch, places, hidden_size)
        if self.positions is not None:
            x = x + self.positions[first : first + before.shape[1]]
        kept: list[Past] = []
        for block, past in zip(self.blocks, state, strict=True):
            x, past = block(x, first, past)
            kept.append(past)
        return self.head(self.norm(x)), kept


class _Block(nn.Module):
    """y = x + attention(norm(x)), then y + perceptron(norm(y))."""

    def __init__(self, size: int, heads: int, dropout: float, rotary: bool) -> None:
        super().__init__()
        self.heads, self.dropout, self.rotary = heads, dropout, rotary
        self.attention_norm = nn.LayerNorm(size)
        self.attention_inputs = nn.Linear(size, 3 * size)
        self.attention_outputs = nn.Linear(size, size)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(size), nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size)
        )

    def forward(self, x: Tensor, first: int, past: Past) -> tuple[Tensor, Past]:
        """Inputs (batch, places, size) from place `first` on, with what was read before: all at once or one by one."""
        parts = self.attention_inputs(self.attention_norm(x)).unflatten(2, (3, self.heads, -1))
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)  # each (batch, heads, places, head size)
        if self.rotary:
            queries, keys = rotate(queries, first), rotate(keys, first)
        if past is not None:
            keys, values = torch.cat([past[0], keys], dim=2), torch.cat([past[1], values], dim=2)
        mixed = functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            is_causal=past is None,  # a single place after the past may see all of it
            dropout_p=self.dropout if self.training else 0.0,
        )
        x = x + self._drop(self.attention_outputs(mixed.transpose(1, 2).flatten(2)))
        return x + self._drop(self.perceptron(x)), (keys, values)

    def _drop(self, branch: Tensor) -> Tensor:
        return functional.dropout(branch, self.dropout, self.training)


def rotate(vectors: Tensor, first: int) -> Tensor:
    """Vectors (..., places, even size) turned by their place, the first of which is `first`.

    At place t the pair of coordinates j and j + size/2 turns by the angle t 10000^(-2j/size), so that a product of two
    turned vectors depends on the difference of their places (arXiv 2104.09864, eq. 14 to 16, in other pairs).
    """
    places, size = vectors.shape[-2:]
    speeds = 10_000 ** (-torch.arange(0, size, 2).to(vectors) / size)
    angles = torch.arange(first, first + places).to(vectors)[:, None] * speeds
    left, right = vectors.chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1)
