"""The named variational autoencoders: one model, told apart by the defaults of its settings."""

from __future__ import annotations

from typing import ClassVar

from qtomo.models.vae.vae import VAE, Count, PenaltyName, PosteriorName, Scale, VAEConfig, Weight

__all__ = ["DHSICVAE", "IWAE", "MMDVAE", "WAE", "BetaTCVAE", "BetaVAE", "FactorVAE", "HypersphericalVAE"]


class BetaVAEConfig(VAEConfig):
    """Settings of a beta-VAE; a large beta empties latents that tell less than a nat."""

    beta: Weight = 1.2


class BetaVAE(VAE):
    """The KL of the posterior weighted by beta (Higgins et al., ICLR 2017, eq. 4)."""

    Config = BetaVAEConfig


class IWAEConfig(VAEConfig):
    """Settings of an importance-weighted autoencoder."""

    training_samples: Count = 8


class IWAE(VAE):
    """Trained on the bound of several importance samples (Burda, Grosse and Salakhutdinov 2015, arXiv 1509.00519)."""

    Config = IWAEConfig


class HypersphericalVAEConfig(VAEConfig):
    """Settings of a hyperspherical autoencoder."""

    posterior: PosteriorName = "sphere"


class HypersphericalVAE(VAE):
    """Latents on a sphere (Davidson et al. 2018, arXiv 1804.00891; posterior of arXiv 2006.04437)."""

    Config = HypersphericalVAEConfig


class BetaTCVAEConfig(VAEConfig):
    """Settings of a beta-TCVAE: the total correlation counts 1 + penalty_weight times."""

    penalty: PenaltyName = "total_correlation"
    penalty_weight: Weight = 1.0


class BetaTCVAE(VAE):
    """Only the total correlation inside the KL is weighted (Chen et al. 2018, arXiv 1802.04942, eq. 4)."""

    Config = BetaTCVAEConfig
    preset: ClassVar = {"learning_rate": 3e-3, "epochs": 60, "batch_size": 500}


class FactorVAEConfig(VAEConfig):
    """Settings of a FactorVAE."""

    penalty: PenaltyName = "adversarial_total_correlation"
    penalty_weight: Weight = 5.0


class FactorVAE(VAE):
    """Total correlation by a discriminator of permuted latents (Kim and Mnih 2018, arXiv 1802.05983)."""

    Config = FactorVAEConfig


class DHSICVAEConfig(VAEConfig):
    """Settings of an autoencoder with a dHSIC penalty."""

    penalty: PenaltyName = "dhsic"
    penalty_weight: Weight = 300.0


class DHSICVAE(VAE):
    """Dependence of the latents priced by a kernel (Lopez et al. 2018, arXiv 1805.08672)."""

    Config = DHSICVAEConfig
    preset: ClassVar = {"learning_rate": 3e-3, "epochs": 60, "batch_size": 500}


class MMDVAEConfig(VAEConfig):
    """Settings of an InfoVAE: beta is its 1 - alpha, penalty_weight its alpha + lambda - 1."""

    penalty: PenaltyName = "mmd"
    penalty_weight: Weight = 30.0


class MMDVAE(VAE):
    """Part of the KL replaced by the discrepancy of q(z) and p(z) (Zhao, Song and Ermon 2017, arXiv 1706.02262)."""

    Config = MMDVAEConfig


class WAEConfig(VAEConfig):
    """Settings of a Wasserstein autoencoder; penalty `mmd` or `adversarial_prior`."""

    latent_size: Count = 2
    beta: Weight = 0.0
    min_scale: Scale = 0.7
    penalty: PenaltyName = "mmd"
    penalty_weight: Weight = 60.0


class WAE(VAE):
    """Reconstruction, and a price on q(z) as a whole (Tolstikhin et al. 2017, arXiv 1711.01558).

    The paper's cost is -ln p(a|z). Nothing in it limits what z tells of one record, so its encoder would lose all
    noise, and with it a finite bound: `min_scale` keeps the noise.
    """

    Config = WAEConfig
    preset: ClassVar = {"learning_rate": 3e-3, "epochs": 24, "batch_size": 1000}
