"""Recurrent networks against their recurrence written out in NumPy, an outcome at a time."""

import numpy as np
import pytest
import torch

from qtomo.models.rnn import GRU, LSTM
from tests.systems import dense

N, K = 3, 4


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_step(x, h, w):
    """Cho et al. 2014, in torch's order of gates: reset, update, new."""
    gi, gh = w["ih"] @ x + w["bi"], w["hh"] @ h + w["bh"]
    (ri, zi, ni), (rh, zh, nh) = np.split(gi, 3), np.split(gh, 3)
    r, z = sigmoid(ri + rh), sigmoid(zi + zh)
    return (1 - z) * np.tanh(ni + r * nh) + z * h


def lstm_step(x, state, w):
    h, c = state
    i, f, g, o = np.split(w["ih"] @ x + w["bi"] + w["hh"] @ h + w["bh"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def by_hand(model, row):
    """ln P of one record: what came before and the site's own vector are read, and probabilities of the next given."""
    p = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    layers = [
        {"ih": p[f"rnn.weight_ih_l{i}"], "hh": p[f"rnn.weight_hh_l{i}"]}
        | {"bi": p[f"rnn.bias_ih_l{i}"], "bh": p[f"rnn.bias_hh_l{i}"]}
        for i in range(model.config.layers)
    ]
    is_gru = isinstance(model, GRU)
    zero = np.zeros((1 if is_gru else 2, len(layers), 1, model.config.hidden_size))
    start = p.get("start", zero)[:, :, 0]
    states = [start[0, i] if is_gru else (start[0, i], start[1, i]) for i in range(len(layers))]
    total, before = 0.0, np.zeros(K)
    for site, outcome in enumerate(row):
        x = np.concatenate([before, p["sites"][site] if "sites" in p else [], p.get("latent", [])])
        for i, w in enumerate(layers):
            states[i] = gru_step(x, states[i], w) if is_gru else lstm_step(x, states[i], w)
            x = states[i] if is_gru else states[i][0]
        logits = p["head.weight"] @ x + p["head.bias"]
        total += logits[outcome] - np.log(np.exp(logits).sum())
        before = np.eye(K)[outcome]
    return total


@pytest.mark.parametrize("family", [GRU, LSTM])
@pytest.mark.parametrize(
    "settings",
    [{}, {"layers": 2, "latent_size": 3}, {"learned_start": False, "site_size": 0}],
    ids=["plain", "two layers and a constant", "neither start nor sites"],
)
def test_it_is_its_recurrence(family, settings):
    torch.manual_seed(1)
    model = family(N, K, family.Config(hidden_size=5, **settings)).eval()
    with torch.no_grad():
        for value in model.parameters():  # a start of zero would hide that it is read
            value.add_(0.3 * torch.randn_like(value))
    rows = dense.all_records(N, K)
    found = model.log_prob(rows)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-5)
    assert found[::7] == pytest.approx([by_hand(model, row) for row in rows[::7]], abs=1e-5)
