"""Intervals by the bootstrap: by hand, within bounds, and over the truth as often as they say."""

import numpy as np
import pytest
from scipy import stats

from qtomo.reconstruction.bootstrap import bootstrap, reflected
from qtomo.reconstruction.frequencies import Frequencies
from qtomo.reconstruction.options import Options
from qtomo.reconstruction.quantities import FIDELITY, Quantity, QuantityKind
from tests.systems import dense, laboratory

ANY = Quantity(QuantityKind.OBSERVABLE, "any")


def interval(value, resampled, truth, quantity=ANY, level=0.5):
    return reflected(value, np.array(resampled), truth, quantity, level=level, n_records=10, method="m")


def test_resampled_errors_are_taken_from_the_value():
    """Errors 0 to 0.4, all upwards, half of them between 0.1 and 0.3: so the truth lies 0.1 to 0.3 below."""
    found = interval(0.6, [0.5, 0.6, 0.7, 0.8, 0.9], truth=0.5)
    assert found.low == pytest.approx(0.3)
    assert found.high == pytest.approx(0.6)  # widened to the value itself
    assert found.standard_error == pytest.approx(np.std([0.5, 0.6, 0.7, 0.8, 0.9], ddof=1))


def test_an_interval_stays_within_what_is_possible_and_is_never_nothing():
    found = interval(1.0, [0.9, 0.92, 0.94, 0.96, 0.98], truth=1.0, quantity=FIDELITY)
    assert (found.low, found.high) == (pytest.approx(0.92), 1.0)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of normal values that are 0.3 too high, as their resamples are again: 90 % of 1,000 intervals, at 1e-7."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(1000):
        value = rng.normal() / 5 + 0.3
        found = interval(value, value + rng.normal(size=400) / 5 + 0.3, truth=value, level=0.9)
        held += found.low <= 0 <= found.high
    assert held >= stats.binom.ppf(1e-7, 1000, 0.9)


@pytest.mark.parametrize("design", laboratory.DESIGNS)
def test_data_sets_are_drawn_from_the_state_with_as_many_records_in_each_setting(design):
    """Chi-square of all outcomes of 40 data sets against the density matrix, at 1e-7; each depends on its number."""
    rho = dense.sent_through(dense.w(3), "depolarizing", 0.3, 1)
    records = laboratory.draw(dense.w(3), design, 400, seed=1)
    counts, few = tables(records, rho, 40), tables(records, rho, 20)
    assert (counts[:20] == few).all()
    assert len(np.unique(counts.reshape(40, -1), axis=0)) == 40
    elements = dense.pauli6() if records.has_settings else dense.POVMS[design]()
    settings = np.unique(records.settings, axis=0) if design == "listed" else dense.all_records(3, 3)
    statistic = freedom = 0
    for setting in settings if records.has_settings else [None]:
        labels = [np.arange(4)] * 3 if setting is None else [2 * basis + np.arange(2) for basis in setting]
        block = counts[:, *np.ix_(*labels)].reshape(40, -1)
        shots = len(records) if setting is None else (bases(records) == setting).all(axis=1).sum()
        assert (block.sum(axis=1) == shots).all()
        scale = 1 if setting is None else 3
        expected = 40 * shots * dense.chances(rho, [scale * elements[one] for one in labels])
        statistic += ((block.sum(axis=0) - expected)[expected > 0] ** 2 / expected[expected > 0]).sum()
        freedom += (expected > 0).sum() - (shots > 0)
    assert stats.chi2.sf(statistic, freedom) > 1e-7


def bases(records):
    return records.settings[records.setting_index]


def tables(records, rho, resamples):
    """What each data set counts."""
    kept = []

    def refits(sets):
        kept.extend(one.counts for one in sets)
        return [{FIDELITY: float(one.counts.ravel()[0])} for one in sets]

    found = bootstrap(Frequencies.of_records(records), rho, refits, Options(resamples=resamples, seed=5))[FIDELITY]
    assert (found == [one.ravel()[0] for one in kept]).all()
    return np.array(kept)
