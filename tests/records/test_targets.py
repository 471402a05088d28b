"""What may be said for a target where the number of qubits is known."""

import numpy as np
import pytest

from qtomo import GHZ, BornDistribution, Records, Target, reconstruct, verify, write_state
from qtomo.errors import Code
from tests.refusing import refused

RECORDS = Records(BornDistribution(GHZ(3).state(), "pauli4").sample(400, np.random.default_rng(0)), "pauli4")


@pytest.mark.parametrize("target", ["ghz", GHZ, GHZ(3), GHZ(3).state(), Target.of(GHZ(3))], ids=str)
def test_one_coercion_for_every_analysis(target):
    assert verify(RECORDS, target, alternative="none", n_reference=1000).verdict != "inconsistent"
    assert "fidelity with the target" in reconstruct(RECORDS, "mle", target=target, resamples=20).numbers


def test_a_state_file(tmp_path):
    path = write_state(tmp_path / "ghz.h5", GHZ(3).state())
    assert verify(RECORDS, str(path), alternative="none", n_reference=1000).verdict != "inconsistent"


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("gzh", Code.UNKNOWN, "neither a file nor a state.*ghz"),
        (GHZ(4), Code.MISMATCH, "of 3 qubits, the target has 4"),
    ],
)
def test_what_is_no_target_is_refused_in_words(target, code, message):
    with refused(code, message):
        verify(RECORDS, target)


def test_a_name_needs_the_number_of_qubits():
    for target in ("ghz", GHZ):
        with refused(Code.REQUIRED):
            Target.of(target)
