"""Readout errors that were calibrated with few shots, fitted together with the records."""

import numpy as np
import pytest

from qtomo import Records
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import POVM, named_povm
from qtomo.measurement.readout import with_bit_confusion
from qtomo.states.tfim import TFIM
from qtomo.verification import pipeline
from qtomo.verification.checks.base import TestKind
from qtomo.verification.context import Context, Options
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.hypothesis import Hypothesis
from qtomo.verification.pipeline import verify
from qtomo.verification.readout import fitted_readout

SYSTEM = TFIM(4, 1.0, 1.2)
STATE = SYSTEM.state()
#: Probabilities of reading 0 as 1 and 1 as 0, a qubit each.
FLIPS = np.array([[0.02, 0.06], [0.04, 0.03], [0.01, 0.08], [0.05, 0.05]])


def confusion(flips):
    return np.array([[1 - flips[:, 0], flips[:, 1]], [flips[:, 0], 1 - flips[:, 1]]]).transpose(2, 0, 1)


def laboratory(seed, n, shots, flips=FLIPS, povm="pauli6", true=None, noise=()):
    """Records of the state read with these errors, imported with a calibration of so many shots; the errors while the
    records were taken may be others (`true`), and there may be noise before.
    """
    rng = np.random.default_rng(seed)
    wrong = rng.binomial(shots, flips)
    calibration = Calibration(wrong, np.full((4, 2), shots))
    clean = named_povm(povm)
    settings = rng.integers(0, 3, (n, 4)).astype(np.uint8) if povm == "pauli6" else None
    empty = Records(np.zeros((n, 4), np.uint8), clean, settings=settings)
    noisy = with_bit_confusion(parse_noise(clean, noise, 4), confusion(flips if true is None else true), 4)
    source = Hypothesis.of(STATE, noisy)
    drawn = source.sample_like(empty, rng)
    return Records(
        drawn.outcomes, with_bit_confusion(clean, calibration.confusion, 4), settings=settings, calibration=calibration
    )


def flips_of(povm):
    """Probabilities of a six-outcome measurement, from the diagonal of its Z elements."""
    elements = povm.site_elements(4)
    return np.stack([3 * elements[:, 5, 0, 0].real, 3 * elements[:, 4, 1, 1].real], axis=1)


@pytest.mark.parametrize("shots", [300, 30])
def test_fitted_errors_are_the_true_ones_within_what_both_tell(shots):
    """Eight numbers at 5.5 standard errors of the calibration alone, which the records narrow: false alarm 3e-7."""
    records = laboratory(1, 20_000, shots)
    fitted, tests = fitted_readout(Context(records, Hypothesis.of(STATE, records.povm)))
    found = flips_of(fitted.hypothesis.povm)
    errors = np.sqrt(FLIPS * (1 - FLIPS) / shots)
    assert (np.abs(found - FLIPS) < 5.5 * errors).all()
    before = np.abs(records.calibration.flips - FLIPS).sum()
    assert np.abs(found - FLIPS).sum() < before  # 20,000 shots know more of them than the calibration
    (test,) = tests
    assert test.kind == TestKind.CALIBRATION
    assert test.p_value > 1e-4


def test_the_fit_is_the_likeliest_of_records_and_calibration():
    """No step of any of the eight numbers gains more than a hundredth of a nat."""
    records = laboratory(2, 3000, 300)
    fitted, _ = fitted_readout(Context(records, Hypothesis.of(STATE, records.povm)))
    found, calibration = flips_of(fitted.hypothesis.povm), records.calibration

    def log_likelihood(flips):
        povm = with_bit_confusion(named_povm("pauli6"), confusion(flips), 4)
        of_records = Hypothesis.of(STATE, povm).log_prob(records.labels).sum()
        k, m = calibration.wrong, calibration.shots
        return of_records + (k * np.log(flips) + (m - k) * np.log1p(-flips)).sum()

    top = log_likelihood(found)
    for site in range(4):
        for which in range(2):
            for factor in (0.9, 1.1):
                moved = found.copy()
                moved[site, which] *= factor
                assert log_likelihood(moved) < top + 0.01


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
def test_records_of_the_target_are_not_inconsistent_for_want_of_calibration_shots(seed):
    """300 shots of either state and 20,000 records; the family-wise error is 1 %, the seeds are fixed."""
    found = verify(laboratory(seed, 20_000, 300), SYSTEM, alternative="none", budget=False, n_reference=1000)
    assert found.verdict != "inconsistent"


def test_the_fit_is_needed():
    """Taken as exact, the same calibration has tests reject good records."""
    records = laboratory(0, 20_000, 100)
    plain = Records(records.outcomes, records.povm, settings=records.shot_settings)
    options = Options(alternative="none", n_reference=1000)
    smallest = []
    for one in (plain, records):
        _, tests, _ = pipeline.tested(Context(one, Hypothesis.of(STATE, one.povm), options))
        smallest.append(tests[0].adjusted)
    assert smallest[0] < 0.01 < smallest[1]


def test_outcomes_of_pauli_4_are_read_alike():
    records = laboratory(3, 20_000, 300, povm="pauli4")
    fitted, tests = fitted_readout(Context(records, Hypothesis.of(STATE, records.povm)))
    assert tests[0].p_value > 1e-4
    exact = with_bit_confusion(named_povm("pauli4"), confusion(FLIPS), 4).elements
    found, before = (np.abs(povm.elements - exact).max() for povm in (fitted.hypothesis.povm, records.povm))
    assert found < max(before, 0.02)
    assert verify(records, SYSTEM, alternative="none", budget=False, n_reference=1000).verdict != "inconsistent"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_fault_is_not_taken_for_readout_error_that_the_calibration_does_not_allow(seed):
    """Of depolarizing of 0.2 the fit of readout errors to the target takes a part; both are fitted anew together. The
    interval is widened by two: a miss has a chance of 1e-4.
    """
    records = laboratory(seed, 5000, 500, noise=["depolarizing:0.2@2"])
    found = verify(records, STATE, alternative="none", budget=False, n_reference=1000)
    (fault,) = found.faults
    assert (FaultKind.DEPOLARIZING, (2,)) in [(one.kind, one.sites) for one in (fault, *found.tied[0])]
    alike = {FaultKind.BIT_PHASE_FLIP: 0.1, FaultKind.READOUT_0_TO_1: 0.1}  # in X and Z, as far as readout is not known
    true = alike.get(fault.kind, 0.2)
    low, high = (2 * end - fault.size.value for end in (fault.size.low, fault.size.high))
    assert low <= true <= high


def test_a_readout_that_has_changed_since_is_told():
    """Qubit 2 now reads a quarter of the ones as zero, which no 300 shots of 8 % allow."""
    true = FLIPS.copy()
    true[2, 1] = 0.25
    records = laboratory(4, 6000, 300, true=true)
    _, (test,) = fitted_readout(Context(records, Hypothesis.of(STATE, records.povm)))
    assert test.p_value < 1e-4
    assert test.sites == (2,)
    found = verify(records, STATE, alternative="none", budget=False, n_reference=2000)
    assert found.verdict == "inconsistent"
    assert TestKind.CALIBRATION in {test.kind for test in found.rejecting}
    assert (FaultKind.READOUT_1_TO_0, (2,)) in [
        (fault.kind, fault.sites) for fault in found.faults
    ] or not found.explains


def test_without_a_calibration_nothing_is_fitted():
    records = laboratory(5, 100, 300)
    plain = Context(
        Records(records.outcomes, records.povm, settings=records.shot_settings), Hypothesis.of(STATE, records.povm)
    )
    assert fitted_readout(plain) == (plain, [])


def test_few_calibration_shots_and_few_records_do_no_harm():
    """One calibration shot of either state, none or all of them wrong; two records."""
    for wrong in (0, 1):
        calibration = Calibration(np.full((4, 2), wrong), np.ones((4, 2), int))
        confusions = np.clip(calibration.confusion, 0.01, 0.99)
        records = Records(
            [[0, 1, 0, 1], [1, 1, 1, 1]], with_bit_confusion(named_povm("pauli6"), confusions, 4),
            settings=[[0, 1, 2, 0], [2, 2, 2, 2]], calibration=calibration,
        )  # fmt: skip
        fitted, _ = fitted_readout(Context(records, Hypothesis.of(STATE, records.povm), Options(n_reference=1000)))
        assert isinstance(fitted.hypothesis.povm, POVM)
        assert verify(records, SYSTEM, alternative="none", budget=False, n_reference=1000).verdict in (
            "undecided",
            "inconsistent",
        )
