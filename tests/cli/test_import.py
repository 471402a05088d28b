"""`qtomo import`: every format has its command, a dry run writes nothing, a mistake is one line."""

import json
import re
import shlex

import h5py
import numpy as np
import pytest

from qtomo import TFIM, RecordFile
from qtomo.records.importers.registry import FORMATS

RNG = np.random.default_rng(2)
SETTINGS = RNG.integers(0, 3, (400, 3), dtype=np.uint8)
BITS = RNG.integers(0, 2, (400, 3), dtype=np.uint8)


@pytest.fixture
def lab(tmp_path):
    """Random-basis shots as CSV, one bit lost."""
    lines = ["".join("XYZ"[b] for b in s) + "," + "".join(map(str, r)) for s, r in zip(SETTINGS, BITS, strict=True)]
    lines[1] = lines[1][:-1] + "?"
    path = tmp_path / "lab.csv"
    path.write_text("\n".join(lines))
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_its_command(qtomo, name):
    result = qtomo("import", name, "--help")
    assert result.code == 0
    assert re.search(rf"Example: qtomo import {name} ", result.output)


def test_a_dry_run_shows_rows_and_writes_nothing(qtomo, lab, tmp_path):
    before = contents(tmp_path)
    result = qtomo("import", "csv", lab, "--lost", "?", "--dry-run")
    assert result.code == 0, result.errors
    first = "".join("XYZ"[b] for b in SETTINGS[0]) + " " + "".join(map(str, BITS[0]))
    kets = (("|+⟩", "|−⟩"), ("|+i⟩", "|−i⟩"), ("|0⟩", "|1⟩"))
    ket = "".join(kets[basis][bit] for basis, bit in zip(SETTINGS[0], BITS[0], strict=True))
    assert f"\n  {first}  {ket}\n" in result.output
    assert re.search(r"\n  [XYZ]{3} [01]{2}\?  .*\?\n", result.output)
    assert "400 shots of 3 qubits, pauli6, design random, 1 outcomes lost" in result.output
    assert re.search(r"p = [\d.]+ over all tests", result.output)
    assert contents(tmp_path) == before


def test_shots_are_kept(qtomo, lab, tmp_path):
    path = tmp_path / "a.h5"
    target = ("--target", "tfim", "--parameter", "field=0.5", "--parameter", "coupling=1,0.9")
    result = qtomo("import", "csv", lab, "--lost", "?", *target, "--output", path, "--json")
    assert result.code == 0, result.errors
    summary = json.loads(result.output)
    assert summary["lost"] == 1
    assert summary["settings"]["p_value"] > 1e-3
    with RecordFile(path) as file:
        assert file.design == "random"
        assert file.check() == 1
        assert np.array_equal(file.settings(), SETTINGS)
        assert file.target.system == TFIM(3, (1.0, 0.9), 0.5)
        words = shlex.split(file.command)
        assert summary["sha256"] == file.sha256
    assert qtomo(*words[1:], "--output", tmp_path / "b.h5").code == 0
    assert (tmp_path / "b.h5").read_bytes() == path.read_bytes()


def test_coarsening_and_design(qtomo, lab, tmp_path):
    options = ("import", "csv", lab, "--lost", "?")
    result = qtomo(*options, "--coarsen", "pauli4", "--output", tmp_path / "a.h5")
    assert result.code == 0, result.errors
    assert re.search(r"coarsened to Pauli-4, p = [\d.]+ that bases were uniform", result.output)
    with RecordFile(tmp_path / "a.h5") as file:
        assert (file.povm.name, file.design, file.check()) == ("pauli4", "povm", 1)
    assert qtomo(*options, "--design", "listed", "--output", tmp_path / "b.h5").code == 0
    with RecordFile(tmp_path / "b.h5") as file:
        assert file.design == "listed"


def test_readout_given_and_calibrated(qtomo, lab, tmp_path):
    (tmp_path / "c.txt").write_text("0.98 0.05\n0.02 0.95\n")
    options = ("import", "csv", lab, "--lost", "?", "--output", tmp_path / "a.h5")
    assert qtomo(*options, "--confusion", tmp_path / "c.txt").code == 0
    with RecordFile(tmp_path / "a.h5") as file:
        assert file.povm.name == "pauli6 after readout"
        assert file.povm.elements[1, 4, 1, 1].real == pytest.approx(0.05 / 3)
    np.save(tmp_path / "0.npy", (RNG.random((1000, 3)) < 0.02).astype(int))
    np.save(tmp_path / "1.npy", (RNG.random((1000, 3)) < 0.95).astype(int))
    shots = ("--calibration", tmp_path / "0.npy", tmp_path / "1.npy", "--overwrite")
    result = qtomo(*options, *shots)
    assert result.code == 0, result.errors
    assert len(re.findall(r"site \d: 0 read as 1 0\.\d+ ± 0\.00\d+, 1 read as 0", result.output)) == 3
    with h5py.File(tmp_path / "a.h5") as file:
        counts = file["calibration"][()]  # (qubit, state, wrong and all)
    assert counts.shape == (3, 2, 2)
    assert (counts[:, :, 1] == 1000).all()
    read = [np.load(tmp_path / f"{state}.npy") != state for state in (0, 1)]
    assert (counts[:, :, 0] == np.stack([wrong.sum(axis=0) for wrong in read], axis=1)).all()
    with RecordFile(tmp_path / "a.h5") as file:
        assert (file.records().calibration.wrong == counts[:, :, 0]).all()


REFUSED = {
    "no output": ((), "no --output FILE, expected one, or --dry-run"),
    "lost not named": ((), r"lab\.csv, line 2, site 2: outcome '\?', expected 0 to 1; .*--lost VALUE"),
    "both readouts": (("--confusion", "a", "--calibration", "b", "c"), "--confusion and --calibration: expected one"),
    "parameter alone": (("--lost", "?", "--parameter", "field=1"), "--parameter field=1: expected --target as well"),
    "parameter": (("--lost", "?", "--target", "tfim", "--parameter", "feld=1"), "unknown parameter 'feld'"),
    "parameter text": (("--lost", "?", "--target", "tfim", "--parameter", "field=a"), "'a' is not a number"),
    "design": (("--design", "often"), "'often' is not one of 'random', 'listed'"),
    "povm": (("--povm", "pauli5"), "--povm pauli5: neither a file nor a measurement"),
    "basis twice": (("--basis", "Z"), "has the bases of the shots, expected one of the two"),
    "lost is a bit": (("--lost", "1"), "--lost 1: stands for an outcome as well"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_is_one_line_and_nothing_is_left(qtomo, lab, tmp_path, name):
    options, message = REFUSED[name]
    output = ("--lost", "?") if name == "no output" else ("--output", tmp_path / "a.h5")
    before = contents(tmp_path)
    result = qtomo("import", "csv", lab, *options, *output)
    assert result.code == 2
    assert result.output == ""
    assert len(result.errors.strip().splitlines()) == 1
    assert re.search(message, result.errors), result.errors
    assert contents(tmp_path) == before


def test_coarsening_a_fixed_design_is_refused(qtomo, tmp_path):
    (tmp_path / "a.csv").write_text("XZ,01\nZZ,11\n" * 100)
    result = qtomo("import", "csv", tmp_path / "a.csv", "--coarsen", "pauli4", "--output", tmp_path / "a.h5")
    assert result.code == 2
    assert re.search(r"not uniform and independent: p = .* expected p of at least 0\.001", result.errors)
    assert not (tmp_path / "a.h5").exists()
