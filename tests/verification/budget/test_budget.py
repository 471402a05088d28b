"""The error budget: elements and their slopes against written-out channels, fits of simulated records, what is tied."""

import json

import numpy as np
import pytest
from pydantic import TypeAdapter

from qtomo import Records
from qtomo.errors import Code
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.povm import POVM, named_povm
from qtomo.measurement.readout import with_bit_confusion, with_readout_error
from qtomo.states.library import GHZ, W
from qtomo.states.tfim import TFIM
from qtomo.verification.budget.budget import KINDS, NoBudget, error_budget, no_budget
from qtomo.verification.budget.fidelity import Fidelity
from qtomo.verification.budget.model import CHANNELS, READOUT, ErrorModel
from qtomo.verification.budget.result import Budget, Tie
from qtomo.verification.context import Context, Options
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS, applied
from qtomo.verification.hypothesis import Hypothesis
from tests.refusing import refused

DEPOLARIZING, DEPHASING, DAMPING = FaultKind.DEPOLARIZING, FaultKind.DEPHASING, FaultKind.AMPLITUDE_DAMPING


def model_of(system, kinds=KINDS, povm="pauli6", calibration=None):
    """An error model without records."""
    measured = povm if isinstance(povm, POVM) else named_povm(povm)
    n = system.n_sites
    settings = np.zeros((1, n), np.uint8) if measured.measures_bases else None
    records = Records(np.zeros((1, n), np.uint8), measured, settings=settings, calibration=calibration)
    return ErrorModel.of(Context(records, Hypothesis.of(system.state(), measured, system)), kinds)


def strengths(model, **of):
    """Strengths by kind, a number or one per qubit."""
    theta = np.zeros(model.n_parameters)
    for name, values in of.items():
        kind = FaultKind[name.upper()]
        theta[[place for place, (one, _) in enumerate(model.places) if one == kind]] = values
    return theta


def laboratory(system, theta, n, seed, shots=None, change=lambda hypothesis: hypothesis):
    """Shots in random bases with these errors, in the order of the kinds of a model; calibrated with so many shots."""
    rng = np.random.default_rng(seed)
    model = model_of(system)
    settings = rng.integers(0, 3, (n, system.n_sites)).astype(np.uint8)
    empty = Records(np.zeros(settings.shape, np.uint8), "pauli6", settings=settings)
    drawn = change(model.under(theta)).sample_like(empty, rng)
    if shots is None:
        povm, calibration = named_povm("pauli6"), None
    else:
        flips = model.local(theta)[-2:].T
        calibration = Calibration(rng.binomial(shots, flips), np.full(flips.shape, shots))
        povm = with_bit_confusion(named_povm("pauli6"), calibration.confusion, system.n_sites)
    records = Records(drawn.outcomes, povm, settings=settings, design="random", calibration=calibration)
    return Context(records, Hypothesis.of(system.state(), povm, system), Options(seed=seed))


@pytest.mark.parametrize("povm", ["pauli6", "pauli4", "sic"])
def test_elements_are_those_of_the_channels_one_after_another(povm):
    """The same as faults applied to the measurement, the last to act first."""
    model = model_of(TFIM(3, 1.0, 1.0), (*CHANNELS, *READOUT), povm)
    rng = np.random.default_rng(0)
    theta = rng.uniform(0.01, 0.2, (len(model.kinds), 3))
    flips = theta[-2:]
    expected = []
    for site in range(3):
        element = named_povm(povm) if povm == "sic" else with_readout_error(named_povm(povm), *flips[:, site], 1)
        for place in reversed(range(len(model.channels))):
            element = LOCAL_KINDS[model.kinds[place]].change(element, theta[place, site], 1)
        expected.append(element.elements)
    assert len(model.kinds) == (8 if povm == "sic" else 10)
    np.testing.assert_allclose(model.under(theta.ravel()).povm.site_elements(3), expected, atol=1e-12)


def test_a_calibrated_readout_error_is_absolute():
    """Fitted readout errors replace those that the calibration put into the measurement."""
    calibration = Calibration(np.array([[100, 300], [50, 0]]), np.full((2, 2), 1000))
    povm = with_bit_confusion(named_povm("pauli6"), calibration.confusion, 2)
    model = model_of(GHZ(2), povm=povm, calibration=calibration)
    at = strengths(model, readout_0_to_1=[0.1, 0.05], readout_1_to_0=[0.3, 0.0])
    np.testing.assert_allclose(model.under(at).povm.site_elements(2), povm.site_elements(2), atol=1e-12)
    none = model.under(np.zeros_like(at)).povm.site_elements(2)
    np.testing.assert_allclose(none[0], named_povm("pauli6").elements, atol=1e-12)


def test_slopes_are_differences():
    model = model_of(W(3), (*CHANNELS, *READOUT))
    theta = np.random.default_rng(1).uniform(0.01, 0.2, model.n_parameters)
    slopes, change = model.slopes(theta), 1e-6
    assert not slopes[:, :, -1].any()  # a lost outcome tells nothing
    for place in range(len(model.kinds)):
        up, down = theta.copy(), theta.copy()
        model.local(up)[place] += change
        model.local(down)[place] -= change
        found = (model.coefficients(up) - model.coefficients(down)) / (2 * change)
        np.testing.assert_allclose(slopes[place, :, :-1], found, atol=1e-8)


RATES = {"depolarizing": [0.02, 0, 0, 0.01], "dephasing": [0, 0.03, 0, 0], "amplitude_damping": [0, 0, 0.04, 0]}
FLIPS = {"readout_0_to_1": [0.01, 0.0, 0.02, 0.0], "readout_1_to_0": [0.0, 0.03, 0.01, 0.0]}


@pytest.fixture(scope="module")
def calibrated():
    """Four qubits of a critical chain with errors of four kinds: the model, the true strengths, and the budget."""
    system = TFIM(4, 1.0, 1.0)
    model = model_of(system)
    theta = strengths(model, **RATES, **FLIPS)
    return model, theta, error_budget(laboratory(system, theta, 30_000, 3, shots=20_000))


def test_strengths_are_found_within_their_errors(calibrated):
    """33 strengths at 5.5 standard errors: false alarm 1e-6."""
    model, theta, budget = calibrated
    found = [budget.strength(kind, site) for kind, site in model.places]
    errors = np.array([e.standard_error for e in found])
    assert (np.abs(np.array([e.value for e in found]) - theta) < 5.5 * errors).all()
    assert errors[:-1].max() < 0.05
    assert all(e.guarantee == "model" and e.low <= e.value <= e.high for e in found)


def test_the_fidelity_and_what_each_kind_costs_are_found(calibrated):
    """Eight numbers at 5.5 standard errors; intervals of F narrower than all of the infidelity."""
    model, theta, budget = calibrated
    fidelity = Fidelity(model.hypothesis.first.state)
    true = fidelity(model.transfer(theta))
    assert abs(budget.fidelity.value - true) < 5.5 * budget.fidelity.standard_error
    assert budget.fidelity.high - budget.fidelity.low < 0.03
    for cost in budget.kinds:
        alone = model.only(theta, [cost.kind])
        error = 5.5 * max(cost.infidelity.standard_error, 1e-3)
        assert abs(cost.infidelity.value - (1 - fidelity(model.transfer(alone)))) < error
    assert sum(cost.share.value for cost in budget.kinds) == pytest.approx(1)
    assert sum(cost.share.value for cost in budget.sites) == pytest.approx(1)


def test_the_right_model_fits_and_says_so(calibrated):
    """At a family-wise error rate of 0.01, with a fixed seed."""
    _, _, budget = calibrated
    assert budget.fits
    assert len(budget.tests) == 4
    assert not budget.tied
    assert "No test rejects" in str(budget)
    assert np.array_equal(budget.correlations, budget.correlations.T)


def test_it_is_written_and_read_back(calibrated):
    _, _, budget = calibrated
    text = json.dumps(budget.to_dict(), allow_nan=False)
    again = TypeAdapter(Budget).validate_json(text)
    assert again.to_dict() == budget.to_dict()
    assert again.fits == budget.fits


def test_an_error_that_two_qubits_make_together_is_seen():
    """ZZ on qubits 1 and 2 in one of eight shots."""
    system = TFIM(4, 1.0, 1.0)
    model = model_of(system)

    def pair(hypothesis):
        both = hypothesis
        for site in (1, 2):
            both = applied(both, DEPHASING, 1.0, site)
        return hypothesis.mixed(0.125, both)

    budget = error_budget(laboratory(system, strengths(model, **RATES), 30_000, 4, shots=20_000, change=pair))
    assert not budget.fits
    assert budget.crosstalk[:2] == (1, 2)
    assert abs(budget.crosstalk[2]) > 5
    assert "not to be relied on" in str(budget)


def test_flips_of_two_qubits_of_ghz_are_seen():
    """XX on qubits 0 and 1 in 3 % of the shots, which local errors make one in ten thousand times; alone it is not."""
    system = GHZ(4)
    theta = strengths(model_of(system), depolarizing=0.02)

    def pair(hypothesis):
        both = applied(applied(hypothesis, FaultKind.BIT_FLIP, 1.0, 0), FaultKind.BIT_FLIP, 1.0, 1)
        return hypothesis.mixed(0.03, both)

    for change, fits in ((pair, False), (lambda hypothesis: hypothesis, True)):
        budget = error_budget(laboratory(system, theta, 10_000, 12, shots=20_000, change=change))
        assert budget.fits is fits
        assert fits or budget.crosstalk[:2] == (0, 1)


def test_readout_and_depolarizing_are_tied_without_calibration():
    """The interval of F reaches from all of it being depolarizing to all of it being readout."""
    system = TFIM(4, 1.0, 1.0)
    model = model_of(system)
    theta = strengths(model, depolarizing=0.02, readout_0_to_1=0.02, readout_1_to_0=0.02)
    budget = error_budget(laboratory(system, theta, 30_000, 5))
    (tied,) = budget.tied
    assert tied.tie == Tie.READOUT
    assert tied.sites == (0, 1, 2, 3)
    assert set(tied.kinds) == {DEPOLARIZING, *READOUT}
    assert abs(tied.total.value - theta.sum()) < 0.1 * theta.sum() + 5.5 * tied.total.standard_error
    fidelity = Fidelity(system.state())
    most, least = strengths(model), strengths(model, depolarizing=0.06)
    for one in (theta, most, least):
        assert budget.fidelity.low < fidelity(model.transfer(one)) < budget.fidelity.high


@pytest.mark.parametrize(("seed", "rate"), [(0, 0.05), (1, 0.15)])
def test_dephasing_of_ghz_is_one_error_wherever_it_is(seed, rate):
    """F = (1 + prod(1 - 2 q))/2 is known, the qubit is not: any of them may have all of it."""
    system = GHZ(4)
    model = model_of(system, (DEPOLARIZING, DEPHASING))
    theta = strengths(model_of(system), dephasing=[0.0, rate, 0.0, 0.01])
    budget = error_budget(laboratory(system, theta, 20_000, seed), model.kinds)
    (tied,) = budget.tied
    assert tied.tie == Tie.PLACE
    assert tied.kinds == (DEPHASING,)
    assert tied.sites == (0, 1, 2, 3)
    assert abs(tied.total.value - rate - 0.01) < 0.1 * rate + 5.5 * tied.total.standard_error < 0.1
    assert abs(budget.fidelity.value - (1 + (1 - 2 * rate) * 0.98) / 2) < 5.5 * budget.fidelity.standard_error
    assert all(budget.strength(DEPHASING, site).low == 0 for site in range(4))
    assert all(budget.strength(DEPHASING, site).high > 0.05 for site in range(4))


def test_an_outcome_that_was_never_seen_bounds_its_rate():
    """20,000 clean shots of GHZ: no qubit is depolarized, within a few events that were not seen."""
    system = GHZ(4)
    budget = error_budget(laboratory(system, strengths(model_of(system)), 20_000, 6, shots=10**6))
    for site in range(4):
        found = budget.strength(DEPOLARIZING, site)
        assert found.low == 0
        assert 1e-5 < found.high < 0.01
    assert budget.fidelity.high == 1
    assert 0.97 < budget.fidelity.low < 1


def test_a_common_rotation_of_w_about_z_changes_nothing():
    system = W(4)
    theta = strengths(model_of(system), depolarizing=0.02)
    budget = error_budget(laboratory(system, theta, 20_000, 7, shots=20_000))
    (tied,) = budget.tied
    assert tied.tie == Tie.DIFFERENCES
    assert tied.kinds == (FaultKind.ROTATION_Z,)
    assert tied.total is None
    true = Fidelity(system.state())(model_of(system).transfer(theta))
    assert abs(budget.fidelity.value - true) < 5.5 * budget.fidelity.standard_error < 0.1


def test_phases_that_no_setting_sees_leave_the_fidelity_open():
    """All shots in basis Z: any dephasing is possible."""
    rng = np.random.default_rng(8)
    bits = np.repeat(rng.integers(0, 2, (5000, 1)), 3, axis=1)
    records = Records(bits, settings=np.full((5000, 3), 2))
    context = Context(records, Hypothesis.of(GHZ(3).state(), records.povm, GHZ(3)))
    budget = error_budget(context)
    assert budget.fidelity.low < 0.55
    assert any(tied.tie == Tie.UNSEEN and DEPHASING in tied.kinds for tied in budget.tied)


def test_a_field_that_is_off_is_found_beside_errors_of_qubits():
    """h is 4 % too large; its cost is 1 less the overlap with the target."""
    system, off = TFIM(5, 1.0, 1.0), TFIM(5, 1.0, 1.04)
    model = model_of(system)
    theta = strengths(model, dephasing=0.01)

    def moved(hypothesis):
        return hypothesis.prepared(off.state())

    budget = error_budget(laboratory(system, theta, 30_000, 10, shots=20_000, change=moved))
    field = budget.strength(FaultKind.FIELD, None)
    assert abs(field.value - 0.04) < 5.5 * field.standard_error < 0.2
    (cost,) = [cost for cost in budget.kinds if cost.kind == FaultKind.FIELD]
    overlap = abs(system.state().overlap(off.state())) ** 2
    assert cost.infidelity.low <= 1 - overlap + 1e-3
    assert cost.infidelity.high >= 1 - overlap - 1e-3
    assert budget.fits


def test_a_shifted_state_is_the_ground_state_to_first_order():
    system = TFIM(6, 1.0, 1.2)
    shift = model_of(system).shift
    for amount in (-0.03, 0.01, 0.05):
        exact = TFIM(6, 1.0, 1.2 * (1 + amount)).state()
        assert 1 - abs(shift.state(amount).overlap(exact)) ** 2 < amount**2 * 1e-2


def test_why_there_is_no_budget():
    few = laboratory(GHZ(4), strengths(model_of(GHZ(4))), 300, 9)
    assert no_budget(few) is NoBudget.TOO_FEW_RECORDS
    assert error_budget(few) is None
    hypothesis = few.hypothesis.mixed(0.1, few.hypothesis.alone(None))
    assert no_budget(few.under(hypothesis)) is NoBudget.MIXED_TARGET


def test_kinds_must_allow_the_records():
    """A bit that is flipped in GHZ is no dephasing."""
    flipped = laboratory(GHZ(3), strengths(model_of(GHZ(3)), depolarizing=0.1), 2000, 11)
    with refused(Code.MISMATCH, "impossible under dephasing"):
        error_budget(flipped, [DEPHASING])


def test_kinds_have_one_order():
    """All that are fitted at a qubit are local faults that are known."""
    assert set(KINDS) & set(LOCAL_KINDS) <= {*CHANNELS, *READOUT} == set(LOCAL_KINDS)
