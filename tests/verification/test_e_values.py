"""E-values average to at most 1 under the target, and p-values are small no more often than they say.

Exactly, by enumeration: every data set of a few records of one to three qubits, weighted by its probability.
"""

import itertools

import numpy as np
import pytest

from qtomo import Records
from qtomo.measurement.povm import named_povm
from qtomo.states.library import GHZ, Product
from qtomo.states.tfim import TFIM
from qtomo.states.xxz import XXZ
from qtomo.statistics.evidence import log_mean_exp
from qtomo.verification import learned
from qtomo.verification.checks import drift, faults, independence, targets
from qtomo.verification.context import Context, Options
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS, applied, one_qubit_curves
from qtomo.verification.faults.parameters import log_e, parameters_of
from qtomo.verification.faults.relabellings import global_relabellings, one_qubit_log_ratios
from qtomo.verification.faults.shots import duplicates, memory, segments
from qtomo.verification.hypothesis import Hypothesis
from qtomo.verification.learned import given_bases, learned_ratios
from tests.systems import dense

SLACK = 1e-6  # weights of local likelihoods are in single precision


def target(system, povm):
    return Hypothesis.of(system.state(), named_povm(povm), system)


def data_sets(hypothesis, n, n_outcomes, options=None, settings=None, povm="pauli4"):
    """All data sets of n records, as contexts, with their probabilities; the settings of shots are given."""
    n_sites = hypothesis.n_sites
    if settings is None:
        cells = dense.all_records(n_sites, n_outcomes)
        chances = [np.exp(hypothesis.log_prob(cells))] * n
    else:
        cells = dense.all_records(n_sites, 2)
        chances = [np.exp(hypothesis.log_prob(2 * setting + cells)) * 3**n_sites for setting in settings]
    for chosen in itertools.product(range(len(cells)), repeat=n):
        probability = np.prod([chances[i][cell] for i, cell in enumerate(chosen)])
        if probability > 0:
            rows = cells[list(chosen)]
            records = Records(rows, povm) if settings is None else Records(rows, settings=settings, design="random")
            yield Context(records, hypothesis, options or Options(n_reference=1000)), probability


def mean(values):
    """Of exp(log e) over data sets, and the sum of their probabilities."""
    found = [(np.exp(min(log, 700.0)), probability) for log, probability in values]
    return sum(e * p for e, p in found), sum(p for _, p in found)


SYSTEMS = [TFIM(2, 1.0, 0.7), GHZ(2), Product(2, 0.0), Product(2, 0.7, 0.3)]


@pytest.mark.parametrize("povm", ["pauli4", "pauli6"])
@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: f"{s.family}{s.n_sites}")
def test_likelihood_ratios_of_local_faults_average_to_one_or_less(system, povm):
    """Over one record; exactly one where nothing is forbidden, for one qubit, for any and over all strengths."""
    hypothesis = target(system, povm)
    cells = dense.all_records(system.n_sites, hypothesis.povm.n_outcomes)
    possible = cells[np.isfinite(hypothesis.log_prob(cells))]
    chances = np.exp(hypothesis.log_prob(possible))
    assert chances.sum() == pytest.approx(1)
    values = {kind: np.zeros(len(possible)) for kind in LOCAL_KINDS}
    anywhere = {kind: np.zeros(len(possible)) for kind in LOCAL_KINDS}
    relabelled = np.zeros(len(possible))
    for index, row in enumerate(possible):
        context = Context(
            Records.from_labels(row[None], povm, design="random" if povm == "pauli6" else "povm"), hypothesis
        )
        before = context.log_likelihood
        for kind, local in LOCAL_KINDS.items():
            sites, at_random = one_qubit_curves(context, kind, np.array(local.grid))
            values[kind][index] = log_mean_exp(sites - before)
            anywhere[kind][index] = log_mean_exp(at_random - before)
        relabelled[index] = log_mean_exp(one_qubit_log_ratios(context) - before)
    for found in (*values.values(), *anywhere.values(), relabelled):
        average = chances @ np.exp(found)
        assert average <= 1 + SLACK
        if len(possible) == len(cells):
            assert average == pytest.approx(1, abs=SLACK)


@pytest.mark.parametrize("povm", ["pauli4", "pauli6"])
@pytest.mark.parametrize("system", [TFIM(3, 1.0, 0.7), GHZ(3)], ids=lambda s: s.family)
def test_relabellings_of_the_chain_average_to_one_or_less(system, povm):
    """The average of P'/P over records of P is the sum of P' over those that are possible."""
    hypothesis = target(system, povm)
    cells = dense.all_records(3, hypothesis.povm.n_outcomes)
    possible = cells[np.isfinite(hypothesis.log_prob(cells))]
    records = Records.from_labels(possible, povm, design="random" if povm == "pauli6" else "povm")
    for one in global_relabellings(3, records.has_settings, False):
        moved = one.apply(Context(records, hypothesis))
        average = np.exp(moved.log_prob).sum()
        assert average <= 1 + 1e-9
        if len(possible) == len(cells):
            assert average == pytest.approx(1)


@pytest.mark.parametrize(("system", "n"), [(TFIM(2, 1.0, 0.7), 2), (XXZ(2), 1), (TFIM(3), 1)])
def test_a_parameter_that_is_off_averages_to_one_or_less(system, n):
    (parameter,) = parameters_of(system)
    averages, total = mean((log_e(context, parameter), p) for context, p in data_sets(target(system, "pauli4"), n, 4))
    assert total == pytest.approx(1)
    assert averages <= 1 + 1e-9


SETTINGS = np.array([[2, 0], [2, 2], [2, 2]], np.uint8)


@pytest.mark.parametrize("system", [TFIM(2, 1.0, 0.7), Product(2, 0.7, 0.3)], ids=lambda s: s.family)
def test_copies_average_to_one_or_less(system):
    """Two Pauli-4 records or three shots: what came before makes the next one likelier, whatever it was."""
    hypothesis = target(system, "pauli4")
    found = [(duplicates(context).log_e(), p) for context, p in data_sets(hypothesis, 2, 4)]
    assert mean(found)[0] <= 1 + 1e-9
    assert max(log for log, _ in found) > 0  # some copy is told
    found = data_sets(target(system, "pauli6"), 3, 2, settings=SETTINGS)
    averages, total = mean((duplicates(context).log_e(), p) for context, p in found)
    assert total == pytest.approx(1)
    assert averages <= 1 + 1e-9


@pytest.mark.parametrize("settings", [pytest.param(None, marks=pytest.mark.slow), SETTINGS])
def test_bits_that_stay_and_faults_that_set_in_average_to_one_or_less(settings):
    """Over data sets of two records, or of three shots, each qubit's ratio and the averages that tests use."""
    system = TFIM(2, 1.0, 0.7)
    hypothesis, n = target(system, "pauli4" if settings is None else "pauli6"), 2 if settings is None else 3
    stays, sets_in, total, each = 0.0, 0.0, 0.0, 0.0
    for context, p in data_sets(hypothesis, n, 4, settings=settings):
        sites, anywhere = memory(context)
        found = segments(context)
        each = each + p * np.exp(np.concatenate([sites, anywhere[:, None]], axis=1))
        stays += p * np.exp(
            log_mean_exp([log_mean_exp(sites), log_mean_exp(anywhere)]) - found.constant() + context.log_likelihood
        )
        sets_in += p * np.exp(found.log_e())
        total += p
    assert total == pytest.approx(1)
    assert each == pytest.approx(np.ones_like(each), abs=SLACK)
    assert stays <= 1 + SLACK
    assert sets_in <= 1 + SLACK


@pytest.mark.parametrize(("kind", "strength"), [(FaultKind.DEPHASING, 0.3), (FaultKind.READOUT_1_TO_0, 0.15)])
def test_a_fault_that_is_there_all_along_is_not_taken_for_one_that_sets_in(kind, strength):
    """A constant fault of the grid is in what change is held against: at most 1 on average under it as well."""
    hypothesis = target(TFIM(2, 1.0, 0.7), "pauli6")
    assert strength in LOCAL_KINDS[kind].grid
    faulty = applied(hypothesis, kind, strength, 1)
    sets_in = stays = 0.0
    for context, p in data_sets(faulty, 3, 2, settings=SETTINGS):
        context = context.under(hypothesis)
        found = segments(context)
        sites, anywhere = memory(context)
        sets_in += p * np.exp(found.log_e())
        stays += p * np.exp(
            log_mean_exp([log_mean_exp(sites), log_mean_exp(anywhere)]) - found.constant() + context.log_likelihood
        )
    assert sets_in <= 1 + SLACK
    assert stays <= 1 + SLACK


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("settings", [None, np.array([[2], [0], [2], [1]], np.uint8)])
def test_what_is_learned_from_half_of_the_records_averages_to_one_or_less(monkeypatch, settings, lost):
    """Every data set of four records of one qubit, of which one may be lost; the fewest that anything is learned from
    are more, as a rule.
    """
    monkeypatch.setattr(learned, "_FEWEST", 2)
    hypothesis = target(Product(1, 0.7, 0.3), "pauli4" if settings is None else "pauli6")
    options = Options(n_reference=1000, alternative="kgram")

    def ratios():
        for context, p in data_sets(hypothesis, 4, 4, options, settings):
            if lost:
                outcomes = context.records.outcomes.copy()
                outcomes[1] = dense.LOST
                context = context.of(context.records._with(outcomes=outcomes))
            found = learned_ratios(context)
            yield found.log_e(context.conditional_log_prob), p

    averages, total = mean(ratios())
    assert total == pytest.approx(1)
    assert averages <= 1 + 1e-9
    assert averages == pytest.approx(1, abs=1e-9) or lost  # nothing is forbidden


def test_probabilities_of_bits_given_bases_add_up_to_one():
    rng = np.random.default_rng(0)
    cells = dense.all_records(2, 6)
    table = rng.random((2, 6))  # what an autoregressive model may say of two sites, whatever came before
    logs = given_bases(np.broadcast_to(table, (36, 2, 6)), cells)
    for settings in itertools.product(range(3), repeat=2):
        assert np.exp(logs[(cells // 2 == settings).all(axis=1)]).sum() == pytest.approx(1)


CHECKS = [faults.local_faults, faults.relabelled, targets.forbidden, targets.site_frequencies, targets.pair_frequencies,
          independence.duplicated, independence.stays, drift.drift]  # fmt: skip


@pytest.mark.parametrize("settings", [None, pytest.param(SETTINGS, marks=pytest.mark.slow)])
def test_p_values_are_small_no_more_often_than_they_say(settings):
    """All tests that can be made of three records of a qubit or three shots of two, at every level that they reach."""
    hypothesis = target(Product(1, 0.7, 0.3), "pauli4") if settings is None else target(TFIM(2, 1.0, 0.7), "pauli6")
    values, chances = {}, []
    for context, p in data_sets(hypothesis, 3, 4, settings=settings):
        chances.append(p)
        for check in CHECKS:
            for test in check(context):
                values.setdefault((test.kind, test.fault), []).append(test.p_value)
    chances = np.array(chances)
    assert len(values) > 15
    for name, found in values.items():
        found = np.array(found)
        assert len(found) == len(chances), name
        order = np.argsort(found)
        levels, reached = found[order], np.cumsum(chances[order])
        last = np.append(np.diff(levels) > 1e-9, True)
        assert (reached[last] <= levels[last] * (1 + 1e-5) + 1e-9).all(), name
