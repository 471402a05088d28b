"""Learning by comparison: f-divergences, games of generator and critic, and what keeps a critic honest."""

from qtomo.adversarial.fdivergences import (
    DIVERGENCES,
    PARAMETRIC_DIVERGENCES,
    Divergence,
    bound_with_error,
    divergence,
    exact_divergence,
    variational_bound,
)
from qtomo.adversarial.gan import GanSettings, TrainedGan, train_gan
from qtomo.adversarial.gaussian_mixture import adversarial_fit, cross_table, direct_fit
from qtomo.adversarial.losses import LOSSES, AdversarialLoss, find_loss
from qtomo.adversarial.penalties import PENALTIES, Penalty, find_penalty
from qtomo.adversarial.toys import TOYS, Toy

__all__ = [
    "DIVERGENCES",
    "LOSSES",
    "PARAMETRIC_DIVERGENCES",
    "PENALTIES",
    "TOYS",
    "AdversarialLoss",
    "Divergence",
    "GanSettings",
    "Penalty",
    "Toy",
    "TrainedGan",
    "adversarial_fit",
    "bound_with_error",
    "cross_table",
    "direct_fit",
    "divergence",
    "exact_divergence",
    "find_loss",
    "find_penalty",
    "train_gan",
    "variational_bound",
]
