"""Natural-gradient fits: scores against autograd, the Fisher matrix against its definition, climbs that end well."""

import numpy as np
import pytest
import torch

from qtomo.measurement.povm import named_povm
from qtomo.models.registry import build_model
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.tfim import TFIM
from qtomo.training.natural import fisher_matrix, fit_natural, mean_log_prob, scores

SETTINGS = [
    {"family": "mps", "bond_dim": 3},
    {"family": "mps", "bond_dim": 2, "complex_amplitudes": False},
    {"family": "lpdo", "bond_dim": 2, "purification_dim": 2},
]


def random_model(settings):
    torch.manual_seed(3)
    model = build_model(settings, 5, 4)
    model.measured_by(named_povm("sic"))
    with torch.no_grad():
        for tensor in model.tensors:
            tensor.add_(0.7 * torch.randn_like(tensor))
    return model


@pytest.mark.parametrize("settings", SETTINGS)
def test_scores_are_the_gradients_of_log_prob(settings):
    model = random_model(settings)
    records = np.random.default_rng(0).integers(0, 4, size=(6, 5)).astype(np.uint8)
    found = scores(model, records)
    for row, record in zip(found, records, strict=True):
        value = model._log_prob(torch.from_numpy(record[None].astype(np.int64)))[0]
        gradients = torch.autograd.grad(value, list(model.parameters()))
        assert row == pytest.approx(torch.cat([g.flatten() for g in gradients]).numpy(), abs=1e-10)
    assert mean_log_prob(model, records) == pytest.approx(model.log_prob(records).mean(), abs=1e-12)
    expected = found.T @ found / len(found)
    assert fisher_matrix(model, records).numpy() == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())


def test_it_climbs_to_the_state_and_stops():
    state = TFIM(6).state()
    records = BornDistribution(state, "sic").sample(10_000, np.random.default_rng(1))
    model = build_model({"family": "mps", "bond_dim": 2, "complex_amplitudes": False}, 6, 4)
    model.measured_by(named_povm("sic"))
    model.start_from(torch.from_numpy(records.astype(np.int64)))
    fit = fit_natural(model, records, steps=50)
    gains = [step.gain for step in fit.steps]
    assert min(gains) > 0
    assert len(fit.steps) < 50
    assert fit.log_prob == pytest.approx(mean_log_prob(model, records), abs=1e-12)
    # At its end the gradient is what rounding leaves: more steps gain nothing.
    again = fit_natural(model, records, steps=5, tolerance=0.0)
    assert again.log_prob - fit.log_prob < 0.1 * model.n_parameters / (2 * len(records))
    assert abs(model.to_state().overlap(state)) ** 2 > 0.97


def test_the_best_of_the_held_out_records_is_kept():
    records = BornDistribution(TFIM(6).state(), "sic").sample(600, np.random.default_rng(1))
    torch.manual_seed(0)
    model = build_model({"family": "mps", "bond_dim": 8}, 6, 4)
    model.measured_by(named_povm("sic"))
    model.start_from(torch.from_numpy(records.astype(np.int64)))
    fit = fit_natural(model, records[:300], records[300:], steps=40)
    assert fit.validation == pytest.approx(mean_log_prob(model, records[300:]), abs=1e-12)
    assert fit.validation >= max(step.validation for step in fit.steps)
    assert fit.best_step < len(fit.steps)  # 300 records cannot carry bond 8
