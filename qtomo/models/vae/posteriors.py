"""Posteriors q(z|a) of the variational autoencoders, each with its prior p(z), on flat space or a sphere."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Beta, Normal
from torch.nn import functional
from zuko.flows import MaskedAutoregressiveTransform

__all__ = [
    "POSTERIORS",
    "Gaussian",
    "InverseAutoregressive",
    "Planar",
    "Posterior",
    "Sphere",
    "log_normal",
    "planar_step",
]

_DRAWS = 256  # a record, where a mean or a divergence has no closed form


def log_normal(z: Tensor, mean: Tensor | float = 0.0, scale: Tensor | float = 1.0) -> Tensor:
    """ln of the normal density of each number."""
    density: Tensor = Normal(mean, scale, validate_args=False).log_prob(z)  # type: ignore[no-untyped-call]
    return density


class Posterior(nn.Module):
    """A distribution of z given the encoder's features of a record; the prior is standard normal.

    Args:
        latent_size: D, numbers in z.
        flow_layers: maps that follow the first draw, where the posterior has any.
        hidden_size: units of networks inside, where it has any.
        min_scale: smallest standard deviation of a Gaussian draw.
    """

    #: How many numbers the encoder gives a record.
    n_features: int
    #: Whether q(z|a) is a product over latents with a KL in closed form.
    factorises: bool = False
    #: Variance of each latent in the prior.
    prior_variance: float = 1.0

    def __init__(self, latent_size: int, flow_layers: int, hidden_size: int, min_scale: float) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.flow_layers = flow_layers
        self.min_scale = min_scale

    def forward(self, features: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """`n` draws for features (batch, n_features): z (n, batch, D) and ln q(z|a) (n, batch), differentiable."""
        raise NotImplementedError

    def log_prior(self, z: Tensor) -> Tensor:
        """ln p(z): (..., D) to (...)."""
        return log_normal(z).sum(dim=-1)

    def sample_prior(self, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draws of the prior, as many and of the type as `like` (n, D)."""
        return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)

    def mean(self, features: Tensor) -> Tensor:
        """E[z|a] (batch, D), from 256 draws."""
        z, _ = self.forward(features, _DRAWS)
        return z.mean(dim=0)

    def kl(self, features: Tensor) -> Tensor:
        """KL(q(z|a)||p(z)), a column a latent where it is their sum, else (batch, 1), from 256 draws."""
        z, log_q = self.forward(features, _DRAWS)
        return (log_q - self.log_prior(z)).mean(dim=0)[:, None]


class Gaussian(Posterior):
    """Independent normal latents (Kingma and Welling 2013, arXiv 1312.6114)."""

    factorises = True

    def __init__(self, latent_size: int, flow_layers: int, hidden_size: int, min_scale: float) -> None:
        super().__init__(latent_size, flow_layers, hidden_size, min_scale)
        self.n_features = 2 * latent_size

    def moments(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each latent: (batch, D) each."""
        mean, raw = features[:, : 2 * self.latent_size].chunk(2, dim=1)
        return mean, self.min_scale + functional.softplus(raw)

    def forward(self, features: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """As `Posterior.forward`."""
        mean, scale = self.moments(features)
        z = mean + scale * torch.randn(n, *mean.shape, dtype=mean.dtype, device=mean.device)
        return z, log_normal(z, mean, scale).sum(dim=-1)

    def mean(self, features: Tensor) -> Tensor:
        """E[z|a] (batch, D), exactly."""
        return self.moments(features)[0]

    def kl(self, features: Tensor) -> Tensor:
        """KL(q(z_d|a)||p(z_d)) (batch, D), exactly (arXiv 1312.6114, appendix B)."""
        mean, scale = self.moments(features)
        return 0.5 * (mean.square() + scale.square() - 1) - scale.log()


class _Flow(Gaussian):
    """A Gaussian draw moved by maps with known Jacobians (Rezende and Mohamed 2015, arXiv 1505.05770)."""

    factorises = False

    def forward(self, features: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """As `Posterior.forward`."""
        z, log_q = super().forward(features, n)
        for layer in range(self.flow_layers):
            z, log_det = self.step(z, features, layer)
            log_q = log_q - log_det
        return z, log_q

    def step(self, z: Tensor, features: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """z (n, batch, D) after one map, and ln |det dz'/dz| (n, batch)."""
        raise NotImplementedError

    def mean(self, features: Tensor) -> Tensor:
        """E[z|a] (batch, D), from 256 draws."""
        return Posterior.mean(self, features)

    def kl(self, features: Tensor) -> Tensor:
        """KL(q(z|a)||p(z)) (batch, 1), from 256 draws."""
        return Posterior.kl(self, features)


class Planar(_Flow):
    """Planar maps whose parameters the encoder gives for each record (arXiv 1505.05770, section 4.1)."""

    def __init__(self, latent_size: int, flow_layers: int, hidden_size: int, min_scale: float) -> None:
        super().__init__(latent_size, flow_layers, hidden_size, min_scale)
        self.n_features = 2 * latent_size + flow_layers * (2 * latent_size + 1)

    def step(self, z: Tensor, features: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """As `_Flow.step`."""
        size = 2 * self.latent_size + 1
        first = 2 * self.latent_size + layer * size
        u, w = features[:, first : first + size - 1].chunk(2, dim=1)
        return planar_step(z, u, w, features[:, first + size - 1 : first + size])


def planar_step(z: Tensor, u: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """z' = z + u' tanh(w.z + b) and ln |1 + (1 - tanh^2) u'.w| (arXiv 1505.05770, section 4.1).

    u' is u moved along w until u'.w = m(u.w) > -1, which makes the map invertible (appendix A.1). Theirs is
    m(x) = softplus(x) - 1; here softplus is shifted so that m(0) = 0, or u' would grow without limit as w vanishes.
    Shapes: z (..., batch, D), u and w (batch, D), b (batch, 1).
    """
    along = (u * w).sum(dim=-1, keepdim=True)
    wanted = functional.softplus(along + math.log(math.e - 1)) - 1
    u = u + (wanted - along) * w / (w.square().sum(dim=-1, keepdim=True) + 1e-12)
    bent = torch.tanh((z * w).sum(dim=-1, keepdim=True) + b)
    log_det = torch.log1p((1 - bent.square()) * (u * w).sum(dim=-1, keepdim=True))
    return z + u * bent, log_det.squeeze(-1)


class InverseAutoregressive(_Flow):
    """Each latent scaled and shifted by a masked network of those before it and of the record.

    Inverse autoregressive flow (Kingma et al. 2016, arXiv 1606.04934), the order of the latents turned
    round after each map.
    """

    def __init__(self, latent_size: int, flow_layers: int, hidden_size: int, min_scale: float) -> None:
        super().__init__(latent_size, flow_layers, hidden_size, min_scale)
        self.n_features = 4 * latent_size
        order = torch.arange(latent_size)
        self.maps = nn.ModuleList(
            MaskedAutoregressiveTransform(
                latent_size,
                context=2 * latent_size,
                order=order if layer % 2 == 0 else order.flip(0),
                hidden_features=(hidden_size,),
            )
            for layer in range(flow_layers)
        )

    def step(self, z: Tensor, features: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """As `_Flow.step`."""
        moved, log_det = self.maps[layer](features[:, 2 * self.latent_size :]).call_and_ladj(z)
        return moved, log_det


class Sphere(Posterior):
    """Latents on the unit sphere of D dimensions: power-spherical posterior, uniform prior.

    q(z|a) = C(kappa) (1 + m.z)^kappa (De Cao and Aziz 2020, arXiv 2006.04437): like the von Mises-Fisher
    density of the hyperspherical autoencoder (Davidson et al. 2018, arXiv 1804.00891), and drawn without rejection.
    """

    def __init__(self, latent_size: int, flow_layers: int, hidden_size: int, min_scale: float) -> None:
        super().__init__(latent_size, flow_layers, hidden_size, min_scale)
        self.n_features = latent_size
        self.prior_variance = 1 / latent_size

    def forward(self, features: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """As `Posterior.forward`: the part along m from a Beta, the rest uniform, then e_1 reflected to m."""
        direction, kappa = self._shape(features)
        beta = (self.latent_size - 1) / 2
        alpha = beta + kappa
        share = Beta(alpha, torch.full_like(alpha, beta), validate_args=False).rsample((n,)).clamp(1e-6, 1 - 1e-6)
        around = functional.normalize(torch.randn_like(share.expand(-1, -1, self.latent_size - 1)), dim=-1)
        z = torch.cat([2 * share - 1, 2 * (share * (1 - share)).sqrt() * around], dim=-1)
        first = functional.pad(torch.ones_like(kappa), (0, self.latent_size - 1))
        mirror = functional.normalize(first - direction, dim=-1)
        z = z - 2 * mirror * (mirror * z).sum(dim=-1, keepdim=True)
        log_normalizer = (
            (alpha + beta) * math.log(2) + beta * math.log(math.pi) + torch.lgamma(alpha) - torch.lgamma(alpha + beta)
        )
        log_q = kappa * torch.log(2 * share) - log_normalizer  # 1 + m.z is twice the share
        return z, log_q.squeeze(-1)

    def log_prior(self, z: Tensor) -> Tensor:
        """Minus the log-area of the sphere: (..., D) to (...)."""
        half = self.latent_size / 2
        return torch.full_like(z[..., 0], math.lgamma(half) - math.log(2) - half * math.log(math.pi))

    def sample_prior(self, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Uniform draws, as many and of the type as `like` (n, D)."""
        return functional.normalize(super().sample_prior(like, generator), dim=-1)

    def mean(self, features: Tensor) -> Tensor:
        """E[z|a] = m kappa/(kappa + D - 1), exactly."""
        direction, kappa = self._shape(features)
        return direction * kappa / (kappa + self.latent_size - 1)

    def _shape(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean direction m (batch, D) and concentration kappa (batch, 1).

        The encoder gives kappa m, near which nothing is special at 0; a concentration of its own would reach 0
        before the direction has learnt anything, and stop its gradient.
        """
        return functional.normalize(features, dim=1), features.norm(dim=1, keepdim=True)


#: By the name that settings use.
POSTERIORS: dict[str, type[Posterior]] = {
    "gaussian": Gaussian,
    "planar": Planar,
    "iaf": InverseAutoregressive,
    "sphere": Sphere,
}
