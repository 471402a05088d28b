"""`qtomo reconstruct`: records and runs to state files that other commands read, and what it refuses."""

import json

import numpy as np
import pytest

from qtomo import DensityMatrix, read_state
from qtomo.measurement.povm import POVM
from qtomo.records.file.writer import write_records

QUICK = ("--resamples", 20)


@pytest.fixture
def ghz(qtomo, tmp_path):
    path = tmp_path / "ghz.h5"
    noise = ("--noise", "depolarizing:0.05", "--undeclared", "--seed", 1)
    assert qtomo("simulate", "ghz", "--qubits", 2, "--shots", 2000, *noise, "--output", path).code == 0
    return path


@pytest.mark.parametrize("method", ["linear", "pls", "mle"])
def test_a_state_file_that_is_read_back(qtomo, ghz, tmp_path, method):
    state = tmp_path / "state.h5"
    found = qtomo("reconstruct", ghz, "--method", method, "-o", state, "--target", "ghz", *QUICK)
    assert found.code == 0, found.errors
    assert "fidelity with the target" in found.output
    assert isinstance(read_state(state), DensityMatrix)
    again = tmp_path / "again.h5"
    assert qtomo("simulate", "state", "--file", state, "--shots", 100, "--output", again).code == 0
    assert qtomo("reconstruct", ghz, "-o", state, *QUICK).code == 2
    if method == "mle":
        verdict = qtomo("verify", ghz, "--target", state, "--alternative", "none")
        assert verdict.code == 0, verdict.errors


def test_json_and_seed(qtomo, ghz, tmp_path):
    found = [json.loads(qtomo("reconstruct", ghz, "--json", *QUICK).output) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0]["numbers"]["purity"]["low"] < found[0]["numbers"]["purity"]["high"]
    assert len(found[0]["fitted"]["linear"]["eigenvalues"]) == 4


def test_a_models_distribution(qtomo, ghz, tmp_path):
    run = tmp_path / "run"
    settings = ("--set", "model.hidden_size=6", "--set", "training.epochs=1")
    assert qtomo("train", ghz, "--output", run, *settings).code == 0
    found = qtomo("reconstruct", run, "--target", "ghz")
    assert found.code == 0, found.errors
    assert "exact distribution" in found.output


def test_what_cannot_be_reconstructed(qtomo, ghz, tmp_path):
    z = POVM(np.array([np.diag([1, 0]), np.diag([0, 1])], dtype=complex), "z only")
    blind = write_records(tmp_path / "z.h5", [np.zeros((100, 2), np.uint8)], 2, z)
    long = tmp_path / "long.h5"
    assert qtomo("simulate", "ghz", "--qubits", 30, "--shots", 10, "--output", long).code == 0
    for words, fault in (
        ((blind, "--method", "linear"), "z.h5: POVM 'z only' does not see X on every site, Y on every site"),
        ((long,), "long.h5: 30 qubits with 4 outcomes each take"),
        ((ghz, "--resamples", 3), "3 resamples, expected"),
        ((ghz, "--target", "ghzz"), "target 'ghzz': neither a file nor a state"),
        ((ghz, "--target", long), "the target has 30"),
        ((ghz, "--method", "mlee"), "mlee"),
        ((tmp_path / "none.h5",), "none.h5"),
    ):
        found = qtomo("reconstruct", *words)
        assert found.code == 2
        assert fault in found.errors
        assert not found.output


@pytest.mark.parametrize("method", ["mps", pytest.param("lpdo", marks=pytest.mark.slow)])
def test_a_chain_that_is_read_back(qtomo, tmp_path, method):
    records, state, again = tmp_path / "r.h5", tmp_path / "s.h5", tmp_path / "again.h5"
    shots = ("--povm", "pauli6", "--shots", 300, "--seed", 1)
    assert qtomo("simulate", "tfim", "--qubits", 11, *shots, "--output", records).code == 0
    found = qtomo("reconstruct", records, "--method", method, "--bond", 2, "-o", state, *QUICK)
    assert found.code == 0, found.errors
    assert "entropy of the bond" in found.output
    assert "all records: " in found.errors
    assert qtomo("simulate", "state", "--file", state, "--shots", 100, "--output", again).code == 0
    if method == "mps":
        verdict = qtomo("verify", records, "--target", state, "--alternative", "none")
        assert verdict.code in (0, 1), verdict.errors


def test_a_bond_goes_with_a_chain(qtomo, ghz):
    found = qtomo("reconstruct", ghz, "--bond", 3)
    assert found.code == 2
    assert "--bond: a tensor network has one, expected --method mps or lpdo" in found.errors
