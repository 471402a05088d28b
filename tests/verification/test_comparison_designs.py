"""Records of every design against one another, with and without losses: what is said beside the density matrices."""

import numpy as np
import pytest

from qtomo import compare_records
from qtomo.errors import Code
from qtomo.observables.paulis import chain_observables
from tests.refusing import refused
from tests.systems import dense, laboratory

SHOTS = 6000
ONE, OTHER = dense.tfim(3), dense.tfim(3, field=4.0)


def exact(observable, rho):
    return sum(c * np.trace(rho @ dense.product(product, 3)).real for c, product in observable.terms)


def total_variation(design):
    """Of the distributions of whole records, by enumeration; of shots the mean over settings."""
    if design in dense.POVMS and design not in ("listed", "random"):
        measured, shares = [dense.POVMS[design]()], [1.0]
    else:
        settings = laboratory.LISTED if design == "listed" else dense.all_records(3, 3)
        shares = laboratory.SHARES if design == "listed" else np.full(27, 1 / 27)
        bases = [np.array([dense.projector(ket) for ket in kets]) for kets in dense.BASES]
        measured = [[bases[basis] for basis in setting] for setting in settings]
    found = [np.abs(dense.chances(ONE, m) - dense.chances(OTHER, m)).sum() / 2 for m in measured]
    return float(np.dot(shares, found))


@pytest.mark.parametrize("loss", [0.0, 0.15])
@pytest.mark.parametrize("design", laboratory.DESIGNS)
def test_a_difference_is_found_and_its_bound_is_below_the_exact_one(design, loss):
    """Eight cases; a bound of 99.999 % confidence errs in one of 1e5."""
    one, other = (laboratory.draw(rho, design, SHOTS, seed, loss) for rho, seed in ((ONE, 1), (OTHER, 2)))
    (drift,) = compare_records([one, other], alpha=1e-5).drifts.values()
    assert drift.tests[0].adjusted < 0.01
    bound = drift.bounds["total_variation"]
    assert bound.low <= total_variation(design)
    for observable in chain_observables(3):
        if observable.name in drift.observables:
            shift = drift.observables[observable.name]
            assert abs(shift.first.z_score(exact(observable, ONE))) < 6
            assert abs(shift.second.z_score(exact(observable, OTHER))) < 6
            error = np.hypot(shift.first.standard_error, shift.second.standard_error)
            assert shift.z == pytest.approx((shift.second.value - shift.first.value) / error)


@pytest.mark.parametrize("loss", [0.0, 0.15])
@pytest.mark.parametrize("design", laboratory.DESIGNS)
def test_records_of_one_state_do_not_differ(design, loss):
    """Eight cases at a false-alarm rate of 1e-7 each."""
    one, other = (laboratory.draw(ONE, design, SHOTS, seed, loss) for seed in (3, 4))
    (drift,) = compare_records([one, other], alpha=1e-7).drifts.values()
    assert not drift.differs


def test_different_designs_are_refused_in_words():
    with refused(Code.MISMATCH):
        compare_records([laboratory.draw(ONE, "pauli4", 100, 1), laboratory.draw(ONE, "random", 100, 1)])
