"""What critic and generator make small, by name.

A critic gives each sample a score, any real number, that is large for real samples. Both sides of the game see
scores alone, so a loss is a pair of functions of scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from qtomo.adversarial.fdivergences import DIVERGENCES, PARAMETRIC_DIVERGENCES, Divergence, variational_bound
from qtomo.adversarial.fdivergences import divergence as find_divergence
from qtomo.errors import Code, InputError

__all__ = ["LOSSES", "AdversarialLoss", "divergence_loss", "find_loss"]


@dataclass(frozen=True)
class AdversarialLoss:
    """The two sides of a game.

    Args:
        critic: of (real_scores, fake_scores), what the critic makes small.
        generator: of (fake_scores), what the generator makes small.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def divergence_loss(divergence: Divergence) -> AdversarialLoss:
    """The game of an f-divergence: the critic lifts E_P T - E_Q f*(T), T = g(score), and the generator lowers it.

    The bound on D_f(P||Q) of Nowozin et al. 2016 (arXiv 1606.00709, eq. 4 and 6).
    """

    def critic(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return -variational_bound(divergence, real_scores, fake_scores, "activation")

    return AdversarialLoss(critic, lambda fake_scores: -divergence.conjugate_of_activation(fake_scores).mean())


def _cross_entropy(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """-E_P ln D - E_Q ln(1 - D) of the discriminator D = sigmoid(score)."""
    return functional.softplus(-real_scores).mean() + functional.softplus(fake_scores).mean()


#: By the name that settings use.
#:
#: - `saturating`: the generator lowers E_Q ln(1 - D), the minimax game (Goodfellow et al. 2014, arXiv 1406.2661,
#:   eq. 1). The slope with respect to a score is -D: it vanishes where the discriminator is sure of a fake.
#: - `non_saturating`: the generator lifts E_Q ln D instead (same paper, section 3); the slope is D - 1.
#: - `wasserstein`: the difference of mean scores (Arjovsky et al. 2017, arXiv 1701.07875, eq. 2-3), which bounds
#:   W1 only for a critic that a penalty keeps 1-Lipschitz.
LOSSES: dict[str, AdversarialLoss] = {
    "saturating": AdversarialLoss(_cross_entropy, lambda fake: -functional.softplus(fake).mean()),
    "non_saturating": AdversarialLoss(_cross_entropy, lambda fake: functional.softplus(-fake).mean()),
    "wasserstein": AdversarialLoss(lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
}


def find_loss(name: str) -> AdversarialLoss:
    """The loss of that name: one of `LOSSES`, or the game of an f-divergence.

    Raises:
        InputError: there is none; the message lists the known ones.
    """
    if name in LOSSES:
        return LOSSES[name]
    base = name.partition("(")[0]
    if base in DIVERGENCES or base in PARAMETRIC_DIVERGENCES:
        return divergence_loss(find_divergence(name))
    known = [*LOSSES, *DIVERGENCES, *(f"{family}(…)" for family in PARAMETRIC_DIVERGENCES)]
    raise InputError(Code.UNKNOWN, f"loss: unknown loss '{name}'; known: {', '.join(known)}")
