"""What critic and generator make small, by name.

A critic gives each sample a score, any real number, that is large for real samples. Both sides of the game see
scores alone, so a loss is a pair of functions of scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional

from qtomo.errors import InputError

__all__ = ["LOSSES", "AdversarialLoss", "Divergence", "divergence_loss", "find_loss"]


@dataclass(frozen=True)
class AdversarialLoss:
    """The two sides of a game.

    Args:
        critic: of (real_scores, fake_scores), what the critic makes small.
        generator: of (fake_scores), what the generator makes small.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


class Divergence(Protocol):
    """An f-divergence as training sees it: scores brought into the domain of f*, and f* itself."""

    def activation(self, scores: Tensor) -> Tensor:
        """The scores mapped into the domain of the conjugate."""
        ...

    def conjugate(self, values: Tensor) -> Tensor:
        """The convex conjugate f* of the generator f."""
        ...


def divergence_loss(divergence: Divergence) -> AdversarialLoss:
    """The game of an f-divergence: the critic lifts E_P T - E_Q f*(T), T = g(score), and the generator lowers it.

    The bound on D_f(P||Q) of Nowozin et al. 2016 (arXiv 1606.00709, eq. 4 and 6). Put into `LOSSES` under a name,
    settings can ask for it.
    """

    def fake_part(fake_scores: Tensor) -> Tensor:
        return divergence.conjugate(divergence.activation(fake_scores)).mean()

    def critic(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return fake_part(fake_scores) - divergence.activation(real_scores).mean()

    return AdversarialLoss(critic, lambda fake_scores: -fake_part(fake_scores))


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
    """The loss of that name.

    Raises:
        InputError: there is none; the message lists the known ones.
    """
    if name not in LOSSES:
        raise InputError(f"loss: unknown loss '{name}'; known: {', '.join(LOSSES)}")
    return LOSSES[name]
