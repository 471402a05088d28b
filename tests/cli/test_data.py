"""The records that come with the source are what their commands make, and show what README says they show."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from qtomo import RecordFile
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.pipeline import verify

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "data").glob("*.h5"))


@cache
def verified(name):
    return verify(ROOT / "data" / name, save=False, n_reference=5000)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_command_makes_the_same_outcomes(path, qtomo, tmp_path):
    (row,) = [
        line for line in (ROOT / "data/README.md").read_text().splitlines() if line.startswith(f"| `{path.name}`")
    ]
    command = re.findall(r"`(qtomo .*?)`", row)[0]
    with RecordFile(path) as file:
        assert command == f"{file.command} --output data/{path.name}"
        (tmp_path / "data").mkdir()
        words = shlex.split(command.replace("data/", f"{tmp_path}/data/"))
        assert qtomo(*words[1:]).code == 0
        with RecordFile(tmp_path / "data" / path.name) as again:
            assert again.sha256 == file.sha256
            assert (again.load() == file.load()).all()
    assert path.stat().st_size < 300_000


def test_the_faulty_records_are_refused_and_the_qubit_is_named():
    found = verified("faulty.h5")
    assert found.verdict == "inconsistent"
    (fault,) = found.faults
    assert (fault.kind, fault.sites) == (FaultKind.READOUT_1_TO_0, (6,))
    assert fault.size.low < 0.1 < fault.size.high
    assert found.explains


def test_the_good_records_are_not():
    assert (
        verify(ROOT / "data/good.h5", save=False, alternative="none", budget=False, n_reference=1000).verdict
        == "consistent"
    )


def test_readme_shows_what_comes_out():
    """Every line, numbers aside, which another machine may round otherwise; left out are lines of … alone."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"qtomo verify data/faulty\.h5\n```.*?```\n(.*?)\n```", readme, re.DOTALL)[1]

    def words(text):
        return {" ".join(re.sub(r"[\d.,]+(e-\d+)?", "0", line).split()) for line in text.splitlines()}

    wanted = words(shown) - {"…", ""}
    printed = words(str(verified("faulty.h5")).replace(f"{ROOT}/", ""))
    rules = {line for line in wanted if set(line) == {"─"}}
    assert not (wanted - rules) - printed
    assert len(wanted) > 6
