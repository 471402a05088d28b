"""Relabellings: permutations that are undone to the record, their likelihoods, and labellings that change nothing."""

import itertools

import numpy as np
import pytest

from qtomo import Records
from qtomo.measurement.noise import depolarizing, noisy
from qtomo.measurement.povm import POVM, named_povm
from qtomo.states.library import GHZ, Product
from qtomo.states.tfim import TFIM
from qtomo.verification.faults.axes import AXES, Axes
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.relabellings import explanations, global_relabellings, one_qubit_log_ratios
from tests.systems import dense, laboratory
from tests.systems.laboratory import against, hypothesis

ELEMENTS = dense.pauli6()
#: A chain without any symmetry that a relabelling could have.
ASKEW = Product(3, 0.7, 0.3)
DISORDERED = TFIM(4, (1.4, 0.9, 1.1), (0.8, 0.5, 1.1, 1.2))


def shots(system, n, seed=0, loss=0.0, ordered=True):
    """Shots in random bases of a state, by qtomo's own sampler, which other tests look at."""
    rng = np.random.default_rng(seed)
    settings = rng.integers(0, 3, (n, system.n_sites)).astype(np.uint8)
    empty = Records(np.zeros((n, system.n_sites), np.uint8), settings=settings, ordered=ordered)
    drawn = hypothesis(system, "pauli6").sample_like(empty, rng)
    outcomes = np.where(rng.random(settings.shape) < loss, dense.LOST, drawn.outcomes).astype(np.uint8)
    return Records(outcomes, settings=settings, ordered=ordered)


def mislabelled(records, axes, sites):
    """The records as a laboratory has them that calls true elements by wrong names."""
    called = np.argsort(axes.labels()).astype(np.uint8)
    labels = records.labels.copy()
    chosen = labels[:, sites]
    labels[:, sites] = np.where(chosen == dense.LOST, dense.LOST, called[np.minimum(chosen, 5)])
    return Records.from_labels(labels, records.povm, design=records.design)


def test_there_are_47_and_each_is_another_permutation_of_the_six_outcomes():
    permutations = {tuple(axes.labels().tolist()) for axes in AXES}
    assert len(AXES) == len(permutations) == 47
    assert tuple(range(6)) not in permutations
    assert all(sorted(permutation) == list(range(6)) for permutation in permutations)
    # Each maps the two outcomes of a basis onto those of a basis.
    assert all({p[2 * b] // 2, p[2 * b + 1] // 2} == {p[2 * b] // 2} for p in permutations for b in range(3))
    assert len({(axes.kind, axes.detail) for axes in AXES}) == 47
    exchanged = [axes for axes in AXES if axes.kind == FaultKind.BITS_EXCHANGED]
    assert len(exchanged) == 7


def test_what_they_are_called_is_what_they_do():
    assert Axes((0, 1, 2), (True, True, True)).detail == ""
    assert Axes((0, 1, 2), (False, True, False)).detail == "in basis Y"
    assert Axes((2, 1, 0), (False, False, False)).detail == "X and Z exchanged"
    assert Axes((1, 2, 0), (False, False, False)).detail == "X is Y, Y is Z, Z is X"
    assert Axes((2, 1, 0), (False, True, False)).detail == "X and Z exchanged, bits of Y flipped"
    # What is called X bit 0 is Z bit 1, and what is called Z bit 0 is X bit 0.
    assert Axes((2, 1, 0), (True, False, False)).labels().tolist() == [5, 4, 2, 3, 0, 1]


@pytest.mark.parametrize("axes", AXES, ids=lambda axes: f"{axes.order}{axes.flips}")
def test_elements_are_those_of_the_true_outcomes_and_stay_a_measurement(axes):
    moved = ELEMENTS[axes.labels()]
    assert axes.elements(named_povm("pauli6")) == pytest.approx(moved, abs=1e-15)
    # Pauli-4 calls Z bit 0, X bit 0 and Y bit 0 by 0, 1, 2, and the rest 3.
    first = moved[[4, 0, 2]]
    assert axes.elements(named_povm("pauli4")) == pytest.approx(
        np.array([*first, np.eye(2) - first.sum(axis=0)]), abs=1e-12
    )
    for povm in ("pauli6", "pauli4", "sic"):
        assert POVM(axes.elements(named_povm(povm))).n_outcomes == named_povm(povm).n_outcomes
    by_site = noisy(named_povm("pauli6"), depolarizing(0.3), 2, [1])
    assert axes.elements(by_site) == pytest.approx(by_site.elements[:, axes.labels()], abs=1e-12)


@pytest.mark.parametrize("design", ["random", "listed", "pauli4"])
def test_undoing_one_gives_the_records_their_likelihood_back(design):
    """All qubits and qubit 1 alone, each of the 47; of a measurement, records of the moved one."""
    right = laboratory.draw(dense.spins(3, 0.7, 0.3), design, 150, seed=2, loss=0.1)
    before = against(right, ASKEW).log_likelihood
    for one, axes in zip(global_relabellings(3, right.has_settings, False), AXES, strict=False):
        if right.has_settings:
            wrong = against(mislabelled(right, axes, [0, 1, 2]), ASKEW)
            assert one.apply(wrong).log_likelihood == pytest.approx(before, abs=1e-8)
            assert one.gain(wrong) == pytest.approx(before - wrong.log_likelihood, abs=1e-8)
        else:
            elements = axes.elements(named_povm("pauli4"))
            exact = dense.log(dense.chances(dense.spins(3, 0.7, 0.3), dense.with_lost(elements)))
            rows = np.minimum(right.outcomes, 4)
            expected = exact[np.ravel_multi_index(rows.T, (5, 5, 5))].sum()
            assert one.apply(against(right, ASKEW)).log_likelihood == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("povm", ["pauli6", "pauli4"])
def test_those_of_one_qubit_are_likelihoods_of_moved_elements(povm):
    rho = dense.spins(3, 0.7, 0.3)
    records = laboratory.draw(rho, "random" if povm == "pauli6" else povm, 80, seed=3, loss=0.1)
    found = one_qubit_log_ratios(against(records, ASKEW))
    k = len(dense.POVMS[povm]())
    index = np.ravel_multi_index(np.minimum(records.labels, k).T, (k + 1,) * 3)
    for number, site in itertools.product(range(0, 47, 5), range(3)):
        elements = [dense.with_lost(dense.POVMS[povm]())] * 3
        elements[site] = dense.with_lost(AXES[number].elements(named_povm(povm)))
        assert found[number, site] == pytest.approx(dense.log(dense.chances(rho, elements))[index].sum(), abs=2e-3)


ORDERS = {
    FaultKind.ORDER_REVERSED: [3, 2, 1, 0],
    FaultKind.SITES_SHIFTED: [1, 2, 3, 0],
    FaultKind.QUBITS_EXCHANGED: [0, 3, 2, 1],
}


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (kind, what)
        for kind in ORDERS
        for what in ("both", "bits", "bases")
        if (kind, what) != (FaultKind.QUBITS_EXCHANGED, "bases")  # which is not listed
    ],
)
def test_columns_in_another_order_are_found(kind, what):
    """Of qubits, of the bits alone or of the letters alone; the true one is likeliest, with the true likelihood."""
    right = shots(DISORDERED, 800, seed=4)
    order = ORDERS[kind]
    bits = right.outcomes if what == "bases" else right.outcomes[:, order]
    settings = right.shot_settings if what == "bits" else right.shot_settings[:, order]
    context = against(Records(bits, settings=settings), DISORDERED)
    best = max(explanations(context), key=lambda one: one.score)
    assert best.fault.kind == kind
    assert best.log_likelihood == pytest.approx(against(right, DISORDERED).log_likelihood, abs=1e-4)
    words = {"both": "", "bits": "bits", "bases": "letters"}[what]
    assert words in best.fault.detail
    assert best.fault.sites == ((1, 3) if kind == FaultKind.QUBITS_EXCHANGED else None)


@pytest.mark.parametrize("design", ["pauli4", "random"])
def test_the_wrong_end_first(design):
    """Outcomes of a POVM have no bits apart from bases."""
    right = laboratory.draw(dense.tfim(3), design, 4000 if design == "pauli4" else 1000, 0)
    system = TFIM(3, (0.5, 1.2), (1.2, 0.9, 1.4))
    drawn = against(right, system).hypothesis.sample_like(right, np.random.default_rng(1))
    labels = drawn.labels[:, ::-1]
    context = against(Records.from_labels(labels, right.povm, design=right.design), system)
    best = max(explanations(context), key=lambda one: one.score)
    assert best.fault.kind == FaultKind.ORDER_REVERSED


@pytest.mark.parametrize("step", [1, -1])
def test_bits_beside_the_settings_of_another_shot_are_found(step):
    right = shots(DISORDERED, 800, seed=5)
    bits, settings = np.roll(right.outcomes, step, axis=0), right.shot_settings
    context = against(Records(bits, settings=settings), DISORDERED)
    best = max(explanations(context), key=lambda one: one.score)
    assert best.fault.kind == FaultKind.SHOTS_SHIFTED
    assert best.fault.detail.endswith("after" if step > 0 else "before")
    unordered = against(Records(bits, settings=settings, ordered=False), DISORDERED)
    assert FaultKind.SHOTS_SHIFTED not in {one.fault.kind for one in explanations(unordered)}


AROUND_Z = [axes.detail for axes in AXES if axes.order[2] == 2 and not axes.flips[2]]
SYMMETRIC = {
    "a mirror image": (TFIM(4, 1.0, 0.8), lambda f: f.kind == FaultKind.ORDER_REVERSED and "alone" not in f.detail),
    "a permutation": (GHZ(4), lambda f: f.kind == FaultKind.QUBITS_EXCHANGED and "alone" not in f.detail),
    "all bits of Z": (GHZ(4), lambda f: f.sites is None and f.detail == "in basis Z"),
    "parity": (TFIM(4, 1.0, 0.8), lambda f: f.sites is None and f.detail == "in basis Y and Z"),
    "a turn about the spin": (
        Product(4, 0.0),
        lambda f: f.kind in (FaultKind.BITS_EXCHANGED, FaultKind.BASES_RELABELLED) and f.detail in AROUND_Z,
    ),
}


@pytest.mark.parametrize("name", SYMMETRIC)
def test_a_labelling_that_leaves_the_target_as_it_is_explains_nothing(name):
    """Of records of the target, and of records that are wrong in another way."""
    system, unchanged = SYMMETRIC[name]
    n_axes = [one for one in global_relabellings(4, True, False) if unchanged(one.fault)]
    right = shots(system, 600, seed=6)
    for context in (against(right, system), against(mislabelled(right, AXES[30], [2]), system)):
        before = context.log_likelihood
        for one in n_axes:
            moved = one.apply(context).log_likelihood
            assert moved == before or moved == pytest.approx(before, abs=1e-6)
        assert not [one.fault.describe() for one in explanations(context) if unchanged(one.fault)]


def test_the_forbidden_records_of_a_wrong_label_are_allowed_by_the_right_one():
    """0 and 1 exchanged on a qubit of a GHZ state of three: ln P is infinite before and as it should be after."""
    right = shots(GHZ(3), 500, seed=7)
    wrong = against(mislabelled(right, Axes((0, 1, 2), (True, True, True)), [1]), GHZ(3))
    assert wrong.n_impossible > 10
    best = max(explanations(wrong), key=lambda one: one.score)
    assert (best.fault.kind, best.fault.sites, best.fault.detail) == (FaultKind.BITS_EXCHANGED, (1,), "")
    assert best.log_likelihood == pytest.approx(against(right, GHZ(3)).log_likelihood, abs=1e-3)
    assert best.apply(wrong, 0.0).n_impossible == 0
