"""What the latents of a variational autoencoder hold: the bound by samples, and which observable each follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import POVM
from qtomo.models.vae.vae import VAE
from qtomo.observables.estimates import record_values
from qtomo.observables.paulis import Observable
from qtomo.records.records import Records
from qtomo.states.dmrg import Terms
from qtomo.statistics.estimate import Estimate, mean_of_moments, sample_mean

__all__ = [
    "bounds_by_samples",
    "collective_observables",
    "correlations",
    "latent_correlations",
]

Values = NDArray[np.float64]


def bounds_by_samples(
    model: VAE, outcomes: Outcomes, samples: Sequence[int] = (1, 4, 16, 64), level: float = 0.95
) -> dict[int, Estimate]:
    """The mean bound on ln P over records (n, n_sites), by number of importance samples.

    For few samples the bound is averaged over groups of the same draws, so the rise from one number to the next is
    that of the bias of the bound and not of luck.

    Raises:
        InputError: numbers that do not divide the largest, or records that do not fit the model.
    """
    largest = max(samples, default=0)
    if largest < 1 or any(k < 1 or largest % k for k in samples):
        raise InputError(
            Code.VALUE, f"numbers of importance samples are {list(samples)}, expected divisors of the largest"
        )
    weights = model.by_record(outcomes, lambda rows: model.log_weights(rows, largest))
    bounds = {}
    for k in samples:
        groups = logsumexp(weights.reshape(len(weights), -1, k), axis=2) - np.log(k)
        method = f"lower bound of {k} importance samples, mean over records, Student interval"
        bounds[k] = sample_mean(groups.mean(axis=1), level, method)
    return bounds


def collective_observables(n_sites: int, terms: Terms = ()) -> list[Observable]:
    """Means over a chain that a latent may follow: energy (where `terms` give the Hamiltonian), X, Y, Z and ZZ."""
    energy = [Observable("energy per site", tuple((c / n_sites, product) for c, product in terms))] if terms else []
    single = [Observable(f"mean {p}", tuple((1 / n_sites, {i: p}) for i in range(n_sites))) for p in "XYZ"]
    pairs = [(1 / (n_sites - 1), {i: "Z", i + 1: "Z"}) for i in range(n_sites - 1)]
    return [*energy, *single, *([Observable("mean ZZ", tuple(pairs))] if pairs else [])]


def latent_correlations(
    model: VAE, outcomes: Outcomes, povm: POVM, observables: Sequence[Observable], level: float = 0.95
) -> dict[str, list[Estimate]]:
    """By observable, the correlation of each latent's posterior mean with what each record says of the observable.

    A single record tells an observable with much noise of its own (a dual value of Pauli-4 has a variance of 5 to
    9), so a latent that follows an observable exactly still has a correlation far below 1; compare latents and
    observables with each other. A latent that stays at its prior has none: its correlation is given as nan.

    Raises:
        InputError: records that do not fit the model, fewer than 2, or an observable they cannot tell.
    """
    _check_enough(outcomes)
    means = model.by_record(outcomes, model.posterior_mean)
    values = record_values(observables, Records(outcomes, povm))
    table = correlations(means, values, level)
    return {o.name: [row[index] for row in table] for index, o in enumerate(observables)}


def correlations(x: Values, y: Values, level: float = 0.95) -> list[list[Estimate]]:
    """Pearson's correlation of every column of x with every column of y, both (n, columns).

    Its standard error is that of the delta method, from the influence u v - r (u^2 + v^2)/2 of standardised u and v,
    and holds for any joint distribution with fourth moments.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        u, v = ((a - a.mean(axis=0)) / a.std(axis=0) for a in (x, y))
    table = []
    for left in u.T:
        row = []
        for right in v.T:
            r = float((left * right).mean())
            influence = left * right - r * (left**2 + right**2) / 2
            method = "Pearson correlation, delta method"
            row.append(mean_of_moments(r, float(influence.var(ddof=1)), len(left), level, method))
        table.append(row)
    return table


def _check_enough(outcomes: Outcomes) -> None:
    if len(outcomes) < 2:
        raise InputError(Code.TOO_FEW, f"{len(outcomes)} records, expected at least 2")
