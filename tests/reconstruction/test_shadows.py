"""Observables straight from records: duals that invert, errors that are right, and heavy tails."""

import numpy as np
import pytest
import qutip

from qtomo import BornDistribution, DensityMatrix, Records, named_povm, pauli
from qtomo.distribution import LOST, shot_labels
from qtomo.observables.paulis import exact_value
from qtomo.reconstruction.frequencies import Frequencies
from qtomo.reconstruction.shadows import direct_estimates, direct_expectation, median_of_means, optimal_duals

STATE = DensityMatrix(qutip.rand_dm([2, 2], rank=1, seed=5).full())
WANTED = [pauli(text) for text in ("Z0", "X0 Y1", "Z0 Z1")]


@pytest.mark.parametrize("name", ["pauli4", "pauli6", "sic"])
def test_optimal_duals_invert_and_scatter_least(name):
    povm = named_povm(name)
    rho = qutip.rand_dm(2, rank=1, seed=6).full()
    shares = np.einsum("aij,ji->a", povm.elements, rho).real
    duals = optimal_duals(povm, shares[None])[0]
    other = qutip.rand_dm(2, seed=7).full()
    chances = np.einsum("aij,ji->a", povm.elements, other)
    assert np.einsum("a,aij->ij", chances, duals) == pytest.approx(other, abs=1e-10)
    if povm.n_outcomes == 4:
        assert duals == pytest.approx(povm.duals(), abs=1e-10)
    for letter in (qutip.sigmax(), qutip.sigmay(), qutip.sigmaz()):
        squares = [shares @ np.einsum("aij,ji->a", d, letter.full()).real ** 2 for d in (duals, povm.duals())]
        assert squares[0] <= squares[1] + 1e-12


@pytest.mark.parametrize("name", ["pauli4", "pauli6"])
def test_every_way_is_right_within_its_errors(name):
    born = BornDistribution(STATE, name)
    scores = {}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        ways = direct_estimates(WANTED, Records(born.sample(1_000, rng), born.povm), 0.95, rng)
        for way, found in ways.items():
            for o in WANTED:
                scores.setdefault(way, []).append(found[o.name].z_score(exact_value(o, STATE)))
    assert ("optimal duals" in scores) == (name == "pauli6")
    for values in scores.values():
        assert abs(np.mean(values)) < 5 / np.sqrt(len(values))
        assert np.std(values) == pytest.approx(1, abs=0.25)


def test_only_bits_in_their_bases_where_settings_or_losses_are():
    rng = np.random.default_rng(1)
    born = BornDistribution(STATE, "pauli6")
    settings = rng.integers(0, 3, (2_000, 2)).astype(np.uint8)
    labels = shot_labels(settings, born.sample_bits(settings, rng))
    assert list(direct_estimates(WANTED, Records.from_labels(labels, born.povm, design="random"), 0.95, rng)) == [
        "bits in their bases"
    ]
    labels[0, 0] = LOST
    assert list(direct_estimates(WANTED, Records(labels, born.povm), 0.95, rng)) == ["canonical duals"]


@pytest.mark.parametrize("design", ["povm", "random"])
def test_a_direct_expectation_has_the_right_error(design):
    operator = qutip.rand_herm([2, 2], seed=8).full()
    truth = np.trace(operator @ STATE.matrix).real
    born = BornDistribution(STATE, "pauli6")
    scores = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        settings = rng.integers(0, 3, (1_000, 2)).astype(np.uint8)
        labels = shot_labels(settings, born.sample_bits(settings, rng))
        records = Records.from_labels(labels, born.povm, design=design)
        found = direct_expectation(Frequencies.of_records(records), operator, 0.95)
        scores.append(found.z_score(truth))
    assert abs(np.mean(scores)) < 0.5
    assert np.std(scores) == pytest.approx(1, abs=0.3)


def test_the_median_of_means_does_not_follow_an_outlier():
    rng = np.random.default_rng(2)
    values = rng.normal(size=10_000)
    values[0] = 1e6
    assert abs(median_of_means(values, 0.95, rng, "").value) < 0.1 < abs(values.mean())
