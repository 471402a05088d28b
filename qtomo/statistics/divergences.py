"""How far two distributions of outcomes are apart, with error bars, and exactly where they can be listed.

Directions are always named: KL(target||model) is the mean over the target's records of ln P/Q. Where
the model offers less than an exact likelihood, only what that supports is computed, and its method says so.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Distribution, enumerate_outcomes
from qtomo.errors import Code, InputError
from qtomo.statistics.estimate import Estimate, bounded_mean, exact, sample_mean

__all__ = ["LARGEST_LIST", "compare_by_enumeration", "compare_by_sampling", "kl_divergence", "log_prob_table"]

#: Number of records up to which sums over all of them are taken: 10 qubits of Pauli-4.
LARGEST_LIST = 4**10

Logs = NDArray[np.float64]


def kl_divergence(
    target: Logs, model: Logs, likelihood: str = "exact", level: float = 0.95, shared_error: float = 0.0
) -> Estimate:
    """KL(target||model) in nats, from log-probabilities of records drawn from the target.

    With a model that gives lower bounds on ln Q the result estimates an upper bound on the divergence,
    and its method says so. `shared_error` is a standard error that all of the model's log-probabilities share, such as
    that of an estimated normalisation.

    Raises:
        InputError: a model without likelihood.
    """
    if likelihood == "none":
        raise InputError(Code.UNSUPPORTED, "KL(target||model) needs a likelihood, and this model has none")
    method = {
        "exact": "mean of ln P/Q over target records, Student interval",
        "lower_bound": "upper bound: mean of ln P/(bound on Q) over target records, Student interval",
        "estimate": "mean of ln P/(estimate of Q) over target records, Student interval",
    }[likelihood]
    ratios = target - model
    found = sample_mean(ratios, level, method).widened(shared_error)
    return replace(found, carried_by=_carriers(ratios)) if np.isfinite(ratios).all() else found


def _carriers(values: Logs) -> int:
    """How few values carry half of their variance; an eighth of them where they are normal."""
    squares = np.sort((values - values.mean()) ** 2)[::-1].cumsum()
    return int(np.searchsorted(squares, squares[-1] / 2)) + 1


def compare_by_sampling(
    target_at_target: Logs,
    model_at_target: Logs,
    target_at_model: Logs,
    model_at_model: Logs,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """All divergences of P (target) and Q (model), both with exact likelihoods, in nats.

    The arguments are ln P and ln Q at records drawn from P, then both at records drawn from Q. With
    m = (P + Q)/2 and half the records from each, F_c = E_m[2 sqrt(PQ)/(P + Q)], total variation
    E_m[|P - Q|/(P + Q)] and Jensen-Shannon have integrands within [0, 1] (for JS after division by
    ln 2), so their intervals hold at any sample size. KL has no such bound.

    Returns the keys `kl_target_model`, `kl_model_target`, `classical_fidelity` (bounded estimator),
    `classical_fidelity_from_target` and `_from_model` (importance: E_P sqrt(Q/P), E_Q sqrt(P/Q)),
    `total_variation`, `jensen_shannon`.
    """
    at_target = target_at_target - model_at_target
    at_model = target_at_model - model_at_model
    pairs = min(len(at_target), len(at_model))
    ratios = np.clip(np.stack([at_target[:pairs], at_model[:pairs]]), -700, 700)  # exp stays finite

    def bounded(integrand: NDArray[np.float64], what: str) -> Estimate:
        means = np.clip(integrand.mean(axis=0), 0.0, 1.0)  # one record of each: independent pairs
        method = f"mean of {what}, half the records from each, empirical Bernstein interval"
        return bounded_mean(means, level, method, n_records=2 * pairs)

    overlap = 1 / np.cosh(ratios / 2)  # 2 sqrt(PQ)/(P + Q)
    distance = np.abs(np.tanh(ratios / 2))  # |P - Q|/(P + Q)
    share = 1 / (1 + np.exp(-ratios))  # P/(P + Q)
    js = 1 + (_xlogx(share) + _xlogx(1 - share)) / math.log(2)
    return {
        "kl_target_model": kl_divergence(target_at_target, model_at_target, "exact", level),
        "kl_model_target": sample_mean(-at_model, level, "mean of ln Q/P over model records, Student interval"),
        "classical_fidelity": bounded(overlap, "2 sqrt(PQ)/(P+Q)"),
        "classical_fidelity_from_target": sample_mean(
            np.exp(-at_target / 2), level, "mean of sqrt(Q/P) over target records, Student interval"
        ),
        "classical_fidelity_from_model": sample_mean(
            np.exp(at_model / 2), level, "mean of sqrt(P/Q) over model records, Student interval"
        ),
        "total_variation": bounded(distance, "|P-Q|/(P+Q)"),
        "jensen_shannon": bounded(js, "the Jensen-Shannon integrand").scaled(math.log(2)),
    }


def log_prob_table(distribution: Distribution) -> Logs:
    """ln P of all K**N records in lexicographic order, (K**N,).

    Raises:
        InputError: more than 4**10 records, or a likelihood that is not exact.
    """
    n, k = distribution.n_sites, distribution.n_outcomes
    if k**n > LARGEST_LIST:
        raise InputError(Code.TOO_LARGE, f"{k}**{n} records are too many to list (at most {LARGEST_LIST})")
    if distribution.likelihood != "exact":
        raise InputError(Code.UNSUPPORTED, f"a likelihood that is '{distribution.likelihood}' has no exact sums")
    return np.concatenate([distribution.log_prob(records) for records in enumerate_outcomes(n, k)])


def compare_by_enumeration(log_p: Logs, log_q: Logs) -> dict[str, Estimate]:
    """The same divergences as exact sums over all records, from two tables of `log_prob_table`."""
    p, q = np.exp(log_p), np.exp(log_q)
    log_m = np.logaddexp(log_p, log_q) - math.log(2)
    values = {
        "kl_target_model": _expectation(p, log_p - log_q),
        "kl_model_target": _expectation(q, log_q - log_p),
        "classical_fidelity": float(np.sqrt(p * q).sum()),
        "total_variation": 0.5 * float(np.abs(p - q).sum()),
        "jensen_shannon": 0.5 * (_expectation(p, log_p - log_m) + _expectation(q, log_q - log_m)),
    }
    return {name: exact(value, "sum over all records") for name, value in values.items()}


def _expectation(probability: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    held = probability > 0
    return float(probability[held] @ values[held])


def _xlogx(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0)
