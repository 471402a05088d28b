"""Latents: active units, the bias of the bound, and correlations with observables."""

import math

import numpy as np
import pytest
import torch

from qtomo import TFIM, BornDistribution, ground_state, named_povm
from qtomo.errors import Code
from qtomo.evaluation.latents import (
    bounds_by_samples,
    collective_observables,
    correlations,
    latent_correlations,
)
from qtomo.models.registry import build_model
from qtomo.models.vae.diagnosis import latent_report
from qtomo.observables.estimates import estimate_observables, record_values
from qtomo.records.records import Records
from tests.refusing import refused

POVM = named_povm("pauli4")


@pytest.fixture(scope="module")
def records():
    return BornDistribution(ground_state(TFIM(4)), "pauli4").sample(3000, np.random.default_rng(7))


def model(posterior: str = "gaussian", used: int = 2):
    """Four latents of which the first `used` have a mean that moves with the record."""
    torch.manual_seed(0)
    built = build_model({"family": "vae", "latent_size": 4, "hidden_size": 16, "posterior": posterior}, 4, 4)
    with torch.no_grad():
        last = built.encoder[-1]
        last.weight[:used].normal_(std=3.0)
        last.weight[used:4] = 0.0
    return built


def test_active_units_are_those_whose_mean_moves(records):
    found = latent_report(model(), records)
    assert found.active == [0, 1]
    assert [v.value for v in found.variances[2:]] == [0, 0]
    assert found.total_kl.value == pytest.approx(sum(kl.value for kl in found.kl), rel=1e-6)
    assert "2 of 4 latents in use" in str(found)
    assert latent_report(model(used=0), records).active == []


@pytest.mark.parametrize("posterior", ["sphere", "planar"])
def test_posteriors_that_do_not_factorise_have_one_kl(records, posterior):
    found = latent_report(model(posterior), records[:200])
    assert len(found.variances) == 4
    assert found.kl == []
    assert found.total_kl.value > 0


def test_the_bound_rises_with_the_samples(records):
    found = list(bounds_by_samples(model(), records, (1, 4, 16)).values())
    assert found[0].value < found[1].value < found[2].value
    assert "lower bound of 16 importance samples" in found[2].method
    with refused(Code.VALUE, "importance samples"):
        bounds_by_samples(model(), records, (3, 16))


def test_record_values_have_the_means_of_the_estimates(records):
    wanted = collective_observables(4, TFIM(4).terms())
    means = record_values(wanted, Records(records, POVM)).mean(axis=0)
    estimates = estimate_observables(wanted, Records(records, POVM))
    assert [o.name for o in wanted] == ["energy per site", "mean X", "mean Y", "mean Z", "mean ZZ"]
    assert means == pytest.approx([estimates[o.name].value for o in wanted])


def test_correlations_and_their_errors():
    generator = np.random.default_rng(0)

    def draw(n):
        x = generator.standard_normal((n, 2))
        noise = generator.exponential(size=(n, 1)) - 1
        return x, np.concatenate([0.6 * x[:, :1] + 0.8 * noise, -x[:, 1:]], axis=1)

    found = correlations(*draw(4000))
    assert [found[0][0].value, found[1][1].value] == pytest.approx([0.6, -1], abs=0.05)
    assert abs(found[1][0].z_score(0)) < 5
    spread = np.std([correlations(*draw(500))[0][0].value for _ in range(400)])
    assert correlations(*draw(100_000))[0][0].standard_error * math.sqrt(200) == pytest.approx(spread, rel=0.2)


def test_a_latent_that_is_an_observable_follows_it(records):
    """A posterior mean that adds the dual values of X site by site has a correlation of 1 with it."""

    class Follows:
        def by_record(self, outcomes, _function):
            values = record_values(collective_observables(4), Records(outcomes, POVM))
            return np.stack([values[:, 0], np.ones(len(outcomes))], axis=1)

        posterior_mean = None

    found = latent_correlations(Follows(), records, POVM, collective_observables(4))
    assert found["mean X"][0].value == pytest.approx(1)
    assert abs(found["mean Z"][0].value) < 0.9
    assert math.isnan(found["mean X"][1].value)


def test_too_few_records_are_refused(records):
    with refused(Code.TOO_FEW):
        latent_report(model(), records[:1])
