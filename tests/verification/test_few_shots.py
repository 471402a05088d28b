"""From one shot of one qubit on: an answer, or a refusal in words; no warning, no traceback."""

import json

import numpy as np
import pytest

from qtomo import Records, estimate_observables, pauli, simulate
from qtomo.errors import Code
from qtomo.measurement.povm import named_povm
from qtomo.reporting.layout import render
from qtomo.reporting.page import page_of
from qtomo.states.library import GHZ, Product, W
from qtomo.states.tfim import TFIM
from qtomo.verification.hypothesis import Hypothesis
from qtomo.verification.pipeline import verification_path, verify
from qtomo.verification.result import Verification
from tests.refusing import refused

DESIGNS = ("listed", "random", "pauli4", "sic", "trine")


def draw(system, design, n, seed=0, loss=0.0):
    rng = np.random.default_rng(seed)
    settings = None
    if design == "random":
        settings = rng.integers(0, 3, (n, system.n_sites))
    elif design == "listed":
        settings = np.full((n, system.n_sites), 2)
    povm = "pauli6" if settings is not None else design
    empty = Records(
        np.zeros((n, system.n_sites), np.uint8),
        povm,
        design=design if settings is not None else "povm",
        settings=settings,
    )
    drawn = Hypothesis.of(system.state(), named_povm(povm)).sample_like(empty, rng)
    lost = rng.random(drawn.outcomes.shape) < loss
    return Records(np.where(lost, 255, drawn.outcomes).astype(np.uint8), povm, design=drawn.design, settings=settings)


def answers(records, system, **options):
    found = verify(records, system, **{"n_reference": 1000, **options})
    assert found.verdict in ("undecided", "consistent in part", "consistent", "inconsistent")
    assert found.headline in str(found).replace("\n", " ")
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["n_records"] == len(records)
    assert all(0 <= test.p_value <= 1 for test in found.tests)
    assert all(len(line) <= 80 for line in str(found).splitlines() if "─" not in line and "  " not in line)
    return found


@pytest.mark.parametrize("system", [Product(1, 0.7, 0.3), TFIM(1), GHZ(2)], ids=lambda s: f"{s.family}{s.n_sites}")
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.slow), 10])
def test_few_shots_of_few_qubits_are_answered(n, design, system):
    """Good ones: never inconsistent at 1e-6, so that the seed does not matter."""
    found = answers(draw(system, design, n), system, alpha=1e-6)
    assert found.verdict in ("undecided", "consistent in part")
    assert found.faults == []


@pytest.mark.parametrize(
    "design", [*DESIGNS[:2], *(pytest.param(design, marks=pytest.mark.slow) for design in DESIGNS[2:])]
)
@pytest.mark.parametrize("n", [1, 10])
def test_few_shots_of_what_cannot_be_are_answered(n, design):
    """All qubits in one state, against another one: whatever comes out is said in words."""
    for system in (GHZ(3), W(3), Product(3, 0.0)):
        answers(draw(Product(3, np.pi), design, n), system)


@pytest.mark.parametrize("design", DESIGNS)
def test_shots_that_were_lost_whole_or_in_part(design):
    system = GHZ(3)
    answers(draw(system, design, 10, loss=0.5), system, alpha=1e-6)
    nothing = draw(system, design, 3, loss=1.0)
    with refused(Code.UNMEASURED):
        answers(nothing, system)


def test_a_qubit_that_was_never_read_is_named():
    right = draw(GHZ(3), "random", 2000)
    bits = right.outcomes.copy()
    bits[:, 1] = 255
    found = answers(Records(bits, settings=right.shot_settings), GHZ(3))
    assert found.verdict == "consistent in part"
    assert "qubit 1 never read" in str(found).replace("\n", " ")


@pytest.mark.parametrize("design", ["listed", "random", "pauli4", "sic"])
def test_no_records_at_all(design):
    """A message."""
    records = draw(GHZ(2), design, 0)
    with refused(Code.TOO_FEW):
        answers(records, GHZ(2))


def test_one_forbidden_shot_is_enough():
    """Of ten shots of GHZ in Z one whose bits differ."""
    bits = np.zeros((10, 3), np.uint8)
    bits[4, 1] = 1
    found = answers(Records(bits, settings=np.full((10, 3), 2), design="listed"), GHZ(3))
    assert found.verdict == "inconsistent"
    assert found.tests[0].p_value == 0
    assert found.tests[0].name == "no forbidden outcome"
    assert "infinite: 1 records that the target forbids" in str(found).replace("\n  ", " ")


@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("povm", ["pauli4", "pauli6"])
def test_a_file_of_few_records_and_its_page(tmp_path, povm, n):
    system = TFIM(2, 1.0, 0.7)
    path = simulate(system, n, tmp_path / "a.h5", povm=povm, seed=1, settings="random" if povm == "pauli6" else None)
    found = verify(path, n_reference=1000, alpha=1e-6)
    stored = Verification.load(verification_path(path))
    assert stored.to_dict() == found.to_dict()
    assert found.headline in render(page_of([verification_path(path)]))


@pytest.mark.parametrize("design", ["listed", "random", "pauli4", "sic"])
@pytest.mark.parametrize("n", [1, 2, 10])
def test_observables_of_few_shots_have_intervals_within_what_is_possible(n, design):
    records = draw(Product(1, 0.7, 0.3), design, n, seed=2)
    if design == "random" and not np.any(records.settings == 2):
        with refused(Code.UNMEASURED, "'Z0'"):
            estimate_observables([pauli("Z0")], records)
        return
    found = estimate_observables([pauli("Z0")], records)["Z0"]
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.standard_error > 0
    assert found.high - found.low > 0.1
