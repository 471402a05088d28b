"""Plans: finer measurements need no more records, the planned power is that of the test, and what cannot be planned."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from qtomo import GHZ, TFIM, Product, Records
from qtomo.errors import Code
from qtomo.measurement.povm import named_povm
from qtomo.states.density import DensityMatrix
from qtomo.states.xxz import XXZ
from qtomo.verification.checks.base import TestKind
from qtomo.verification.checks.faults import local_faults, parameters
from qtomo.verification.context import Context, Options
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import applied
from qtomo.verification.hypothesis import Hypothesis
from qtomo.verification.planning import plan
from tests.refusing import refused
from tests.systems import dense

FAULTS = ["depolarizing:0.05", "dephasing:0.1", "readout-1-to-0:0.05", "rotation-x:0.2"]


@pytest.mark.parametrize("system", [GHZ(3), Product(3, 0.7, 0.3), TFIM(3, 1.0, 0.7)], ids=lambda s: s.family)
def test_random_bases_never_need_more_records_than_the_coarser_pauli_4(system):
    found = plan(system, FAULTS, n_exact=1000).needed
    for fault in FAULTS:
        assert found[fault]["pauli6"].value <= found[fault]["pauli4"].value
        assert ("sic" in found[fault]) == (fault != "readout-1-to-0:0.05")
        for estimate in found[fault].values():
            assert estimate.low <= estimate.value <= estimate.high


def test_states_that_forbid_outcomes_need_few_records():
    """A single forbidden record is enough: the smallest n with 1 - (1 - q)^n of at least 95 %, q by enumeration."""
    found = plan(GHZ(3), ["depolarizing:0.1"], n_exact=20_000).needed["depolarizing:0.1"]["pauli6"]
    rho = dense.ghz(3)
    clean = dense.chances(rho, dense.pauli6())
    for site in range(3):
        rho = dense.sent_through(rho, "depolarizing", 0.1, site)
    share = dense.chances(rho, dense.pauli6())[clean < 1e-12].sum()
    exact = math.ceil(math.log(0.05) / math.log1p(-share))
    error = math.sqrt((1 - share) / (20_000 * share))
    assert found.value == pytest.approx(exact, rel=6 * error, abs=1)
    assert found.value < 100
    assert (
        found.value
        < plan(Product(3, 0.7, 0.3), ["depolarizing:0.1"], n_exact=1000).needed["depolarizing:0.1"]["pauli6"].value
    )


def rejections(system, fault, planned, povm, repeats, threshold):
    """How often the fault's own test, corrected for as many tests as a verification has, sees it."""
    kind, size = fault.split(":")
    target = Hypothesis.of(system.state(), named_povm(povm), system)
    rng, seen = np.random.default_rng(3), 0
    parameter = kind in ("field",)
    if parameter:
        source = target.prepared(TFIM(system.n_sites, 1.0, system.field * (1 + float(size))).state())
    else:
        source = applied(target, FaultKind(kind), float(size), None)
    empty = Records(np.zeros((round(planned), system.n_sites), np.uint8), povm)
    for _ in range(repeats):
        context = Context(source.sample_like(empty, rng), target, Options())
        wanted = TestKind.PARAMETER if parameter else TestKind.EVERY_QUBIT
        tests = parameters(context) if parameter else local_faults(context)
        p = next(t.p_value for t in tests if (t.kind, t.fault) == (wanted, FaultKind(kind)))
        seen += p <= threshold or context.n_impossible > 0
    return seen


@pytest.mark.parametrize(
    ("system", "fault", "povm"),
    [
        pytest.param(Product(3, 0.7, 0.3), "depolarizing:0.1", "pauli6", marks=pytest.mark.slow),
        pytest.param(Product(3, 0.7, 0.3), "rotation-y:0.2", "pauli4", marks=pytest.mark.slow),
        (GHZ(3), "dephasing:0.05", "pauli6"),
        (TFIM(3, 1.0, 0.7), "field:0.3", "sic"),
    ],
)
def test_the_planned_power_is_about_that_of_the_test(system, fault, povm):
    """Of 100 data sets of the planned size as many are rejected as a binomial of 0.85 allows, at 1e-6; those
    of a third of the size in fewer than nine of ten.
    """
    planned = plan(system, [fault], power=0.9, n_exact=20_000).needed[fault][povm].value
    repeats = 100
    threshold = 0.01 / 40  # Holm over about 40 tests
    seen = rejections(system, fault, planned, povm, repeats, threshold)
    assert seen >= stats.binom.ppf(1e-6, repeats, 0.85)
    few = rejections(system, fault, planned / 3, povm, repeats, threshold)
    assert few < seen
    assert few <= 0.9 * repeats


def test_more_power_smaller_faults_and_a_stricter_level_need_more():
    system = Product(3, 0.7, 0.3)

    def needed(fault="depolarizing:0.1", **options):
        return plan(system, [fault], n_exact=2000, **options).needed[fault]["pauli6"].value

    usual = needed()
    assert needed(power=0.5) < usual < needed(power=0.999)
    assert needed(alpha=0.2) < usual < needed(alpha=1e-6)
    assert needed("depolarizing:0.3") < usual < needed("depolarizing:0.03")


def test_what_the_measurement_does_not_show_needs_infinitely_many():
    found = plan(Product(3, 0.0), ["dephasing:0.1"], n_exact=500)
    assert found.needed["dephasing:0.1"]["pauli6"].value == math.inf
    assert "not seen" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["records_needed"]["dephasing:0.1"]["pauli6"]["value"] == "Infinity"


def test_plans_by_measurement():
    found = plan(TFIM(4), ["depolarizing:0.05", "readout-1-to-0:0.05", "field:0.1"], n_exact=2000)
    assert set(found.needed["depolarizing:0.05"]) == {"pauli4", "pauli6", "sic"}
    assert "sic" not in found.needed["readout-1-to-0:0.05"]
    assert found.needed["depolarizing:0.05"]["pauli6"].value < found.needed["depolarizing:0.05"]["pauli4"].value
    assert "–" in str(found)
    assert "depolarizing:0.05" in found._repr_html_()


def test_states_and_other_systems():
    mixed = DensityMatrix(0.9 * dense.ghz(3) + 0.1 * np.eye(8) / 8)
    assert plan(mixed, ["dephasing:0.1"], n_exact=1000).needed["dephasing:0.1"]["pauli6"].value > 10
    assert plan(XXZ(4), ["anisotropy:0.5"], n_exact=500).needed["anisotropy:0.5"]["pauli4"].value > 10
    with refused(Code.UNKNOWN, "anisotropy"):
        plan(GHZ(3), ["anisotropy:0.1"], n_exact=100)


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("gain:0.1", Code.UNKNOWN, "unknown fault 'gain'"),
        ("depolarising:0.1", Code.UNKNOWN, "unknown fault 'depolarising'; did you mean 'depolarizing'"),
        ("depolarizing", Code.SYNTAX, "expected NAME:SIZE"),
        ("depolarizing:x", Code.SYNTAX, "expected NAME:SIZE, such as depolarizing:0.01"),
        ("depolarizing:2", Code.VALUE, "size 2, expected"),
        ("depolarizing:0", Code.VALUE, "size 0, expected more than 0 and at most 1"),
        ("depolarizing:nan", Code.VALUE, "size nan, expected"),
        ("depolarizing:-0.1", Code.VALUE, "size -0.1, expected"),
    ],
)
def test_what_cannot_be_planned_is_told(fault, code, message):
    with refused(code, message):
        plan(TFIM(3), [fault], n_exact=100)


def test_an_angle_or_a_parameter_may_be_off_to_either_side():
    found = plan(TFIM(3), ["rotation-y:-0.3", "field:-0.5"], n_exact=100)
    assert all(math.isfinite(found.needed[fault]["pauli6"].value) for fault in found.needed)


@pytest.mark.parametrize("option", [{"alpha": 0.0}, {"alpha": 1.0}, {"power": 0.0}, {"power": 1.5}])
def test_levels_out_of_range_are_told(option):
    (name,) = option
    with refused(Code.VALUE, f"{name} is"):
        plan(TFIM(3), ["depolarizing:0.1"], n_exact=100, **option)
