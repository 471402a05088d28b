"""Adversarial training: losses, penalties on critics, toy distributions with known modes, and how critics fare."""

from qtomo.adversarial.gan import GanSettings, TrainedGan, train_gan
from qtomo.adversarial.losses import LOSSES, AdversarialLoss, Divergence, divergence_loss, find_loss
from qtomo.adversarial.penalties import PENALTIES, Penalty, find_penalty
from qtomo.adversarial.toys import TOYS, Toy

__all__ = [
    "LOSSES",
    "PENALTIES",
    "TOYS",
    "AdversarialLoss",
    "Divergence",
    "GanSettings",
    "Penalty",
    "Toy",
    "TrainedGan",
    "divergence_loss",
    "find_loss",
    "find_penalty",
    "train_gan",
]
