"""Faults are named, with their place and size; what looks alike is said; what is unlisted never gets a size."""

import math
import re

import numpy as np
import pytest
from scipy.linalg import expm

from qtomo import Records
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import named_povm
from qtomo.states.library import GHZ, Product, W
from qtomo.states.tfim import TFIM
from qtomo.statistics.evidence import likelihood_interval
from qtomo.verification.context import Context
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import fit_strength, site_curve
from qtomo.verification.hypothesis import Hypothesis
from qtomo.verification.pipeline import verify
from qtomo.verification.strengths import with_other_peaks
from tests.systems import dense, laboratory

DISORDERED = TFIM(4, (1.4, 0.9, 1.1), (0.8, 0.5, 1.1, 1.2))
TILTED = Product(5, 0.7, 0.3)


def draw(system, n, seed, noise=(), settings="random"):
    """Shots of a state, after noise that nobody has declared; in random bases, in one, or Pauli-4 outcomes."""
    rng, n_sites = np.random.default_rng(seed), system.n_sites
    bases = None
    if settings is not None:
        bases = rng.integers(0, 3, (n, n_sites)) if settings == "random" else np.full((n, n_sites), settings)
    povm = named_povm("pauli4" if bases is None else "pauli6")
    design = "povm" if bases is None else "random" if settings == "random" else "listed"
    empty = Records(np.zeros((n, n_sites), np.uint8), povm, design=design, settings=bases)
    return Hypothesis.of(system.state(), parse_noise(povm, noise, n_sites)).sample_like(empty, rng)


def joined(*parts):
    settings = np.concatenate([one.shot_settings for one in parts]) if parts[0].has_settings else None
    outcomes = np.concatenate([one.outcomes for one in parts])
    return Records(outcomes, parts[0].povm, design=parts[0].design, settings=settings)


def quick(records, target, **options):
    return verify(records, target, **{"alternative": "none", "n_reference": 1000, "budget": False, **options})


def names(faults):
    return [(fault.kind, fault.sites) for fault in faults]


LOCAL = {
    "dead qubit": (GHZ(3), 1000, "depolarizing:1@1", FaultKind.DEPOLARIZING, (1,), 1.0),
    "depolarizing of all": (W(4), 1500, "depolarizing:0.1", FaultKind.DEPOLARIZING, None, 0.1),
    "readout of a GHZ state": (GHZ(4), 1000, "readout:0.2/0@3", FaultKind.READOUT_0_TO_1, (3,), 0.2),
    "readout of all": (GHZ(4), 1000, "readout:0/0.1", FaultKind.READOUT_1_TO_0, None, 0.1),
    "dephasing of one": (GHZ(3), 1000, "dephasing:0.2@0", FaultKind.DEPHASING, (0,), 0.2),
    "damping of all": (W(4), 1500, "amplitude-damping:0.2", FaultKind.AMPLITUDE_DAMPING, None, 0.2),
}


#: Seconds each, of kinds that others stand for: in `make test-all`.
_AGAIN = ("damping of all", "readout of all", "dephasing of one", "depolarizing of all")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in _AGAIN else n for n in LOCAL])
def test_a_local_fault_is_named_with_its_place_and_size(name):
    """The 95 % interval, widened by two, has the true size: 3.9 standard errors, false alarm 1e-4 each, fixed seeds.

    Dephasing of one qubit of a GHZ state is that of any.
    """
    system, n, noise, kind, sites, size = LOCAL[name]
    found = quick(draw(system, n, 1, [noise]), system)
    assert found.verdict == "inconsistent"
    assert found.explains
    (fault,) = found.faults
    near = [(fault.kind, fault.sites), *names(found.tied[0])]
    assert (kind, sites) in near
    if name != "dephasing of one":
        assert (fault.kind, fault.sites) == (kind, sites)
        low, high = 2 * fault.size.low - fault.size.value, 2 * fault.size.high - fault.size.value
        assert low <= size <= high
        assert fault.size.high - fault.size.low < 0.2
        assert fault.describe() in found.headline


@pytest.mark.slow
def test_the_same_in_pauli_4():
    found = quick(draw(TFIM(3, 1, 0.7), 3000, 1, ["dephasing:0.25@1"], settings=None), TFIM(3, 1, 0.7))
    assert names(found.faults) == [(FaultKind.DEPHASING, (1,))]
    assert found.faults[0].size.low < 0.25 < found.faults[0].size.high + 0.05


def test_bits_that_run_the_other_way_and_bits_of_a_qubit_that_are_exchanged():
    right = draw(DISORDERED, 1200, 1)
    found = quick(Records(right.outcomes[:, ::-1], settings=right.shot_settings), DISORDERED.state())
    assert names(found.faults) == [(FaultKind.ORDER_REVERSED, None)]
    assert found.headline.startswith("order reversed: of the bits alone (p")
    right = draw(GHZ(3), 600, 1)
    bits = right.outcomes.copy()
    bits[:, 1] ^= 1
    found = quick(Records(bits, settings=right.shot_settings), GHZ(3))
    assert names(found.faults) == [(FaultKind.BITS_EXCHANGED, (1,))]
    assert found.faults[0].size is None
    assert found.explains


def test_duplicates_are_named_with_their_share():
    """The last fifth of 500 shots is the first again."""
    right = draw(Product(9, 0.7, 0.3), 400, 1, settings=None)
    found = quick(right.take(np.r_[0:400, 0:100]), Product(9, 0.7, 0.3))
    assert names(found.faults) == [(FaultKind.DUPLICATES, None)]
    assert found.explains
    size = found.faults[0].size
    assert size.low <= 0.2 <= size.high
    assert size.high - size.low < 0.2


def onset_of(fault):
    return int(re.search(r"from about shot ([\d,]+)", fault.when)[1].replace(",", ""))


@pytest.mark.parametrize(
    ("settings", "system"), [("random", TILTED), pytest.param(None, TFIM(4, 1.0, 1.3), marks=pytest.mark.slow)]
)
def test_a_fault_that_sets_in_is_named_with_its_onset(settings, system):
    records = joined(draw(system, 1500, 1, (), settings), draw(system, 1000, 2, ["readout:0.4/0@2"], settings))
    found = quick(records, system.state())
    (fault,) = found.faults
    assert (fault.kind, fault.sites) == (FaultKind.DRIFT, (2,))
    assert abs(onset_of(fault) - 1500) < 150
    assert fault.size.low <= 0.4 <= fault.size.high + 0.03
    assert "readout error 0→1" in fault.what


@pytest.mark.parametrize(("system", "noise"), [(TILTED, "dephasing:0.3"), (GHZ(3), "depolarizing:0.6@1")])
def test_a_fault_that_sets_in_is_never_said_to_be_there_all_along(system, noise):
    """Nothing in the first two thirds: an interval of its strength over all of them has no such value in it."""
    found = quick(joined(draw(system, 1000, 1), draw(system, 500, 2, [noise])), system.state())
    assert found.verdict == "inconsistent"
    assert not found.explains or [fault.kind for fault in found.faults] == [FaultKind.DRIFT]


def test_a_thermal_state_is_named_with_its_temperature():
    scale = 2.0  # of the Hamiltonian, in whose units the temperature is
    rho = expm(-dense.hamiltonian(3, 1.0, 0.7) / 0.5)
    found = quick(laboratory.draw(rho / np.trace(rho), "random", 2000, 1), TFIM(3, scale, 0.7 * scale))
    (fault,) = found.faults
    assert fault.kind == FaultKind.THERMAL
    assert fault.parameter == "temperature"
    assert fault.size.low < 0.5 * scale < fault.size.high


@pytest.mark.slow
def test_two_faults_at_once_are_both_named():
    system = TFIM(6, 1.0, 1.2)
    found = quick(draw(system, 2000, 1, ["readout:0/0.25@1", "dephasing:0.25@4"]), system.state())
    assert sorted(names(found.faults)) == [(FaultKind.DEPHASING, (4,)), (FaultKind.READOUT_1_TO_0, (1,))]
    assert all(fault.size.low - 0.03 <= 0.25 <= fault.size.high + 0.03 for fault in found.faults)
    assert found.explains
    assert " and " in found.headline


def test_two_faults_of_a_qubit_for_which_one_kind_may_stand_in_are_both_named():
    """Of a GHZ state dephasing of any qubit is that of one, and with bit flips of it is much like depolarizing."""
    rho = dense.sent_through(dense.sent_through(dense.ghz(3), "bit-flip", 0.15, 1), "dephasing", 0.2, 2)
    found = quick(laboratory.draw(rho, "random", 2500, 1), GHZ(3))
    first, second = (
        {one.kind for one in (fault, *others)} for fault, others in zip(found.faults, found.tied, strict=True)
    )
    assert found.explains
    assert FaultKind.BIT_FLIP in first | second
    assert FaultKind.DEPHASING in first | second
    assert not first & second & {FaultKind.BIT_FLIP}


def test_a_single_fault_is_not_taken_for_two():
    for seed in range(1):
        found = quick(draw(GHZ(3), 2500, seed, ["depolarizing:0.3@1"]), GHZ(3))
        assert names(found.faults) == [(FaultKind.DEPOLARIZING, (1,))]


def test_what_looks_alike_in_the_settings_measured_is_said():
    """In Z alone all that flips bits of a GHZ state does so with one probability."""
    found = quick(draw(GHZ(3), 800, 1, ["depolarizing:0.15"], settings=2), GHZ(3))
    alike = {kind for kind, sites in [*names(found.faults), *names(found.tied[0])] if sites is None}
    flips = {FaultKind.DEPOLARIZING, FaultKind.BIT_FLIP, FaultKind.BIT_PHASE_FLIP}
    assert flips <= alike
    assert FaultKind.DEPHASING not in alike  # which does not show in Z at all
    (claim,) = (claim for claim in found.claims if "do not tell" in claim)
    assert "bit flips (X) on every qubit" in claim


def crosstalk(bits, rng):
    """Qubit 2 reads 1 in half of the shots in which qubit 0 does."""
    bits[(bits[:, 0] == 1) & (rng.random(len(bits)) < 0.5), 2] = 1


def parity_flip(bits, rng):
    """All bits are flipped in four of ten shots whose parity is odd."""
    bits[(bits.sum(axis=1) % 2 == 1) & (rng.random(len(bits)) < 0.4)] ^= 1


def heating(bits, rng):
    """All qubits at once read 1 in an eighth of the shots."""
    bits[rng.random(len(bits)) < 1 / 8] = 1


@pytest.mark.parametrize(
    ("system", "change", "n"),
    [
        pytest.param(GHZ(3), crosstalk, 2000, marks=pytest.mark.slow),
        pytest.param(Product(3, 0.7, 0.3), crosstalk, 10_000, marks=pytest.mark.slow),
        pytest.param(Product(3, 0.7, 0.3), parity_flip, 2500, marks=pytest.mark.slow),
        (Product(3, 0.7, 0.3), heating, 2500),
    ],
)
def test_what_is_not_listed_is_never_named_with_a_size(system, change, n):
    records = draw(system, n, 3)
    bits = records.outcomes.copy()
    change(bits, np.random.default_rng(5))
    found = quick(Records(bits, settings=records.shot_settings), system, alternative="kgram")
    assert found.verdict == "inconsistent"
    assert not found.explains
    assert found.headline.startswith("none of the listed faults explains these records")
    assert all(math.isinf(fault.size.standard_error) for fault in found.faults if fault.size)
    assert all(row[2] == "–" for row in found.tables()[0].rows)
    assert any("rejected in their turn" in claim for claim in found.claims)


def test_an_angle_that_looks_alike_on_either_side_has_both_in_its_interval():
    """In Z alone a rotation about X of a basis state flips bits, whichever way it turns."""
    bits = np.zeros((1000, 2), np.uint8)
    bits[:, 1] = np.random.default_rng(1).random(1000) < np.sin(0.4) ** 2
    records = Records(bits, settings=np.full((1000, 2), 2), design="listed")
    context = Context(records, Hypothesis.of(Product(2, 0.0, 0.0).state(), named_povm("pauli6")))
    curve, bounds = site_curve(context, FaultKind.ROTATION_X, 1), (-math.pi, math.pi)
    best, _ = fit_strength(curve, (0.5, 0.8, 1.0), (0.0, math.pi))
    low, high, _ = likelihood_interval(curve, best, bounds, 0.95)
    assert 0 < low < 0.8 < high
    low, high = with_other_peaks(curve, (low, best, high), bounds, 2)
    assert low < -0.7
    assert high > 0.8


@pytest.mark.slow
def test_a_relabelling_that_gives_the_distribution_of_a_rotation_is_told_beside_it():
    """X and Y of Pauli-4 exchanged are a quarter turn about Z, for a state whose <Y> products come in pairs."""
    system = TFIM(4, 1.0, 1.3)
    labels = draw(system, 3000, 5, settings=None).labels
    exchanged = np.array([0, 2, 1, 3], dtype=np.uint8)[labels]
    found = quick(Records(exchanged, "pauli4"), system)
    kinds = {fault.kind for fault in (*found.faults, *found.tied[0])}
    assert {FaultKind.ROTATION_Z, FaultKind.BASES_RELABELLED} <= kinds
