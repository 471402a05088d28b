"""The value `Records`: what it takes and refuses, its parts, and whether its rows stand in the order of measurement."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtomo import Records
from qtomo.distribution import LOST
from qtomo.errors import Code
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.povm import POVM, named_povm
from qtomo.records.records import checked_records, distinct_rows
from tests.refusing import refused
from tests.systems import dense, laboratory

CALIBRATION = Calibration(np.zeros((3, 2), int), np.full((3, 2), 10))


def random_shots(n=200, seed=0, design="random", loss=0.0):
    return laboratory.draw(dense.tfim(3), design, n, seed, loss)


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"outcomes": [0, 1]}, Code.SHAPE, r"outcomes have shape \(2,\), expected \(n, N\)"),
        ({"outcomes": np.zeros((3, 0), int)}, Code.SHAPE, r"outcomes have shape \(3, 0\), expected \(n, N\)"),
        (
            {"outcomes": np.zeros((2, 2, 2), int)},
            Code.SHAPE,
            r"shape \(2, 2, 2\), expected \(n, N\): one row per record",
        ),
        ({"outcomes": [[0.0, 1.0]]}, Code.SHAPE, "outcomes are float64, expected whole numbers from 0, 255 where lost"),
        ({"outcomes": [[0, -1]]}, Code.SHAPE, "outcomes are int64, expected whole numbers from 0"),
        ({"outcomes": [[0, 256]]}, Code.SHAPE, "outcomes are int64, expected whole numbers from 0"),
        (
            {"outcomes": [[0, 3], [4, 0]]},
            Code.VALUE,
            "lab: outcome 4 in row 1, site 0, expected 0 to 3, or 255 where lost",
        ),
        (
            {"outcomes": [[0, 2]], "settings": [[0, 0]]},
            Code.VALUE,
            "outcome 2 in row 0, site 1, expected 0 to 1, or 255",
        ),
        ({"outcomes": [[0, 1]], "settings": [[0, 3]]}, Code.VALUE, "setting 3 in row 0, site 1, expected 0 to 2$"),
        ({"outcomes": [[0, 1]], "settings": [[0, 255]]}, Code.VALUE, "setting 255 in row 0, site 1, expected 0 to 2$"),
        (
            {"outcomes": [[0, 1]], "settings": [[0, 1, 2]]},
            Code.SHAPE,
            r"settings have shape \(1, 3\), expected that of the outcomes",
        ),
        ({"outcomes": [[0, 1]], "settings": [["X", "Z"]]}, Code.SHAPE, "settings are <U1, expected whole numbers"),
        ({"outcomes": [[0, 1]], "design": "random"}, Code.MISMATCH, "design 'random' without settings"),
        ({"outcomes": [[0, 1]], "settings": [[0, 1]], "design": "povm"}, Code.MISMATCH, "design 'povm' with settings"),
        (
            {"outcomes": [[0, 1]], "settings": [[0, 1]], "povm": "pauli4"},
            Code.MISMATCH,
            r"settings beside POVM 'pauli4', expected six elements 2 \* basis \+ bit",
        ),
        ({"outcomes": [[0, 1]], "povm": "pauli5"}, Code.UNKNOWN, "no POVM is called 'pauli5'"),
        (
            {"outcomes": [[0, 1]] * 2, "settings": [[0, 1]], "setting_index": [0, 1]},
            Code.VALUE,
            "an index of settings from 0 to 1, of 1 settings",
        ),
        (
            {"outcomes": [[0, 1]] * 2, "settings": [[0, 1]], "setting_index": [0]},
            Code.SHAPE,
            r"settings \(1, 2\) with an index int64 \(1,\), expected \(S, 2\) and whole numbers \(2,\)",
        ),
        (
            {"outcomes": [[0, 1]] * 2, "columns": {"time": np.arange(3)}},
            Code.SHAPE,
            r"column 'time' has shape \(3,\), expected \(2,\)",
        ),
        ({"outcomes": [[0, 1]], "calibration": CALIBRATION}, Code.MISMATCH, "a calibration of 3 qubits, expected 2"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_words(given, code, message):
    with refused(code, message):
        Records(**given, name="lab")


def test_a_povm_for_other_qubits_is_refused():
    povm = POVM(np.stack([named_povm("pauli4").elements] * 2))
    with refused(Code.MISMATCH):
        Records([[0, 1, 2]], povm)


@pytest.mark.parametrize("design", [*laboratory.DESIGNS])
def test_labels_go_there_and_back(design):
    """2 * basis + bit, written out; and the records that these labels make are the same."""
    records = random_shots(100, design=design, loss=0.1)
    if not records.has_settings:
        assert (records.labels == records.outcomes).all()
    for row, label in zip(range(100), records.labels, strict=True):
        for site in range(3):
            if records.outcomes[row, site] == LOST:
                assert label[site] == LOST
            elif records.has_settings:
                assert label[site] == 2 * records.shot_settings[row, site] + records.outcomes[row, site]
    again = Records.from_labels(records.labels, records.povm, design=records.design)
    assert (again.outcomes == records.outcomes).all()
    assert (again.labels == records.labels).all()
    assert again.design == records.design
    assert (records.with_labels(records.labels).outcomes == records.outcomes).all()
    if records.has_settings:
        seen = records.outcomes != LOST
        assert (again.shot_settings[seen] == records.shot_settings[seen]).all()
    else:
        with refused(Code.UNSUPPORTED):
            _ = records.shot_settings


def test_a_setting_is_stored_once():
    records = random_shots(500, design="listed")
    assert len(records.settings) == len(laboratory.LISTED)
    assert (records.settings[records.setting_index] == records.shot_settings).all()
    same = Records(records.outcomes, settings=records.settings, setting_index=records.setting_index, design="listed")
    assert (same.labels == records.labels).all()


@pytest.mark.parametrize("design", ["random", "listed", "pauli4"])
def test_a_part_keeps_all_that_belongs_to_a_shot(design):
    records = random_shots(60, design=design, loss=0.2)
    records = records._with(columns={"time": np.arange(60.0)[::-1]})
    for rows in (np.array([5, 3, 3]), np.arange(60) % 7 == 0):
        part = records.take(rows)
        assert (part.outcomes == records.outcomes[rows]).all()
        assert (part.labels == records.labels[rows]).all()
        assert (part.columns["time"] == records.columns["time"][rows]).all()
        assert (part.design, part.povm, part.n_sites) == (records.design, records.povm, 3)
    whole = records.whole()
    assert not whole.lost.any()
    assert len(whole) == (records.outcomes != LOST).all(axis=1).sum()
    assert whole.whole() is whole
    low, high = records.halves(np.random.default_rng(0))
    assert sorted([*low, *high]) == list(range(60))
    assert (len(low), len(high)) == (30, 30)
    assert (np.diff(low) > 0).all()
    assert len(records.take(np.zeros(0, int))) == 0


def test_listed_settings_are_resampled_each_within_itself():
    records = random_shots(300, design="listed")._with(columns={"row": np.arange(300)})
    rng = np.random.default_rng(1)
    for _ in range(5):
        again = records.bootstrap(rng)
        assert (np.bincount(again.setting_index) == np.bincount(records.setting_index)).all()
        assert (records.setting_index[again.columns["row"]] == again.setting_index).all()
        assert (again.outcomes == records.outcomes[again.columns["row"]]).all()
        assert len(np.unique(again.columns["row"])) < 300


def test_records_of_random_settings_are_resampled_together():
    records = random_shots(300)._with(columns={"row": np.arange(300)})
    again = records.bootstrap(np.random.default_rng(1))
    assert len(again) == 300
    assert (np.bincount(again.setting_index, minlength=27) != np.bincount(records.setting_index, minlength=27)).any()
    assert (again.labels == records.labels[again.columns["row"]]).all()
    # A row is left out with probability (1 - 1/n)^n, about 1/e: the number of those has a spread of 5.
    assert abs(len(np.unique(again.columns["row"])) - 300 * (1 - np.exp(-1))) < 6 * 5.3


def counted(records, order):
    """The rows of a table of counts: those of each setting together, sorted by `order` of their bits."""
    keys = records.outcomes[:, ::order]
    index = records.setting_index if records.has_settings else np.zeros(len(records), int)
    return records.take(np.lexsort([*keys.T[::-1], index]))


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("design", laboratory.DESIGNS)
def test_rows_expanded_from_counts_look_sorted_and_have_no_order(design, order):
    records = random_shots(2000, design=design)
    assert not records.looks_sorted
    assert (records.order == np.arange(2000)).all()
    found = counted(records, order)
    assert found.looks_sorted
    assert found.order is None
    falling = found.take(np.arange(2000)[::-1])
    assert falling.looks_sorted


def test_counts_in_the_order_in_which_their_outcomes_came_look_grouped():
    """As a dictionary of counts has them: neither rising nor falling, but all equal ones together."""
    rng = np.random.default_rng(0)
    values = rng.permutation(dense.all_records(3, 4))
    records = Records(np.repeat(values, rng.integers(1, 60, 64), axis=0))
    assert records.looks_sorted
    assert not records.take(rng.permutation(len(records))).looks_sorted


@pytest.mark.parametrize("share", [0.0, 0.4, 0.6, 0.9])
def test_a_product_state_that_flips_now_and_then_does_not_look_sorted(share):
    """A single qubit's bit flips between runs: rows rise as often as they fall."""
    rng = np.random.default_rng(2)
    bits = np.zeros((500, 4), np.uint8)
    bits[:, 2] = rng.random(500) < share
    assert not Records(bits, settings=np.full((500, 4), 2), design="listed").looks_sorted


@given(seed=st.integers(0, 10**6), n=st.integers(1, 400), design=st.sampled_from(laboratory.DESIGNS))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_shots_in_measured_order_do_not_look_sorted(seed, n, design):
    assert not random_shots(n, seed, design).looks_sorted


def test_the_column_time_tells_the_order():
    records = random_shots(50)
    time = np.random.default_rng(0).permutation(50).astype(float)
    timed = Records(records.outcomes, settings=records.shot_settings, columns={"time": time}, ordered=False)
    assert (timed.columns["time"][timed.order] == np.arange(50)).all()
    assert records._with(ordered=False).order is None
    sorted_rows = counted(timed, 1)
    assert (sorted_rows.columns["time"][sorted_rows.order] == np.arange(50)).all()


def test_the_same_as_plain_arrays_and_as_a_table(monkeypatch):
    records = random_shots(20, loss=0.1)._with(columns={"time": np.arange(20)})
    arrays = records.to_numpy()
    assert set(arrays) == {"outcomes", "settings", "time"}
    again = Records(arrays["outcomes"], settings=arrays["settings"])
    assert (again.labels == records.labels).all()
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    table = records.to_pandas()
    assert list(table) == ["q0", "q1", "q2", "basis0", "basis1", "basis2", "time"]
    assert "".join(table["basis1"]) == "".join("XYZ"[b] for b in records.shot_settings[:, 1])
    assert (table["q2"] == records.outcomes[:, 2]).all()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with refused(Code.ENVIRONMENT, "pip install pandas"):
        records.to_pandas()


def test_only_records_are_records():
    records = random_shots(5)
    assert checked_records(records, "f") is records
    with refused(Code.KIND, r"f: found ndarray, expected Records, which say .* Records\(outcomes"):
        checked_records(records.outcomes, "f")
    assert repr(records) == "Records(5 of 3 qubits, shots in random settings)"


@given(seed=st.integers(0, 10**6), n=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_distinct_rows_are_those_of_numpy(seed, n):
    rows = np.random.default_rng(seed).integers(0, 3, (n, 3)).astype(np.uint8)
    first, inverse = distinct_rows(rows)
    assert (rows[first][inverse] == rows).all()
    assert len(first) == len(np.unique(rows, axis=0))
    assert all(not (rows[:row] == rows[row]).all(axis=1).any() for row in first)  # the first of its kind


@pytest.mark.parametrize(
    ("wrong", "shots", "code", "message"),
    [
        (np.zeros((2, 3), int), np.ones((2, 3), int), Code.SHAPE, r"shapes \(2, 3\) and \(2, 3\), expected \(N, 2\)"),
        (np.zeros((2, 2), int), np.array([[5, 5], [0, 5]]), Code.UNMEASURED, r"calibration of site 1: no shot of \|0>"),
        (np.full((2, 2), 9), np.full((2, 2), 5), Code.VALUE, "more shots read wrongly than there are"),
        (np.full((2, 2), -1), np.full((2, 2), 5), Code.VALUE, "or a negative number"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(wrong, shots, code, message):
    with refused(code, message):
        Calibration(wrong, shots)


def test_a_calibration_tells_shares_errors_and_the_confusion():
    found = Calibration(np.array([[0, 10], [3, 0]]), np.array([[100, 40], [60, 1]]))
    assert found.flips == pytest.approx(np.array([[0, 0.25], [0.05, 0]]))
    assert found.confusion[0] == pytest.approx(np.array([[1, 0.25], [0, 0.75]]))
    assert found.confusion.sum(axis=1) == pytest.approx(np.ones((2, 2)))
    assert (found.errors > 0).all()
    assert found.errors[0, 1] == pytest.approx(np.sqrt(0.25 * 0.75 / 40), rel=0.05)
    assert len(found.describe()) == found.n_sites == 2
