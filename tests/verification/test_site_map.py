"""Maps: each qubit's strength, evidence by channel, bonds, outcomes and batches, against enumeration and coverage."""

import numpy as np
import pytest
from scipy import stats

from qtomo import Records
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import named_povm
from qtomo.states.library import GHZ
from qtomo.verification.context import Context, Options
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS
from qtomo.verification.hypothesis import Hypothesis
from qtomo.verification.site_map import batch_map, bond_map, heat_map, outcome_map, site_map
from tests.systems import dense, laboratory

SYSTEM, RHO = dense.STATES["tilted"]


def context(records, system=SYSTEM, level=0.95):
    return Context(records, Hypothesis.of(system.state(), records.povm, system), Options(level=level))


def drawn(system, n, seed, noise, settings=True):
    """By qtomo's own sampler, which other tests look at."""
    rng, povm = np.random.default_rng(seed), named_povm("pauli6" if settings else "pauli4")
    bases = rng.integers(0, 3, (n, system.n_sites)).astype(np.uint8) if settings else None
    empty = Records(np.zeros((n, system.n_sites), np.uint8), povm, settings=bases)
    made = Hypothesis.of(system.state(), parse_noise(povm, noise, system.n_sites)).sample_like(empty, rng)
    return made.measured_by(povm)


@pytest.mark.parametrize("design", laboratory.DESIGNS)
def test_strengths_of_all_qubits_are_fitted_together(design):
    """Depolarizing of 0, 0.1 and 0.3: the likeliest of a grid of strengths about the fit is the fit."""
    rho = RHO
    truth = (0.0, 0.1, 0.3)
    for site, p in enumerate(truth):
        rho = dense.sent_through(rho, "depolarizing", p, site)
    records = laboratory.draw(rho, design, 4000, 1, loss=0.05)
    found = site_map(context(records), FaultKind.DEPOLARIZING)
    assert all(e.low - 0.02 <= p <= e.high + 0.02 for e, p in zip(found, truth, strict=True))
    assert all(e.low <= e.value <= e.high for e in found)
    assert found[2].low > 0

    def log_likelihood(strengths):
        moved = RHO
        for site, p in enumerate(strengths):
            moved = dense.sent_through(moved, "depolarizing", p, site)
        elements = dense.with_lost(dense.POVMS["pauli6" if records.has_settings else design]())
        index = np.minimum(records.labels, len(elements) - 1)
        return dense.log(dense.chances(moved, elements))[np.ravel_multi_index(index.T, (len(elements),) * 3)].sum()

    best = np.array([e.value for e in found])
    top = log_likelihood(best)
    for site in range(3):
        for step in (-0.02, 0.02):
            moved = best.copy()
            moved[site] = min(max(moved[site] + step, 0.0), 1.0)
            assert log_likelihood(moved) <= top + 0.02


def test_intervals_of_a_map_cover_together():
    """60 sets of 1,000 shots at 90 %: as many with a qubit outside as a binomial of 12 % allows, at 1e-7."""
    truth, missed = (0.0, 0.1, 0.3), 0
    rho = RHO
    for site, p in enumerate(truth):
        rho = dense.sent_through(rho, "depolarizing", p, site)
    for seed in range(60):
        found = site_map(context(laboratory.draw(rho, "random", 1000, seed), level=0.9), FaultKind.DEPOLARIZING)
        missed += any(not e.low <= p <= e.high for e, p in zip(found, truth, strict=True))
    assert missed <= stats.binom.isf(1e-7, 60, 0.12)


@pytest.mark.parametrize("kind", [FaultKind.ROTATION_X, FaultKind.READOUT_1_TO_0])
def test_other_faults_are_mapped_as_well(kind):
    angle = dense.sent_through(RHO, "rotation-x", 0.4, 1)
    if kind == FaultKind.ROTATION_X:
        records = laboratory.draw(angle, "random", 3000, 2)
        truth = (0.0, 0.4, 0.0)
    else:
        records = drawn(SYSTEM, 3000, 2, ["readout:0/0.3@1"])
        truth = (0.0, 0.3, 0.0)
    found = site_map(context(records), kind)
    assert all(e.low - 0.02 <= t <= e.high + 0.02 for e, t in zip(found, truth, strict=True))
    assert found[1].low > 0


def test_the_evidence_of_each_channel_at_each_qubit():
    found = heat_map(context(laboratory.draw(dense.sent_through(RHO, "dephasing", 0.4, 2), "random", 2000, 3)))
    assert found.kinds == list(LOCAL_KINDS)
    row, site = np.unravel_index(found.gains.argmax(), found.gains.shape)
    assert (found.kinds[row], site) == (FaultKind.DEPHASING, 2)
    assert found.strengths[row, site] == pytest.approx(0.4, abs=0.1)
    assert (found.gains >= 0).all()
    assert found.gains[:, :2].max() < 12
    forbidding = heat_map(context(drawn(GHZ(3), 1000, 4, ["depolarizing:0.3@1"]), GHZ(3)))
    assert np.isfinite(forbidding.gains).all()
    assert forbidding.gains.max(axis=0).argmax() == 1
    sic = heat_map(context(laboratory.draw(RHO, "sic", 300, 5)))
    assert FaultKind.READOUT_0_TO_1 not in sic.kinds
    assert sic.strengths.shape == sic.gains.shape == (len(sic.kinds), 3)


def test_records_that_no_fault_of_one_qubit_allows_leave_no_warning():
    """Qubits 0 and 1 of a GHZ state beside 2 and 3 of another shot."""
    right, rng = drawn(GHZ(4), 800, 3, []), np.random.default_rng(5)
    bits, settings, order = right.outcomes.copy(), right.shot_settings.copy(), rng.permutation(800)
    bits[:, :2], settings[:, :2] = bits[order, :2], settings[order, :2]
    mixed = context(Records(bits, settings=settings), GHZ(4))
    assert np.isneginf(mixed.likelihoods.log_scale).any()
    for kind in LOCAL_KINDS:
        assert len(site_map(mixed, kind)) == 4
    assert np.isfinite(heat_map(mixed).gains).all()
    assert len(batch_map(mixed, FaultKind.DEPHASING)) == 20


@pytest.mark.parametrize("design", laboratory.DESIGNS)
def test_outcomes_are_their_shares_less_exact_ones(design):
    records = laboratory.draw(dense.tfim(3), design, 600, 6, loss=0.1)
    found = outcome_map(context(records))
    elements = dense.POVMS["pauli6" if records.has_settings else design]()
    for site in range(3):
        labels = records.labels[records.labels[:, site] != dense.LOST, site]
        for outcome, estimate in enumerate(found[site]):
            among = labels[labels // 2 == outcome // 2] if records.has_settings else labels
            exact = np.trace(RHO @ dense.on(elements[outcome], site, 3)).real * (3 if records.has_settings else 1)
            assert estimate.n_records == len(among)
            assert estimate.value == pytest.approx((among == outcome).mean() - exact, abs=1e-9)
            assert estimate.low <= estimate.value <= estimate.high
            level = 1 - 0.05 / (3 * len(elements))
            interval = stats.binomtest(int((among == outcome).sum()), len(among)).proportion_ci(level, "exact")
            assert (estimate.low + exact, estimate.high + exact) == pytest.approx(
                (interval.low, interval.high), abs=1e-9
            )


def test_bonds_are_products_of_neighbours_less_exact_ones():
    records = laboratory.draw(dense.tfim(3), "random", 3000, 7)
    found = bond_map(context(records))
    for site, estimate in enumerate(found):
        both = (records.shot_settings[:, site : site + 2] == 2).all(axis=1)
        signs = (1.0 - 2.0 * records.outcomes[both, site : site + 2]).prod(axis=1)
        exact = np.trace(RHO @ dense.product({site: "Z", site + 1: "Z"}, 3)).real
        assert estimate.value == pytest.approx(signs.mean() - exact, abs=1e-9)
        assert estimate.low <= estimate.value <= estimate.high
    none = laboratory.draw(RHO, "random", 300, 7)
    unmeasured = none.take(~(none.shot_settings == 2).any(axis=1))
    assert bond_map(context(unmeasured)) == []


def test_batches_show_where_along_the_shots_a_fault_is():
    """By their names, in the order of time, or twentieths of the run; the last quarter depolarizes."""
    good, bad = drawn(SYSTEM, 1500, 8, []), drawn(SYSTEM, 500, 9, ["depolarizing:0.5"])
    outcomes = np.concatenate([good.outcomes, bad.outcomes])
    settings = np.concatenate([good.shot_settings, bad.shot_settings])
    batch = np.repeat([1, 2, 3, 9], 500)
    records = Records(outcomes, settings=settings, columns={"batch": batch})
    found = batch_map(context(records), FaultKind.DEPOLARIZING)
    assert [one.label for one in found] == ["batch 1", "batch 2", "batch 3", "batch 9"]
    assert [one.strength.low > 0 for one in found] == [False, False, False, True]
    assert found[3].log_prob.high < 0
    assert sum(one.strength.n_records for one in found) == 2000
    plain = batch_map(context(Records(outcomes, settings=settings)), FaultKind.DEPOLARIZING)
    assert len(plain) == 20
    assert plain[0].label == "shots 0 to 99"
    time = np.random.default_rng(0).permutation(2000)
    timed = Records(outcomes[time], settings=settings[time], columns={"time": time.astype(float)}, ordered=False)
    by_time = batch_map(context(timed), FaultKind.DEPOLARIZING)
    assert by_time[0].label == "shots 0 to 99 by time"
    assert by_time[-1].strength.value == pytest.approx(plain[-1].strength.value, abs=1e-6)
    assert batch_map(context(Records(outcomes, settings=settings, ordered=False)), FaultKind.DEPOLARIZING) == []


def test_a_register_of_one_qubit_and_two_shots():
    records = Records([[0], [1]], settings=[[0], [2]])
    found = context(records, type(SYSTEM)(1, 0.7, 0.3))
    assert len(site_map(found, FaultKind.DEPOLARIZING)) == 1
    assert bond_map(found) == []
    assert len(outcome_map(found)[0]) == 6
    assert heat_map(found).gains.shape == (10, 1)
    assert len(batch_map(found, FaultKind.DEPHASING)) == 1
