"""What a verification says: words of faults, what fits a terminal, what is escaped in a notebook."""

import functools
import json

import numpy as np
import pytest

from qtomo import Records
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import named_povm
from qtomo.states.library import GHZ, W
from qtomo.statistics.estimate import Estimate
from qtomo.verification.faults.base import Fault, FaultKind
from qtomo.verification.hypothesis import Hypothesis
from qtomo.verification.pipeline import verify
from qtomo.verification.result import Verification

SIZE = Estimate(0.1034, 0.01, 0.084, 0.124, 0.95, 1000, "m")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            Fault(FaultKind.DEPOLARIZING, (3,), SIZE, "probability"),
            "depolarizing on qubit 3, probability 0.103 [0.084, 0.124]",
        ),
        (Fault(FaultKind.ROTATION_X, None, parameter="angle"), "rotation about X on every qubit"),
        (Fault(FaultKind.READOUT_1_TO_0, (1, 4)), "readout error 1→0 on qubits 1, 4"),
        (
            Fault(FaultKind.WHITE_NOISE, None, SIZE, "share"),
            "white noise, share 0.103 [0.084, 0.124]",
        ),
        (Fault(FaultKind.FIELD, None, SIZE, "relative change"), "field off, relative change 0.103 [0.084, 0.124]"),
        (Fault(FaultKind.ORDER_REVERSED, detail="of the bits alone"), "order reversed: of the bits alone"),
        (
            Fault(FaultKind.PAIR_ERROR, (0, 2), parameter="probability", detail="XZ"),
            "correlated error of a pair: XZ on qubits 0, 2",
        ),
    ],
)
def test_a_fault_says_what_where_and_how_large(fault, words):
    assert fault.describe() == words
    assert json.loads(json.dumps(fault.to_dict()))["description"] == words
    assert fault.same_as(Fault(fault.kind, fault.sites, detail=fault.detail))
    assert not fault.same_as(Fault(fault.kind, (9,), detail=fault.detail))


def test_every_kind_has_a_name_and_words_of_its_own():
    assert len({kind.words for kind in FaultKind}) == len(FaultKind)
    assert all(kind.value == kind.value.lower() and " " not in kind.value for kind in FaultKind)


@functools.cache
def verified(system, noise=None, name="records"):
    rng = np.random.default_rng(1)
    settings = rng.integers(0, 3, (1500, system.n_sites))
    povm = named_povm("pauli6") if noise is None else parse_noise(named_povm("pauli6"), [noise], system.n_sites)
    empty = Records(np.zeros((1500, system.n_sites), np.uint8), povm, settings=settings)
    drawn = Hypothesis.of(system.state(), povm).sample_like(empty, rng)
    records = Records(drawn.outcomes, settings=settings, name=name)
    return verify(records, system, n_reference=1000, alternative="kgram")


@pytest.mark.parametrize("noise", [None, "depolarizing:0.2"])
def test_it_fits_a_terminal_answer_first(noise):
    found = verified(W(4), noise)
    for everything in (False, True):
        lines = found.text(everything).splitlines()
        assert lines[0].startswith(f"{found.verdict.upper()}: ")
        assert all(len(line) <= 80 for line in lines)
    assert str(found) == found.text()
    assert len(found.text(True)) > len(found.text())


def test_the_tables_have_the_faults_and_the_tests_that_reject():
    found = verified(W(4), "depolarizing:0.2")
    faults, tests = found.tables()
    assert faults.title == "What explains the records"
    assert len(faults.rows) == len(found.faults) == 1
    assert faults.rows[0] == [found.faults[0].what, "every qubit", found.faults[0].size.interval()]
    assert len(tests.rows) == len(found.rejecting)
    assert all(test.adjusted <= 0.01 for test in found.rejecting)
    assert len(found.tables(everything=True)[1].rows) == len(found.tests)
    adjusted = [test.adjusted for test in found.tests]
    assert adjusted == sorted(adjusted)


def test_good_records_have_no_table_of_faults():
    found = verified(W(4))
    assert found.verdict in ("consistent", "undecided")
    assert found.tables() == []
    assert not found.rejecting
    assert found.tied == []


@pytest.mark.slow
def test_ties_are_said_in_the_case_of_the_names():
    """In a sentence of their own, which leaves the letters of axes as they are."""
    found = verified(GHZ(3), "dephasing:0.2@1")
    (claim,) = (claim for claim in found.claims if "do not tell" in claim)
    assert claim.startswith("The records do not tell dephasing (Z flips) on ")
    assert "qubits 0, 2" in claim or "qubits 0, 1" in claim or "qubits 1, 2" in claim
    assert "every qubit" in claim  # which acts on the phase alike


def test_what_a_file_is_called_is_escaped_in_a_notebook(tmp_path):
    found = verified(W(4), None, "<script>a</script>")
    assert "<script>" not in found._repr_html_()
    found.save(tmp_path / "a.json")
    assert Verification.load(tmp_path / "a.json").to_dict() == found.to_dict()
