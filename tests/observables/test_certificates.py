"""Certified bounds: true for every state, and above the truth no more often than they may be."""

import json
import math

import numpy as np
import pytest
import qutip
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from qtomo import Records
from qtomo.errors import Code
from qtomo.observables.certificates.base import CertificateKind
from qtomo.observables.certificates.energy import energy_witnesses
from qtomo.observables.certificates.misfit import forbidden_share, misfit
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.density import DensityMatrix
from qtomo.states.library import GHZ
from qtomo.states.tfim import TFIM
from tests.refusing import refused
from tests.systems import dense, ising, laboratory

MODEL = TFIM(4, 1.0, 1.1)
THREE = TFIM(3, 1.0, 0.7)
GUARANTEED, ASYMPTOTIC = "finite-sample", "asymptotic"


def eigenstates() -> tuple[np.ndarray, list[qutip.Qobj]]:
    return ising.hamiltonian(MODEL).eigenstates()


def of(certificates, guarantee):
    (found,) = (one for one in certificates if one.guarantee == guarantee)
    return found


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), weight=st.floats(0, 1))
def test_both_witnesses_bound_the_fidelity_of_any_mixed_state(seed, weight):
    """With exact expectations: F >= 1 - (E - E0)/gap, and the refined bound lies between that and F."""
    energies, states = eigenstates()
    rho = weight * states[0].proj() + (1 - weight) * qutip.rand_dm([2] * 4, seed=seed)
    fidelity = qutip.expect(states[0].proj(), rho)
    excess = qutip.expect(ising.hamiltonian(MODEL), rho) - energies[0]
    parity = (1 + qutip.expect(ising.parity(4), rho)) / 2
    first, second = sorted(MODEL.free_fermions.mode_energies)[:2]
    plain = 1 - excess / MODEL.free_fermions.gap
    refined = parity - (excess - first * (1 - parity)) / (first + second)
    assert plain <= refined + 1e-9
    assert refined <= fidelity + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("refined", [False, True])
def test_the_bound_is_above_the_truth_in_at_most_one_in_twenty(refined):
    """250 data sets of a mixture of ground and first excited state, for which the bound is tight."""
    _, states = eigenstates()
    rho = DensityMatrix.from_qutip(0.8 * states[0].proj() + 0.2 * states[1].proj())
    born, rng = BornDistribution(rho, "pauli6"), np.random.default_rng(5)
    above = {GUARANTEED: 0, ASYMPTOTIC: 0}
    for _ in range(250):
        records = Records.from_labels(born.sample(5000, rng), "pauli6", design="random")
        bits = born.sample_bits(np.zeros((1000, 4), np.uint8), rng) if refined else None
        for found in energy_witnesses(MODEL, records, 0.95, bits):
            above[found.guarantee] += found.value > 0.8
    assert all(count <= stats.binom.isf(1e-4, 250, 0.05) for count in above.values())
    assert refined or above[ASYMPTOTIC] >= 3  # not merely cautious


@pytest.mark.parametrize("n", [30, 300])
@pytest.mark.parametrize("design", ["listed", "random", "pauli4", "sic"])
def test_the_guaranteed_bound_holds_at_few_records_of_every_design(design, n):
    """100 data sets of an equal mixture of ground and first excited state: as few above 0.5 as 5 % allow, at 1e-6."""
    _, kets = np.linalg.eigh(dense.hamiltonian(3, 1.0, 0.7))
    rho = (dense.projector(kets[:, 0]) + dense.projector(kets[:, 1])) / 2
    above = 0
    for seed in range(100):
        for found in energy_witnesses(THREE, laboratory.draw(rho, design, n, seed)):
            assert found.guarantee == GUARANTEED
            above += found.value > 0.5
    assert above <= stats.binom.isf(1e-6, 100, 0.05)


def test_what_it_says_and_rests_on():
    state = MODEL.state()
    records = Records.from_labels(
        BornDistribution(state, "pauli6").sample(20_000, np.random.default_rng(0)), "pauli6", design="random"
    )
    found = energy_witnesses(MODEL, records)
    asymptotic, guaranteed = of(found, ASYMPTOTIC), of(found, GUARANTEED)
    assert 0.8 < asymptotic.value < 1
    assert 0.3 < guaranteed.value < asymptotic.value
    assert asymptotic.says == f"F ≥ {asymptotic.value:.4f} at 95% (asymptotic)"
    assert guaranteed.says == f"F ≥ {guaranteed.value:.4f} at 95% (guaranteed)"
    assert asymptotic.kind == CertificateKind.ENERGY
    assert all(any("Hamiltonian" in line for line in one.assumptions) for one in found)
    assert any("the energy's upper limit is normal" in line for line in asymptotic.assumptions)
    assert any("holds at any number of records" in line for line in guaranteed.assumptions)
    few = Records(BornDistribution(TFIM(20).state()).sample(500, np.random.default_rng(0)), "pauli4")
    (bound,) = energy_witnesses(TFIM(20), few)  # no asymptotic one from fewer than 10,000
    assert bound.guarantee == GUARANTEED
    assert bound.value < 0
    assert not bound.informative
    assert bound.records_needed is None or bound.records_needed > 1000
    assert bound.says.startswith("no bound: ")
    for one in (*found, bound):
        assert json.loads(json.dumps(one.to_dict()))["kind"] == "fidelity-by-energy"


def test_no_witness_without_a_gap():
    records = Records(np.zeros((100, 4), np.uint8), "pauli6")
    assert energy_witnesses(GHZ(4), records) == []
    assert energy_witnesses(None, records) == []
    assert energy_witnesses(TFIM(60, 1.0, 0.2), Records(np.zeros((100, 60), np.uint8), "pauli6")) == []
    assert energy_witnesses(MODEL, Records(np.zeros((100, 4), np.uint8), "trine")) == []
    in_z = Records(np.zeros((100, 4), np.uint8), settings=np.full((100, 4), 2), design="listed")
    assert energy_witnesses(MODEL, in_z) == []
    with refused(Code.KIND, "energy_witnesses"):
        energy_witnesses(MODEL, records.outcomes)


def test_the_parity_refines_the_bound_as_it_can_be_written_to_a_file():
    born, rng = BornDistribution(MODEL.state(), "pauli6"), np.random.default_rng(1)
    records = Records.from_labels(born.sample(20_000, rng), "pauli6", design="random")
    bits = born.sample_bits(np.zeros((3000, 4), np.uint8), rng)
    plain, refined = (of(energy_witnesses(MODEL, records, 0.95, b), ASYMPTOTIC) for b in (None, bits))
    assert refined.kind == CertificateKind.ENERGY_AND_PARITY
    assert refined.value > plain.value
    json.dumps(refined.to_dict())
    # 3,000 of 3,000 with the right parity: by Clopper and Pearson at 97.5 %.
    assert any(f"right in at least {0.025 ** (1 / 3000):.4f}" in line for line in refined.assumptions)
    lost = bits.copy()
    lost[:2999, 0] = dense.LOST
    assert any(
        "1 whole X shots" in line for line in of(energy_witnesses(MODEL, records, 0.95, lost), ASYMPTOTIC).assumptions
    )


def test_misfit_from_below():
    rng = np.random.default_rng(0)
    target, other = BornDistribution(MODEL.state(), "pauli4"), BornDistribution(TFIM(4, 1.0, 0.6).state(), "pauli4")
    records = other.sample(20_000, rng)
    ratios = other.log_prob(records) - target.log_prob(records)
    halves = ratios[:10_000], ratios[10_000:]
    found = misfit({"the truth": halves, "nothing": (np.zeros(10_000),) * 2}, 0)
    cells = dense.all_records(4, 4)
    logs = other.log_prob(cells)
    kl = float(np.exp(logs) @ (logs - target.log_prob(cells)))
    assert 0 < found.value < kl
    assert found.value > 0.7 * kl
    assert "the truth" in found.says
    assert found.informative
    for nothing in ({"nothing": [rng.normal(size=1000) - 0.5]}, {"same": [np.zeros(2000), np.zeros(2000)]}):
        assert misfit(nothing, 0).says == "no misfit detected (this is not an upper bound)"
        assert not misfit(nothing, 0).informative


def test_a_misfit_is_above_the_truth_no_more_often_than_it_says():
    """300 data sets of one alternative whose mean ratio is 0.01: no more than a binomial of 5 % allows, at 1e-6."""
    rng = np.random.default_rng(0)
    above = sum(
        misfit({"a": [rng.normal(0.01, 0.3, 1000), rng.normal(0.01, 0.3, 1000)]}, 0).value > 0.01 for _ in range(300)
    )
    assert above <= stats.binom.isf(1e-6, 300, 0.05)


def test_misfit_of_few_shots_and_of_forbidden_ones():
    few = misfit({"a": [np.ones(50), np.ones(50)]}, 0)
    assert few.says == "no bound: too few shots (about 2,000 needed)"
    assert (few.value, few.records_needed, few.informative) == (-math.inf, 2000, False)
    assert misfit({}, 0).value == -math.inf
    impossible = misfit({"a": [np.array([1.0, -np.inf] * 1000)]}, 0)
    assert not impossible.informative
    infinite = misfit({"a": [np.zeros(5000)]}, 3)
    assert infinite.value == math.inf
    assert infinite.says == "infinite: 3 records that the target forbids"
    assert infinite.guarantee == GUARANTEED
    for one in (few, impossible, infinite):
        json.dumps(one.to_dict(), allow_nan=False)


def test_the_share_of_forbidden_outcomes_is_clopper_and_pearsons():
    found = forbidden_share(12, 400, 0.95)
    assert found.value == pytest.approx(stats.binomtest(12, 400).proportion_ci(0.9, "exact").low)
    assert "12 of 400 seen" in found.says
    assert found.guarantee == GUARANTEED
