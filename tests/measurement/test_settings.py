"""Shots with settings: kept, read back, estimated from, and refused where they do not fit."""

import h5py
import numpy as np
import pytest

from qtomo import TFIM, RecordFile, Records, simulate, train, write_records
from qtomo.distribution import LOST
from qtomo.errors import Code
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import named_povm
from qtomo.measurement.settings import SettingList, read_setting_list
from qtomo.observables.estimates import estimate_observables
from qtomo.observables.paulis import chain_observables, exact_value, pauli
from qtomo.records.file.schema import Target
from tests.refusing import refused

MODEL = TFIM(4)
LIST = SettingList(np.array([[2, 2, 2, 2], [0, 0, 0, 0], [0, 1, 2, 0]], np.uint8), np.array([9000, 7000, 500]))


def test_a_list_of_settings_is_measured_as_listed(tmp_path):
    with RecordFile(simulate(MODEL, None, tmp_path / "a.h5", povm="pauli6", seed=1, settings=LIST)) as file:
        assert (file.design, file.n_records, file.n_outcomes) == ("listed", 16_500, 6)
        settings, labels = file.settings(), file.load()
        assert (settings == np.repeat(LIST.bases, LIST.shots, axis=0)).all()
        assert (labels // 2 == settings).all()
        file.check()


@pytest.mark.parametrize("noise", [(), ("readout:0.05/0.2", "depolarizing:0.1@1"), ("amplitude-damping:0.2",)])
@pytest.mark.parametrize("design", ["random", LIST])
def test_observables_undo_noise_whatever_the_design(tmp_path, noise, design):
    n = 60_000 if design == "random" else None
    with RecordFile(simulate(MODEL, n, tmp_path / "a.h5", povm="pauli6", seed=3, noise=noise, settings=design)) as file:
        wanted = chain_observables(4, MODEL.terms())
        found = estimate_observables(wanted, file.records())
        scores = [found[o.name].z_score(exact_value(o, file.target.state())) for o in wanted]
    assert np.abs(scores).max() < 4.5


def test_known_bases_tell_more_than_a_random_outcome(tmp_path):
    with RecordFile(simulate(MODEL, 20_000, tmp_path / "a.h5", povm="pauli6", seed=3, settings="random")) as file:
        records = file.records()
        errors = [
            estimate_observables([pauli("Z1 Z2")], given)["Z1 Z2"].standard_error
            for given in (records, Records(records.labels, records.povm))
        ]
    assert errors[0] < 0.9 * errors[1]


def test_a_product_that_was_never_measured_is_told(tmp_path):
    with (
        RecordFile(simulate(MODEL, None, tmp_path / "a.h5", povm="pauli6", settings=LIST)) as file,
        refused(Code.UNMEASURED, "'Y0 Y1'"),
    ):
        estimate_observables([pauli("Y0 Y1")], file.records())


def test_a_turned_basis_is_told():
    turned = named_povm("pauli6").turned([[0.6, 0.8, 0], [-0.8, 0.6, 0], [0, 0, 1]])
    with refused(Code.UNSUPPORTED, "site 0: basis X"):
        estimate_observables(
            [pauli("X0")], Records(np.zeros((9, 1), np.uint8), turned, settings=np.zeros((9, 1), np.uint8))
        )


def test_lost_bits_keep_their_basis(tmp_path):
    with RecordFile(
        simulate(MODEL, 9000, tmp_path / "a.h5", povm="pauli6", seed=3, loss=0.1, settings="random")
    ) as file:
        assert 0.08 < np.mean(file.load(lost=True) == LOST) < 0.12
        assert file.settings().max() == 2


def test_columns_come_back(tmp_path):
    blocks = [(np.zeros((5, 2), np.uint8), np.ones((5, 2), np.uint8))]
    times = np.arange(5) * 0.5
    path = write_records(tmp_path / "a.h5", blocks, 2, named_povm("pauli6"), design="listed", columns={"time": times})
    assert (RecordFile(path).columns()["time"] == times).all()
    with refused(Code.SHAPE, "'time'"):
        write_records(tmp_path / "b.h5", blocks, 2, named_povm("pauli6"), design="listed", columns={"time": times[:3]})


def test_what_an_earlier_version_called_fixed_is_a_list(tmp_path):
    path = simulate(MODEL, None, tmp_path / "a.h5", povm="pauli6", seed=1, settings=LIST)
    with h5py.File(path, "r+") as file:
        file["settings"].attrs["design"] = np.bytes_("fixed")
    with RecordFile(path) as file:
        assert file.design == file.records().design == "listed"


def test_records_of_a_file_are_what_was_written(tmp_path):
    """Outcomes, settings, columns, target, calibration and whether their order is known."""
    rng = np.random.default_rng(0)
    given = Records(
        np.where(rng.random((50, 4)) < 0.1, LOST, rng.integers(0, 2, (50, 4))),
        settings=rng.integers(0, 3, (50, 4)),
        columns={"time": np.arange(50) * 0.5},
        ordered=False,
        calibration=Calibration(np.full((4, 2), 3), np.full((4, 2), 100)),
    )
    path = write_records(
        tmp_path / "a.h5",
        [(given.shot_settings, given.outcomes)],
        4,
        given.povm,
        target=Target.of(MODEL),
        design="random",
        columns=given.columns,
        ordered=False,
        calibration=given.calibration,
    )
    with RecordFile(path) as file:
        found = file.records()
    assert (found.labels == given.labels).all()
    assert (found.shot_settings == given.shot_settings).all()
    assert (found.columns["time"] == given.columns["time"]).all()
    assert (found.design, found.ordered, found.name) == ("random", False, str(path))
    assert found.target.system == MODEL
    assert (found.calibration.wrong == given.calibration.wrong).all()
    assert (found.calibration.shots == given.calibration.shots).all()


def test_a_model_does_not_learn_a_list_of_settings(tmp_path):
    path = simulate(MODEL, None, tmp_path / "a.h5", povm="pauli6", settings=LIST)
    with refused(Code.UNSUPPORTED, r"a\.h5: /settings"):
        train(path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "code", "fault"),
    [
        ("", Code.TOO_FEW, "no setting, expected lines such as"),
        ("XZZ 10", Code.MISMATCH, "line 1: a setting of 3 letters, expected one, or 4"),
        ("Z 10\n\nXZQY 10", Code.VALUE, "line 3, site 2: basis 'Q', expected X, Y or Z"),
        ("X", Code.SYNTAX, "line 1: 'X', expected a setting and a number"),
        ("X -5", Code.SYNTAX, "line 1: 'X -5'"),
        ("X 0", Code.SYNTAX, "line 1: 'X 0'"),
        ("X 1.5", Code.SYNTAX, "line 1: 'X 1.5'"),
        ("X ²", Code.SYNTAX, "line 1: 'X ²'"),
    ],
)
def test_lists_that_are_not_understood(tmp_path, text, code, fault):
    (tmp_path / "s.txt").write_text(text)
    with refused(code, rf"s\.txt.*{fault}"):
        read_setting_list(tmp_path / "s.txt", 4)


def test_a_list_from_a_file(tmp_path):
    (tmp_path / "s.txt").write_text("# both bases\nz 10\nXXZY 5 # mixed\n")
    found = read_setting_list(tmp_path / "s.txt", 4)
    assert found.bases.tolist() == [[2, 2, 2, 2], [0, 0, 2, 1]]
    assert found.shots.tolist() == [10, 5]
    assert (found.rows(9, 11) == found.bases).all()


FAULTS = {
    "setting 3": (lambda f: f["settings"].__setitem__((7, 1), 3), Code.VALUE, "/settings, row 7, site 1"),
    "changed setting": (lambda f: f["settings"].__setitem__(7, (f["settings"][7] + 1) % 3), Code.DAMAGED, "/settings"),
    "bit 2": (lambda f: f["outcomes"].__setitem__((7, 1), 2), Code.VALUE, "/outcomes, row 7, site 1"),
    "design": (lambda f: f["settings"].attrs.__setitem__("design", "clever"), Code.UNKNOWN, "/settings: design"),
    "pauli4": (lambda f: f["povm"].__delitem__("elements"), Code.ABSENT, "/povm/elements: missing"),
    "shape": (lambda f: f["settings"].resize(5, axis=0), Code.SHAPE, r"/settings: shape"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_shots_are_told(tmp_path, name):
    change, code, fault = FAULTS[name]
    path = simulate(MODEL, 500, tmp_path / "a.h5", povm="pauli6", seed=3, settings="random")
    with h5py.File(path, "r+") as file:
        change(file)
    with refused(code, rf"a\.h5: {fault}"), RecordFile(path) as read:
        read.load()


def test_settings_and_povms_that_do_not_go_together(tmp_path):
    with refused(Code.MISMATCH):
        simulate(MODEL, 10, tmp_path / "a.h5", povm="pauli4", settings="random")
    with refused(Code.CONFLICT):
        simulate(MODEL, 10, tmp_path / "a.h5", povm="pauli6", settings=LIST)
    with refused(Code.MISMATCH):
        write_records(tmp_path / "a.h5", [], 4, named_povm("pauli4"), design="random")
    assert list(tmp_path.iterdir()) == []
    turned = parse_noise(named_povm("pauli6"), ["amplitude-damping:0.3"], 4)
    assert turned.measures_bases
