"""Tests of records against an exact law: null levels, likelihood ratios that are ones, and faults by their names."""

import numpy as np
import pytest
from scipy import stats

from qtomo.analysis import hypothesis
from qtomo.analysis.faults import LOCAL_FAULTS, Law
from qtomo.analysis.hypothesis import Test
from qtomo.distribution import LOST, enumerate_outcomes
from qtomo.noise import parse_noise
from qtomo.povm import POVM, named_povm
from qtomo.states import TFIM, XXZ, BornDistribution

MODEL = TFIM(4, 1.0, 1.2)
PAULI4 = named_povm("pauli4")


@pytest.fixture(scope="module")
def law() -> Law:
    return Law(MODEL.state(), PAULI4, MODEL, tolerance=0.0)


@pytest.fixture(scope="module")
def everything(law):
    """Scores of all records, and their probabilities."""
    records = np.concatenate(list(enumerate_outcomes(4, 4)))
    return records, law.scores(records, relabelled=True), np.exp(law.born.log_prob(records))


def expectation(probability, values):
    return probability @ values


@pytest.mark.parametrize("name", LOCAL_FAULTS)
def test_scores_are_derivatives_with_mean_zero(law, everything, name):
    records, scores, probability = everything
    found = scores.sites[name]
    assert expectation(probability, found) == pytest.approx(np.zeros(4), abs=1e-8)
    step = 1e-5
    noisy = BornDistribution(law.born.state, LOCAL_FAULTS[name](PAULI4, step, 4)).log_prob(records)
    assert found.sum(axis=1) == pytest.approx((noisy - scores.log_prob) / step, abs=2e-3, rel=1e-3)


@pytest.mark.parametrize("name", hypothesis.LINEAR)
def test_a_linear_fault_of_one_qubit_is_its_likelihood_ratio_at_any_strength(law, everything, name):
    records, scores, _ = everything
    faulty = LOCAL_FAULTS[name](PAULI4, 0.7, 4).site_elements(4)
    elements = np.stack([PAULI4.elements] * 4)
    elements[2] = faulty[2]
    expected = BornDistribution(law.born.state, POVM(elements)).log_prob(records) - scores.log_prob
    assert np.log1p(0.7 * scores.sites[name][:, 2]) == pytest.approx(expected, abs=1e-7)


def test_relabellings_are_likelihood_ratios(law, everything):
    records, scores, probability = everything
    for name, ratios in scores.moved.items():
        assert probability @ np.exp(ratios) == pytest.approx(np.ones(ratios.shape[1]), abs=1e-6), name
    swapped = records[:, [0, 2, 1, 3]]
    assert scores.moved["neighbours swapped"][:, 1] == pytest.approx(
        law.born.log_prob(swapped) - scores.log_prob, abs=1e-8
    )
    exchanged = records.copy()
    exchanged[:, 3] = np.array([1, 0, 2, 3])[records[:, 3]]  # X and Z called by each other's name
    place = scores.variants["wrong basis"].index("3, X and Z")
    assert scores.moved["wrong basis"][:, place] == pytest.approx(
        law.born.log_prob(exchanged) - scores.log_prob, abs=1e-8
    )


def test_the_score_of_a_parameter_is_its_derivative(law, everything):
    _, scores, probability = everything
    found = scores.shifts["field"]
    assert probability @ found == pytest.approx(0, abs=2e-4)
    low, high = (BornDistribution(TFIM(4, 1.0, 1.2 * f).state()) for f in (0.999, 1.001))
    records = everything[0]
    expected = (high.log_prob(records) - low.log_prob(records)) / 0.002
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    assert Law(XXZ(4).state(), PAULI4, XXZ(4)).parameters == ["anisotropy"]
    assert Law(MODEL.state(), PAULI4).parameters == []


def test_lost_outcomes_say_nothing(law):
    records = law.sample(50, np.random.default_rng(0))
    records[:, 1] = LOST
    scores = law.scores(records)
    assert all(np.abs(found[:, 1]).max() < 1e-12 for found in scores.sites.values())


def test_a_povm_without_bits_has_none_to_misread():
    assert "one read as zero" not in Law(MODEL.state(), named_povm("sic"), MODEL).local_faults


def all_tests(law, outcomes, reference) -> dict[str, Test]:
    data = law.scores(outcomes, relabelled=True)
    found = [hypothesis.goodness_of_fit(data, reference)]
    for name in law.local_faults:
        found.append(hypothesis.fault_everywhere(name, data, reference, 0.95))
        found.append(hypothesis.fault_at_a_site(name, data, reference, 0.95))
    found += [hypothesis.shifted_parameter(name, data, reference, 0.95) for name in law.parameters]
    found += [hypothesis.relabelled(name, data) for name in data.moved]
    return {test.name: test for test in found}


def test_p_values_keep_their_level(law):
    """Over 400 sets of 300 records: as many below 0.05 as binomial allows (false alarm 1e-6 a test)."""
    reference = law.scores(law.sample(40_000, np.random.default_rng(0)))
    rng = np.random.default_rng(1)
    below: dict[str, int] = {}
    for _ in range(400):
        for name, test in all_tests(law, law.sample(300, rng), reference).items():
            below[name] = below.get(name, 0) + (test.p_value <= 0.05)
    most = stats.binom.isf(1e-6, 400, 0.05)
    assert max(below.values()) <= most, below
    score_tests = [name for name in below if name.endswith("every qubit")]
    assert min(below[name] for name in score_tests) >= stats.binom.ppf(1e-6, 400, 0.05)  # not merely cautious


FAULTS = {
    "depolarizing on every qubit": ("depolarizing:0.1", ""),
    "dephasing on every qubit": ("dephasing:0.1", ""),
    "amplitude-damping on every qubit": ("amplitude-damping:0.2", ""),
    "one read as zero on every qubit": ("readout:0/0.1", ""),
    "depolarizing on one qubit": ("depolarizing:1@2", "qubit 2, dead"),
    "dephasing on one qubit": ("dephasing:0.3@1", "qubit 1"),
    "one read as zero on one qubit": ("readout:0/0.4@3", "qubit 3"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_under_its_name_and_its_size(law, name):
    noise, place = FAULTS[name]
    reference = law.scores(law.sample(20_000, np.random.default_rng(0)))
    source = BornDistribution(law.born.state, parse_noise(PAULI4, [noise], 4))
    found = all_tests(law, source.sample(20_000, np.random.default_rng(5)), reference)
    best = max((test for test in found.values() if test.fault), key=lambda test: test.evidence)
    assert best.name == name
    assert best.p_value < 1e-4
    if place:
        assert best.place == place
        strength = float(noise.split(":")[1].split("@")[0].split("/")[-1])
        assert best.size.low - 0.02 <= strength <= best.size.high + 0.02


def test_exchanged_qubits_are_found(law):
    disordered = TFIM(5, (1.0, 0.4, 1.3, 0.8), (0.5, 1.2, 0.9, 0.3, 1.1))
    law = Law(disordered.state(), PAULI4, disordered)
    reference = law.scores(law.sample(10_000, np.random.default_rng(0)))
    for order, name, place in (
        ([0, 2, 1, 3, 4], "neighbours swapped", "1 and 2"),
        ([4, 3, 2, 1, 0], "order reversed", "whole chain"),
    ):
        found = all_tests(law, law.sample(8000, np.random.default_rng(2))[:, order], reference)
        best = max((test for test in found.values() if test.fault), key=lambda test: test.evidence)
        assert (best.name, best.place) == (name, place)
        assert best.p_value < 1e-6


def test_drift_is_found_where_it_sets_in(law):
    rng = np.random.default_rng(3)
    outcomes = law.sample(8000, rng)
    features = {"ln P": law.scores(outcomes).log_prob}
    order = np.arange(8000)
    assert hypothesis.drift(features, outcomes, order, rng).p_value > 0.01
    faulty = BornDistribution(law.born.state, parse_noise(PAULI4, ["readout:0/0.4@2"], 4))
    outcomes[5000:] = faulty.sample(3000, rng)
    features = {"ln P": law.scores(outcomes).log_prob}
    found = hypothesis.drift(features, outcomes, order, rng)
    assert found.p_value < 1e-3
    assert abs(int(found.place.split()[-1]) - 5000) <= 400
    assert "qubit 2" in found.statistic


def test_holm_by_hand():
    tests = [Test(str(i), p, 0.0, "") for i, p in enumerate([0.03, 0.01, 0.5])]
    assert [(t.name, t.adjusted) for t in hypothesis.holm(tests)] == [
        ("1", pytest.approx(0.03)),
        ("0", pytest.approx(0.06)),
        ("2", pytest.approx(0.5)),
    ]


def test_a_split_ratio_of_nothing_learned_is_one():
    test = hypothesis.split_likelihood_ratio([np.zeros(5), np.zeros(5)], "nothing")
    assert test.p_value == 1
    assert hypothesis.split_likelihood_ratio([np.full(5, 2.0), np.full(5, -9.0)], "x").p_value == pytest.approx(
        2 * np.exp(-10), rel=1e-6
    )
