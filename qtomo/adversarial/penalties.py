"""What keeps a critic from growing too steep, by name.

A penalty acts in up to three places: once on the new critic, at each step on its loss, and after each step on its
weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from qtomo.errors import Code, InputError

__all__ = [
    "PENALTIES",
    "Penalty",
    "clip_weights",
    "find_penalty",
    "gradient_penalty",
    "input_gradients",
    "lipschitz_penalty",
    "normalise_spectra",
    "r1",
    "slopes_between",
]

Critic = Callable[[Tensor], Tensor]


def _no_term(critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
    return real.new_zeros(())


def _leave(critic: nn.Module) -> None:
    pass


@dataclass(frozen=True)
class Penalty:
    """What is done to a critic, and when; the defaults do nothing.

    Args:
        prepare: changes a new critic in place.
        term: of (critic, real, fake, generator of random numbers), a number added to the critic's loss.
        after_step: changes the critic's weights in place after each step of its optimiser.
    """

    prepare: Callable[[nn.Module], None] = _leave
    term: Callable[[Critic, Tensor, Tensor, torch.Generator], Tensor] = _no_term
    after_step: Callable[[nn.Module], None] = _leave


def input_gradients(critic: Critic, inputs: Tensor) -> Tensor:
    """The gradient of each sample's score with respect to that sample, (batch, D), itself differentiable."""
    inputs = inputs.detach().requires_grad_(True)
    gradients: Tensor = torch.autograd.grad(critic(inputs).sum(), inputs, create_graph=True)[0]
    return gradients


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
    """E (|grad f(x)| - 1)^2 at points x drawn evenly on lines between paired real and fake samples.

    Gulrajani et al. 2017 (arXiv 1704.00028, eq. 3 without its factor lambda): an optimal critic has slope 1 along
    these lines. Steeper and flatter critics pay alike. So on a line a critic that starts with the wrong sign may keep
    it: s W1 - lambda (|s| - 1)^2 over slopes s has a second maximum at s = W1/(2 lambda) - 1 if lambda > W1/2.
    """
    return (slopes_between(critic, real, fake, generator) - 1).square().mean()


def lipschitz_penalty(critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
    """E max(0, |grad f(x)| - 1)^2 at the same points: steeper critics pay, flatter ones do not.

    Petzka et al. 2018 (arXiv 1709.08894, eq. 8): lines between samples that the optimal transport does not pair
    cross places where an optimal critic is flat or has a kink, which `gradient_penalty` forbids.
    """
    return (slopes_between(critic, real, fake, generator) - 1).clamp_min(0).square().mean()


def slopes_between(critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
    """|grad f| (batch) at points drawn evenly on lines between paired real and fake samples (batch, D)."""
    weight = torch.rand(len(real), 1, generator=generator, dtype=real.dtype).to(real.device)
    norms: Tensor = input_gradients(critic, torch.lerp(real, fake, weight)).norm(dim=1)
    return norms


def r1(critic: Critic, real: Tensor) -> Tensor:
    """E |grad f(x)|^2 / 2 over real samples: R1 of Mescheder et al. 2018 (arXiv 1801.04406, eq. 9), gamma = 1.

    Zero for a critic that is flat on the data, as it is at the equilibrium.
    """
    return input_gradients(critic, real).square().sum(dim=1).mean() / 2


def clip_weights(critic: nn.Module, bound: float) -> None:
    """Every weight and bias brought into [-bound, bound], in place (arXiv 1701.07875, algorithm 1)."""
    with torch.no_grad():
        for weight in critic.parameters():
            weight.clamp_(-bound, bound)


def normalise_spectra(critic: nn.Module) -> None:
    """Every layer's matrix divided by its largest singular value, in place (arXiv 1802.05957, eq. 8).

    The value comes from one step of power iteration at each forward pass in training mode. A network of linear layers
    of this kind and 1-Lipschitz activations is 1-Lipschitz. The matrix of a convolution is its kernel with a row an
    output channel, as there: such a layer may still stretch by the root of the number of places that its kernel sees.
    """
    for layer in _layers(critic):
        parametrizations.spectral_norm(layer)


def _layers(critic: nn.Module) -> list[nn.Module]:
    """All that multiply by a matrix or a kernel."""
    return [layer for layer in critic.modules() if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)]


def _clipping(bound: float) -> Penalty:
    def fill(critic: nn.Module) -> None:
        """Start evenly between the bounds, so that weights found at them were driven there."""
        with torch.no_grad():
            for layer in _layers(critic):
                layer.get_parameter("weight").uniform_(-bound, bound)
        clip_weights(critic, bound)

    return Penalty(prepare=fill, after_step=lambda critic: clip_weights(critic, bound))


def _gradient_penalty(strength: float) -> Penalty:
    return Penalty(term=lambda *given: strength * gradient_penalty(*given))


def _lipschitz_penalty(strength: float) -> Penalty:
    return Penalty(term=lambda *given: strength * lipschitz_penalty(*given))


def _r1(strength: float) -> Penalty:
    return Penalty(term=lambda critic, real, fake, generator: strength * r1(critic, real))


#: By the name that settings use; each is made for a strength: the bound of clipping, lambda of the two penalties
#: on lines, gamma of R1. Spectral normalisation and `none` have no strength.
PENALTIES: dict[str, Callable[[float], Penalty]] = {
    "none": lambda _: Penalty(),
    "clipping": _clipping,
    "gradient_penalty": _gradient_penalty,
    "lipschitz_penalty": _lipschitz_penalty,
    "r1": _r1,
    "spectral": lambda _: Penalty(prepare=normalise_spectra),
}


def find_penalty(name: str, strength: float) -> Penalty:
    """The penalty of that name and strength.

    Raises:
        InputError: there is none (the message lists the known ones), or the strength is not positive.
    """
    if name not in PENALTIES:
        raise InputError(Code.UNKNOWN, f"penalty: unknown penalty '{name}'; known: {', '.join(PENALTIES)}")
    if not strength > 0:
        what = "a bound of 0 makes every weight 0" if name == "clipping" else "take penalty 'none' to have none"
        raise InputError(Code.VALUE, f"strength = {strength:g}: must be positive for penalty '{name}'; {what}")
    return PENALTIES[name](strength)
