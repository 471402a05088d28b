"""`simulate` as Python calls it: shots, keywords, and the command that makes the same records again."""

import shlex

import numpy as np
import pytest

from qtomo import GHZ, POVM, TFIM, RecordFile, named_povm, simulate, write_records
from qtomo.errors import Code
from qtomo.measurement.settings import SettingList
from tests.refusing import refused

LIST = SettingList(np.array([[2, 2], [0, 1]], np.uint8), np.array([30, 20]))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"settings": "random", "noise": ["readout:0.1@1", "depolarizing:0.2"], "declared": False},
        {"povm": "sic", "loss": 0.1, "seed": 3},
        {"axes": ["-X,Y,Z@0"], "povm": named_povm("pauli4")},
    ],
)
def test_the_command_in_the_file_makes_it_again(qtomo, tmp_path, options):
    with RecordFile(simulate(TFIM(3, (1.0, 0.5), 0.7), 300, tmp_path / "a.h5", **options)) as file:
        words = shlex.split(file.command)
    assert qtomo(*words[1:], "--output", tmp_path / "b.h5").code == 0
    with RecordFile(tmp_path / "a.h5") as file, RecordFile(tmp_path / "b.h5") as again:
        assert (file.sha256, file.target.system) == (again.sha256, again.target.system)
        assert np.array_equal(file.povm.elements, again.povm.elements)


def test_a_measurement_is_told_by_its_elements_not_by_its_name(tmp_path):
    sic_called_pauli6 = POVM(named_povm("sic").elements, "pauli6")
    with refused(Code.MISMATCH):
        simulate(GHZ(2), 10, tmp_path / "a.h5", povm=sic_called_pauli6, settings="random")
    with RecordFile(simulate(GHZ(2), 10, tmp_path / "a.h5", povm=sic_called_pauli6)) as file:
        assert "--povm sic" in file.command
    nameless = POVM(named_povm("pauli6").elements, "")
    with RecordFile(simulate(GHZ(2), 10, tmp_path / "b.h5", povm=nameless, settings="random")) as file:
        assert file.design == "random"
    own = POVM(named_povm("pauli4").elements[[1, 0, 2, 3]], "pauli4")
    with RecordFile(simulate(GHZ(2), 10, tmp_path / "c.h5", povm=own)) as file:
        assert file.command == ""


def test_a_list_of_settings_says_how_many_shots_there_are(tmp_path):
    (tmp_path / "list.txt").write_text("ZZ 30\nXY 20\n")
    for number, settings in ((None, LIST), (50, tmp_path / "list.txt")):
        path = simulate(GHZ(2), number, tmp_path / "a.h5", settings=settings, overwrite=True)
        with RecordFile(path) as file:
            assert (file.n_records, file.design, file.povm.n_outcomes) == (50, "listed", 6)
    with refused(Code.CONFLICT):
        simulate(GHZ(2), 10, tmp_path / "b.h5", settings=LIST)


def test_what_comes_after_the_subject_is_named(tmp_path):
    with pytest.raises(TypeError):
        simulate(GHZ(2), 10, tmp_path / "a.h5", "pauli6")
    with pytest.raises(TypeError):
        write_records(tmp_path / "a.h5", [], 2, named_povm("pauli4"), None)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"shots": 0}, Code.VALUE, "number of shots is 0, expected at least 1"),
        ({"seed": -1}, Code.VALUE, "seed is -1, expected 0 or more"),
        ({"loss": 1.0}, Code.VALUE, "loss is 1.0, expected a probability"),
        ({"shard": (2, 2)}, Code.VALUE, "shard is 2 of 2, expected 0 to 1"),
        ({"shots": 10, "shard": (0, 2)}, Code.TOO_FEW, "shard 0 of 2 of 10 records is empty"),
        ({"povm": "pauli5"}, Code.UNKNOWN, "pauli5: neither a file nor a measurement"),
    ],
)
def test_numbers_out_of_range(tmp_path, options, code, message):
    with refused(code, message):
        simulate(GHZ(2), **({"shots": 5, "output": tmp_path / "a.h5"} | options))


def test_blocks_that_do_not_go_with_the_design(tmp_path):
    rows = np.zeros((3, 2), np.uint8)
    with refused(Code.MISMATCH, "'povm'"):
        write_records(tmp_path / "a.h5", [(rows, rows)], 2, named_povm("pauli6"))
    with refused(Code.MISMATCH, "'random'"):
        write_records(tmp_path / "a.h5", [rows], 2, named_povm("pauli6"), design="random")


@pytest.mark.parametrize("command", [("simulate", "ghz", "--qubits", 2), ("demo",), ("sample", "run")])
def test_records_as_a_number_is_refused_and_shots_named(qtomo, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    output = ("--output", "a") if command[0] != "demo" else ()
    result = qtomo(*command, "--records", 100, *output)
    assert (result.code, result.output) == (2, "")
    assert "--shots N" in result.errors
    assert not list(tmp_path.iterdir())
