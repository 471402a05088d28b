"""What the settings can see: coverage, faults that are excluded, unseen or harmless, and the verdict's words."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from qtomo import Records
from qtomo.measurement.povm import named_povm
from qtomo.records.coverage import coverage
from qtomo.states.library import GHZ, Product, W
from qtomo.states.tfim import TFIM
from qtomo.verification.context import Context, Options
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS, applied
from qtomo.verification.hypothesis import Hypothesis
from qtomo.verification.identifiability import exclusions
from qtomo.verification.pipeline import verify

Z = FaultKind.DEPHASING, FaultKind.ROTATION_Z


def settings_of(text, n):
    return np.tile(np.array(["XYZ".index(letter) for letter in text], np.uint8), (n, 1))


def draw(system, n, seed=0, bases="random", kind=None, strength=0.0):
    """Shots of a state in random bases, in a list of settings, or outcomes of a POVM; with a fault of every qubit."""
    rng = np.random.default_rng(seed)
    povm, settings, design = "pauli6", None, "random"
    if bases == "random":
        settings = rng.integers(0, 3, (n, system.n_sites))
    elif isinstance(bases, list):
        settings, design = np.concatenate([settings_of(text, n // len(bases)) for text in bases]), "listed"
        settings = rng.permutation(settings)
    else:
        povm, design = bases, "povm"
    n = n if settings is None else len(settings)
    empty = Records(np.zeros((n, system.n_sites), np.uint8), povm, design=design, settings=settings)
    hypothesis = Hypothesis.of(system.state(), named_povm(povm), system)
    source = hypothesis if kind is None else applied(hypothesis, kind, strength, None)
    return Context(source.sample_like(empty, rng), hypothesis, Options())


PAIRS = ["XXX", "YYY", "ZZZ", "XYZ", "YZX", "ZXY", "XZY", "YXZ", "ZYX"]


@pytest.mark.parametrize(
    ("bases", "complete", "words"),
    [
        (["ZZZ"], False, "Z alone"),
        (["XZX"], False, "XZX alone"),
        (["ZZZ", "XXX"], False, "the 2 settings measured"),
        (["XXX", "YYY", "ZZZ"], False, "the 3 settings measured"),
        (PAIRS, True, ""),
        (PAIRS[:-1], False, "the 8 settings measured"),
        ("random", True, ""),
        ("pauli4", True, ""),
        ("sic", True, ""),
        ("trine", False, "outcomes of POVM 'trine'"),
        ("rebit", False, "outcomes of POVM 'rebit'"),
    ],
)
def test_which_bases_were_measured(bases, complete, words):
    """Three qubits in all nine pairs of bases each: nine settings do, by an orthogonal array, and no eight of them."""
    found = coverage(draw(W(3), 900, bases=bases).records)
    assert (found.complete, found.words) == (complete, words)


def test_settings_that_no_shot_was_taken_in_do_not_count():
    shots = Records([[0, 0, 0]] * 4, settings=settings_of("ZZZ", 1).tolist() + settings_of("XXX", 1).tolist(),
                    setting_index=[0] * 4, design="listed")  # fmt: skip
    assert coverage(shots).words == "Z alone"


def statuses(context):
    found = {}
    for one in exclusions(context):
        found.setdefault(one.kind, set()).add(one.status)
    return found


def test_a_ghz_state_in_all_bases_shows_every_fault():
    assert set(statuses(draw(GHZ(3), 6000))) == set(LOCAL_KINDS)
    assert set().union(*statuses(draw(GHZ(3), 6000)).values()) == {"excluded"}


def test_phases_of_a_ghz_state_do_not_show_in_z():
    found = statuses(draw(GHZ(3), 6000, bases=["ZZZ"]))
    assert all(found[kind] == {"unseen"} for kind in Z)
    assert all(status == {"excluded"} for kind, status in found.items() if kind not in Z)


@pytest.mark.parametrize("bases", ["random", ["ZZZ"]])
def test_what_changes_nothing_is_harmless(bases):
    """|0> does not dephase, decay or turn about Z; in Z alone a one is never there to be misread."""
    found = statuses(draw(Product(3, 0.0), 8000, bases=bases))
    harmless = {*Z, FaultKind.AMPLITUDE_DAMPING}
    assert all(found[kind] == {"harmless"} for kind in harmless)
    if bases == ["ZZZ"]:
        assert found[FaultKind.READOUT_1_TO_0] == {"harmless"}
    else:
        assert found[FaultKind.READOUT_1_TO_0] == {"excluded"}
    rest = set(found) - harmless - {FaultKind.READOUT_1_TO_0}
    assert all(found[kind] == {"excluded"} for kind in rest)


def test_few_records_leave_all_open_and_say_how_many_are_needed():
    context = draw(Product(3, 0.7, 0.3), 10)
    found = exclusions(context)
    assert {one.status for one in found} == {"open"}
    needed = [one.records_needed for one in found if one.records_needed]
    assert needed
    assert min(needed) > 10


def test_strengths_of_rotations_lose_as_much_fidelity_as_depolarizing():
    """1 - F = sin^2(angle/2) is 3/4 of the resolution, to either side."""
    found = exclusions(draw(GHZ(3), 200))
    angles = [one.strength for one in found if one.kind == FaultKind.ROTATION_Y]
    assert len(angles) == 2
    assert angles[0] == -angles[1]
    assert math.sin(angles[0] / 2) ** 2 == pytest.approx(0.75 * 0.05)
    assert {one.strength for one in found if LOCAL_KINDS[one.kind].parameter != "angle"} == {0.05}


def test_a_fault_that_is_there_is_excluded_no_more_often_than_alpha():
    """60 sets of 200 records with depolarizing at the strength that is to be excluded, at 10 %: a binomial, at 1e-7."""
    wrong = 0
    for seed in range(60):
        context = draw(Product(3, 0.7, 0.3), 200, seed, "sic", FaultKind.DEPOLARIZING, 0.05)
        found = exclusions(replace(context, options=Options(alpha=0.1)))
        wrong += next(one.status for one in found if one.kind == FaultKind.DEPOLARIZING) == "excluded"
    assert wrong <= stats.binom.isf(1e-7, 60, 0.1)


@pytest.mark.parametrize("system", [Product(3, 0.0), GHZ(3), TFIM(3, 1.0, 0.7)], ids=lambda s: s.family)
def test_shots_in_z_alone_are_consistent_in_part(system):
    found = verify(
        draw(system, 8000, bases=["ZZZ"]).records, system, alternative="none", budget=False, n_reference=1000
    )
    assert found.verdict == "consistent in part"
    assert "in Z alone" in found.headline
    assert found.headline.startswith("no test rejects the target, in Z alone")
    if system.family != "product":
        assert "phases were not seen" in found.headline
        assert any(claim.startswith("Not seen in these settings, however large: dephasing") for claim in found.claims)


@pytest.mark.parametrize("bases", ["random", "sic", PAIRS])
def test_complete_settings_are_consistent_as_a_whole(bases):
    n = 12_000 if bases == "sic" else 9000
    found = verify(draw(GHZ(3), n, bases=bases).records, GHZ(3), alternative="none", budget=False, n_reference=1000)
    assert found.verdict == "consistent"
    assert "every listed fault of all qubits above 0.05 is excluded" in found.headline
    excluded = next(claim for claim in found.claims if claim.startswith("Excluded on every qubit alike at 99%"))
    assert "rotation about Z" in excluded


def test_two_settings_are_consistent_in_them():
    found = verify(
        draw(GHZ(3), 4000, bases=["ZZZ", "XXX"]).records, GHZ(3), alternative="none", budget=False, n_reference=1000
    )
    assert found.verdict == "consistent in part"
    assert found.headline == "no test rejects the target, in the 2 settings measured"
