"""Trained autoencoders that collapse are said to, in the first line; warm-up keeps them from it."""

import json

import pytest

from qtomo import TFIM, compare, evaluate, read_result, simulate, train
from qtomo.models.findings import FindingKind, Severity, collapse
from qtomo.reporting.run_page import _verdict

TRAINING = {"epochs": 6, "learning_rate": 1e-2, "batch_size": 50}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return simulate(TFIM(6), 2000, tmp_path_factory.mktemp("records") / "tfim.h5", seed=1)


def trained(records, folder, **settings):
    model = {"family": "vae", "hidden_size": 16, "layers": 1, "latent_size": 4, "free_bits": 0, **settings}
    return train(records, folder, {"model": model, "training": TRAINING})


@pytest.fixture(scope="module")
def fixed(records, tmp_path_factory):
    """A run with beta fixed at 1 from the start."""
    return trained(records, tmp_path_factory.mktemp("runs") / "fixed", warmup=0)


def test_beta_fixed_from_the_start_is_said_to_have_collapsed(fixed):
    found = evaluate(fixed, samples=200)
    assert str(found).startswith("COLLAPSED: vae")
    assert "0 of 4 latents in use" in str(found).splitlines()[0]
    saved = json.loads(fixed.folder.evaluation.read_text())["findings"]
    assert [one["severity"] for one in saved if one["kind"] == "latents-in-use"] == ["collapsed"]
    assert read_result(fixed.folder.evaluation) == found


def test_a_comparison_names_those_that_have_collapsed(fixed):
    found = compare([fixed], samples=200)
    assert str(found).startswith("COLLAPSED, and not what their family claims: fixed.")
    assert "latents in use" in found.table().headings
    assert "0 of 4" in str(found.table())


def test_a_report_s_verdict_is_that_it_has_collapsed(fixed):
    (verdict,) = _verdict("vae", fixed, evaluate(fixed, samples=200, save=False))
    assert verdict.tone == "bad"
    assert verdict.headline.startswith("COLLAPSED: vae")
    assert any("0 of 4 latents in use" in claim for claim in verdict.claims)


def test_with_warm_up_at_least_half_of_the_latents_are_in_use(records, tmp_path):
    found = evaluate(trained(records, tmp_path / "run", warmup=0.9), samples=200, save=False)
    in_use = next(one for one in found.findings if one.kind == FindingKind.LATENTS_IN_USE)
    assert in_use.estimate.low >= 2
    assert in_use.severity == Severity.OK
    assert collapse(found.findings) is None
    assert "COLLAPSED" not in str(found)
