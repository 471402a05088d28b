"""The main job at its real size: fifty qubits, a hundred thousand records, GRU and LSTM."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

QTOMO = Path(sys.executable).with_name("qtomo")
QUBITS = 50


def call(*arguments: object) -> tuple[str, float]:
    """What a command prints, and its peak memory in GiB."""
    process = subprocess.Popen(
        [QTOMO, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return output, usage.ru_maxrss / 2**20


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("family", ["gru", "lstm"])
def test_fifty_qubits_are_learned(family, tmp_path):
    output, _ = call("demo", "--preset", family, "--output", tmp_path / "demo", "--json")
    verdict = json.loads(output)
    found = verdict["divergences"][family]
    assert found["kl_target_model"]["value"] <= 0.02
    assert found["classical_fidelity"]["low"] >= 0.995
    assert verdict["gain_over_best_baseline"]["low"] > 0
    assert max(map(abs, verdict["z_scores"][family].values())) < 5
    assert (tmp_path / "demo" / "demo.png").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_million_records_stream(tmp_path):
    records = tmp_path / "many.h5"
    _, memory = call("simulate", "tfim", "--qubits", QUBITS, "--shots", 2_000_000, "--seed", 7, "--output", records)
    assert memory < 1.5
    settings = ("model.hidden_size=16", "training.epochs=1", "training.batch_size=4000")
    options = [word for setting in settings for word in ("--set", setting)]
    _, memory = call("train", records, "--output", tmp_path / "run", *options)
    assert memory < 2.5
