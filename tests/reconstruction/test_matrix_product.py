"""Long chains reconstructed from record files: the state, its numbers and what is said of them."""

import numpy as np
import pytest

from qtomo import GHZ, LocallyPurified, MatrixProduct, Records, reconstruct, simulate
from qtomo.errors import Code
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import named_povm
from qtomo.reconstruction.mps_fit import fit_tensor_network
from qtomo.reconstruction.mps_intervals import drawn_states, network_estimates
from qtomo.reconstruction.options import Options
from qtomo.reconstruction.quantities import FIDELITY, REJECTED_FIDELITY
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.fidelity import fidelity
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.tfim import TFIM
from tests.refusing import refused


def test_a_chain_from_shots(tmp_path):
    """All numbers within five standard errors of the exact ones, and the product state left behind."""
    model = TFIM(6)
    path = simulate(model, 4000, tmp_path / "r.h5", povm="pauli6", settings="random", seed=1)
    found = reconstruct(path, "mps", resamples=30)
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
    assert found.to_dict()["stages"][0]["gain"] == "NaN"


@pytest.mark.slow
def test_a_mixed_chain(tmp_path):
    noise = ["depolarizing:0.1"]
    born = BornDistribution(TFIM(4).state(), parse_noise(named_povm("sic"), noise, 4))
    from qtomo.records.file.writer import write_records

    records = born.sample(5_000, np.random.default_rng(1))
    path = write_records(tmp_path / "r.h5", [records], 4, named_povm("sic"))
    found = reconstruct(path, LocallyPurified(2), target=TFIM(4).state(), resamples=30)
    assert isinstance(found.state, LPDO)
    rho = found.state.to_density().matrix
    assert found.numbers["purity"].value == pytest.approx(np.vdot(rho, rho).real)
    assert found.numbers["purity"].value < 0.9
    assert found.numbers["fidelity with the target"].value < 0.95


@pytest.mark.slow
def test_draws_scatter_as_refits_do():
    """The standard error from draws is that of fits of fresh records, to a factor of 2; the model stays as it was."""
    state, target = TFIM(3).state(), TFIM(3, 1.0, 0.6).state()
    born = BornDistribution(state, "sic")
    values = []
    for seed in range(8):
        records = born.sample(1000, np.random.default_rng(seed))
        model = fit_tensor_network(Records(records, "sic"), MatrixProduct(2), complex_amplitudes=False, seed=seed).model
        values.append(fidelity(model.to_state(), target).low)
    drawn = [fidelity(other, target).low for other in drawn_states(model, records, 100, 0)]
    assert 0.5 < np.std(drawn, ddof=1) / np.std(values, ddof=1) < 2
    assert fidelity(model.to_state(), target).low == pytest.approx(values[-1], abs=1e-10)


def test_directions_that_change_nothing_are_no_obstacle():
    """The Fisher matrix of a product of qubits has a null direction per site, below zero by rounding."""
    outcomes = BornDistribution(TFIM(5).state(), "pauli4").sample(3000, np.random.default_rng(11))
    model = fit_tensor_network(Records(outcomes, "pauli4"), MatrixProduct(1), complex_amplitudes=False).model
    drawn = list(drawn_states(model, outcomes, 3, 0))
    assert all(0.99 < fidelity(other, model.to_state()).low < 1 for other in drawn)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    """In 15 of 20 sets of records: of intervals that hold it in 95 % all but one in 3,000 experiments do."""
    state, target = TFIM(4).state(), TFIM(4, 1.0, 0.7).state()
    truth, born, held = fidelity(state, target).low, BornDistribution(state, "pauli6"), 0
    for seed in range(20):
        records = Records(born.sample(2000, np.random.default_rng(seed)), "pauli6")
        fit = fit_tensor_network(records, MatrixProduct(), seed=seed)
        numbers = network_estimates(fit, records, lambda s: {FIDELITY: fidelity(s, target).low}, Options(resamples=60))
        held += numbers[FIDELITY].low <= truth <= numbers[FIDELITY].high
    assert held >= 15


def test_too_few_records_are_told_with_the_number(tmp_path):
    path = simulate(TFIM(6), 200, tmp_path / "r.h5", povm="sic", seed=1)
    found = reconstruct(path, MatrixProduct(bond_dim=4), resamples=20)
    assert any("Too few records" in claim and f"{10 * found.parameters:,}" in claim for claim in found.claims)


def test_what_it_refuses(tmp_path):
    path = simulate(TFIM(4), 100, tmp_path / "r.h5", seed=1)
    for options, code, fault in (
        ({"method": "mpss"}, Code.UNKNOWN, "no reconstruction method is called 'mpss'; did you mean 'mps'"),
        ({"method": 3}, Code.KIND, "method is 3, expected an object such as"),
        ({"method": MatrixProduct}, Code.KIND, "expected an object such as"),
        ({"resamples": 2}, Code.VALUE, "2 resamples, expected"),
        ({"level": 0.05}, Code.VALUE, "level 0.05 and"),
        ({"target": TFIM(5)}, Code.MISMATCH, "of 4 qubits, the target has 5"),
        ({"target": "tfi"}, Code.UNKNOWN, "neither a file nor a state"),
        ({"records": path}, Code.CONFLICT, "expected beside a run folder only"),
    ):
        with refused(code, fault):
            reconstruct(path, **{"method": "mps", **options})
    for kind in (MatrixProduct, LocallyPurified):
        with refused(Code.VALUE, "bond dimension"):
            kind(bond_dim=0)
    (tmp_path / "run").mkdir()
    with refused(Code.KIND):
        reconstruct(tmp_path / "run", "mps")
    with refused(Code.KIND):
        reconstruct(np.zeros((100, 2), np.uint8))
    with refused(Code.TOO_FEW, "records"):
        reconstruct(Records(np.zeros((0, 2), np.uint8)))


def test_a_pure_fit_that_the_records_reject_is_called_so():
    """Every qubit depolarised by 10 %: the fit is purer than the state."""
    state = GHZ(3).state()
    names = {}
    for noise in ((), ("depolarizing:0.1",)):
        born = BornDistribution(state, parse_noise(named_povm("pauli6"), noise, 3))
        settings = np.random.default_rng(1).integers(0, 3, (1500, 3), dtype=np.uint8)
        records = Records(born.sample_bits(settings, np.random.default_rng(2)), "pauli6", settings=settings)
        found = reconstruct(records, MatrixProduct(2), target=GHZ(3), resamples=20)
        names[noise] = set(found.numbers)
        assert found.pure_fit.rejected == bool(noise)
        assert any("reject the pure fit" in claim for claim in found.claims) == bool(noise)
    assert FIDELITY.name in names[()]
    assert REJECTED_FIDELITY.name not in names[()]
    assert REJECTED_FIDELITY.name in names[("depolarizing:0.1",)]
    assert FIDELITY.name not in names[("depolarizing:0.1",)]


@pytest.mark.parametrize("method", ["mle", "mps"])
def test_two_settings_of_ghz_give_no_fidelity_and_say_where_to_get_a_bound(method):
    settings = np.repeat(np.array([[0, 0, 0], [2, 2, 2]], np.uint8), 200, axis=0)
    bits = BornDistribution(GHZ(3).state(), "pauli6").sample_bits(settings, np.random.default_rng(1))
    records = Records(bits, settings=settings, design="listed")
    found = reconstruct(records, MatrixProduct(2) if method == "mps" else method, target=GHZ(3), resamples=20)
    assert not any("fidelity" in name for name in found.numbers)
    assert any("qtomo verify FILE --target" in claim for claim in found.claims)
