"""`import_records` does in Python what `qtomo import` does on the command line."""

import inspect
import json

import numpy as np
import pytest

from qtomo import GHZ, TFIM, RecordFile, Target, W, import_records, labelling_note
from qtomo.errors import Code
from qtomo.measurement.calibration import Calibration
from qtomo.records.importers.registry import FORMATS, format_options
from tests.refusing import refused

RNG = np.random.default_rng(4)
SETTINGS = RNG.integers(0, 3, (400, 3), dtype=np.uint8)
BITS = RNG.integers(0, 2, (400, 3), dtype=np.uint8)
CONFUSION = [[0.98, 0.05], [0.02, 0.95]]
TWO_QUBITS = Calibration(np.zeros((2, 2), int), np.ones((2, 2), int))


def csv(path, settings, bits):
    lines = ["".join("XYZ"[b] for b in s) + "," + "".join(map(str, r)) for s, r in zip(settings, bits, strict=True)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def lab(tmp_path):
    return csv(tmp_path / "lab.csv", SETTINGS, BITS)


def test_it_says_and_writes_what_the_command_does(qtomo, lab, tmp_path):
    np.savetxt(tmp_path / "c.txt", CONFUSION)
    shared = {"confusion": tmp_path / "c.txt", "check": labelling_note}
    words = ("import", "csv", lab, "--confusion", tmp_path / "c.txt", "--target", "ghz")
    dry = import_records(lab, "csv", dry_run=True, target=GHZ, **shared)
    assert dry.file is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.txt", "lab.csv"]
    assert f"{dry}\n" == qtomo(*words, "--dry-run").output
    assert json.loads(qtomo(*words, "--dry-run", "--json").output) == json.loads(json.dumps(dry.to_dict()))
    found = import_records(lab, "csv", output=tmp_path / "a.h5", target=GHZ(3), command="by hand", **shared)
    assert qtomo(*words, "--output", tmp_path / "b.h5").output == f"{found}\n".replace("a.h5", "b.h5")
    with RecordFile(tmp_path / "a.h5") as file, RecordFile(tmp_path / "b.h5") as other:
        assert (file.command, file.sha256) == ("by hand", found.sha256)
        assert file.sha256 == other.sha256
        assert np.array_equal(file.povm.elements, other.povm.elements)
        assert file.target.system == other.target.system == GHZ(3)


def test_every_option_of_the_command_is_one_of_the_function(qtomo):
    own = set(inspect.signature(import_records).parameters)
    for name, read in FORMATS.items():
        options = {option.name for option in format_options(read)}
        assert not options & own
        shown = " ".join(qtomo("import", name, "--help").output.split())
        assert all(f"--{option.replace('_', '-')} " in shown for option in options)


CHAIN = TFIM(3, 1.0, 0.5)


@pytest.mark.parametrize("target", [CHAIN, lambda n: TFIM(n, 1.0, 0.5), Target.of(CHAIN)], ids=["is", "of n", "target"])
def test_a_target_in_every_way(lab, target):
    assert import_records(lab, dry_run=True, target=target).target.system == CHAIN


def test_a_state_is_a_target(lab, tmp_path):
    import_records(lab, output=tmp_path / "a.h5", target=W(3).state())
    with RecordFile(tmp_path / "a.h5") as file:
        assert file.target.tensors is not None


def test_readout_from_values_is_that_from_files(lab, tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(CONFUSION))
    given, read = (import_records(lab, dry_run=True, confusion=c) for c in (CONFUSION, tmp_path / "c.json"))
    assert np.array_equal(given.povm.elements, read.povm.elements)
    shots = [(RNG.random((500, 3)) < p).astype(np.uint8) for p in (0.02, 0.95)]
    for state, bits in enumerate(shots):
        np.save(tmp_path / f"{state}.npy", bits)
    counted = import_records(lab, dry_run=True, calibration=Calibration.of_bits(*shots))
    files = import_records(lab, dry_run=True, calibration=(tmp_path / "0.npy", tmp_path / "1.npy"))
    assert counted.to_dict() == files.to_dict()
    assert counted.calibration.n_sites == 3


def test_the_caller_s_check_is_asked_of_the_records_and_the_target(tmp_path):
    asked = []

    def check(records, target):
        asked.append((len(records), target.system))
        return "look again"

    path = csv(tmp_path / "lab.csv", np.tile(SETTINGS, (10, 1)), np.tile(BITS, (10, 1)))
    found = import_records(path, dry_run=True, target=GHZ, check=check)
    assert found.notes[-1] == "look again"
    assert asked == [(1000, GHZ(3))]
    assert import_records(path, dry_run=True, check=check).target is None
    assert len(asked) == 1


REFUSED = {
    "no output": ({}, Code.REQUIRED, "no --output FILE, expected one, or --dry-run"),
    "target of other qubits": ({"target": GHZ(4)}, Code.MISMATCH, "records of 3 qubits, the target has 4"),
    "no target": ({"target": 3}, Code.KIND, "a target of type int, expected a system such as"),
    "unknown option": ({"lots": "?"}, Code.UNKNOWN, "format csv has no option 'lots'; did you mean 'lost'"),
    "choice": ({"one_based": "all"}, Code.UNKNOWN, "one_based is 'all', expected one of outcomes, settings, both"),
    "not of the format": ({"format": "hdf5"}, Code.KIND, "lab.csv: not an HDF5 file"),
    "unknown format": ({"format": "cvs"}, Code.UNKNOWN, "format 'cvs'; did you mean 'csv'"),
    "no such povm": ({"povm": "pauli5"}, Code.UNKNOWN, "pauli5: neither a file nor a measurement"),
    "two readouts": ({"confusion": CONFUSION, "calibration": ("a", "b")}, Code.CONFLICT, "expected one of the two"),
    "confusion": ({"confusion": [[1, 1], [1, 0]]}, Code.UNPHYSICAL, "confusion, site 0: column 0 sums to 2"),
    "calibration": ({"calibration": TWO_QUBITS}, Code.MISMATCH, "calibration of 2 qubits"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(lab, name):
    options, code, message = REFUSED[name]
    with refused(code, message):
        import_records(lab, **({"dry_run": True} if options else {}), **options)


def test_contents_that_tell_no_format(tmp_path):
    (tmp_path / "lab.txt").write_text("dear colleague\n")
    with refused(Code.UNKNOWN, r"lab\.txt: .*hdf5, csv"):
        import_records(tmp_path / "lab.txt", dry_run=True)
    (tmp_path / "lab.txt").write_text("XX,01\n")
    assert import_records(tmp_path / "lab.txt", dry_run=True).n_sites == 2


def test_an_existing_file_is_refused_before_the_source_is_read(tmp_path):
    (tmp_path / "a.h5").write_text("mine")
    with refused(Code.EXISTS):
        import_records(tmp_path / "none.csv", output=tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_text() == "mine"


def test_numbers_and_names_are_taken_for_text(tmp_path):
    np.savez(tmp_path / "a.npz", bits=np.where(BITS == 1, -1, BITS.astype(int)))
    found = import_records(tmp_path / "a.npz", dry_run=True, outcomes="bits", lost=-1, povm="pauli4")
    assert (found.lost, found.design, found.povm.n_outcomes) == (int(BITS.sum()), "povm", 4)
