"""Evaluations are read back as they were, used while they are fresh, and refused where they are damaged."""

import json
import math
import shutil

import pytest

from qtomo import InputError, Run, evaluate
from qtomo.evaluation.evaluation import Judging
from qtomo.reporting.results import read_evaluation, stored_or_new
from qtomo.statistics.estimate import Estimate


@pytest.fixture(scope="module")
def run(small_run, small_records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "run"
    shutil.copytree(small_run.folder.path, folder)
    evaluate(Run(folder), records=small_records, samples=500)
    return Run(folder)


def test_what_is_read_is_what_was_written(run, small_records):
    found = read_evaluation(run.folder.evaluation)
    assert found.to_dict() == json.loads(run.folder.evaluation.read_text())
    assert found.calibration is not None
    assert found.two_sample is not None


def test_a_fresh_evaluation_is_used_and_a_stale_one_made_anew(run, small_records):
    lines = []
    assert (
        stored_or_new(run, small_records, lines.append, Judging(samples=500)).to_dict()
        == evaluate(run, records=small_records, samples=500, save=False).to_dict()
    )
    assert not lines
    assert stored_or_new(run, small_records, lines.append, Judging(samples=400)).made_by["n_samples"] == 400
    assert "of other weights or options" in lines[0]
    run.folder.evaluation.write_text("{}")
    lines.clear()
    stored_or_new(run, small_records, lines.append, Judging(samples=500))
    assert "missing, or not of this qtomo" in lines[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.pop("family"), "no family"),
        (lambda found: found.update(divergences=[]), "divergences is list"),
        (lambda found: found["divergences"]["gru"].update(kl_target_model=3), "expected an estimate"),
        (lambda found: found["divergences"]["gru"]["kl_target_model"].update(value="high"), "'high', expected"),
        (lambda found: found["calibration"]["predicted"].pop(), "expected as many"),
        (lambda found: found["claims"].append(3), "claims, .*: found int, expected a text"),
    ],
)
def test_a_damaged_evaluation_is_told_in_a_line(run, tmp_path, change, words):
    found = json.loads(run.folder.evaluation.read_text())
    change(found)
    (tmp_path / "evaluation.json").write_text(json.dumps(found))
    with pytest.raises(InputError, match=words):
        read_evaluation(tmp_path / "evaluation.json")


@pytest.mark.parametrize("text", ["", "[", "[1]", '"a"', "[" * 100_000])
def test_what_is_no_json_object(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json"):
        read_evaluation(tmp_path / "a.json")
    with pytest.raises(InputError, match="no such file"):
        read_evaluation(tmp_path / "b.json")


def test_an_infinite_bound_survives():
    one = Estimate(1.0, math.inf, -math.inf, math.inf, 0.95, 1, "m")
    assert Estimate.from_dict(json.loads(json.dumps(one.to_dict()))) == one
