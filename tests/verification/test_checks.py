"""Tests that name no fault: their level on good records, what they see, and the words of what they find."""

import itertools

import numpy as np
import pytest
from scipy import optimize, stats

from qtomo import Records
from qtomo.errors import Code
from qtomo.measurement.povm import named_povm
from qtomo.states.library import GHZ, Product, W
from qtomo.verification.checks.base import Test, TestKind, adjusted
from qtomo.verification.checks.one_state import _best_state, one_state
from qtomo.verification.checks.targets import classifier, forbidden, learned, log_likelihood
from qtomo.verification.context import Context, Options
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.learned import check_alternative, learned_ratios
from tests.refusing import refused
from tests.systems import dense, laboratory
from tests.systems.laboratory import hypothesis

OPTIONS = Options(n_reference=1000, alternative="kgram")


def against(records, system, options=OPTIONS):
    return Context(records, hypothesis(system, records.povm.name), options)


def of_learned(context):
    return learned(context, learned_ratios(context))


@pytest.mark.parametrize("design", laboratory.DESIGNS)
@pytest.mark.parametrize("check", [log_likelihood, classifier, one_state, of_learned])
def test_they_err_on_good_records_as_often_as_they_say(check, design):
    """50 sets of 150 records with losses: as many below 5 and 20 % as a binomial allows, at 1e-8 for each of 32."""
    system, rho = dense.STATES["tilted"]
    values = []
    for seed in range(50):
        records = laboratory.draw(rho, design, 150, seed, loss=0.1)
        values += [test.p_value for test in check(against(records, system))]
    assert (len(values) == 50) or (check is one_state and design in ("pauli4", "sic"))
    for alpha in (0.05, 0.2):
        assert sum(p <= alpha for p in values) <= stats.binom.isf(1e-8, 50, alpha)


@pytest.mark.parametrize("design", laboratory.DESIGNS)
@pytest.mark.parametrize("check", [log_likelihood, classifier, of_learned])
def test_they_see_another_state(check, design):
    """3,000 records of W held against a TFIM, and of a TFIM against tilted spins."""
    for truth, system in ((dense.w(3), dense.STATES["tfim"][0]), (dense.tfim(3, 1.0, 0.7), dense.STATES["tilted"][0])):
        found = [test.p_value for test in check(against(laboratory.draw(truth, design, 3000, 1), system))]
        assert min(found, default=0.0) < 1e-3


def test_outcomes_that_cannot_be_are_counted():
    """Of every record of three qubits in random bases as many as have no amplitude."""
    rows = dense.all_records(3, 6)
    context = against(Records.from_labels(rows, "pauli6", design="random"), GHZ(3))
    (found,) = forbidden(context)
    impossible = dense.chances(dense.ghz(3), dense.pauli6()) < 1e-12
    assert found.statistic == f"{impossible.sum()} records"
    assert found.p_value == 0
    assert found.where == f"row {np.flatnonzero(impossible)[0]}"
    (none,) = forbidden(context.of(context.records.take(~impossible)))
    assert (none.p_value, none.where) == (1.0, "")


def mean_log_likelihood(bloch, rows, counts):
    axes = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    return counts @ np.log(np.maximum((1 + axes[rows] @ bloch) / 2, 1e-12))


@pytest.mark.parametrize("counts", [[5, 9, 3, 7, 8, 2], [30, 0, 30, 0, 29, 1], [1, 0, 0, 0, 4, 0]])
def test_the_likelihood_of_the_best_state_of_a_qubit(counts):
    """By maximising over the Bloch ball: the bound is above the best state by no more than what it says, 0.05 nats."""
    counts = np.array(counts, float)
    rows = np.flatnonzero(counts)
    found = _best_state(rows[:, None].astype(np.uint8), counts[rows], named_povm("pauli6"))
    starts = itertools.product((-0.5, 0.1, 0.5), repeat=3)
    best = max(
        -optimize.minimize(
            lambda r: -mean_log_likelihood(r, rows, counts[rows]), start, method="SLSQP",
            constraints={"type": "ineq", "fun": lambda r: 1 - r @ r},
        ).fun
        for start in starts
    )  # fmt: skip
    assert best - 1e-3 <= found <= best + 0.06


def test_shots_of_another_state_in_some_settings_fit_no_state():
    """Of GHZ where qubit 0 is measured in Z, and of a product state elsewhere; neither alone is refuted."""
    mine = laboratory.draw(dense.ghz(3), "random", 15_000, 1)
    other = laboratory.draw(dense.spins(3, 0.7, 0.3), "random", 15_000, 2)
    for records in (mine, other):
        (test,) = one_state(against(records, GHZ(3)))
        assert test.p_value > 0.01
        assert test.kind == TestKind.ONE_STATE
    settings = np.where((mine.shot_settings[:, :1] == 2), mine.shot_settings, other.shot_settings)
    outcomes = np.where((mine.shot_settings[:, :1] == 2), mine.outcomes, other.outcomes)
    # The mean Z of qubit 1 is 0 where qubit 0 was measured in Z and cos(0.7) elsewhere, which no state has.
    (test,) = one_state(against(Records(outcomes, settings=settings), GHZ(3)))
    assert test.p_value < 1e-6


@pytest.mark.parametrize("n", [1, 3])
def test_a_long_chain_is_looked_at_in_windows_of_three(n):
    """Qubits 4 to 6 of nine are swapped for others in half of the settings of qubit 4."""
    system, rng = Product(9, 0.7, 0.3), np.random.default_rng(0)
    settings = rng.integers(0, 3, (2000, 9)).astype(np.uint8)
    empty = Records(np.zeros((2000, 9), np.uint8), settings=settings)
    bits = hypothesis(system, "pauli6").sample_like(empty, rng).outcomes.copy()
    if n == 3:
        wrong = settings[:, 4] == 2
        bits[wrong, 5] = bits[wrong, 4]  # tied to its neighbour where that is measured in Z, in every basis of its own
    (test,) = one_state(against(Records(bits, settings=settings), system))
    assert (test.p_value < 1e-6) == (n == 3)
    assert len(test.sites) == 3
    if n == 3:
        assert {4, 5} <= set(test.sites)


def test_what_an_alternative_may_be():
    for family in ("auto", "none", "kgram", "gru"):
        check_alternative(family)
    with refused(Code.UNKNOWN, "'kgrams'; did you mean 'kgram'"):
        check_alternative("kgrams")
    with refused(Code.UNSUPPORTED, "'gan'"):
        check_alternative("gan")


def test_nothing_is_learned_from_few_records_or_where_none_is_asked_for():
    records = laboratory.draw(dense.w(3), "random", 19, 0)
    assert learned_ratios(against(records, W(3))) is None
    many = laboratory.draw(dense.w(3), "random", 100, 0)
    assert learned_ratios(against(many, W(3), Options(alternative="none"))) is None
    assert list(learned(against(many, W(3)), None)) == []
    found = learned_ratios(against(many, W(3)))
    assert sorted(np.concatenate(found.rows)) == list(range(100))
    assert "k-gram" in found.name


def test_correlations_that_were_learned_tell_a_state_from_the_product_of_its_qubits():
    """Classical correlations of neighbours in Z of GHZ, held against uniform bits: ln 2 nats for each but the first."""
    rng = np.random.default_rng(0)
    bits = np.repeat(rng.integers(0, 2, (1000, 1)), 4, axis=1).astype(np.uint8)
    records = Records(bits, settings=np.full((1000, 4), 2), design="listed")
    context = against(records, Product(4, np.pi / 2))
    found = learned_ratios(context)
    per_record = np.concatenate(found.log_ratios(np.full(1000, -4 * np.log(2)))).mean()
    assert per_record == pytest.approx(3 * np.log(2), abs=0.2)
    (test,) = learned(context, found)
    assert test.p_value < 1e-99


def test_words_and_correction_of_tests():
    tests = [
        Test(TestKind.EVERY_QUBIT, 0.03, "ln E = 3.5", FaultKind.DEPHASING),
        Test(TestKind.PAIRS, 0.01, "", sites=(2, 5)),
        Test(TestKind.DRIFT, 0.5, "", place="row 7"),
    ]
    found = adjusted(tests)
    assert [test.kind for test in found] == [TestKind.PAIRS, TestKind.EVERY_QUBIT, TestKind.DRIFT]
    assert [test.adjusted for test in found] == pytest.approx([0.03, 0.06, 0.5])
    assert [test.name for test in found] == [
        "pair frequencies",
        "dephasing (Z flips), all qubits",
        "drift along the shots",
    ]
    assert [test.where for test in found] == ["qubits 2, 5", "", "row 7"]
    assert [test.rejects(0.05) for test in found] == [True, False, False]
    assert found[1].fault == "dephasing"
