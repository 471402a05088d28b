"""Faults of a qubit or of all: their likelihoods against channels on the density matrix, then measured."""

import functools

import numpy as np
import pytest

from qtomo import Records
from qtomo.errors import Code
from qtomo.measurement.povm import named_povm
from qtomo.states.tfim import TFIM
from qtomo.verification.context import Context
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import (
    LOCAL_KINDS,
    anywhere_log_ratios,
    applied,
    everywhere_curve,
    explanations,
    fit_strength,
    one_qubit_curves,
    ratios,
    site_curve,
)
from qtomo.verification.hypothesis import Hypothesis
from tests.refusing import refused
from tests.systems import dense, laboratory

KINDS = list(LOCAL_KINDS)
#: Strengths that are on no grid, for probabilities and for angles.
STRENGTHS = {"probability": (0.37, 1.0), "angle": (0.11, -1.3)}
NAMES = ["ghz", "w", "tfim", "product"]


def hypothesis(name, povm):
    system, _ = dense.STATES[name]
    return Hypothesis.of(system.state(), named_povm(povm), system)


@functools.cache
def everything(name, povm):
    """A context with every record once, lost outcomes among them."""
    rows = dense.all_records(3, len(dense.POVMS[povm]()), lost=True)
    design = "random" if povm == "pauli6" else "povm"
    return Context(Records.from_labels(rows, povm, design=design), hypothesis(name, povm)), rows


@pytest.mark.parametrize("povm", ["pauli6", "pauli4"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_one_qubit_or_of_all_is_its_channel_before_the_measurement(kind, name, povm):
    """Every record, those that the target forbids too: by the hypothesis and from local likelihoods."""
    context, rows = everything(name, povm)
    local = LOCAL_KINDS[kind]
    parts = local.parts(context.hypothesis.povm, 3)
    ((_, found),) = ratios(context, parts)  # in the order of context.rows
    place = [np.flatnonzero((rows == row).all(axis=1))[0] for row in context.rows]
    for strength in STRENGTHS[local.parameter]:
        for sites in ((0,), (1,), (2,), (0, 1, 2)):
            exact = dense.faulty(dense.STATES[name][1], povm, kind.value, strength, sites)
            moved = applied(context.hypothesis, kind, strength, sites[0] if len(sites) == 1 else None)
            assert np.exp(moved.log_prob(rows)) == pytest.approx(exact, abs=1e-9)
            whole = (rows != dense.LOST).all(axis=1)
            assert np.exp(moved.log_prob(rows[whole])).sum() == pytest.approx(1, abs=1e-9)
            if len(sites) == 1:
                values = np.einsum("k,kn->n", local.functions(np.array([strength]))[:, 0], found[:, :, sites[0]])
                scaled = np.exp(context.likelihoods.log_scale) * values
                assert scaled == pytest.approx(exact[place], abs=1e-6)


@functools.cache
def data_set(name, povm, seed=0):
    """Some records several times, forbidden ones and lost outcomes among them."""
    rng = np.random.default_rng(seed)
    records = laboratory.draw(dense.STATES[name][1], "random" if povm == "pauli6" else povm, 60, seed, 0.1)
    labels = records.labels.copy()
    k = len(dense.POVMS[povm]())
    labels[:4] = rng.integers(0, k, (4, 3))
    labels = np.concatenate([labels, labels[::2], labels[:5]])
    return Context(
        Records.from_labels(labels, povm, design="random" if povm == "pauli6" else "povm"), hypothesis(name, povm)
    )


def exact_log_likelihoods(context, name, povm, kind, strength, sites):
    """ln P of every record of a context."""
    k = len(dense.POVMS[povm]())
    labels = np.where(context.records.labels == dense.LOST, k, context.records.labels)
    table = dense.log(dense.faulty(dense.STATES[name][1], povm, kind.value, strength, sites))
    return table[np.ravel_multi_index(labels.T, (k + 1,) * 3)]


@pytest.mark.parametrize("povm", ["pauli6", "pauli4"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_curves_are_the_log_likelihood_of_all_records(kind, name, povm):
    context = data_set(name, povm)
    strengths = np.array(STRENGTHS[LOCAL_KINDS[kind].parameter])
    at_site, anywhere = one_qubit_curves(context, kind, strengths)
    everywhere = everywhere_curve(context, kind)
    for index, strength in enumerate(strengths):
        logs = [exact_log_likelihoods(context, name, povm, kind, strength, (site,)) for site in range(3)]
        for site, exact in enumerate(logs):
            assert at_site[index, site] == pytest.approx(exact.sum(), abs=2e-3)
            assert site_curve(context, kind, site)(strength) == pytest.approx(exact.sum(), abs=2e-3)
        with np.errstate(divide="ignore"):
            one = np.log(np.exp(logs).mean(axis=0))
        assert anywhere[index] == pytest.approx(one.sum(), abs=2e-3)
        all_of_them = exact_log_likelihoods(context, name, povm, kind, strength, (0, 1, 2))
        assert everywhere(strength) == pytest.approx(all_of_them.sum(), abs=1e-6)
        before = exact_log_likelihoods(context, name, povm, kind, 0.0, ())
        found = anywhere_log_ratios(context, kind, strengths)[index][context.inverse]
        with np.errstate(invalid="ignore"):
            expected = np.where(np.isneginf(before), np.inf, one - before)
        assert found == pytest.approx(expected, abs=1e-4)
    assert everywhere(0.0) == pytest.approx(before.sum(), abs=1e-6)


def test_a_fault_beside_white_noise_and_another_state():
    """A mixture: the channel acts on all of it."""
    target = hypothesis("ghz", "pauli4")
    for other, rho in ((TFIM(3).state(), dense.tfim(3)), (None, np.eye(8) / 8)):
        context = Context(data_set("ghz", "pauli4").records, target.mixed(0.3, target.alone(other)))
        mixed = 0.7 * dense.ghz(3) + 0.3 * rho
        labels = np.minimum(context.records.labels, 4)
        for kind in (FaultKind.AMPLITUDE_DAMPING, FaultKind.DEPOLARIZING, FaultKind.READOUT_0_TO_1):
            exact = dense.log(dense.faulty(mixed, "pauli4", kind.value, 0.4, (1,)))
            expected = exact[np.ravel_multi_index(labels.T, (5, 5, 5))].sum()
            moved = applied(context.hypothesis, kind, 0.4, 1)
            assert moved.log_prob(context.records.labels).sum() == pytest.approx(expected, abs=1e-6)
            assert site_curve(context, kind, 1)(0.4) == pytest.approx(expected, abs=2e-3)


def test_misread_bits_are_flipped_labels():
    """By adding up what is read so: P(read) = sum over true bits of P(true) P(read | true)."""
    context, _ = everything("tfim", "pauli6")
    whole = dense.all_records(3, 6)
    clean = np.exp(context.hypothesis.log_prob(whole)).reshape(6, 6, 6)
    for kind, flip in (
        (FaultKind.READOUT_0_TO_1, [[0.8, 0], [0.2, 1]]),
        (FaultKind.READOUT_1_TO_0, [[1, 0.2], [0, 0.8]]),
    ):
        matrix = np.kron(np.eye(3), np.array(flip))  # (read, true), basis by basis
        moved = applied(context.hypothesis, kind, 0.2, 1)
        expected = np.einsum("bt,atc->abc", matrix, clean)
        assert np.exp(moved.log_prob(whole)) == pytest.approx(expected.ravel(), abs=1e-12)
        moved = applied(context.hypothesis, kind, 0.2, None)
        expected = np.einsum("au,bt,cv,utv->abc", matrix, matrix, matrix, clean)
        assert np.exp(moved.log_prob(whole)) == pytest.approx(expected.ravel(), abs=1e-12)


def test_bits_misread_either_way_are_depolarizing_of_twice_that():
    context, rows = everything("w", "pauli4")
    both = dense.chances(
        dense.w(3), [dense.with_lost(dense.pauli4())] * 2 + [dense.with_lost(dense.misread("pauli4", 0.1, 0.1))]
    )
    assert np.exp(applied(context.hypothesis, FaultKind.DEPOLARIZING, 0.2, 2).log_prob(rows)) == pytest.approx(
        both, abs=1e-9
    )


def test_a_measurement_without_bits_has_none_to_misread():
    context = Context(Records(np.zeros((5, 3), np.uint8), "sic"), hypothesis("tfim", "sic"))
    with refused(Code.UNSUPPORTED):
        one_qubit_curves(context, FaultKind.READOUT_0_TO_1, np.array([0.1]))
    assert one_qubit_curves(context, FaultKind.DEPHASING, np.array([0.1]))[0].shape == (1, 3)
    kinds = {one.fault.kind for one in explanations(context)}
    assert not kinds & {FaultKind.READOUT_0_TO_1, FaultKind.READOUT_1_TO_0}


@pytest.mark.parametrize("peak", [0.0, 0.004, 0.3, 1.0])
def test_the_strength_of_largest_likelihood_is_found(peak):
    strength, top = fit_strength(lambda t: -1e4 * (t - peak) ** 2, (0.01, 0.1, 0.5), (0.0, 1.0))
    assert strength == pytest.approx(peak, abs=2e-3)
    assert top == pytest.approx(0, abs=0.04)


def test_a_strength_at_which_nothing_is_possible_is_not_chosen():
    strength, top = fit_strength(lambda t: -np.inf if t < 0.4 else -t, (0.1, 0.5, 0.9), (0.0, 1.0))
    assert strength == pytest.approx(0.4, abs=0.02)
    assert np.isfinite(top)


@pytest.mark.parametrize("name", ["ghz", "product"])
@pytest.mark.parametrize(("kind", "site"), [(FaultKind.DEPOLARIZING, 1), (FaultKind.READOUT_0_TO_1, 0)])
def test_a_fault_of_one_qubit_that_makes_forbidden_records_is_the_likeliest(kind, site, name):
    """2,000 shots; forbidden records have a likelihood under the fault alone. Its strength within six errors."""
    rng = np.random.default_rng(5)
    chances = dense.faulty(dense.STATES[name][1], "pauli6", kind.value, 0.2, (site,)).reshape(7, 7, 7)[:6, :6, :6]
    rows = dense.all_records(3, 6)[rng.choice(216, 2000, p=chances.ravel().clip(0) / chances.sum())]
    context = Context(Records.from_labels(rows, "pauli6", design="random"), hypothesis(name, "pauli6"))
    assert context.n_impossible > 0
    found = sorted(explanations(context), key=lambda one: -one.score)
    assert (found[0].fault.kind, found[0].fault.sites) == (kind, (site,))
    assert found[0].strength == pytest.approx(0.2, abs=6 * np.sqrt(0.16 / 300))
    again = found[0].apply(context, found[0].strength)
    assert again.log_likelihood == pytest.approx(found[0].log_likelihood, abs=1e-3)
    assert again.n_impossible == 0
