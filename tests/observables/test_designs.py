"""Observables estimated from records of every design, with and without losses, against the density matrix."""

import itertools

import numpy as np
import pytest
from scipy import stats

from qtomo import Records, estimate_observables, pauli
from qtomo.errors import Code
from qtomo.measurement.povm import POVM
from qtomo.observables.estimates import record_values
from qtomo.observables.paulis import Observable
from tests.refusing import refused
from tests.systems import dense, laboratory

TEXTS = ["X0", "Y1", "Z2", "Z0 Z1", "X1 X2", "Y0 Z2", "X0 X1 X2", "X0 Y1 Z2"]
WANTED = [
    *map(pauli, TEXTS),
    Observable("energy", tuple((c, {i: p}) for i, c in enumerate((-1.0, 0.5, 2.0)) for p in "XZ")),
]


def exact(observable, rho):
    return sum(c * np.trace(rho @ dense.product(product, 3)).real for c, product in observable.terms)


@pytest.mark.parametrize("loss", [0.0, 0.2])
@pytest.mark.parametrize("design", laboratory.DESIGNS)
@pytest.mark.parametrize("name", ["ghz", "tfim", "tilted"])
def test_estimates_are_those_of_the_density_matrix(name, design, loss):
    """Nine observables, 24 cases: false alarm 24 x 9 x P(|z| > 6) = 4e-7."""
    rho = dense.STATES[name][1]
    records = laboratory.draw(rho, design, 20_000, seed=3, loss=loss)
    found = estimate_observables(WANTED, records)
    for observable in WANTED:
        estimate = found[observable.name]
        assert abs(estimate.z_score(exact(observable, rho))) < 6
        assert 0 < estimate.standard_error < 0.5
        assert estimate.low <= estimate.value <= estimate.high


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("design", ["listed", "random"])
def test_a_product_is_the_mean_of_its_bits_over_the_shots_that_tell_it(design, loss):
    records = laboratory.draw(dense.tfim(3), design, 500, seed=4, loss=loss)
    for observable in WANTED[:-1]:
        ((_, product),) = observable.terms
        tells = np.ones(500, dtype=bool)
        for site, letter in product.items():
            tells &= (records.shot_settings[:, site] == "XYZ".index(letter)) & (records.outcomes[:, site] != dense.LOST)
        signs = np.prod([1.0 - 2.0 * records.outcomes[tells, site] for site in product], axis=0)
        assert estimate_observables([observable], records)[observable.name].value == pytest.approx(signs.mean())


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("povm", ["pauli4", "sic"])
def test_a_product_is_the_mean_of_dual_values_over_the_records_that_have_it(povm, loss):
    """Dual values f solve sum_a f_a M_a = P: four equations for the four outcomes of a minimal POVM."""
    records = laboratory.draw(dense.tfim(3), povm, 500, seed=5, loss=loss)
    elements = dense.POVMS[povm]()
    values = {p: np.linalg.solve(elements.reshape(4, 4).T, dense.PAULI[p].ravel().astype(complex)).real for p in "XYZ"}
    for observable in WANTED[:-1]:
        ((_, product),) = observable.terms
        kept = records.outcomes[(records.outcomes[:, list(product)] != dense.LOST).all(axis=1)]
        expected = np.prod([values[p][kept[:, site]] for site, p in product.items()], axis=0).mean()
        found = estimate_observables([observable], records)[observable.name].value
        assert found == pytest.approx(np.clip(expected, -1, 1))
        if not loss:
            assert record_values([observable], records).mean() == pytest.approx(expected)


def test_a_declared_readout_error_is_undone():
    """One in eight of the ones read as zero, one in twenty of the zeros as one; 4 numbers: false alarm 8e-9."""
    rho, rng = dense.spins(3, 0.7, 0.3), np.random.default_rng(6)
    settings = rng.integers(0, 3, (20_000, 3)).astype(np.uint8)
    bits = laboratory.bits_of(rho, settings, rng, flips=(0.05, 0.125))
    records = Records(bits, POVM(dense.misread("pauli6", 0.05, 0.125)), settings=settings)
    found = estimate_observables(WANTED[:4], records)
    assert all(abs(found[one.name].z_score(exact(one, rho))) < 6 for one in WANTED[:4])
    naive = estimate_observables(WANTED[:4], records.measured_by(POVM(dense.pauli6())))
    assert max(abs(naive[one.name].z_score(exact(one, rho))) for one in WANTED[:4]) > 6


@pytest.mark.parametrize("design", laboratory.DESIGNS)
def test_intervals_cover_as_often_as_they_say(design):
    """200 data sets of 400 records: as many intervals of 90 % without the truth as a binomial allows, at 1e-7."""
    rho, observable = dense.tfim(3), WANTED[3]
    missed = 0
    for seed in range(200):
        records = laboratory.draw(rho, design, 400, seed=seed, loss=0.1)
        estimate = estimate_observables([observable], records, level=0.9)[observable.name]
        missed += not estimate.low <= exact(observable, rho) <= estimate.high
    assert stats.binom.ppf(1e-7, 200, 0.1) <= missed <= stats.binom.isf(1e-7, 200, 0.1)


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_few_shots_that_all_agree_have_an_error_and_an_interval_within_what_is_possible(n):
    records = Records(np.zeros((n, 2), np.uint8), settings=np.full((n, 2), 2), design="listed")
    found = estimate_observables([pauli("Z0 Z1")], records)["Z0 Z1"]
    assert (found.value, found.high) == (1, 1)
    assert found.standard_error > 0
    assert -1 <= found.low < 1
    if n == 40:  # Clopper and Pearson: 40 of 40 bound the share of +1 by 0.912 from below
        assert found.low == pytest.approx(2 * 0.025 ** (1 / 40) - 1, abs=0.1)


@pytest.mark.parametrize("what", [np.zeros((5, 3), np.uint8), [[0, 1]], "records.h5"])
def test_what_is_no_records_is_refused_with_an_example(what):
    with refused(Code.KIND, r"estimate_observables: found \w+, expected Records, .*: Records\(") as error:
        estimate_observables([pauli("Z0")], what)
    assert "design='random'" in str(error.value)


def test_what_no_shot_tells_is_refused():
    shots = Records([[0, 0]] * 4, settings=[[2, 2], [2, 0]] * 2, design="listed")
    with refused(Code.UNMEASURED, "'X0 Z1'"):
        estimate_observables([pauli("X0 Z1")], shots)
    with refused(Code.UNMEASURED):
        record_values([pauli("Z0")], shots)


def test_every_pauli_of_two_sites_is_found_in_random_settings():
    """The 36 Paulis of two of the three sites, at 6 standard errors: false alarm 7e-8."""
    rho = dense.STATES["tilted"][1]
    wanted = [pauli(f"{p}{i} {q}{j}") for i, j in itertools.combinations(range(3), 2) for p in "XYZ" for q in "XYZ"]
    found = estimate_observables(wanted[:36], laboratory.draw(rho, "random", 20_000, seed=9))
    assert max(abs(found[one.name].z_score(exact(one, rho))) for one in wanted[:36]) < 6
