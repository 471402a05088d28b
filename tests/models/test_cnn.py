"""Causal convolutions: gates against the formula, how far a place sees, and what the site vectors do."""

import pytest
import torch

from qtomo.errors import Code
from qtomo.models.cnn import _covering, _GatedLayer
from qtomo.models.registry import build_model, parse_model
from tests.refusing import refused

N, K = 12, 3


def rough(**settings):
    model = build_model({"family": "cnn", "hidden_size": 8, **settings}, N, K).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def logits(model, records):
    return model._logits(records, model._start(len(records)))


@torch.no_grad()
def test_a_layer_is_its_formula():
    size, kernel, dilation = 3, 3, 2
    layer = _GatedLayer(size, kernel, dilation, 2).double()
    x, sites = torch.randn(5, size, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    found, _ = layer(x[None], torch.zeros(1, layer.reach, size, dtype=torch.float64), sites)
    taps = layer.gates.weight.reshape(2, size, kernel, size)  # signal or gate, unit, tap from the earliest on, input
    for place in range(5):
        signal, gate = layer.gates.bias.reshape(2, size) + (layer.site.weight @ sites[place]).reshape(2, size)
        for tap in range(kernel):
            source = place - (kernel - 1 - tap) * dilation
            if source >= 0:
                signal = signal + taps[0, :, tap] @ x[source]
                gate = gate + taps[1, :, tap] @ x[source]
        expected = x[place] + layer.outputs.weight @ (signal.tanh() / (1 + (-gate).exp())) + layer.outputs.bias
        assert torch.allclose(found[0, place], expected, atol=1e-12)


@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_the_dilations_just_cover_the_chain(kernel):
    for n_sites in range(1, 200):
        dilations = _covering(kernel, n_sites)
        assert dilations == [kernel**layer for layer in range(len(dilations))]
        seen = 1 + (kernel - 1) * sum(dilations)
        assert seen >= n_sites - 1
        assert len(dilations) == 1 or seen - (kernel - 1) * dilations[-1] < n_sites - 1


def test_given_dilations_say_how_far_a_place_sees():
    model = rough(dilations=[1, 2])  # reads the outcomes of the four places before
    records = torch.randint(0, K, (1, N))
    for changed in range(N):
        other = records.clone()
        other[0, changed] = (other[0, changed] + 1) % K
        differs = (logits(model, other) - logits(model, records)).abs().amax(dim=(0, 2)) > 1e-12
        assert differs.tolist() == [changed < place <= changed + 4 for place in range(N)]


def test_sites_share_their_weights_unless_they_have_vectors():
    word = torch.randint(0, K, (1, 4))
    records = torch.cat([word, torch.randint(0, K, (1, 3)), word, torch.randint(0, K, (1, 1))], dim=1)
    same, different = (logits(rough(dilations=[1, 2], site_size=size), records)[0, [4, 11]] for size in (0, 3))
    assert torch.allclose(same[0], same[1], atol=1e-12)
    assert (different[0] - different[1]).abs().max() > 1e-3


def test_each_layer_keeps_what_later_places_need():
    model = rough(kernel_size=3)
    reach = [2, 6, 18]
    state = model._start(7)
    for place in range(N):
        assert [tuple(past.shape) for past in state] == [(7, back, 8) for back in reach]
        _, state = model._read(torch.zeros(7, 1, dtype=torch.int64), place, state)


@pytest.mark.parametrize(
    ("option", "value"), [("kernel_size", 1), ("dilations", [1, 0]), ("dilations", [1, "two"]), ("reflection", 1)]
)
def test_wrong_settings(option, value):
    with refused(Code.VALUE, option):
        parse_model({"family": "cnn", option: value})
