"""Learning by comparison: f-divergences, games of generator and critic, and what keeps a critic honest."""

from qtomo.adversarial.critics import CriticSettings, CriticStudy, study_critic, train_critic
from qtomo.adversarial.fdivergences import (
    DIVERGENCES,
    PARAMETRIC_DIVERGENCES,
    Divergence,
    bound_with_error,
    divergence,
    exact_divergence,
    variational_bound,
)
from qtomo.adversarial.gan import RECIPES, GanSettings, TrainedGan, train_gan
from qtomo.adversarial.gaussian_mixture import adversarial_fit, cross_table, direct_fit
from qtomo.adversarial.judging import ModeCoverage, TwoSample, mode_coverage, two_sample
from qtomo.adversarial.losses import LOSSES, AdversarialLoss, divergence_loss, find_loss
from qtomo.adversarial.penalties import PENALTIES, Penalty, find_penalty
from qtomo.adversarial.toys import TOYS, Toy, find_toy
from qtomo.adversarial.wasserstein import dual_estimate, exact_w1

__all__ = [
    "DIVERGENCES",
    "LOSSES",
    "PARAMETRIC_DIVERGENCES",
    "PENALTIES",
    "RECIPES",
    "TOYS",
    "AdversarialLoss",
    "CriticSettings",
    "CriticStudy",
    "Divergence",
    "GanSettings",
    "ModeCoverage",
    "Penalty",
    "Toy",
    "TrainedGan",
    "TwoSample",
    "adversarial_fit",
    "bound_with_error",
    "cross_table",
    "direct_fit",
    "divergence",
    "divergence_loss",
    "dual_estimate",
    "exact_divergence",
    "exact_w1",
    "find_loss",
    "find_penalty",
    "find_toy",
    "mode_coverage",
    "study_critic",
    "train_critic",
    "train_gan",
    "two_sample",
    "variational_bound",
]
