"""Whether a variational autoencoder encodes: latents in use, where its KL goes, and what z gains over the decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.models.findings import Finding, FindingKind, Severity
from qtomo.models.vae.penalties import kl_parts
from qtomo.models.vae.posteriors import Gaussian
from qtomo.statistics.estimate import Estimate, sample_mean
from qtomo.table import Table

if TYPE_CHECKING:
    from qtomo.models.vae.vae import VAE

__all__ = ["ACTIVE", "IN_USE", "LatentReport", "diagnose", "gain_over_decoder", "kl_decomposition", "latent_report"]

#: KL in nats, a mean over records, above which a latent is in use.
IN_USE = 0.01
#: Variance of its posterior mean over the records, of its prior's variance, above which a latent is an active unit.
ACTIVE = 0.01

_MIXED = 4096  # records whose posteriors make up q(z), at most
_FITTED = 1024  # records that the constant z is fitted to, at most
_STEPS = 20  # evaluations of its fit, at most
_MEAN = "mean over records, Student interval"


@dataclass(frozen=True)
class LatentReport:
    """Whether the posterior has collapsed. Prints as a table.

    Args:
        variances: of the posterior mean of each latent over the records, of the prior's variance.
        kl: KL(q(z_d|a)||p(z_d)) of each latent, a mean over the records; empty where the posterior does not
            factorise.
        total_kl: KL(q(z|a)||p(z)), a mean over the records: about what z tells of a record, in nats.
    """

    variances: list[Estimate]
    kl: list[Estimate]
    total_kl: Estimate

    @property
    def active(self) -> list[int]:
        """The active units: latents with a variance above 0.01."""
        return _above(self.variances, ACTIVE)

    @property
    def in_use(self) -> list[int]:
        """The latents in use: active units whose KL, where there is one of each latent, is above 0.01 nats."""
        return [index for index in self.active if not self.kl or self.kl[index].value > IN_USE]

    def table(self) -> Table:
        """A row a latent."""
        rows = [
            [str(i), str(variance), str(self.kl[i]) if self.kl else "–", "yes" if i in self.in_use else "no"]
            for i, variance in enumerate(self.variances)
        ]
        title = f"{len(self.in_use)} of {len(rows)} latents in use, KL(posterior‖prior) {self.total_kl} nats per record"
        return Table(title, ["latent", "variance of E[z|a]", "KL (nats)", "in use"], rows)

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def latent_report(model: VAE, outcomes: Outcomes, level: float = 0.95) -> LatentReport:
    """KL and variance of the posterior mean of each latent, over records (n, n_sites).

    An active unit is a latent whose posterior mean has a variance above 0.01 over the records (Burda, Grosse and
    Salakhutdinov 2015, arXiv 1509.00519, section 5.2); here of the prior's variance, which is 1 but on a sphere. A KL
    alone tells nothing of a record where the posterior is the same for all. With no latent in use the decoder alone
    carries the distribution.

    Raises:
        InputError: records that do not fit the model, or fewer than 2.
    """
    if len(outcomes) < 2:
        raise InputError(Code.TOO_FEW, f"{len(outcomes)} records, expected at least 2")
    means = model.by_record(outcomes, model.posterior_mean)
    kl = model.by_record(outcomes, model.posterior_kl)
    squares = (means - means.mean(axis=0)) ** 2 * len(means) / (len(means) - 1) / model.posterior.prior_variance
    return LatentReport(
        variances=[sample_mean(column, level, "variance over records, Student interval") for column in squares.T],
        kl=[sample_mean(column, level, _MEAN) for column in kl.T] if kl.shape[1] == means.shape[1] else [],
        total_kl=sample_mean(kl.sum(axis=1), level, _MEAN),
    )


def kl_decomposition(model: VAE, outcomes: Outcomes, level: float = 0.95) -> dict[FindingKind, Estimate]:
    """KL(q(z|a)||p(z)) in three parts: mutual information of record and z, total correlation, KL a latent.

    Chen et al. 2018 (arXiv 1802.04942, eq. 2), with q(z) the mean of q(z|a) over the records (n, n_sites), of which
    the first 4,096 are taken: the mutual information is at most the logarithm of their number.

    Args:
        model: an autoencoder with a Gaussian posterior; any other gives nothing.
        outcomes: records, uint8 (n, n_sites), at least 2.
        level: confidence of the intervals.
    """
    posterior = model.posterior
    if not (isinstance(posterior, Gaussian) and posterior.factorises):  # no density of z under another record
        return {}

    def draw(rows: Tensor) -> Tensor:
        features = model.encode(rows)
        return torch.cat([posterior(features, 1)[0][0], *posterior.moments(features)], dim=1)

    z, mean, scale = torch.from_numpy(model.by_record(outcomes[:_MIXED], draw)).chunk(3, dim=1)
    parts = kl_parts(z, mean, scale)
    kinds = (FindingKind.MUTUAL_INFORMATION, FindingKind.TOTAL_CORRELATION, FindingKind.DIMENSION_WISE_KL)
    method = f"mean over {len(z)} records, whose posteriors make up q(z), Student interval"
    return {kind: sample_mean(part.numpy(), level, method) for kind, part in zip(kinds, parts, strict=True)}


def gain_over_decoder(model: VAE, outcomes: Outcomes, level: float = 0.95) -> Estimate:
    """Nats per record by which the bound is above ln p(a|z) with one z for all records, paired by record.

    That z is the one with the largest likelihood of the first 1,024 records (n, n_sites): the best that the decoder
    can do where z tells nothing of the record. A decoder that was trained without z can do better: the k-grams stand
    beside the model for that.

    Raises:
        InputError: records that do not fit the model.
    """
    bound = model.log_prob(outcomes)
    constant = _constant_latent(model, outcomes[:_FITTED])

    def unused(rows: Tensor) -> Tensor:
        return model.score(rows, constant.expand(1, len(rows), -1))[0]

    method = "mean of the bound less ln p(a|z) at the best constant z, Student interval"
    return sample_mean(bound - model.by_record(outcomes, unused), level, method)


def _constant_latent(model: VAE, outcomes: Outcomes) -> Tensor:
    """The z (D,) with the largest mean ln p(a|z) over records, from the mean of the posteriors by L-BFGS."""
    start = model.by_record(outcomes, model.posterior_mean).mean(axis=0)
    rows = torch.as_tensor(outcomes.astype(np.int64), device=model.device)
    z = torch.as_tensor(start, dtype=next(model.parameters()).dtype, device=model.device).requires_grad_()
    optimizer = torch.optim.LBFGS([z], max_iter=_STEPS, max_eval=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value: Tensor = -model.score(rows, z.expand(1, len(rows), -1)).mean()
        torch.autograd.backward(value, inputs=[z])
        return value

    was_training = model.training
    model.eval()
    optimizer.step(loss)  # type: ignore[no-untyped-call]
    model.train(was_training)
    return z.detach()


def diagnose(model: VAE, outcomes: Outcomes, level: float = 0.95) -> tuple[Finding, ...]:
    """All of the above as findings; `Severity.COLLAPSED` where no latent is in use.

    Raises:
        InputError: records that do not fit the model, or fewer than 2.
    """
    report = latent_report(model, outcomes, level)
    n = len(report.variances)
    kl = Finding(FindingKind.POSTERIOR_KL, report.total_kl, f"KL(q(z|a)‖p(z)) = {report.total_kl} nats per record.")
    parts = [
        Finding(kind, estimate, f"Of it, {kind.words}: {estimate} nats.")
        for kind, estimate in kl_decomposition(model, outcomes, level).items()
    ]
    gain = gain_over_decoder(model, outcomes, level)
    helps = gain.low > 0
    says = f"z gains {gain} nats per record over the same decoder with one z for all records"
    gained = Finding(
        FindingKind.GAIN_OVER_DECODER,
        gain,
        f"{says}." if helps else f"{says}: no gain is shown.",
        Severity.OK if helps else Severity.WARNING,
    )
    active = Finding(
        FindingKind.ACTIVE_UNITS,
        _active(report),
        f"{len(report.active)} of {n} latents are active units (variance of E[z|a] above 0.01 of the prior's).",
        out_of=n,
    )
    return _in_use(report), active, kl, *parts, gained


def _in_use(report: LatentReport) -> Finding:
    """How many latents are in use: collapsed at none, a warning below half."""
    n, used = len(report.variances), len(report.in_use)
    severity = Severity.COLLAPSED if not used else Severity.OK if 2 * used >= n else Severity.WARNING
    meaning = "" if used else ": z tells nothing of a record, and the decoder alone is the model"
    measure = "KL above 0.01 nats and active" if report.kl else "active units"
    estimate = _count([report.kl[index] for index in report.active], IN_USE, report) if report.kl else _active(report)
    says = f"{used} of {n} latents in use ({measure}){meaning}."
    return Finding(FindingKind.LATENTS_IN_USE, estimate, says, severity, n)


def _active(report: LatentReport) -> Estimate:
    return _count(report.variances, ACTIVE, report)


def _count(estimates: list[Estimate], threshold: float, report: LatentReport) -> Estimate:
    """How many lie above a threshold; the interval is from those that surely do to those that may."""
    low = float(sum(one.low > threshold for one in estimates))
    value = float(sum(one.value > threshold for one in estimates))
    high = float(sum(one.high > threshold for one in estimates))
    total = report.total_kl
    method = "count by latent, interval from the latents' intervals"
    return Estimate(value, (high - low) / 2, low, high, total.level, total.n_records, method)


def _above(estimates: list[Estimate], threshold: float) -> list[int]:
    return [index for index, estimate in enumerate(estimates) if estimate.value > threshold]
