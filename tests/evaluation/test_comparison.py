"""Runs side by side: one table over families, with what their likelihoods allow and no more."""

import json

import pytest

from qtomo import TFIM, Run, compare, evaluate, simulate, train
from qtomo.errors import Code
from qtomo.models import rbm
from qtomo.models.registry import FAMILIES
from qtomo.reporting.figures import comparison_figure, save_figure
from tests.conftest import SMALL
from tests.refusing import refused

RBM = {
    "model": {"family": "rbm", "hidden_size": 5, "chains": 100, "ais_temperatures": 50, "sample_sweeps": 20},
    "training": {"epochs": 2, "batch_size": 100},
}


@pytest.fixture(scope="module")
def rbm_run(tmp_path_factory, small_records) -> Run:
    return train(small_records, tmp_path_factory.mktemp("rbm") / "boltzmann", RBM)


@pytest.fixture(scope="module")
def comparison(small_run, rbm_run):
    return compare([small_run, rbm_run], samples=2000)


@pytest.fixture
def estimated_run(rbm_run, monkeypatch) -> Run:
    """The same machine as if Z could not be summed."""
    monkeypatch.setattr(rbm, "LARGEST_SUM", 0)
    return Run(rbm_run.folder.path)


def test_every_distribution_has_its_row(comparison):
    assert list(comparison.entries) == [*(f"{k}-gram" for k in range(5)), "run", "boltzmann"]
    assert [entry.family for entry in comparison.entries.values()][-2:] == ["gru", "rbm"]
    for name, entry in comparison.entries.items():
        assert entry.divergences["kl_target_model"].value > 0
        assert 0.3 < entry.two_sample.accuracy.low <= entry.two_sample.accuracy.value <= 1
        assert entry.worst_z == max(abs(z) for z in entry.z_scores.values())
        assert (entry.seconds is None) == name.endswith("-gram")
        assert entry.n_parameters > 0


def test_it_says_of_k_grams_what_evaluate_says_and_of_models_the_same_within_error(small_run, rbm_run, monkeypatch):
    monkeypatch.setattr("qtomo.evaluation.judging.LARGEST_LIST", 0)
    alone = evaluate(small_run, samples=2000, save=False).divergences
    entries = compare([small_run, rbm_run], samples=2000).entries
    assert entries["2-gram"].divergences == alone["2-gram"]
    found = entries["run"].divergences
    assert found.keys() == alone["gru"].keys()
    assert found["kl_target_model"] == alone["gru"]["kl_target_model"]
    error = found["kl_model_target"].standard_error
    assert abs(found["kl_model_target"].value - alone["gru"]["kl_model_target"].value) < 6 * error


def test_it_prints_and_is_json(comparison):
    text = str(comparison)
    for words in ("KL(target‖model)", "boltzmann (rbm)", "C2ST accuracy", "worst |z|", "2-gram", "expected where"):
        assert words in text
    assert "refused" not in text
    assert json.loads(json.dumps(comparison.to_dict()))["entries"]["boltzmann"]["likelihood"] == "exact"
    assert "<table>" in comparison._repr_html_()


def test_an_estimated_likelihood_is_refused_unless_asked(comparison, estimated_run):
    refused = compare([estimated_run], samples=500)
    assert "kl_target_model" not in refused.entries["boltzmann"].divergences
    assert "KL(target‖model) is refused for boltzmann" in str(refused)
    asked = compare([estimated_run], samples=500, allow_estimates=True)
    found = asked.entries["boltzmann"].divergences
    assert "classical_fidelity" not in found
    assert "estimate of Q" in found["kl_target_model"].method
    assert f"≈ {found['kl_target_model']}" in str(asked)
    truth = comparison.entries["boltzmann"].divergences["kl_target_model"].value
    assert abs(found["kl_target_model"].z_score(truth)) < 5


def test_so_does_an_evaluation(estimated_run):
    refused = evaluate(estimated_run, samples=500, save=False)
    assert set(refused.divergences["rbm"]) == {"validation_loss"}
    assert refused.gain is None
    assert "--allow-estimates" in refused.claims[-1]
    asked = evaluate(estimated_run, samples=500, save=False, allow_estimates=True)
    assert asked.divergences["rbm"]["kl_target_model"].standard_error > estimated_run.model.log_prob_error > 0
    assert asked.gain is not None
    assert "an estimate" in asked.gain.method


def test_a_family_without_likelihood_is_compared_by_what_it_draws(small_run, rbm_run, monkeypatch):
    monkeypatch.setattr(FAMILIES["rbm"], "log_prob", lambda *_: pytest.fail("it has no likelihood"))
    run = Run(rbm_run.folder.path)
    run.model.likelihood = "none"
    entry = (found := compare([run], samples=500)).entries["boltzmann"]
    assert entry.divergences == {}
    assert entry.worst_z is not None
    assert "No likelihood, and so no divergence: boltzmann" in str(found)


def test_runs_that_cannot_be_compared(small_run, rbm_run, tmp_path):
    other = train(simulate(TFIM(5), 200, tmp_path / "other.h5"), tmp_path / "run", SMALL)
    with refused(Code.MISMATCH, rf"{other.folder.path}: .*{small_run.folder.path}"):
        compare([small_run, rbm_run, other])
    with refused(Code.CONFLICT):
        compare([small_run, str(small_run.folder.path)])
    with refused(Code.TOO_FEW):
        compare([])
    with refused(Code.VALUE, "samples"):
        compare([small_run], samples=10)


def test_runs_of_the_same_name_are_told_apart(small_run, rbm_run, small_records, tmp_path):
    other = train(small_records, tmp_path / "run", RBM)
    names = list(compare([small_run, other], samples=200).entries)[-2:]
    assert names == [str(small_run.folder.path), str(other.folder.path)]


def test_a_figure(comparison, tmp_path):
    save_figure(comparison_figure(comparison), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
