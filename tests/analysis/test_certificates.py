"""Certified bounds: true for every state, and above the truth no more often than they may be."""

import math

import numpy as np
import pytest
import qutip
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from qtomo.analysis.certificates import energy_witness, kl_lower_bound, parity_bound, records_needed
from qtomo.analysis.faults import Law
from qtomo.povm import named_povm
from qtomo.states import GHZ, TFIM, BornDistribution, DensityMatrix
from tests.systems import ising

MODEL = TFIM(4, 1.0, 1.1)
PAULI6 = named_povm("pauli6")


def eigenstates() -> tuple[np.ndarray, list[qutip.Qobj]]:
    return ising.hamiltonian(MODEL).eigenstates()


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


@pytest.mark.parametrize("refined", [False, True])
def test_the_bound_is_above_the_truth_in_at_most_one_in_twenty(refined):
    """500 data sets of a mixture of ground and first excited state, for which the bound is tight."""
    _, states = eigenstates()
    rho = DensityMatrix.from_qutip(0.8 * states[0].proj() + 0.2 * states[1].proj())
    born, rng = BornDistribution(rho, PAULI6), np.random.default_rng(5)
    above = 0
    for _ in range(500):
        records = born.sample(10_000, rng)
        bits = born.sample_bits(np.zeros((2000, 4), np.uint8), rng) if refined else None
        found = energy_witness(MODEL, records, PAULI6, 0.95, given_settings=True, parity_bits=bits)
        above += found.value > 0.8
    assert above <= stats.binom.isf(1e-4, 500, 0.05)
    assert refined or above >= 5  # not merely cautious


def test_what_it_says_and_rests_on():
    state = MODEL.state()
    records = BornDistribution(state, PAULI6).sample(20_000, np.random.default_rng(0))
    found = energy_witness(MODEL, records, PAULI6, 0.95, given_settings=True)
    assert 0.8 < found.value < 1
    assert found.says == f"F >= {found.value:.4f} with 95% confidence"
    assert any("Hamiltonian" in line for line in found.assumptions)
    few = energy_witness(
        TFIM(20), BornDistribution(TFIM(20).state()).sample(500, np.random.default_rng(0)), named_povm("pauli4")
    )
    assert few.value < 0
    assert few.records_to_say_something is None or few.records_to_say_something > 1000
    assert "it says nothing" in few.says
    assert "fewer than the 10,000" in " ".join(few.assumptions)


def test_no_witness_without_a_gap():
    records = np.zeros((100, 4), np.uint8)
    assert energy_witness(GHZ(4), records, PAULI6) is None
    assert energy_witness(TFIM(60, 1.0, 0.2), np.zeros((100, 60), np.uint8), PAULI6) is None
    assert energy_witness(MODEL, records, named_povm("trine")) is None


def test_parity_bound_is_clopper_pearson():
    assert parity_bound(0, 10, 0.95) == 0
    assert parity_bound(10, 10, 0.95) == pytest.approx(0.05**0.1)


def test_misfit_from_below():
    rng = np.random.default_rng(0)
    law = Law(MODEL.state(), named_povm("pauli4"), MODEL)
    other = BornDistribution(TFIM(4, 1.0, 0.6).state())
    records = other.sample(20_000, rng)
    ratios = other.log_prob(records) - law.born.log_prob(records)
    found = kl_lower_bound({"the truth": ratios, "nothing": np.zeros(20_000)})
    kl = float(other.log_prob(other.sample(200_000, rng)).mean())
    assert 0 < found.value < ratios.mean()
    assert "the truth" in found.says
    assert math.isfinite(kl)
    assert "no difference" in kl_lower_bound({"nothing": rng.normal(size=1000) - 0.5}).says
    assert "no difference" in kl_lower_bound({"impossible": np.array([1.0, -np.inf])}).says


def test_records_needed_see_the_fault_with_the_power_asked_for():
    law = Law(MODEL.state(), named_povm("pauli4"), MODEL)
    rng = np.random.default_rng(0)
    exact = law.scores(law.sample(20_000, rng))
    needed = records_needed(law, exact, {"depolarizing": 0.1}, 0.01, 0.9)["depolarizing"]
    from qtomo.analysis.faults import LOCAL_FAULTS
    from qtomo.analysis.hypothesis import fault_everywhere

    faulty = BornDistribution(law.born.state, LOCAL_FAULTS["depolarizing"](law.born.povm, 0.1, 4))
    seen = sum(
        fault_everywhere("depolarizing", law.scores(faulty.sample(round(needed.value), rng)), exact, 0.95).p_value
        < 0.01
        for _ in range(100)
    )
    assert 80 <= seen <= 99
    assert needed.low < needed.value < needed.high
