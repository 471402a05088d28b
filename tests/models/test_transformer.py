"""Transformers: a block against the formulas, positions, dropout, and what is kept while sampling."""

import math

import pytest
import torch

from qtomo.errors import Code
from qtomo.models.registry import build_model, parse_model
from qtomo.models.transformer import _Block, rotate
from tests.refusing import refused

N, K = 6, 3


def rough(**settings):
    model = build_model({"family": "transformer", "hidden_size": 8, "heads": 2, **settings}, N, K).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def logits(model, records):
    return model._logits(records, model._start(len(records)))


@torch.no_grad()
@pytest.mark.parametrize("rotary", [False, True])
def test_a_block_is_its_formulas(rotary):
    size, heads, places = 8, 2, 5
    block = _Block(size, heads, 0.0, rotary).double()
    x = torch.randn(places, size, dtype=torch.float64)
    parts = block.attention_inputs(block.attention_norm(x)).reshape(places, 3, heads, size // heads)
    mixed = torch.zeros(places, heads, size // heads, dtype=torch.float64)
    for head in range(heads):
        queries, keys, values = parts[:, 0, head], parts[:, 1, head], parts[:, 2, head]
        if rotary:
            queries, keys = rotate(queries, 0), rotate(keys, 0)
        for place in range(places):
            weights = torch.exp(keys[: place + 1] @ queries[place] / math.sqrt(size / heads))
            mixed[place, head] = weights / weights.sum() @ values[: place + 1]
    y = x + block.attention_outputs(mixed.reshape(places, size))
    assert torch.allclose(block(x[None], 0, None)[0][0], y + block.perceptron(y), atol=1e-12)


def test_turned_vectors_meet_by_the_distance_of_their_places():
    vectors = torch.randn(2, 1, 8, dtype=torch.float64)

    def product(first, second):
        return (rotate(vectors[0], first) * rotate(vectors[1], second)).sum().item()

    assert product(3, 7) == pytest.approx(product(40, 44), abs=1e-12)
    assert abs(product(3, 7) - product(3, 8)) > 1e-3
    assert torch.equal(rotate(vectors[0], 0), vectors[0])
    turned = rotate(vectors[0].expand(50, 8), 0)
    assert turned.norm(dim=1).tolist() == pytest.approx([vectors[0].norm().item()] * 50)
    # The first pair turns by one radian a place, the last of four by 10000^(-3/4).
    pair = torch.tensor([[1.0, 0, 0, 1, 0, 0, 0, 0]], dtype=torch.float64)
    expected = [math.cos(5), 0, 0, math.cos(5e-3), math.sin(5), 0, 0, math.sin(5e-3)]
    assert rotate(pair, 5)[0].tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_the_order_of_outcomes_matters(positions):
    """One layer without positions would see what was drawn, and not where."""
    model = rough(layers=1, positions=positions)
    records = torch.tensor([[0, 1, 2, 0, 1, 0], [1, 0, 2, 0, 1, 0]])
    last = logits(model, records)[:, -1]
    assert (last[0] - last[1]).abs().max() > 1e-3


def test_dropout_is_for_training_alone():
    records = torch.randint(0, K, (20, N))
    model = rough(dropout=0.5)
    assert model.loss(records).item() == model.loss(records).item()
    model.train()
    assert model.loss(records).item() != model.loss(records).item()


@torch.no_grad()
def test_keys_and_values_of_each_place_are_kept():
    model = rough(layers=3)
    state = model._start(4)
    for place in range(N):
        _, state = model._read(torch.zeros(4, 1, dtype=torch.int64), place, state)
        assert [tuple(part.shape) for past in state for part in past] == [(4, 2, place + 1, 4)] * 6


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"heads": 3}, "heads = 3: .*expected a divisor of hidden_size = 32"),
        ({"hidden_size": 9}, "heads = 2: .*expected a divisor of hidden_size = 9"),
        ({"hidden_size": 6, "positions": "rotary"}, "heads = 2: .*an even number of units a head, found 3"),
        ({"positions": "sinusoidal"}, "positions = 'sinusoidal'"),
        ({"dropout": 1.0}, "dropout = 1.0"),
    ],
)
def test_wrong_settings(settings, fault):
    with refused(Code.VALUE, fault):
        parse_model({"family": "transformer", **settings})
