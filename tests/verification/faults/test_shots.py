"""Shots that are copies, bits that stay, faults that set in: likelihoods by hand, sizes and onsets, and level."""

import functools

import numpy as np
import pytest
from scipy import stats

from qtomo import Records
from qtomo.errors import Code
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import named_povm
from qtomo.states.library import GHZ, Product
from qtomo.verification.checks.base import TestKind
from qtomo.verification.checks.drift import drift
from qtomo.verification.checks.independence import duplicated, stays
from qtomo.verification.context import Context, Options
from qtomo.verification.faults import local, shots
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import applied
from qtomo.verification.hypothesis import Hypothesis
from tests.refusing import refused

#: Tilted spins forbid nothing.
SYSTEM, LONG = Product(5, 0.7, 0.3), Product(12, 0.7, 0.3)
LIST = np.array([[2] * 5, [0] * 5, [1] * 5, [0, 1, 2, 0, 1], [2, 0, 2, 0, 2]], np.uint8)


@functools.cache
def target(povm, system=SYSTEM):
    return Hypothesis.of(system.state(), named_povm(povm), system)


def draw(design, n, seed, noise=None, ordered=True, system=SYSTEM):
    """Records of a chain, or of it with some noise, and what they are held against."""
    rng, n_sites = np.random.default_rng(seed), system.n_sites
    settings = None
    if design == "random":
        settings = rng.integers(0, 3, (n, n_sites)).astype(np.uint8)
    elif design == "listed":
        settings = LIST[rng.permutation(np.arange(n) % 5)]
    given = "povm" if settings is None else design
    empty = Records(np.zeros((n, n_sites), np.uint8), design=given, settings=settings, ordered=ordered)
    clean = target("pauli4" if settings is None else "pauli6", system)
    source = clean if noise is None else clean.measured(lambda povm: parse_noise(povm, noise, n_sites))
    return Context(source.sample_like(empty, rng), clean, Options(n_reference=1000))


def join(first, then):
    """Two parts of one run."""
    one, two = first.records, then.records
    settings = None
    if one.has_settings:
        settings = np.concatenate([one.shot_settings, two.shot_settings])
    outcomes = np.concatenate([one.outcomes, two.outcomes])
    return first.of(Records(outcomes, design=one.design, settings=settings))


def copied(context, share, seed, lag=None):
    """The records with a share of them replaced by copies of shots in the same setting: just before, or any."""
    rng, records = np.random.default_rng(seed), context.records
    rows = np.arange(len(records))
    for row in np.flatnonzero(rng.random(len(rows)) < share):
        if lag is not None:
            rows[row] = max(0, row - lag)
        else:
            rows[row] = rng.integers(0, len(rows))
    return context.of(records.take(rows))


def test_the_likelihood_of_copies_by_hand():
    """Three records in their drawn order: each new one, or with share s one of the same among those before."""
    context = draw("pauli4", 3, 0)
    context = context.of(context.records.take(np.array([0, 1, 0])))
    found = shots.duplicates(context)
    logs = np.sort(found.log_prob)
    assert logs == pytest.approx(np.sort(context.log_prob))
    assert found.possible.tolist() == [False, True, True]
    assert found.copy[0] == 0
    assert sorted(found.copy.tolist()) in ([0, 0, 0.5], [0, 0, 1.0])  # rare enough to be told, one or two of two before
    s = 0.3
    expected = sum(
        np.log(1 - s + s * copy * np.exp(-log)) for copy, log in zip(found.copy[1:], found.log_prob[1:], strict=True)
    )
    assert found.curve(s) == pytest.approx(expected)
    assert found.curve(0.0) == pytest.approx(0)


@pytest.mark.parametrize("design", ["pauli4", "random"])
@pytest.mark.parametrize("share", [0.02, 0.4])
def test_copies_are_found_and_their_share(design, share):
    """Of 12 qubits, whose shots are hardly ever equal, whatever the settings: the share of shots that are equal to an
    earlier one, within six binomial errors of 2,000 shots, 0.02 and 0.066.
    """
    context = copied(draw(design, 2000, 1, system=LONG), share, 2)
    (test,) = duplicated(context)
    assert test.p_value < 1e-6
    one = next(one for one in shots.explanations(context) if one.fault.kind == FaultKind.DUPLICATES)
    equal = 2000 - len({row.tobytes() for row in context.records.labels})
    assert one.strength == pytest.approx(equal / 2000, abs=0.02 if share < 0.1 else 0.066)
    assert len(one.apply(context, one.strength).records) == 2000 - equal  # one of each kind is left


@pytest.mark.parametrize("lag", [1, 3])
@pytest.mark.parametrize("design", ["pauli4", "random", "listed"])
def test_shots_that_repeat_the_one_before_are_seen(design, lag):
    context = copied(draw(design, 2000, 3), 0.3, 4, lag)
    (test,) = duplicated(context)
    assert test.kind == TestKind.DUPLICATES
    assert test.p_value < 1e-6
    assert shots.repeats(context, lag) < 1e-6
    assert shots.repeats(context, 7) > 1e-6


@pytest.mark.parametrize("design", ["pauli4", "random", "listed"])
def test_independent_shots_have_repeats_as_often_as_they_say(design):
    """200 sets of 300: p-values of 1 % no more often than a binomial allows, at 1e-8."""
    values = [shots.repeats(draw(design, 300, seed), 1) for seed in range(200)]
    assert sum(p <= 0.01 for p in values) <= stats.binom.isf(1e-8, 200, 0.01)
    assert sum(p <= 0.1 for p in values) <= stats.binom.isf(1e-8, 200, 0.1)


def stuck(context, site, share, seed):
    """One qubit's bit is that of the shot before with some probability, whatever the basis."""
    rng, bits = np.random.default_rng(seed), context.records.outcomes.copy()
    for row in range(1, len(bits)):
        if rng.random() < share:
            bits[row, site] = bits[row - 1, site]
    return context.of(context.records.with_labels(2 * context.records.shot_settings + bits))


def test_a_bit_that_stays_is_seen_at_its_qubit():
    (test,) = stays(stuck(draw("random", 1500, 5), 3, 0.4, 6))
    assert test.p_value < 1e-6
    assert test.sites == (3,)
    (test,) = stays(draw("random", 1500, 5))
    assert test.p_value > 0.01


def test_memory_is_the_likelihood_of_a_bit_that_stays():
    """One pair of shots by hand: the other qubits' probability times one, where the bit stayed."""
    context = draw("random", 2, 7)
    sites, _ = shots.memory(context)
    records, logs = context.records, context.log_prob
    for site in range(5):
        bit, before = records.outcomes[1, site], records.outcomes[0, site]
        labels = np.repeat(records.labels[1:], 2, axis=0)
        labels[:, site] = 2 * records.shot_settings[1, site] + np.arange(2)
        both = np.exp(context.hypothesis.log_prob(labels)).sum()
        for index, share in enumerate((0.005, 0.01, 0.03, 0.1, 0.3, 0.6, 0.95)):
            expected = (1 - share) + share * (bit == before) * both / np.exp(logs[1])
            assert sites[index, site] == pytest.approx(np.log(expected), abs=1e-5)


def test_segments_are_likelihood_ratios_of_blocks():
    context = draw("pauli4", 100, 8)
    found = shots.segments(context)
    assert np.concatenate(found.rows).tolist() == list(range(100))
    assert len(found.rows) == 40
    kind = FaultKind.AMPLITUDE_DAMPING
    strength = found.strengths[kind][-1]
    moved = [
        applied(context.hypothesis, kind, float(strength), site).log_prob(context.records.labels) for site in range(5)
    ]
    for block in (0, 17, 39):
        rows = found.rows[block]
        assert found.before[block] == pytest.approx(context.log_prob[rows].sum())
        for site in range(5):
            assert found.logs[kind][-1, site, block] == pytest.approx(moved[site][rows].sum(), abs=1e-3)
        anywhere = np.log(np.mean([np.exp(m[rows]) for m in moved], axis=0)).sum()
        assert found.logs[kind][-1, 5, block] == pytest.approx(anywhere, abs=1e-3)
    onsets = found.onsets(kind)
    first, last = found.before[0], found.before[:-1].sum()
    assert onsets[:, :, 0] == pytest.approx(first + found.logs[kind][:, :, 1:].sum(axis=2))
    assert onsets[:, :, -1] == pytest.approx(last + found.logs[kind][:, :, -1])


def test_a_fault_that_sets_in_is_found_among_forbidden_shots():
    """Of a GHZ state, which allows none of the shots in Z whose bits differ."""
    context = join(draw("random", 1500, 9, system=GHZ(4)), draw("random", 1000, 10, ["readout:0/0.3@2"], system=GHZ(4)))
    assert context.n_impossible > 0
    tests = {test.kind: test for test in drift(context)}
    assert tests[TestKind.FAULT_SETS_IN].p_value < 1e-6
    one = max(shots.drift_explanations(context), key=lambda one: one.score)
    assert (one.fault.detail, one.fault.sites) == (FaultKind.READOUT_1_TO_0.words, (2,))
    assert abs(int(one.fault.when.split("shot ")[1].split(" of")[0].replace(",", "")) - 1500) < 100


@pytest.mark.parametrize("design", ["pauli4", "random", "listed"])
@pytest.mark.parametrize(
    ("noise", "kind", "sites"),
    [("readout:0/0.5@2", FaultKind.READOUT_1_TO_0, (2,)), ("dephasing:0.3", FaultKind.DEPHASING, None)],
)
def test_a_fault_that_sets_in_is_found_with_its_onset(design, noise, kind, sites):
    """Two thirds good, then a fault: the onset within a tenth of the run, the strength within 0.15."""
    context = join(draw(design, 2000, 9), draw(design, 1000, 10, [noise]))
    tests = {test.kind: test for test in drift(context)}
    assert tests[TestKind.FAULT_SETS_IN].p_value < 1e-6
    assert tests[TestKind.DRIFT].p_value < (0.01 if sites else 0.5)
    one = max(shots.drift_explanations(context), key=lambda one: one.score)
    assert one.fault.kind == FaultKind.DRIFT
    assert one.fault.sites == sites
    onset = int(one.fault.when.split("shot ")[1].split(" of")[0].replace(",", ""))
    assert abs(onset - 2000) < 300
    assert kind.words in one.fault.detail
    assert one.strength == pytest.approx(0.5 if sites else 0.3, abs=0.15)
    assert len(one.apply(context, one.strength).records) == 3000 - onset
    assert len(one.rest(context)[0].records) == onset


def test_a_drift_says_its_place_once():
    context = join(draw("random", 1500, 9), draw("random", 1000, 10, ["readout:0.4/0@2"]))
    one = max(shots.drift_explanations(context), key=lambda one: one.score)
    assert one.fault.describe().count("qubit 2") == 1


def test_a_constant_fault_and_good_records_do_not_drift():
    for noise in (None, ["depolarizing:0.3"], ["readout:0/0.3@1"]):
        context = draw("random", 3000, 11, noise)
        likeliest = max(local.explanations(context), key=lambda one: one.score, default=None)
        best = max(context.log_likelihood, likeliest.score)
        assert all(one.score < best for one in shots.drift_explanations(context))
        assert all(test.p_value > 1e-4 for test in drift(context))


@pytest.mark.parametrize("design", ["random", "listed"])
def test_drift_errs_as_often_as_it_says(design):
    """40 sets of 400: as many below 5 % as a binomial allows, at 1e-8."""
    found = {}
    for seed in range(40):
        for test in drift(draw(design, 400, seed)):
            found.setdefault(test.kind, []).append(test.p_value)
    for values in found.values():
        assert sum(p <= 0.05 for p in values) <= stats.binom.isf(1e-8, len(values), 0.05)


def test_nothing_is_said_of_an_order_that_is_not_known():
    context = draw("random", 500, 12, ordered=False)
    assert list(drift(context)) == list(stays(context)) == []
    with refused(Code.UNSUPPORTED):
        shots.segments(context)
    (test,) = duplicated(context)  # copies are seen all the same
    assert test.p_value > 0.01
    ordered = context.of(context.records._with(columns={"time": np.arange(500.0)}))
    assert list(drift(ordered))
