"""What is added to the bound of a variational autoencoder to shape its latents.

A penalty takes one draw z (batch, D) of each record's posterior, the encoder's features and the posterior, and
gives a number that training makes small.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from qtomo.models.vae.posteriors import Gaussian, Posterior, log_normal

__all__ = [
    "PENALTIES",
    "AdversarialPrior",
    "AdversarialTotalCorrelation",
    "decompose_kl",
    "dhsic",
    "kl_parts",
    "mmd",
    "permute_latents",
]

#: Of (z, features, posterior).
Penalty = Callable[[Tensor, Tensor, Posterior], Tensor]


def decompose_kl(z: Tensor, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean KL(q(z|a)||N(0, 1)) in three parts, for z (batch, D) drawn from normals of `mean` and `scale`.

    KL = E ln q(z|a)/q(z) + E ln q(z)/prod_d q(z_d) + E sum_d ln q(z_d)/p(z_d): mutual information, total
    correlation and KL a dimension (Chen et al. 2018, arXiv 1802.04942, eq. 2). q(z) is the mean of q(z|a) over the
    batch, which stands for the data set (their stratified weights with N = M).
    """
    mutual, total, dimension_wise = kl_parts(z, mean, scale, rows=len(z))
    return mutual.mean(), total.mean(), dimension_wise.mean()


def kl_parts(z: Tensor, mean: Tensor, scale: Tensor, rows: int = 128) -> tuple[Tensor, Tensor, Tensor]:
    """The three parts of `decompose_kl` of each record (batch,), for so many rows of z at a time, to save memory."""
    log_count = math.log(len(z))
    joint, product, given = [], [], []
    for first in range(0, len(z), rows):
        table = log_normal(z[first : first + rows, None], mean, scale)  # z_i under record j: (rows, batch, D)
        joint.append(torch.logsumexp(table.sum(dim=2), dim=1) - log_count)
        product.append((torch.logsumexp(table, dim=1) - log_count).sum(dim=1))
        given.append(table.diagonal(first).sum(dim=0))
    log_joint, log_product = torch.cat(joint), torch.cat(product)
    prior = log_normal(z).sum(dim=1)
    return torch.cat(given) - log_joint, log_joint - log_product, log_product - prior


def dhsic(z: Tensor) -> Tensor:
    """Dependence of the columns of z (batch, D): the squared distance of joint and product in kernel space.

    The V-statistic of Pfister et al. 2016 (arXiv 1603.00285, definition 2.6) with Gaussian kernels of width 1, the
    prior's scale, as Lopez et al. 2018 (arXiv 1805.08672) penalise latents with. Zero for a sample that is an exact
    product, positive otherwise; of order 1/batch for independent draws.
    """
    kernels = torch.exp(-0.5 * (z[:, None] - z).square())  # (batch, batch, D)
    joint = kernels.prod(dim=2).mean()
    product = kernels.mean(dim=(0, 1)).prod()
    cross = kernels.mean(dim=1).prod(dim=1).mean()
    return joint + product - 2 * cross


def mmd(x: Tensor, y: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two samples (batch, D), unbiased, zero for equal ones.

    The U-statistic over pairs i != j of k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i) (Gretton et al. 2012,
    JMLR 13, eq. 4) with the inverse multiquadratic kernel sum_s sC/(sC + |x - y|^2), C = 2D, s = 0.1, 1, 10
    (Tolstikhin et al. 2017, arXiv 1711.01558, section 4). Samples of one record have no pairs: zero.
    """
    between = _multiquadratic(x, y)
    pairs = _multiquadratic(x, x) + _multiquadratic(y, y) - between - between.T
    return (pairs.sum() - pairs.diagonal().sum()) / max(1, len(x) * (len(x) - 1))


def _multiquadratic(x: Tensor, y: Tensor) -> Tensor:
    squares = x.square().sum(dim=1)[:, None] + y.square().sum(dim=1) - 2 * x @ y.T
    scales = [scale * 2 * x.shape[1] for scale in (0.1, 1.0, 10.0)]
    return torch.stack([scale / (scale + squares) for scale in scales]).sum(dim=0)


def permute_latents(z: Tensor) -> Tensor:
    """Each latent shuffled over the batch by itself: draws of prod_d q(z_d) (arXiv 1802.05983, algorithm 1)."""
    return torch.stack([column[torch.randperm(len(z), device=z.device)] for column in z.unbind(dim=1)], dim=1)


class _Adversarial(nn.Module):
    """A discriminator d(z), the logit that z comes from q(z) rather than from a reference.

    One loss trains both sides: the penalty sees the discriminator with its weights held, so its gradient moves the
    encoder alone; the discriminator's cross-entropy sees detached latents, so its gradient moves the discriminator
    alone, and its value is taken out again, because it is no part of what the model minimises. Adam's steps do not
    depend on the scale of a gradient, so one optimiser serves both.
    """

    def __init__(self, latent_size: int, hidden_size: int) -> None:
        super().__init__()
        self.discriminator = nn.Sequential(
            nn.Linear(latent_size, hidden_size),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden_size, hidden_size),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden_size, 1),
        )

    def forward(self, z: Tensor, features: Tensor, posterior: Posterior) -> Tensor:
        """The penalty, and the discriminator's own gradient."""
        held = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        reference = self.reference(z.detach(), posterior)
        logits = torch.cat([self.discriminator(z.detach()), self.discriminator(reference)])
        labels = torch.cat([torch.ones(len(z), 1), torch.zeros(len(z), 1)]).to(logits)
        cross_entropy = functional.binary_cross_entropy_with_logits(logits, labels)
        penalty = self.penalty(functional_call(self.discriminator, held, (z,)))
        return penalty + cross_entropy - cross_entropy.detach()

    def reference(self, z: Tensor, posterior: Posterior) -> Tensor:
        """Draws of what q(z) should be, as many as z."""
        raise NotImplementedError

    def penalty(self, logits: Tensor) -> Tensor:
        """The price of the logits of z."""
        raise NotImplementedError


class AdversarialTotalCorrelation(_Adversarial):
    """E ln q(z)/prod_d q(z_d) by a density ratio (Kim and Mnih 2018, arXiv 1802.05983, eq. 2-3)."""

    def reference(self, z: Tensor, posterior: Posterior) -> Tensor:
        """As `_Adversarial.reference`."""
        return permute_latents(z)

    def penalty(self, logits: Tensor) -> Tensor:
        """E d(z) = E ln D/(1 - D)."""
        return logits.mean()


class AdversarialPrior(_Adversarial):
    """-E ln D_prior(z), with a discriminator of q(z) and the prior (arXiv 1711.01558, algorithm 1)."""

    def reference(self, z: Tensor, posterior: Posterior) -> Tensor:
        """As `_Adversarial.reference`."""
        return posterior.sample_prior(z)

    def penalty(self, logits: Tensor) -> Tensor:
        """-E ln(1 - sigmoid(d(z)))."""
        return functional.softplus(logits).mean()


def _none(z: Tensor, features: Tensor, posterior: Posterior) -> Tensor:
    return z.new_zeros(())


def _total_correlation(z: Tensor, features: Tensor, posterior: Posterior) -> Tensor:
    assert isinstance(posterior, Gaussian)  # the settings allow no other
    return decompose_kl(z, *posterior.moments(features))[1]


def _dhsic(z: Tensor, features: Tensor, posterior: Posterior) -> Tensor:
    return dhsic(z)


def _mmd_to_prior(z: Tensor, features: Tensor, posterior: Posterior) -> Tensor:
    return mmd(z, posterior.sample_prior(z))


#: By the name that settings use; each is made for (latent_size, hidden_size).
PENALTIES: dict[str, Callable[[int, int], Penalty]] = {
    "none": lambda *_: _none,
    "total_correlation": lambda *_: _total_correlation,
    "adversarial_total_correlation": AdversarialTotalCorrelation,
    "dhsic": lambda *_: _dhsic,
    "mmd": lambda *_: _mmd_to_prior,
    "adversarial_prior": AdversarialPrior,
}
