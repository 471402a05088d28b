"""What the latents of a variational autoencoder hold: how many are used, and which observable each follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from qtomo.table import Table

__all__ = [
    "ACTIVE",
    "LatentReport",
    "bounds_by_samples",
    "collective_observables",
    "correlations",
    "latent_correlations",
    "latent_report",
]

#: Variance of its posterior mean over the records above which a latent is in use.
ACTIVE = 0.01

Values = NDArray[np.float64]


@dataclass(frozen=True)
class LatentReport:
    """Whether the posterior has collapsed. Prints as a table.

    Args:
        variances: of the posterior mean of each latent over the records.
        kl: KL(q(z_d|a)||p(z_d)) of each latent, a mean over the records; empty where the posterior does not
            factorise.
        total_kl: KL(q(z|a)||p(z)), a mean over the records: about what z tells of a record, in nats.
    """

    variances: list[Estimate]
    kl: list[Estimate]
    total_kl: Estimate

    @property
    def active(self) -> list[int]:
        """The latents in use: those with a variance above 0.01."""
        return [index for index, variance in enumerate(self.variances) if variance.value > ACTIVE]

    def table(self) -> Table:
        """A row a latent."""
        rows = [
            [str(i), str(variance), str(self.kl[i]) if self.kl else "–", "yes" if i in self.active else "no"]
            for i, variance in enumerate(self.variances)
        ]
        title = f"{len(self.active)} of {len(rows)} latents in use, KL(posterior‖prior) {self.total_kl} nats per record"
        return Table(title, ["latent", "variance of E[z|a]", "KL (nats)", "in use"], rows)

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def latent_report(model: VAE, outcomes: Outcomes, level: float = 0.95) -> LatentReport:
    """Active units and KL of each latent, over records (n, n_sites).

    A latent is in use where the variance over records of its posterior mean is above 0.01 (Burda, Grosse and
    Salakhutdinov 2015, arXiv 1509.00519, section 5.2). With none in use the decoder alone carries the distribution.

    Raises:
        InputError: records that do not fit the model, or fewer than 2.
    """
    _check_enough(outcomes)
    means = model.by_record(outcomes, model.posterior_mean)
    kl = model.by_record(outcomes, model.posterior_kl)
    squares = (means - means.mean(axis=0)) ** 2 * len(means) / (len(means) - 1)
    variance, mean = "variance over records, Student interval", "mean over records, Student interval"
    return LatentReport(
        variances=[sample_mean(column, level, variance) for column in squares.T],
        kl=[sample_mean(column, level, mean) for column in kl.T] if kl.shape[1] == means.shape[1] else [],
        total_kl=sample_mean(kl.sum(axis=1), level, mean),
    )


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
