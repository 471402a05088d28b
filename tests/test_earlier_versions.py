"""Files that version 0.1.0 made: read, or refused with the command that makes them again."""

import shutil
from pathlib import Path

import pytest

from qtomo import RecordFile, Run, evaluate, info, read_result, read_state, resume, verify
from qtomo.errors import Code
from tests.refusing import refused

FILES = Path(__file__).parent / "records" / "version-0.1.0"


@pytest.fixture
def files(tmp_path):
    shutil.copytree(FILES, tmp_path / "files")
    return tmp_path / "files"


def test_a_record_file(files):
    with RecordFile(files / "ghz.h5") as file:
        assert (file.n_records, file.n_sites, file.povm.name) == (400, 3, "pauli4")
    assert verify(files / "ghz.h5", save=False).verdict != "inconsistent"


def test_a_state_file(files):
    assert read_state(files / "state.h5").n_sites == 3


def test_a_run_folder(files):
    assert resume(files / "run").progress.finished
    found = evaluate(Run(files / "run"), samples=100).divergences["gru"]
    assert 0 < found["classical_fidelity"].value <= 1


def test_an_evaluation_is_refused_with_what_to_do(files):
    with refused(Code.VERSION, "run qtomo evaluate again"):
        read_result(files / "run" / "evaluation.json")


@pytest.mark.parametrize("name", ["ghz.h5", "state.h5", "run"])
def test_info_says_what_it_is(name, files):
    assert info(files / name).facts
