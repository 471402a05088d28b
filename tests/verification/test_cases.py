"""Inputs that once had a wrong answer, imported and verified by the command as a laboratory does it.

tests/verification/cases: shots in random bases as `bases,bits`, 3,000 each. werner20.csv is a Bell state with 20 % of
white noise; the others are of the three-qubit ket in r3.npy with labels that are wrong in one way each.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.systems import dense

CASES = Path(__file__).parent / "cases"


@pytest.fixture
def verified(qtomo, tmp_path):
    """The answer to a file of shots, imported with some options and verified with others; as JSON and as printed."""

    def call(name, imported=(), asked=()):
        path = tmp_path / "a.h5"
        result = qtomo("import", "csv", CASES / name, *imported, "--output", path, "--overwrite")
        assert result.code == 0, result.errors
        result = qtomo("verify", path, *asked)
        assert result.code == 1, result.errors
        return json.loads((tmp_path / "a.verification.json").read_text()), " ".join(result.output.split())

    return call


def test_white_noise_in_a_bell_state_is_depolarizing_of_every_qubit_and_infinitely_far(verified):
    """(1 - p)^2 = 0.8: two qubits that depolarize with p = 0.1056 each are the same state, and have to be said."""
    found, printed = verified("werner20.csv", ("--target", "ghz"))
    assert found["verdict"] == "inconsistent"
    assert found["explains"]
    alike = [*found["faults"], *found["tied"][0]]
    assert ("depolarizing", None) in [(fault["kind"], fault["sites"]) for fault in alike]
    (named,) = found["faults"]
    true = {("depolarizing", None): 1 - 0.8**0.5, ("white-noise", None): 0.2}.get(
        (named["kind"], named["sites"] and 0), 0.2
    )
    assert named["size"]["low"] < true < named["size"]["high"]
    assert named["size"]["high"] - named["size"]["low"] < 0.1
    assert "misfit KL(data‖target), from below: infinite" in printed
    assert "What explains the records" in printed


RELABELLED = {
    "r3_bitrev.csv": ("order-reversed", None, "of the bits alone"),
    "f_Y.csv": ("bits-exchanged", None, "in basis Y"),
    "f_one.csv": ("bits-exchanged", [0], ""),
}


@pytest.mark.parametrize("name", RELABELLED)
def test_a_wrong_labelling_is_named_as_what_it_is(verified, name):
    found, printed = verified(name, (), ("--target", CASES / "r3.npy"))
    kind, sites, detail = RELABELLED[name]
    assert found["verdict"] == "inconsistent"
    assert found["explains"]
    (fault,) = found["faults"]
    assert (fault["kind"], fault["sites"], fault["detail"]) == (kind, sites, detail)
    assert fault["size"] is None
    # Of three qubits whose bits run the other way, bits of the first and last are exchanged: the same by another name.
    same = [("qubits-exchanged", [0, 2], "their bits alone")] if kind == "order-reversed" else []
    assert [(other["kind"], other["sites"], other["detail"]) for other in found["tied"][0]] == same
    assert fault["description"] in printed


@pytest.mark.parametrize("name", RELABELLED)
def test_the_right_labelling_beats_any_depolarizing_by_hundreds_of_nats(name):
    """What the answer is worth, from the ket alone."""
    rows = [line.split(",") for line in (CASES / name).read_text().split()]
    ket = np.load(CASES / "r3.npy")
    flip = str.maketrans("01", "10")
    undo = {
        "r3_bitrev.csv": lambda bases, bits: bits[::-1],
        "f_Y.csv": lambda bases, bits: "".join(
            b.translate(flip) if p == "Y" else b for p, b in zip(bases, bits, strict=True)
        ),
        "f_one.csv": lambda bases, bits: bits[0].translate(flip) + bits[1:],
    }[name]

    def log_likelihood(strength, change):
        rho = dense.projector(ket)
        for site in range(3):
            rho = dense.sent_through(rho, "depolarizing", strength, site)
        chances = dense.chances(rho, 3 * dense.pauli6()).reshape(6, 6, 6)
        labels = [
            [2 * "XYZ".index(p) + int(b) for p, b in zip(bases, change(bases, bits), strict=True)]
            for bases, bits in rows
        ]
        return np.log(chances[tuple(np.array(labels).T)]).sum()

    best = max(log_likelihood(p, lambda _bases, bits: bits) for p in (0.1, 0.2, 0.3, 0.5, 0.8))
    assert log_likelihood(0.0, undo) > best + 500
