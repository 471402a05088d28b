"""Long chains reconstructed from record files: the state, its numbers and what is said of them."""

import numpy as np
import pytest

from qtomo import simulate
from qtomo.errors import InputError
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import named_povm
from qtomo.reconstruction.matrix_product import reconstruct_chain
from qtomo.reconstruction.mps_intervals import chain_estimates, drawn_states
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.fidelity import fidelity
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.tfim import TFIM


def test_a_chain_from_shots(tmp_path):
    """All numbers within five standard errors of the exact ones, and the product state left behind."""
    model = TFIM(6)
    path = simulate(model, 4000, tmp_path / "r.h5", povm="pauli6", settings="random", seed=1)
    found = reconstruct_chain(path, resamples=30)
    assert isinstance(found.state, MPS)
    exact = model.free_fermions
    truth = {"X2": exact.x(2), "Z3 Z5": exact.zz(3, 5), "energy per site": exact.energy / 6}
    for name, value in truth.items():
        estimate = found.numbers[name]
        assert abs(estimate.value - value) < 5 * estimate.standard_error + 0.01
    assert found.numbers["fidelity with the target"].low > 0.95
    assert found.gain.low > 0
    assert "shots with settings" in found.povm
    text = str(found)
    for piece in ("held-out ln P", "0-gram (product)", "entropy of the bond", "fidelity with the target"):
        assert piece in text
    assert found.to_dict()["stages"][0]["gain"] is None


def test_a_mixed_chain(tmp_path):
    noise = ["depolarizing:0.1"]
    born = BornDistribution(TFIM(4).state(), parse_noise(named_povm("sic"), noise, 4))
    from qtomo.records.file.writer import write_records

    records = born.sample(5_000, np.random.default_rng(1))
    path = write_records(tmp_path / "r.h5", [records], 4, named_povm("sic"))
    found = reconstruct_chain(path, "lpdo", TFIM(4).state(), bond_dim=2, resamples=30)
    assert isinstance(found.state, LPDO)
    rho = found.state.to_density().matrix
    assert found.numbers["purity"].value == pytest.approx(np.vdot(rho, rho).real)
    assert found.numbers["purity"].value < 0.9
    assert found.numbers["fidelity with the target"].value < 0.95


def test_draws_scatter_as_refits_do():
    """The standard error from draws is that of fits of fresh records, to a factor of 2; the model stays as it was."""
    from qtomo.reconstruction.mps_fit import fit_chain

    state, target = TFIM(4).state(), TFIM(4, 1.0, 0.6).state()
    born = BornDistribution(state, "sic")
    values = []
    for seed in range(8):
        records = born.sample(1000, np.random.default_rng(seed))
        model = fit_chain("mps", records, named_povm("sic"), 2, False, seed).model
        values.append(fidelity(model.to_state(), target).low)
    drawn = [fidelity(other, target).low for other in drawn_states(model, records, 100, 0)]
    assert 0.5 < np.std(drawn, ddof=1) / np.std(values, ddof=1) < 2
    assert fidelity(model.to_state(), target).low == pytest.approx(values[-1], abs=1e-10)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    """In 15 of 20 sets of records: of intervals that hold it in 95 % all but one in 3,000 experiments do."""
    from qtomo.reconstruction.mps_fit import fit_chain

    state, target = TFIM(4).state(), TFIM(4, 1.0, 0.7).state()
    truth, born, held = fidelity(state, target).low, BornDistribution(state, "pauli6"), 0
    for seed in range(20):
        records = born.sample(2000, np.random.default_rng(seed))
        fit = fit_chain("mps", records, named_povm("pauli6"), seed=seed)
        numbers = chain_estimates(fit, records, lambda s: {"F": fidelity(s, target).low}, draws=60)
        held += numbers["F"].low <= truth <= numbers["F"].high
    assert held >= 15


def test_too_few_records_are_told_with_the_number(tmp_path):
    path = simulate(TFIM(6), 200, tmp_path / "r.h5", povm="sic", seed=1)
    found = reconstruct_chain(path, bond_dim=4, resamples=20)
    assert any("Too few records" in claim and f"{10 * found.parameters:,}" in claim for claim in found.claims)


def test_what_it_refuses(tmp_path):
    path = simulate(TFIM(4), 100, tmp_path / "r.h5", seed=1)
    for options, fault in (
        ({"method": "mpss"}, "no tensor network is called 'mpss'; did you mean 'mps'"),
        ({"bond_dim": 0}, "bond dimension is 0, expected 1 to 64"),
        ({"resamples": 2}, "2 resamples, expected"),
        ({"target": TFIM(5)}, "of 4 qubits, the target has 5"),
    ):
        with pytest.raises(InputError, match=fault):
            reconstruct_chain(path, **options)
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match="fitted to records"):
        reconstruct_chain(tmp_path / "run")
