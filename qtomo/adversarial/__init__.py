"""Learning by comparison: critics that tell samples of two distributions apart, and what they are worth."""

from qtomo.adversarial.fdivergences import (
    DIVERGENCES,
    PARAMETRIC_DIVERGENCES,
    CriticForm,
    Divergence,
    bound_with_error,
    divergence,
    exact_divergence,
    variational_bound,
)
from qtomo.adversarial.gaussian_mixture import (
    AdversarialFit,
    DirectFit,
    Plan,
    adversarial_fit,
    cross_table,
    direct_fit,
)

__all__ = [
    "DIVERGENCES",
    "PARAMETRIC_DIVERGENCES",
    "AdversarialFit",
    "CriticForm",
    "DirectFit",
    "Divergence",
    "Plan",
    "adversarial_fit",
    "bound_with_error",
    "cross_table",
    "direct_fit",
    "divergence",
    "exact_divergence",
    "variational_bound",
]
