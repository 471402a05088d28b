"""Boltzmann machines: free energies and Z against sums over everything, Markov chains against the law they keep."""

import itertools
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats

from qtomo import Progress, resume, train
from qtomo.distribution import enumerate_outcomes
from qtomo.errors import Code
from qtomo.models import rbm
from qtomo.models.registry import build_model, parse_model
from tests.refusing import refused

N_SITES, N_OUTCOMES = 4, 3
EVERY = torch.from_numpy(np.concatenate(list(enumerate_outcomes(N_SITES, N_OUTCOMES))))
TINY = 1e-7  # false-alarm rate of one statistical test


def machine(scale: float = 1.0, **settings: object) -> rbm.RBM:
    """A machine with random weights, and offsets that matter."""
    model = build_model({"family": "rbm", "hidden_size": 6, **settings}, N_SITES, N_OUTCOMES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(scale * torch.randn_like(parameter))
        model.offsets.copy_(torch.rand_like(model.offsets))
        model.started.fill_(True)
    return model


def law(model: rbm.RBM, beta: float = 1.0) -> np.ndarray:
    """Probabilities of all records at an inverse temperature."""
    with torch.no_grad():
        fields = rbm._log_cosh(beta * model._field(EVERY)).sum(1)
        biases = model._one_hot(EVERY) @ model.visible_bias.flatten()
        return torch.softmax((biases + fields).double(), 0).numpy()


def follows(records: torch.Tensor | np.ndarray, probabilities: np.ndarray) -> float:
    """p-value of a chi-square test."""
    counts = np.bincount(np.ravel_multi_index(np.asarray(records).T, (N_OUTCOMES,) * N_SITES), minlength=len(EVERY))
    return stats.chisquare(counts, len(records) * probabilities / probabilities.sum()).pvalue


def test_the_free_energy_sums_the_hidden_units_of_the_energy():
    model = machine()
    weight = model.weight.detach().double().view(N_OUTCOMES, N_SITES, -1)
    offsets = model.offsets.double().view(N_OUTCOMES, N_SITES)
    for record in EVERY[::7]:
        total = 0.0
        for hidden in itertools.product((-0.5, 0.5), repeat=6):
            energy = 0.0
            for site, label in enumerate(record.tolist()):
                energy -= model.visible_bias[label, site].item()
            for unit, state in enumerate(hidden):
                field = model.hidden_bias[unit].item()
                for site, label in enumerate(record.tolist()):
                    field += float(weight[label, site, unit] - offsets[:, site] @ weight[:, site, unit])
                energy -= state * field
            total += math.exp(-energy)
        assert model.free_energy(record[None]).item() == pytest.approx(-math.log(total), abs=1e-5)


def test_z_over_hidden_units_is_z_over_visible_ones():
    model = machine(2.0)
    values = []
    for hidden in (False, True):
        model._sums_hidden = hidden
        values.append(model._log_weights().logsumexp(0).item())
    brute = torch.logsumexp(-model.free_energy(EVERY, torch.float64), 0).item()
    assert values == pytest.approx([brute, brute], abs=1e-10)


@pytest.mark.parametrize("hidden_size", [3, 12], ids=["from hidden", "from visible"])
def test_exact_samples_follow_the_law(hidden_size):
    model = machine(hidden_size=hidden_size)
    assert model._sums_hidden is (hidden_size == 3)
    assert follows(model.sample(50_000, np.random.default_rng(0)), law(model)) > TINY


def test_annealed_samples_follow_the_law(monkeypatch):
    monkeypatch.setattr(rbm, "LARGEST_SUM", 0)
    model = machine(sample_sweeps=30)
    assert model.likelihood == "estimate"
    assert follows(model.sample(40_000, np.random.default_rng(0)), law(model)) > TINY


@pytest.mark.parametrize("seed", range(6))
def test_annealed_importance_sampling_finds_z(seed):
    torch.manual_seed(seed)
    model = machine(1.5, hidden_size=12, ais_temperatures=300)
    assert model.likelihood == "exact"
    found = model.estimate_log_z(torch.Generator().manual_seed(seed))
    assert 1e-4 < found.standard_error < 0.15
    assert abs(found.value.item() - model.log_z().value.item()) < 5.5 * found.standard_error


def test_more_temperatures_make_the_estimate_better():
    errors = {
        steps: machine(1.5, ais_temperatures=steps).estimate_log_z(torch.Generator().manual_seed(0)).standard_error
        for steps in (1, 300)
    }
    assert errors[300] < errors[1] / 3


def test_an_estimated_likelihood_is_said_to_be_one(monkeypatch):
    exact = machine()
    monkeypatch.setattr(rbm, "LARGEST_SUM", 0)
    model = machine()
    model.load_state_dict(exact.state_dict())
    assert (exact.likelihood, model.likelihood) == ("exact", "estimate")
    assert exact.log_prob_error == 0 < model.log_prob_error < 0.05
    shift = model.log_prob(EVERY.numpy()) - exact.log_prob(EVERY.numpy())
    assert np.ptp(shift) < 1e-9
    assert abs(shift[0]) < 5.5 * model.log_prob_error


def test_z_is_kept_until_the_weights_change(monkeypatch):
    monkeypatch.setattr(rbm, "LARGEST_SUM", 0)
    model = machine().eval()
    calls = []
    estimate = rbm.RBM.estimate_log_z
    monkeypatch.setattr(rbm.RBM, "estimate_log_z", lambda *given: calls.append(1) or estimate(*given))
    before = model.loss(EVERY).item()
    assert model.loss(EVERY).item() == before
    assert len(calls) == 1
    with torch.no_grad():
        model.hidden_bias.add_(1)
    assert model.loss(EVERY).item() != before
    assert len(calls) == 2


def exact_gradient(model: rbm.RBM, records: torch.Tensor) -> torch.Tensor:
    model.eval()
    model.zero_grad()
    model.loss(records).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def chain_gradient(model: rbm.RBM, records: torch.Tensor, steps: int) -> torch.Tensor:
    model.train()
    model.zero_grad()
    for _ in range(steps):
        (model.loss(records) / steps).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize("negative_phase", ["pcd", pytest.param("tempering", marks=pytest.mark.slow)])
def test_long_chains_give_the_gradient_of_the_likelihood(negative_phase):
    model = machine(0.7, negative_phase=negative_phase, chains=2000)
    records = torch.randint(0, N_OUTCOMES, (100, N_SITES))
    exact = exact_gradient(model, records)
    chain_gradient(model, records, 50)
    assert (chain_gradient(model, records, 200) - exact).norm() < 0.02 * exact.norm()
    short = machine(0.7, negative_phase="cd")
    short.load_state_dict({**short.state_dict(), **{n: p for n, p in model.state_dict().items() if n != "particles"}})
    assert (chain_gradient(short, records, 200) - exact).norm() > 0.06 * exact.norm()


def two_modes(**settings: object) -> rbm.RBM:
    """All sites 0 or all sites 1, and hardly a way between."""
    model = machine(0.0, hidden_size=1, chains=400, **settings)
    with torch.no_grad():
        model.offsets.zero_()
        weight = model.weight.view(N_OUTCOMES, N_SITES, 1)
        weight[0], weight[1] = 9.0, -9.0
        model.visible_bias[2] = -9.0
        model.particles.fill_(1)
    return model.train()


ZEROS = torch.zeros(400, N_SITES, dtype=torch.int64)


def test_contrastive_chains_start_at_the_data_and_persistent_ones_where_they_were():
    for negative_phase, mode in (("cd", 0), ("pcd", 1)):
        model = two_modes(negative_phase=negative_phase)
        for _ in range(5):
            with torch.no_grad():
                assert (model._negative(ZEROS) == mode).double().mean() > 0.99


def test_hot_chains_carry_cold_ones_to_another_mode():
    shares = {}
    for negative_phase in ("pcd", "tempering"):
        model = two_modes(negative_phase=negative_phase, sweeps=50)
        model.loss(ZEROS)
        shares[negative_phase] = (model.particles[-1] == 0).all(1).double().mean().item()
    assert shares["pcd"] < 0.01
    assert shares["tempering"] == pytest.approx(0.5, abs=0.2)


def test_exchanges_keep_the_law_of_every_temperature():
    rungs, chains = 4, 40_000
    model = machine(1.5, negative_phase="tempering", temperatures=rungs, chains=chains)
    inverse = torch.linspace(0, 1, rungs)
    laws = [law(model, beta) for beta in inverse.tolist()]
    draws = [torch.multinomial(torch.from_numpy(p), chains, replacement=True) for p in laws]
    before = torch.stack([EVERY[index] for index in draws])
    with torch.no_grad():
        after = model._exchange(before, inverse)
    assert 0.02 < (after != before).any(2).double().mean() < 0.98
    assert all(follows(records, p) > TINY for records, p in zip(after, laws, strict=True))
    assert follows(after[0], laws[-1]) < TINY


def test_more_sweeps_come_nearer_to_the_model():
    start = torch.zeros(20_000, N_SITES, dtype=torch.int64)
    one, many = (machine(1.0, negative_phase="cd", sweeps=sweeps) for sweeps in (1, 60))
    many.load_state_dict(one.state_dict())
    with torch.no_grad():
        assert follows(many._negative(start), law(one)) > TINY
        assert follows(one._negative(start), law(one)) < TINY


def test_it_starts_at_the_frequencies_of_the_first_batch():
    model = build_model({"family": "rbm"}, N_SITES, N_OUTCOMES).train()
    records = torch.multinomial(torch.tensor([0.6, 0.3, 0.1]), 1000 * N_SITES, replacement=True).view(1000, N_SITES)
    model.loss(records)
    frequencies = torch.softmax(model.visible_bias, 0)[:, 0]
    assert frequencies.tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.07)
    before = model.visible_bias.clone()
    model.loss(2 - records)
    assert torch.equal(model.visible_bias, before)


@pytest.mark.parametrize("negative_phase", ["cd", "pcd", "tempering"])
def test_stopped_it_goes_on_to_the_same_weights_and_particles(negative_phase, small_records, tmp_path):
    settings = {
        "model": {"family": "rbm", "hidden_size": 5, "negative_phase": negative_phase, "chains": 20},
        "training": {"epochs": 2, "batch_size": 500, "checkpoint_seconds": 1e-9},
    }
    whole = train(small_records, tmp_path / "whole", settings)

    class Stop(Progress):
        def update(self, done, total, note=""):
            if done == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small_records, tmp_path / "run", settings, progress=Stop())
    states = [load_file(run.folder.checkpoint) for run in (whole, resume(tmp_path / "run"))]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert states[0]["model.particles"].shape == ({"cd": 0, "pcd": 1, "tempering": 6}[negative_phase], 20, 5)


@pytest.mark.parametrize(
    ("settings", "code", "fault"),
    [
        ({"hidden_size": 0}, Code.VALUE, "hidden_size = 0: input should be greater than or equal to 1"),
        ({"sweeps": 0}, Code.VALUE, "sweeps = 0: input should be greater than or equal to 1"),
        ({"chains": 0}, Code.VALUE, "chains = 0: input should be greater than or equal to 1"),
        ({"temperatures": 1}, Code.VALUE, "temperatures = 1: input should be greater than or equal to 2"),
        ({"negative_phase": "pdc"}, Code.VALUE, "negative_phase = 'pdc': input should be 'cd', 'pcd' or 'tempering'"),
        ({"negative_fase": "cd"}, Code.UNKNOWN, "unknown option 'negative_fase'; did you mean 'negative_phase'"),
    ],
)
def test_wrong_settings(settings, code, fault):
    with refused(code, fault):
        parse_model({"family": "rbm", **settings})
