"""A summary of each kind of file: what it is, a drawing, and commands that can use it."""

import json
import re

import numpy as np
import pytest

from qtomo import GHZ, TFIM, evaluate, simulate, train, write_state
from qtomo.errors import Code
from qtomo.reporting.describe import info, sparkline
from qtomo.verification.pipeline import verification_path, verify
from tests.refusing import refused

QUICK = {"model": {"family": "gru", "hidden_size": 6}, "training": {"epochs": 1}}


def test_a_sparkline_rises_with_its_values_and_keeps_to_its_width():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, float("nan"), 2.0]) == "▁ █"
    assert sparkline([0.5], 0, 1) == "▅"
    assert len(sparkline(np.arange(1000))) == 60
    assert sparkline([3, 3, 3]) == "▁▁▁"


def test_a_record_file(small_records):
    summary = info(small_records)
    assert summary.kind == "record file"
    assert summary.facts["records"] == 3000
    assert f"qtomo train {small_records} --output RUN" in summary.uses
    assert len(summary.drawing) == 1 + 4
    assert len(re.search("[▁-█]+", summary.drawing[1])[0]) == 5


def test_a_dead_qubit_is_seen_in_the_drawing(tmp_path):
    path = simulate(GHZ(6), 500, tmp_path / "dead.h5", noise=["depolarizing:1@2"], seed=1)
    assert info(path).facts["qubits"] == 6
    bars = [re.search("[▁-█]+", line)[0] for line in info(path).drawing[1:]]
    assert any(bar[2] != bar[0] for bar in bars)


def test_a_run_its_evaluation_and_an_unfinished_run(tmp_path, small_records):
    run = train(small_records, tmp_path / "run", QUICK)
    summary = info(run.folder.path)
    assert summary.facts["finished"] is True
    assert summary.facts["evaluated"] is False
    assert any(use.startswith("qtomo evaluate") for use in summary.uses)
    evaluate(run, samples=100)
    assert info(run.folder.path).facts["evaluated"] is True
    judged = info(run.folder.evaluation)
    assert judged.kind == "evaluation"
    assert "KL(target‖model)" in str(judged)
    assert "exact sum" in str(judged)


def test_a_verification_names_the_fault(tmp_path):
    path = simulate(TFIM(4), 1000, tmp_path / "lab.h5", noise=["depolarizing:1@2"], declared=False, seed=3)
    verify(path, alternative="none", budget=False, n_reference=1000)
    summary = info(verification_path(path))
    assert summary.facts["verdict"] == "inconsistent"
    assert "largest at qubit 2" in str(summary)
    assert summary.facts["faults"].startswith("depolarizing on qubit 2, probability ")
    assert "depolarizing on qubit 2" in summary.facts["headline"]


def test_states(tmp_path):
    path = write_state(tmp_path / "ghz.h5", GHZ(5).state())
    assert info(path).facts["bond dimension"] == 2
    np.save(tmp_path / "mixed.npy", np.eye(4) / 4)
    assert info(tmp_path / "mixed.npy").facts["purity"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        ("none.json", "{}", Code.KIND, "JSON without a format: of no kind that qtomo writes"),
        ("list.json", "[1]", Code.KIND, "found a list, expected an object"),
        ("not.json", "{", Code.DAMAGED, "not readable as JSON"),
        ("deep.json", "[" * 100_000, Code.DAMAGED, "not readable as JSON"),
        (
            "early.json",
            json.dumps({"verdict": "consistent"}),
            Code.VERSION,
            "without a format_version: run qtomo verify again",
        ),
        ("other.json", json.dumps({"format": "keras", "format_version": 1}), Code.KIND, "format 'keras': of no kind"),
        (
            "short.json",
            json.dumps({"format": "qtomo-plan", "format_version": 1}),
            Code.DAMAGED,
            "alpha: missing; damaged: run qtomo plan",
        ),
        ("lab.csv", "X,0\n", Code.KIND, "qtomo import FORMAT"),
    ],
)
def test_what_is_none_of_ours_is_told_with_a_way_on(tmp_path, name, content, code, said):
    path = tmp_path / name
    path.write_text(content)
    with refused(code, re.escape(said)) as error:
        info(path)
    assert str(path) in str(error.value)
