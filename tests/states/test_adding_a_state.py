"""A new state is one file and one registry line: the file of CONTRIBUTING.md, used from end to end."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

#: Registers the state as its line in SYSTEMS does, then runs commands, each as a user calls it, and prints exit codes.
PROGRAM = """
import json, sys
import spiral
from qtomo.states.library import SYSTEMS
SYSTEMS |= {LINE}
import qtomo_cli
for words in json.loads(sys.argv[1]):
    sys.argv = ["qtomo", *words]
    try:
        qtomo_cli.main()
        print("exit", 0)
    except SystemExit as stop:
        print("exit", stop.code)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The program with the state of CONTRIBUTING.md, in a folder of its own."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
    place = next(i for i, block in enumerate(blocks) if "class Spiral" in block)
    folder = tmp_path_factory.mktemp("spiral")
    (folder / "spiral.py").write_text(blocks[place], encoding="utf-8")
    line = re.sub(r"(\w+),\n", r"spiral.\1", blocks[place + 1])
    program = PROGRAM.replace("LINE", line)
    path = os.pathsep.join([str(folder), *sys.path])

    def call(*commands):
        done = subprocess.run(
            [sys.executable, "-c", program, json.dumps(commands)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return re.findall(r"^exit (\d+)$", done.stdout, re.MULTILINE), done.stdout, done.stderr

    return folder, call


def test_the_state_of_the_guide_is_simulated_verified_and_imported(run):
    folder, call = run
    size, judged = ("--qubits", "4", "--shots", "3000"), ("--alternative", "none")
    (folder / "lab.csv").write_text("ZZZZ,0000\nXZZZ,0100\n" * 20)
    target = ("--target", "spiral", "--parameter", "tilt=0.3")
    codes, shown, errors = call(
        ("simulate", "spiral", "--help"),
        ("simulate", "spiral", *size, "--tilt", "0.3", "--output", "a.h5"),
        ("verify", "a.h5", *judged),
        ("verify", "a.h5", "--target", "spiral", "--tilt", "0.3", *judged),
        ("verify", "a.h5", "--target", "spiral", "--tilt", "0.6", *judged),
        ("simulate", "spiral", *size, "--tilt", "nan", "--output", "b.h5"),
        ("import", "csv", "lab.csv", *target, "--dry-run"),
    )
    assert codes == ["0", "0", "0", "0", "1", "2", "0"], errors
    assert "Angle between neighbours" in " ".join(shown.split())
    assert "tilt is nan, expected a finite number" in errors
    assert "target: spiral: n_sites 4, tilt 0.3" in shown


def test_its_records_are_those_of_the_formula(run):
    folder, call = run
    settings = ("--settings", "Z.txt", "--povm", "pauli6")
    (folder / "Z.txt").write_text("Z 20000\n")
    codes, _, errors = call(("simulate", "spiral", "--qubits", "3", "--tilt", "0.8", *settings, "--output", "z.h5"))
    assert codes == ["0"], errors
    from qtomo import RecordFile

    with RecordFile(folder / "z.h5") as file:
        bits = file.records().outcomes
    expected = np.sin(0.8 * np.arange(3) / 2) ** 2
    assert np.abs(bits.mean(axis=0) - expected).max() < 5.5 * 0.5 / np.sqrt(20_000)  # false alarms: below 1e-6
