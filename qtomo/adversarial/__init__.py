"""Adversarial training: losses, penalties on critics, toy distributions with known modes, and how critics fare."""

from qtomo.adversarial.critics import CriticSettings, CriticStudy, study_critic, train_critic
from qtomo.adversarial.gan import RECIPES, GanSettings, TrainedGan, train_gan
from qtomo.adversarial.judging import ModeCoverage, TwoSample, mode_coverage, two_sample
from qtomo.adversarial.losses import LOSSES, AdversarialLoss, Divergence, divergence_loss, find_loss
from qtomo.adversarial.penalties import PENALTIES, Penalty, find_penalty
from qtomo.adversarial.toys import TOYS, Toy, find_toy
from qtomo.adversarial.wasserstein import DualEstimate, dual_estimate, exact_w1, point_masses

__all__ = [
    "LOSSES",
    "PENALTIES",
    "RECIPES",
    "TOYS",
    "AdversarialLoss",
    "CriticSettings",
    "CriticStudy",
    "Divergence",
    "DualEstimate",
    "GanSettings",
    "ModeCoverage",
    "Penalty",
    "Toy",
    "TrainedGan",
    "TwoSample",
    "divergence_loss",
    "dual_estimate",
    "exact_w1",
    "find_loss",
    "find_penalty",
    "find_toy",
    "mode_coverage",
    "point_masses",
    "study_critic",
    "train_critic",
    "train_gan",
    "two_sample",
]
