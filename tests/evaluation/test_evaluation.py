"""A verdict: everything in it, and nothing in it that the records do not support."""

import json
import math

import numpy as np
import pytest

from qtomo import RecordFile, evaluate, train, write_records
from qtomo.errors import Code
from qtomo.evaluation.evaluation import Evaluation
from qtomo.measurement.povm import POVM
from qtomo.statistics.estimate import exact, sample_mean
from tests.conftest import SMALL
from tests.refusing import refused


@pytest.fixture(scope="module")
def evaluation(small_run) -> Evaluation:
    return evaluate(small_run, samples=2000)


def test_every_number_has_its_error(evaluation):
    for found in (*evaluation.divergences.values(), *evaluation.observables.values()):
        for name, estimate in found.items():
            assert math.isfinite(estimate.value), name
            assert estimate.low <= estimate.value <= estimate.high, name
            assert estimate.standard_error > 0 or estimate.n_records == 0, name
            assert estimate.method, name


def test_baselines_stand_beside_the_model(evaluation):
    assert list(evaluation.divergences) == ["exact", *(f"{order}-gram" for order in range(5)), "gru"]
    exact_loss = evaluation.divergences["exact"]["validation_loss"].value
    for name in ("0-gram", "gru"):
        found = evaluation.divergences[name]
        assert found["validation_loss"].value - exact_loss == pytest.approx(found["kl_target_model"].value, abs=0.2)
    assert evaluation.gain is not None


def test_observables_have_their_truth(evaluation):
    assert list(evaluation.observables) == ["exact", "records", "gru"]
    scores = evaluation.z_scores["records"]
    assert len(scores) == len(evaluation.observables["exact"])
    assert max(map(abs, scores.values())) < 5


def test_it_is_saved_and_prints(evaluation, small_run):
    saved = json.loads(small_run.folder.evaluation.read_text())
    assert saved == json.loads(json.dumps(evaluation.to_dict()))
    text = str(evaluation)
    for words in ("KL(target‖model)", "4-gram", "F_c [95 % interval]", "energy per site", "never"):
        assert words in text
    assert "<table>" in evaluation._repr_html_()


def test_same_seed_same_verdict(evaluation, small_run):
    assert evaluate(small_run, samples=2000, save=False).to_dict() == evaluation.to_dict()
    other = evaluate(small_run, samples=2000, seed=1, save=False)
    assert other.observables["gru"] != evaluation.observables["gru"]


def test_sampled_divergences_agree_with_summed_ones(evaluation, small_run, monkeypatch):
    """Five qubits are summed exactly; refuse the sums, and sampling must find the same."""
    monkeypatch.setattr("qtomo.evaluation.judging.LARGEST_LIST", 0)
    sampled = evaluate(small_run, samples=20_000, save=False)
    for name in ("2-gram", "gru"):
        for key, truth in evaluation.divergences[name].items():
            if key != "validation_loss":
                assert truth.n_records == 0
                assert abs(sampled.divergences[name][key].z_score(truth.value)) < 4.5


def test_records_without_a_target_still_get_baselines_and_observables(small_records, tmp_path):
    with RecordFile(small_records) as file:
        path = write_records(tmp_path / "lab.h5", [file.load()], 5, file.povm)
    evaluation = evaluate(train(path, tmp_path / "run", SMALL), samples=500)
    assert list(evaluation.observables) == ["records", "gru"]
    assert evaluation.z_scores == {}
    assert set(evaluation.divergences["gru"]) == {"validation_loss"}
    assert "Records without a target" in str(evaluation)
    assert not any("fidelity" in claim for claim in evaluation.claims)


def test_a_measurement_that_is_not_complete_gives_no_observables(tmp_path):
    halves = POVM(np.array([np.diag([1, 0]), np.diag([0, 1])], dtype=complex), "z only")
    outcomes = np.random.default_rng(0).integers(0, 2, (400, 3), dtype=np.uint8)
    path = write_records(tmp_path / "z.h5", [outcomes], 3, halves)
    evaluation = evaluate(train(path, tmp_path / "run", SMALL), samples=200)
    assert evaluation.observables == {}
    assert "2-gram" in str(evaluation)


def test_a_model_without_likelihood_is_judged_by_its_records(small_records, tmp_path):
    settings = {"model": {"family": "gan", "hidden_size": 8}, "training": {"epochs": 1, "learning_rate": 1e-3}}
    found = evaluate(train(small_records, tmp_path / "run", settings), samples=1000)
    assert set(found.divergences["gan"]) == {
        "total_variation_bound",
        "jensen_shannon_bound",
        "marginal_total_variation",
    }
    assert found.gain is None
    assert any("no KL and no fidelity can be given" in claim for claim in found.claims)
    assert found.observables["gan"]
    assert "total variation ≥" in str(found)


def test_too_few_samples(small_run):
    with refused(Code.VALUE, "samples"):
        evaluate(small_run, samples=10)


def verdict(gain: float, fidelity: float) -> list[str]:
    from qtomo.evaluation.evaluation import _claims
    from qtomo.evaluation.judging import Judging

    noise = np.random.default_rng(0).normal(0, 0.01, 500)
    found = {"gru": {"classical_fidelity": exact(fidelity)}}
    return _claims(
        Evaluation(
            "run",
            "target",
            "gru",
            Judging(samples=500),
            found,
            sample_mean(gain + noise - noise.mean()),
            {},
        )
    )


@pytest.mark.parametrize(("gain", "words"), [(0.1, "better than"), (-0.1, "worse than"), (0.0, "not distinguishable")])
def test_claims_follow_the_numbers(gain, words):
    first, second = verdict(gain, 0.9)
    assert words in first
    assert "up to F_c² = 0.8100" in second
