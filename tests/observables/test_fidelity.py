"""Estimates of the fidelity against <psi|rho|psi> of density matrices, from shots drawn in plain NumPy."""

import itertools

import numpy as np
import pytest

from qtomo import Records
from qtomo.measurement.povm import named_povm
from qtomo.measurement.readout import with_readout_error
from qtomo.observables.fidelity.base import Aim, Asked, FidelityKind
from qtomo.observables.fidelity.duals import dual_fidelities
from qtomo.observables.fidelity.pairs import pair_settings
from qtomo.observables.fidelity.registry import fidelities
from qtomo.observables.fidelity.stabilisers import drawn, union
from qtomo.states.library import GHZ, Cluster, RandomMPS, W
from tests.systems import dense, laboratory

FLIPS = (0.04, 0.07)


def noisy(system, depolarizing=0.1):
    """Its state after amplitude damping of a qubit and white noise, and its fidelity."""
    ket = system.state().to_statevector()
    rho = dense.sent_through(dense.projector(ket), "amplitude-damping", 0.2, 1)
    rho = (1 - depolarizing) * rho + depolarizing * np.eye(len(rho)) / len(rho)
    return rho, float((ket.conj() @ rho @ ket).real)


def asked(system, settings, seed, flips=(0.0, 0.0), rho=None, **more):
    """Shots of the noisy state in some settings, (n, N), with the readout error declared."""
    rho = noisy(system)[0] if rho is None else rho
    bits = laboratory.bits_of(rho, settings, np.random.default_rng(seed), flips)
    povm = with_readout_error(named_povm("pauli6"), *flips, system.n_sites) if any(flips) else named_povm("pauli6")
    records = Records(bits, povm, design=more.pop("design", "listed"), settings=settings)
    return Asked(records, Aim.of(system.state(), system), **more)


def settings_for(system, n, seed):
    return system.stabilisers().draw_settings(n, np.random.default_rng(seed))


def everything(n_sites, shots):
    return np.repeat(np.array(list(itertools.product(range(3), repeat=n_sites)), np.uint8), shots, axis=0)


def of(kind, given):
    return next((one for one in fidelities(given) if one.kind == kind), None)


@pytest.mark.parametrize("system", [GHZ(6), Cluster(6), GHZ(2)])
@pytest.mark.parametrize("flips", [(0.0, 0.0), FLIPS])
def test_drawn_stabilisers(system, flips):
    """Within 4 standard errors of the truth: a false alarm of 6e-5 each, at fixed seeds."""
    truth = noisy(system)[1]
    found = of(FidelityKind.STABILISERS, asked(system, settings_for(system, 4000, 1), 2, flips)).estimate
    assert abs(found.z_score(truth)) < 4
    assert found.standard_error < 0.03
    assert found.low < found.value < found.high


def test_settings_of_a_ghz_state_in_other_shares_than_drawn_are_weighted():
    system, truth = GHZ(5), noisy(GHZ(5))[1]
    turned = settings_for(system, 4000, 3)
    turned = turned[(turned != 2).any(axis=1)][:1500]
    settings = np.concatenate([np.full((300, 5), 2, np.uint8), turned])
    found = of(FidelityKind.STABILISERS, asked(system, settings, 4)).estimate
    assert abs(found.z_score(truth)) < 4


def test_all_settings_of_a_small_state_need_no_draw():
    system, truth = GHZ(3), noisy(GHZ(3))[1]
    settings = np.repeat(
        np.array([[2, 2, 2], [0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], np.uint8), [900, 100, 200, 150, 400], axis=0
    )
    found = of(FidelityKind.STABILISERS, asked(system, settings, 5))
    assert abs(found.estimate.z_score(truth)) < 4
    assert not any("drawn" in words for words in found.assumptions)


def test_a_few_settings_are_not_taken_for_drawn_ones():
    settings = np.repeat(np.array([[2] * 5, [0] * 5, [1, 1, 0, 0, 0]], np.uint8), 500, axis=0)
    assert of(FidelityKind.STABILISERS, asked(GHZ(5), settings, 6)) is None
    lopsided = settings_for(Cluster(8), 2000, 7)
    lopsided = lopsided[lopsided[:, 0] == 2]
    assert of(FidelityKind.STABILISERS, asked(Cluster(8), lopsided, 8)) is None


@pytest.mark.parametrize("system", [GHZ(3), W(3), RandomMPS(3, 2)])
@pytest.mark.parametrize("flips", [(0.0, 0.0), FLIPS])
def test_all_pauli_products(system, flips):
    truth = noisy(system)[1]
    found = of(FidelityKind.EXPANSION, asked(system, everything(3, 120), 1, flips)).estimate
    assert abs(found.z_score(truth)) < 4
    assert found.standard_error < 0.05


def test_pairs_of_a_w_state():
    truth = noisy(W(5))[1]
    settings = np.repeat(np.stack([setting for setting, _ in pair_settings(5)]), 200, axis=0)
    found = of(FidelityKind.PAIRS, asked(W(5), settings, 1, FLIPS)).estimate
    assert abs(found.z_score(truth)) < 4
    assert found.standard_error < 0.05
    assert of(FidelityKind.PAIRS, asked(W(5), settings[400:], 1)) is None


@pytest.mark.parametrize("system", [GHZ(4), RandomMPS(4, 3)])
def test_duals_of_random_bases(system):
    truth = noisy(system)[1]
    settings = np.random.default_rng(0).integers(0, 3, (6000, 4)).astype(np.uint8)
    found = of(FidelityKind.DUALS, asked(system, settings, 1, FLIPS, design="random")).estimate
    assert abs(found.z_score(truth)) < 4
    assert found.standard_error < 0.1


@pytest.mark.parametrize("povm", ["pauli4", "pauli6", "sic"])
def test_dual_values_of_all_records_add_up_to_the_fidelity(povm):
    system, measured = RandomMPS(3, 2), named_povm(povm)
    rho, truth = noisy(system)
    records = dense.all_records(3, measured.n_outcomes)
    elements = measured.site_elements(3)
    duals = np.broadcast_to(measured.duals(), elements.shape)
    values = dual_fidelities(system.state(), records, duals)
    assert np.isclose(values @ dense.chances(rho, list(elements)), truth)


def coverage(limit, truth, n=200):
    return sum(limit(seed) > truth for seed in range(n))


@pytest.mark.parametrize("flips", [(0.0, 0.0), (0.02, 0.03)])
def test_limits_from_stabilisers_are_rarely_above_the_truth(flips):
    """At most 5 % of 100: more than 13 has a chance of 0.0005."""
    system = GHZ(4)
    rho, truth = noisy(system, 0.05)
    listed = np.repeat(system.stabilisers().covering_settings(), 60, axis=0)
    unions = [union(asked(system, listed, seed, flips, rho)).lower_limit(0.95, 0) for seed in range(100)]
    assert sum(found > truth for found in unions) <= 13
    drawn_ones = [
        drawn(asked(system, settings_for(system, 120, seed), seed, flips, rho)).lower_limit(0.95, 0)
        for seed in range(100)
    ]
    assert sum(found > truth for found in drawn_ones) <= 13
    assert np.mean(drawn_ones) > truth - (0.4 if any(flips) else 0.3)


def test_two_settings_certify_a_cluster_of_any_length():
    """900 shots in all; generators of either colour right with probability 0.985 each."""
    system = Cluster(100)
    settings = np.repeat(system.stabilisers().covering_settings(), 450, axis=0)
    assert len(np.unique(settings, axis=0)) == 2
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2, settings.shape).astype(np.uint8)
    turned = settings == 0
    padded = np.pad(bits, ((0, 0), (1, 1)))
    right = padded[:, :-2] ^ padded[:, 2:]
    bits = np.where(turned, right, bits).astype(np.uint8)
    wrong = rng.random(len(bits)) < 0.015
    bits[wrong, np.where(turned[wrong, 50], 50, 51)] ^= 1
    records = Records(bits, "pauli6", design="listed", settings=settings)
    found = union(Asked(records, Aim.of(system.state(), system)))
    assert len(found.values) == 2
    assert 0.9 < found.lower_limit(0.95, 0) < 0.97


def test_settings_that_miss_a_generator_bound_nothing():
    settings = np.full((200, 4), 2, np.uint8)
    assert union(asked(GHZ(4), settings, 1)) is None
    assert drawn(asked(GHZ(4), settings, 1)) is None
