"""Shares of other states, temperatures, parameters and errors of pairs: likelihoods from matrices, recovered sizes."""

import functools

import numpy as np
import pytest
from scipy.linalg import expm

from qtomo import Records
from qtomo.measurement.povm import named_povm
from qtomo.states.library import GHZ, Product
from qtomo.states.tfim import TFIM
from qtomo.states.xxz import XXZ
from qtomo.verification.context import Context
from qtomo.verification.faults import mixtures, pairs, parameters
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.hypothesis import Hypothesis
from tests.systems import dense, laboratory

SYSTEM, RHO = dense.STATES["tfim"]
ENERGY = dense.hamiltonian(3, 1.0, 0.7)


@functools.cache
def hypothesis(system, povm="pauli6"):
    return Hypothesis.of(system.state(), named_povm(povm), system)


def against(rho, system=SYSTEM, design="random", n=3000, seed=1, loss=0.0):
    """Records of three qubits in a state, held against another."""
    records = laboratory.draw(rho, design, n, seed, loss)
    return Context(records, hypothesis(system, records.povm.name))


def log_likelihood(context, rho):
    """Of the records if they were of a density matrix."""
    elements = dense.POVMS[context.records.povm.name]()
    labels = np.minimum(context.records.labels, len(elements))
    exact = dense.log(dense.chances(rho, dense.with_lost(elements)))
    return exact[np.ravel_multi_index(labels.T, (len(elements) + 1,) * 3)].sum()


def the(kind, found):
    return next(one for one in found if one.fault.kind == kind)


@pytest.mark.parametrize("design", ["random", "pauli4"])
def test_a_share_of_white_noise_or_of_the_excited_state_is_that_of_the_mixed_matrix(design):
    """The excited state is the lowest of the other parity, here the first above the ground state."""
    excited = dense.projector(np.linalg.eigh(ENERGY)[1][:, 1])
    for kind, other in ((FaultKind.WHITE_NOISE, np.eye(8) / 8), (FaultKind.EXCITED_STATE, excited)):
        context = against(0.85 * RHO + 0.15 * other, design=design, loss=0.05)
        one = the(kind, mixtures.explanations(context))
        for t in (0.0, 0.02, 0.5, 1.0):
            expected = log_likelihood(context, (1 - t) * RHO + t * other)
            assert one.curve(t) == pytest.approx(expected, abs=1e-5)
            assert one.apply(context, t).log_likelihood == pytest.approx(expected, abs=1e-5)
        assert one.log_likelihood == pytest.approx(one.curve(one.strength), abs=1e-6)
        assert all(
            one.log_likelihood >= log_likelihood(context, (1 - t) * RHO + t * other) - 0.01
            for t in np.linspace(0, 1, 50)
        )
        assert one.strength == pytest.approx(0.15, abs=0.1)  # six errors, about 0.016 each in Pauli-4
        assert not one.fault.where


def test_white_noise_of_a_state_that_forbids_outcomes():
    context = against(0.9 * dense.ghz(3) + 0.1 * np.eye(8) / 8, GHZ(3))
    assert context.n_impossible > 0
    one = the(FaultKind.WHITE_NOISE, mixtures.explanations(context))
    assert one.curve(0.0) == -np.inf
    assert one.strength == pytest.approx(0.1, abs=0.07)
    assert FaultKind.EXCITED_STATE not in {one.fault.kind for one in mixtures.explanations(context)}


@pytest.mark.parametrize("temperature", [0.3, 0.6])
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_a_temperature_is_found_in_the_units_of_the_hamiltonian(temperature, scale):
    system = TFIM(3, scale, 0.7 * scale)
    rho = expm(-ENERGY / temperature)
    rho /= np.trace(rho)
    context = against(rho, system, n=4000)
    one = the(FaultKind.THERMAL, mixtures.explanations(context))
    assert one.strength == pytest.approx(scale * temperature, rel=0.2)
    assert one.fault.parameter == "temperature"
    assert one.log_likelihood == pytest.approx(log_likelihood(context, rho), abs=5)
    moved = expm(-scale * ENERGY / round(one.strength, 4))
    expected = log_likelihood(context, moved / np.trace(moved))
    assert one.apply(context, one.strength).log_likelihood == pytest.approx(expected, abs=0.5)
    assert one.curve(one.strength) == pytest.approx(expected, abs=2)  # interpolated


@pytest.mark.parametrize(("change", "n"), [(0.15, 3000), (-0.3, 3000), (1.0, 1000)])
def test_a_field_that_is_off_is_found_by_its_share(change, n):
    context = against(dense.tfim(3, 1.0, 0.7 * (1 + change)), n=n)
    one = the(FaultKind.FIELD, parameters.explanations(context))
    assert one.strength == pytest.approx(change, abs=0.06 if abs(change) < 1 else 0.5)
    exact = log_likelihood(context, dense.tfim(3, 1.0, 0.7 * (1 + round(one.strength, 4))))
    assert one.log_likelihood == pytest.approx(exact, abs=0.05)
    assert one.apply(context, one.strength).log_likelihood == pytest.approx(exact, abs=1e-5)
    assert one.log_likelihood >= log_likelihood(context, dense.tfim(3, 1.0, 0.7 * (1 + change))) - 0.5
    low, high = one.bounds
    assert low < one.strength < high
    assert one.curve(one.strength) == pytest.approx(one.log_likelihood, abs=1e-6)


def test_a_longitudinal_field_is_found_in_units_of_the_largest_term():
    extra = sum(-0.2 * dense.on(dense.Z, site, 3) for site in range(3))
    rho = dense.projector(np.linalg.eigh(ENERGY + extra)[1][:, 0])
    one = the(FaultKind.LONGITUDINAL_FIELD, parameters.explanations(against(rho)))
    assert one.strength == pytest.approx(0.2, abs=0.06)
    assert one.fault.kind.words == "longitudinal field"


def test_an_anisotropy_that_is_off_is_found():
    right, wrong = XXZ(4, 1.0, 0.5), XXZ(4, 1.0, 0.7)
    empty = Records(np.zeros((4000, 4), np.uint8), "pauli4")
    records = hypothesis(wrong, "pauli4").sample_like(empty, np.random.default_rng(0))
    one = the(FaultKind.ANISOTROPY, parameters.explanations(Context(records, hypothesis(right, "pauli4"))))
    assert one.strength == pytest.approx(0.4, abs=0.25)


def test_parameters_are_those_of_the_system():
    assert [one.kind for one in parameters.parameters_of(SYSTEM)] == [FaultKind.FIELD]
    assert [one.kind for one in parameters.parameters_of(XXZ(4))] == [FaultKind.ANISOTROPY]
    assert parameters.parameters_of(GHZ(3)) == parameters.parameters_of(None) == []
    assert list(parameters.explanations(against(dense.ghz(3), GHZ(3), n=50))) == []


def after_a_pair_error(rho, letters, p, pair=(0, 2)):
    both = dense.product(dict(zip(pair, letters, strict=True)), 3)
    return (1 - p) * rho + p * both @ rho @ both


@pytest.mark.parametrize(("state", "letters"), [("tilted", "XY"), ("tfim", "ZZ"), ("tfim", "YZ")])
def test_a_correlated_error_of_a_pair_is_found_where_it_is(state, letters):
    system, rho = dense.STATES[state]
    context = against(after_a_pair_error(rho, letters, 0.2), system)
    best = max(pairs.explanations(context), key=lambda one: one.score)
    assert (best.fault.kind, best.fault.sites, best.fault.detail) == (FaultKind.PAIR_ERROR, (0, 2), letters)
    assert best.strength == pytest.approx(0.2, abs=0.1)
    for t in (0.1, 0.7, 1.0):
        expected = log_likelihood(context, after_a_pair_error(rho, letters, t))
        assert best.curve(t) == pytest.approx(expected, abs=1e-5)
        assert best.apply(context, t).log_likelihood == pytest.approx(expected, abs=1e-5)


def test_two_bits_that_are_misread_together_are_found():
    """In a seventh of the shots both bits of qubits 0 and 1 are flipped, in whatever bases."""
    system, rho = dense.STATES["tilted"]
    context = against(rho, system)
    rng = np.random.default_rng(3)
    bits = context.records.outcomes.copy()
    bits[rng.random(3000) < 1 / 7, :2] ^= 1
    context = Context(Records(bits, settings=context.records.shot_settings), context.hypothesis)
    best = max(pairs.explanations(context), key=lambda one: one.score)
    assert (best.fault.kind, best.fault.sites) == (FaultKind.PAIR_READOUT, (0, 1))
    assert best.strength == pytest.approx(1 / 7, abs=0.06)


def test_a_single_qubit_has_no_pair():
    records = Records(np.zeros((30, 1), np.uint8), "pauli4")
    assert list(pairs.explanations(Context(records, hypothesis(Product(1, 0.3), "pauli4")))) == []
