"""Tensor-network models: their law is that of the state they hold, under any measurement."""

import numpy as np
import pytest
import torch

from qtomo import simulate, train
from qtomo.errors import Code
from qtomo.measurement.povm import POVM, named_povm
from qtomo.models.baselines import KGram
from qtomo.models.registry import build_model
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.tfim import TFIM
from qtomo.training.run import Run
from tests.refusing import refused

SETTINGS = [
    {"family": "mps", "bond_dim": 3},
    {"family": "mps", "bond_dim": 4, "complex_amplitudes": False},
    {"family": "lpdo", "bond_dim": 2, "purification_dim": 4},
    {"family": "lpdo", "bond_dim": 3, "complex_amplitudes": False},
]


def turned_povm(n_sites: int) -> POVM:
    """A measurement with complex elements that differ from site to site."""
    rng = np.random.default_rng(5)
    axes = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(n_sites)]
    return POVM(np.stack([named_povm("sic").turned(axis).elements for axis in axes]))


def random_model(settings, n_sites=5, povm=None):
    torch.manual_seed(3)
    povm = povm or turned_povm(n_sites)
    model = build_model(settings, n_sites, povm.n_outcomes)
    model.measured_by(povm)
    with torch.no_grad():
        for tensor in model.tensors:
            tensor.add_(0.7 * torch.randn_like(tensor))
    return model


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_law_is_that_of_the_state(settings):
    model = random_model(settings)
    state = model.to_state()
    assert isinstance(state, MPS if settings["family"] == "mps" else LPDO)
    records = np.random.default_rng(0).integers(0, 4, size=(50, 5)).astype(np.uint8)
    exact = BornDistribution(state, turned_povm(5))
    assert model.log_prob(records) == pytest.approx(exact.log_prob(records), abs=1e-10)
    rho = state.to_density().matrix if settings["family"] == "lpdo" else None
    if rho is not None:
        assert state.purity() == pytest.approx(np.vdot(rho, rho).real, abs=1e-10)


def test_the_checkpoint_knows_the_measurement():
    model = random_model(SETTINGS[0])
    other = build_model(SETTINGS[0], 5, 4)
    other.load_state_dict(model.state_dict())
    records = np.zeros((1, 5), np.uint8)
    assert other.log_prob(records) == model.log_prob(records)


def test_larger_bonds_take_over_a_state():
    model = random_model(SETTINGS[0])
    larger = build_model({"family": "lpdo", "bond_dim": 5}, 5, 4)
    larger.measured_by(turned_povm(5))
    larger.take(model.arrays())
    records = np.random.default_rng(0).integers(0, 4, size=(50, 5)).astype(np.uint8)
    assert larger.log_prob(records) == pytest.approx(model.log_prob(records), abs=1e-10)


@pytest.mark.parametrize("family", ["mps", "lpdo"])
def test_it_trains_like_any_family_and_finds_the_state(family, tmp_path):
    """And it beats the k-grams, which no family may miss."""
    records = simulate(TFIM(6), 10_000, tmp_path / "r.h5", povm="sic", seed=2)
    train(records, tmp_path / "run", {"model": {"family": family}, "training": {"epochs": 3}})
    run = Run(tmp_path / "run")
    target = BornDistribution(TFIM(6).state(), "sic")
    fresh = target.sample(5000, np.random.default_rng(1))
    losses = {name: -law.log_prob(fresh).mean() for name, law in (("exact", target), ("model", run.model))}
    with run.open_records() as file:
        grams = [KGram(file.load(), 4, order) for order in range(4)]
    best = min(-gram.log_prob(fresh).mean() for gram in grams)
    assert losses["model"] < 0.5 * losses["exact"] + 0.5 * best
    if family == "mps":
        assert abs(run.model.to_state().overlap(TFIM(6).state())) ** 2 > 0.97


def test_faulty_settings():
    with refused(Code.VALUE, "purification_dim = 3"):
        build_model({"family": "lpdo", "purification_dim": 3}, 4, 4)
    with refused(Code.MISMATCH):
        build_model({"family": "mps"}, 4, 4).measured_by(named_povm("pauli6"))
