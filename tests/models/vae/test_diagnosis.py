"""What a variational autoencoder's diagnosis says, against closed forms and models made to be so."""

import math

import numpy as np
import pytest
import torch

from qtomo import TFIM, BornDistribution, ground_state
from qtomo.errors import Code
from qtomo.models.findings import FindingKind, Severity, collapse
from qtomo.models.registry import build_model
from qtomo.models.vae.diagnosis import gain_over_decoder, kl_decomposition, latent_report
from qtomo.models.vae.penalties import decompose_kl, kl_parts
from tests.refusing import refused


@pytest.fixture(scope="module")
def records():
    return BornDistribution(ground_state(TFIM(4)), "pauli4").sample(1000, np.random.default_rng(7))


def model(used: int, spread: float = 3.0, **settings):
    """Four latents of which the first `used` have a mean that moves with the record; the others are the prior."""
    torch.manual_seed(0)
    built = build_model({"family": "vae", "latent_size": 4, "hidden_size": 16, **settings}, 4, 4)
    with torch.no_grad():
        last = built.encoder[-1]
        last.weight[:used].normal_(std=spread)
        last.weight[used:] = 0.0
        last.bias.zero_()
        last.bias[4:] = math.log(math.e - 1)  # softplus of it is 1
    return built


def by_kind(built, outcomes):
    return {finding.kind: finding for finding in built.diagnose(outcomes)}


def test_a_posterior_that_is_the_prior_is_collapsed(records):
    found = by_kind(model(used=0), records)
    in_use = found[FindingKind.LATENTS_IN_USE]
    assert in_use.severity == Severity.COLLAPSED
    assert (in_use.estimate.value, in_use.out_of) == (0, 4)
    assert found[FindingKind.POSTERIOR_KL].estimate.value == pytest.approx(0, abs=1e-5)
    assert collapse(found.values()) is in_use


@pytest.mark.parametrize(("used", "severity"), [(1, Severity.WARNING), (2, Severity.OK), (4, Severity.OK)])
def test_latents_in_use_are_counted(records, used, severity):
    in_use = by_kind(model(used), records)[FindingKind.LATENTS_IN_USE]
    assert (in_use.estimate.value, in_use.severity) == (used, severity)
    assert collapse([in_use]) is None


def test_a_posterior_that_is_the_same_for_all_records_is_collapsed_whatever_its_kl(records):
    built = model(used=0)
    with torch.no_grad():
        built.encoder[-1].bias[:4] = 2.0
    found = by_kind(built, records)
    assert found[FindingKind.POSTERIOR_KL].estimate.value == pytest.approx(8, abs=1e-4)
    assert found[FindingKind.LATENTS_IN_USE].severity == Severity.COLLAPSED
    assert found[FindingKind.MUTUAL_INFORMATION].estimate.value == pytest.approx(0, abs=1e-5)
    assert abs(found[FindingKind.DIMENSION_WISE_KL].estimate.z_score(8)) < 5


@pytest.mark.parametrize("posterior", ["sphere", "planar", "iaf"])
def test_posteriors_without_moments_have_no_parts(records, posterior):
    found = by_kind(model(4, posterior=posterior), records[:200])
    assert set(found) == {
        FindingKind.LATENTS_IN_USE,
        FindingKind.ACTIVE_UNITS,
        FindingKind.POSTERIOR_KL,
        FindingKind.GAIN_OVER_DECODER,
    }


def test_active_units_of_a_sphere_are_measured_by_its_prior(records):
    """On a sphere of many dimensions each coordinate varies by 1/D, however much the latents tell."""
    built = build_model({"family": "hvae", "latent_size": 128, "hidden_size": 16}, 4, 4)
    with torch.no_grad():
        built.encoder[-1].weight.normal_(std=100.0)
    assert len(latent_report(built, records).active) > 64


def test_the_parts_of_the_kl_sum_to_its_draws(records):
    built = model(4, spread=8.0)
    parts = kl_decomposition(built, records)
    total = by_kind(built, records)[FindingKind.POSTERIOR_KL].estimate
    error = math.hypot(total.standard_error, *(part.standard_error for part in parts.values()))
    assert abs(sum(part.value for part in parts.values()) - total.value) < 5 * error
    assert parts[FindingKind.MUTUAL_INFORMATION].value > 0.1


def test_the_parts_by_rows_are_those_of_the_whole():
    z, mean = torch.randn(2, 50, 3, dtype=torch.float64)
    scale = torch.rand(50, 3, dtype=torch.float64) + 0.5
    by_rows = [part.mean() for part in kl_parts(z, mean, scale, rows=7)]
    torch.testing.assert_close(by_rows, list(decompose_kl(z, mean, scale)))


def test_the_gain_over_the_decoder_is_that_of_what_z_tells():
    """Records that are all 0 or all 1, and a decoder that says which where it knows z."""
    outcomes = np.repeat(np.random.default_rng(0).integers(0, 2, (2000, 1), dtype=np.uint8), 4, axis=1)
    built = build_model({"family": "vae", "latent_size": 1, "hidden_size": 8, "decoder": "independent"}, 4, 2)
    optimizer = torch.optim.Adam(built.parameters(), 0.02)
    for _ in range(300):
        optimizer.zero_grad()
        built.loss(torch.from_numpy(outcomes[:500].astype(np.int64))).backward()
        optimizer.step()
    # Without z the sites are four fair coins, 4 ln 2; with it the records cost ln 2 at least.
    assert 1.7 < gain_over_decoder(built, outcomes).value < 3 * math.log(2) + 0.02
    assert by_kind(built, outcomes)[FindingKind.GAIN_OVER_DECODER].severity == Severity.OK


def test_where_z_is_unused_there_is_no_gain(records):
    built = model(used=0)
    with torch.no_grad():
        for weight in built.decoder.network.parameters():
            weight.zero_()
    gain = by_kind(built, records)[FindingKind.GAIN_OVER_DECODER]
    assert gain.estimate.value == pytest.approx(0, abs=1e-5)
    assert gain.severity == Severity.WARNING


def test_a_diagnosis_draws_nothing_of_its_own(records):
    built = model(2)
    state = torch.get_rng_state()
    assert built.diagnose(records) == built.diagnose(records)
    assert torch.equal(state, torch.get_rng_state())
    assert all(weight.grad is None for weight in built.parameters())


def test_too_few_records(records):
    with refused(Code.TOO_FEW):
        model(2).diagnose(records[:1])
