"""Estimated divergences against exact sums, and what a likelihood does not support refused."""

import numpy as np
import pytest

from qtomo import TFIM, BornDistribution, ground_state
from qtomo.errors import Code
from qtomo.models.registry import build_model
from qtomo.statistics.divergences import compare_by_enumeration, compare_by_sampling, kl_divergence, log_prob_table
from tests.refusing import refused

N_RECORDS = 40_000


@pytest.fixture(scope="module")
def pair():
    """Ground states on both sides of the transition: far apart, but with the same support."""
    return (BornDistribution(ground_state(TFIM(4, 1.0, field)), "pauli4") for field in (0.9, 1.5))


@pytest.fixture(scope="module")
def sums_and_estimates(pair):
    p, q = pair
    sums = compare_by_enumeration(log_prob_table(p), log_prob_table(q))
    at_p, at_q = p.sample(N_RECORDS, np.random.default_rng(1)), q.sample(N_RECORDS, np.random.default_rng(2))
    estimates = compare_by_sampling(p.log_prob(at_p), q.log_prob(at_p), p.log_prob(at_q), q.log_prob(at_q))
    return sums, estimates


@pytest.mark.parametrize(
    "name", ["kl_target_model", "kl_model_target", "classical_fidelity", "total_variation", "jensen_shannon"]
)
def test_estimates_agree_with_sums(sums_and_estimates, name):
    sums, estimates = sums_and_estimates
    assert sums[name].n_records == 0
    assert estimates[name].low < sums[name].value < estimates[name].high
    assert abs(estimates[name].z_score(sums[name].value)) < 4
    assert estimates[name].standard_error < 0.1 * abs(1 - sums[name].value)


def test_importance_estimates_of_fidelity_agree_with_the_sum(sums_and_estimates):
    sums, estimates = sums_and_estimates
    for name in ("classical_fidelity_from_target", "classical_fidelity_from_model"):
        assert abs(estimates[name].z_score(sums["classical_fidelity"].value)) < 4


def test_the_directions_of_kl_are_told_apart(sums_and_estimates):
    sums, estimates = sums_and_estimates
    forward, backward = sums["kl_target_model"].value, sums["kl_model_target"].value
    assert abs(estimates["kl_target_model"].z_score(backward)) > 5 or abs(forward - backward) < 1e-4


def test_a_distribution_is_at_no_distance_from_itself():
    table = log_prob_table(BornDistribution(ground_state(TFIM(3)), "pauli4"))
    sums = compare_by_enumeration(table, table)
    for name, estimate in sums.items():
        assert estimate.value == pytest.approx(1 if name == "classical_fidelity" else 0, abs=1e-12)


def test_disjoint_supports_are_as_far_as_can_be():
    logs = np.array([0.0, 0.0]), np.array([-1e4, -1e4])
    found = compare_by_sampling(*logs, *reversed(logs))
    assert found["classical_fidelity"].value == pytest.approx(0, abs=1e-12)
    assert found["total_variation"].value == pytest.approx(1)
    assert found["jensen_shannon"].value == pytest.approx(np.log(2))


def test_what_a_likelihood_does_not_support():
    logs = np.zeros(200)
    assert kl_divergence(logs, logs, "lower_bound").method.startswith("upper bound")
    assert "estimate of Q" in kl_divergence(logs, logs, "estimate").method
    with refused(Code.UNSUPPORTED):
        kl_divergence(logs, logs, "none")


def test_too_many_records_to_list():
    with refused(Code.TOO_LARGE):
        log_prob_table(build_model({"family": "gru", "hidden_size": 2}, 11, 4))
