"""The f-divergences in variational form: what a critic has to maximise to measure the distance of P and Q.

D_f(P||Q) = E_Q f(p/q) >= E_P T - E_Q f*(T) for every critic T, with equality at T* = f'(p/q) (Nguyen, Wainwright
and Jordan 2008, arXiv 0809.0853; Nowozin, Cseke and Tomioka 2016, arXiv 1606.00709, eq. 4-5 and tables 5-6). A
network gives a real number v, which becomes a critic in one of two ways: by the customary activation g(v), which
maps the line into the domain of f*, or as the log-ratio, T*(v) = f'(e^v). Either has its own expression for f* of
the critic, without the cancellation at the edge of the domain that f*(g(v)) in two steps suffers from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from qtomo.config import near_miss
from qtomo.errors import Code, InputError

__all__ = [
    "DIVERGENCES",
    "PARAMETRIC_DIVERGENCES",
    "CriticForm",
    "Divergence",
    "bound_with_error",
    "divergence",
    "exact_divergence",
    "variational_bound",
]

#: An elementwise function, of any shape and floating type.
Map = Callable[[Tensor], Tensor]

#: What a critic's numbers are: T itself, the v of g(v), or the log-ratio v of T*(v).
CriticForm = Literal["critic", "activation", "log_ratio"]

LOG_2 = math.log(2)

#: The log-density of nothing: ratios to it are still floating numbers.
LOG_TINY = -600.0


@dataclass(frozen=True)
class Divergence:
    """An f-divergence; every function acts elementwise on tensors and can be differentiated.

    Args:
        name: as `divergence` takes it.
        generator: f(u) for u > 0, convex.
        derivative: f'(u), the critic at which the bound is tight, of the ratio u = p/q.
        conjugate: f*(t) = sup over u >= 0 of ut - f(u); infinite above the domain.
        domain: the ends of the interval where f* is finite.
        activation: g(v), from the line into the domain.
        conjugate_of_activation: f*(g(v)).
        from_log_ratio: T*(v) = f'(e^v).
        conjugate_from_log_ratio: f*(T*(v)) = u f'(u) - f(u) at u = e^v.
    """

    name: str
    generator: Map
    derivative: Map
    conjugate: Map
    domain: tuple[float, float]
    activation: Map
    conjugate_of_activation: Map
    from_log_ratio: Map
    conjugate_from_log_ratio: Map

    def __str__(self) -> str:
        return self.name


def divergence(name: str) -> Divergence:
    """The f-divergence of a name such as "kl", "alpha(0.5)" or "weighted_jensen_shannon(0.3)".

    Raises:
        InputError: an unknown name (names the nearest known one), a parameter missing, superfluous or out of range.

    Example:
        >>> float(divergence("pearson").generator(torch.tensor(3.0)))
        4.0
    """
    match = re.fullmatch(r"(\w+)(?:\((.*)\))?", name.strip())
    base, argument = (match[1], match[2]) if match else (name, None)
    if base in PARAMETRIC_DIVERGENCES:
        return PARAMETRIC_DIVERGENCES[base](_number(base, argument))
    if base not in DIVERGENCES:
        raise InputError(
            Code.UNKNOWN, f"unknown f-divergence '{name}'{near_miss(base, [*DIVERGENCES, *PARAMETRIC_DIVERGENCES])}"
        )
    if argument is not None:
        raise InputError(Code.SYNTAX, f"f-divergence '{name}': {base} takes no parameter")
    return DIVERGENCES[base]


def variational_bound(
    divergence: Divergence, critic_on_p: Tensor, critic_on_q: Tensor, form: CriticForm = "critic"
) -> Tensor:
    """E_P T - E_Q f*(T), at most D_f(P||Q) in expectation, from a critic's numbers on samples of P and of Q.

    Args:
        divergence: whose bound.
        critic_on_p: one number a sample of P, any shape.
        critic_on_q: one number a sample of Q, any shape.
        form: what these numbers are.
    """
    values, conjugates = _terms(divergence, critic_on_p, critic_on_q, form)
    return values.mean() - conjugates.mean()


def bound_with_error(
    divergence: Divergence, critic_on_p: Tensor, critic_on_q: Tensor, form: CriticForm = "critic"
) -> tuple[float, float]:
    """`variational_bound` and its standard error.

    The samples have to be independent and unseen: on those the critic was trained with, the value may lie above
    the divergence.
    """
    values, conjugates = _terms(divergence, critic_on_p.detach().double(), critic_on_q.detach().double(), form)
    variance = values.var() / values.numel() + conjugates.var() / conjugates.numel()
    return float(values.mean() - conjugates.mean()), math.sqrt(float(variance))


def exact_divergence(
    divergence: Divergence, log_p: Map, log_q: Map, low: float, high: float, panels: int = 200
) -> float:
    """D_f(P||Q) = integral of q f(p/q), of two densities on the line by Gauss-Legendre quadrature.

    Args:
        divergence: which.
        log_p: normalised log-density of P, of points in double precision; below -600 it is taken for -600.
        log_q: the same of Q.
        low: where both densities have begun.
        high: where both have ended.
        panels: equal intervals of 16 nodes each, to be no wider than the narrowest peak.

    Returns:
        The value, infinite where it leaves the range of floating numbers.
    """
    nodes, weights = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(16))
    half_width = (high - low) / (2 * panels)
    middles = low + half_width * (2 * torch.arange(panels, dtype=torch.float64) + 1)
    x = (middles[:, None] + half_width * nodes).flatten()
    on_p, on_q = log_p(x).clamp(min=LOG_TINY), log_q(x).clamp(min=LOG_TINY)
    values = on_q.exp() * divergence.generator((on_p - on_q).exp())
    return float((half_width * weights * values.view(panels, -1)).sum())


def _terms(divergence: Divergence, on_p: Tensor, on_q: Tensor, form: CriticForm) -> tuple[Tensor, Tensor]:
    if form == "log_ratio":
        return divergence.from_log_ratio(on_p), divergence.conjugate_from_log_ratio(on_q)
    if form == "activation":
        return divergence.activation(on_p), divergence.conjugate_of_activation(on_q)
    return on_p, divergence.conjugate(on_q)


def _number(base: str, argument: str | None) -> float:
    try:
        value = float(argument or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(Code.SYNTAX, f"f-divergence '{base}' needs a number, as in '{base}(0.3)'; got {argument!r}")
    return value


def _infinite_above(end: float, conjugate: Map) -> Map:
    return lambda t: torch.where(t > end, math.inf, conjugate(t))


def _softplus(v: Tensor) -> Tensor:
    """log(1 + e^v), to the last digit; torch's own rounds it to v above 20."""
    return -logsigmoid(-v)


def _log_m1(t: Tensor) -> Tensor:
    """log(1 - e^t) for t < 0."""
    return torch.log(-torch.expm1(t))


class _JeffreyLogRatio(torch.autograd.Function):
    """The v at which v - e^-v = s: -log W(e^-s) of Lambert's W, without its overflow at large |s|."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, s: Tensor) -> Tensor:
        # Newton from the left, where the concave v - e^-v - s is negative, rises to the root.
        v = torch.where(s > 0, s, -torch.log1p(-s.clamp(max=0)))
        for _ in range(10):
            decay = torch.exp(-v)
            v = v - (v - decay - s) / (1 + decay)
        ctx.save_for_backward(v)
        return v

    @staticmethod
    def backward(ctx: torch.autograd.function.BackwardCFunction, *gradients: Tensor) -> Tensor:
        (v,) = ctx.saved_tensors
        return gradients[0] * torch.sigmoid(v)


def _jeffrey_conjugate(t: Tensor) -> Tensor:
    """f*(t) = W + 1/W + t - 2 with W = W(e^(1-t)) = 1/u, which is u - 1 + log u."""
    v: Tensor = _JeffreyLogRatio.apply(t - 1)  # type: ignore[no-untyped-call]
    return torch.expm1(v) + v


def _pearson_conjugate(t: Tensor) -> Tensor:
    """t^2/4 + t, and -f(0) = -1 for t < -2, which no ratio's f'(u) reaches."""
    return (1 + t / 2).clamp(min=0).square() - 1


def _identity(v: Tensor) -> Tensor:
    return v


_FIXED = (
    Divergence(
        name="total_variation",
        generator=lambda u: (u - 1).abs() / 2,
        derivative=lambda u: (u - 1).sign() / 2,
        conjugate=_infinite_above(0.5, lambda t: t.clamp(min=-0.5)),
        domain=(-math.inf, 0.5),
        activation=lambda v: torch.tanh(v) / 2,
        conjugate_of_activation=lambda v: torch.tanh(v) / 2,
        from_log_ratio=lambda v: v.sign() / 2,
        conjugate_from_log_ratio=lambda v: v.sign() / 2,
    ),
    Divergence(
        name="kl",
        generator=lambda u: torch.xlogy(u, u),
        derivative=lambda u: 1 + u.log(),
        conjugate=lambda t: torch.exp(t - 1),
        domain=(-math.inf, math.inf),
        activation=_identity,
        conjugate_of_activation=lambda v: torch.exp(v - 1),
        from_log_ratio=lambda v: 1 + v,
        conjugate_from_log_ratio=torch.exp,
    ),
    Divergence(
        name="reverse_kl",
        generator=lambda u: -u.log(),
        derivative=lambda u: -1 / u,
        conjugate=_infinite_above(0, lambda t: -1 - torch.log(-t)),
        domain=(-math.inf, 0),
        activation=lambda v: -torch.exp(-v),
        conjugate_of_activation=lambda v: v - 1,
        from_log_ratio=lambda v: -torch.exp(-v),
        conjugate_from_log_ratio=lambda v: v - 1,
    ),
    Divergence(
        name="pearson",
        generator=lambda u: (u - 1).square(),
        derivative=lambda u: 2 * (u - 1),
        conjugate=_pearson_conjugate,
        domain=(-math.inf, math.inf),
        activation=_identity,
        conjugate_of_activation=_pearson_conjugate,
        from_log_ratio=lambda v: 2 * torch.expm1(v),
        conjugate_from_log_ratio=lambda v: torch.expm1(2 * v),
    ),
    Divergence(
        name="neyman",
        generator=lambda u: (1 - u) * (1 / u - 1),
        derivative=lambda u: 1 - u**-2,
        conjugate=_infinite_above(1, lambda t: 2 - 2 * torch.sqrt(1 - t)),
        domain=(-math.inf, 1),
        activation=lambda v: -torch.expm1(-v),
        conjugate_of_activation=lambda v: -2 * torch.expm1(-v / 2),
        from_log_ratio=lambda v: -torch.expm1(-2 * v),
        conjugate_from_log_ratio=lambda v: -2 * torch.expm1(-v),
    ),
    Divergence(
        name="squared_hellinger",
        generator=lambda u: (u.sqrt() - 1).square(),
        derivative=lambda u: 1 - u**-0.5,
        conjugate=_infinite_above(1, lambda t: t / (1 - t)),
        domain=(-math.inf, 1),
        activation=lambda v: -torch.expm1(-v),
        conjugate_of_activation=torch.expm1,
        from_log_ratio=lambda v: -torch.expm1(-v / 2),
        conjugate_from_log_ratio=lambda v: torch.expm1(v / 2),
    ),
    Divergence(
        name="jeffrey",
        generator=lambda u: (u - 1) * u.log(),
        derivative=lambda u: 1 + u.log() - 1 / u,
        conjugate=_jeffrey_conjugate,
        domain=(-math.inf, math.inf),
        activation=_identity,
        conjugate_of_activation=_jeffrey_conjugate,
        from_log_ratio=lambda v: 1 + v - torch.exp(-v),
        conjugate_from_log_ratio=lambda v: torch.expm1(v) + v,
    ),
    Divergence(
        name="jensen_shannon",  # twice the mean of KL(P||M) and KL(Q||M), as in the source
        generator=lambda u: torch.xlogy(u, u) - (u + 1) * torch.log((1 + u) / 2),
        derivative=lambda u: torch.log(2 * u / (1 + u)),
        conjugate=_infinite_above(LOG_2, lambda t: -LOG_2 - _log_m1(t - LOG_2)),
        domain=(-math.inf, LOG_2),
        activation=lambda v: LOG_2 - _softplus(-v),
        conjugate_of_activation=lambda v: _softplus(v) - LOG_2,
        from_log_ratio=lambda v: LOG_2 - _softplus(-v),
        conjugate_from_log_ratio=lambda v: _softplus(v) - LOG_2,
    ),
    Divergence(
        name="gan",  # twice the Jensen-Shannon divergence less log 4: the value of the game of arXiv 1406.2661
        generator=lambda u: torch.xlogy(u, u) - (u + 1) * torch.log1p(u),
        derivative=lambda u: torch.log(u / (1 + u)),
        conjugate=_infinite_above(0, lambda t: -_log_m1(t)),
        domain=(-math.inf, 0),
        activation=lambda v: -_softplus(-v),
        conjugate_of_activation=_softplus,
        from_log_ratio=lambda v: -_softplus(-v),
        conjugate_from_log_ratio=_softplus,
    ),
)


def _weighted_jensen_shannon(pi: float) -> Divergence:
    """pi KL(P||M) + (1 - pi) KL(Q||M) with M = pi P + (1 - pi) Q."""
    if not 0 < pi < 1:
        raise InputError(
            Code.VALUE, f"weighted_jensen_shannon({pi:g}): expected a weight of P strictly between 0 and 1"
        )
    log_pi, log_rest = math.log(pi), math.log1p(-pi)

    def mixture_log_ratio(v: Tensor) -> Tensor:
        """log m/q at log p/q = v."""
        return log_rest + _softplus(v + log_pi - log_rest)

    return Divergence(
        name=f"weighted_jensen_shannon({pi})",
        generator=lambda u: pi * torch.xlogy(u, u) - (1 - pi + pi * u) * torch.log(1 - pi + pi * u),
        derivative=lambda u: pi * torch.log(u / (1 - pi + pi * u)),
        conjugate=_infinite_above(-pi * log_pi, lambda t: (1 - pi) * (log_rest - _log_m1(t / pi + log_pi))),
        domain=(-math.inf, -pi * log_pi),
        activation=lambda v: -pi * log_pi - _softplus(-v),
        conjugate_of_activation=lambda v: (1 - pi) * (log_rest - _log_m1(-_softplus(-v) / pi)),
        from_log_ratio=lambda v: -pi * (log_pi + _softplus(log_rest - log_pi - v)),
        conjugate_from_log_ratio=lambda v: (1 - pi) * mixture_log_ratio(v),
    )


def _alpha(alpha: float) -> Divergence:
    """The family that runs from reverse KL at alpha -> 0 to KL at alpha -> 1 (Amari)."""
    if alpha in (0, 1):
        limit = "kl" if alpha == 1 else "reverse_kl"
        raise InputError(
            Code.VALUE, f"alpha({alpha:g}): the limit of the family at {alpha:g} has a name of its own, '{limit}'"
        )
    above = alpha > 1
    end = math.inf if above else 1 / (1 - alpha)
    exponent = alpha / (alpha - 1)

    def conjugate(t: Tensor) -> Tensor:
        return ((t * (alpha - 1) + 1).clamp(min=0) ** exponent - 1) / alpha

    def conjugate_of_activation(v: Tensor) -> Tensor:
        if above:
            return conjugate(v)
        return torch.expm1(exponent * torch.log((1 - alpha) * _softplus(-v))) / alpha

    return Divergence(
        name=f"alpha({alpha})",
        generator=lambda u: (u**alpha - 1 - alpha * (u - 1)) / (alpha * (alpha - 1)),
        derivative=lambda u: (u ** (alpha - 1) - 1) / (alpha - 1),
        conjugate=conjugate if above else _infinite_above(end, conjugate),
        domain=(-math.inf, end),
        activation=_identity if above else lambda v: end - _softplus(-v),
        conjugate_of_activation=conjugate_of_activation,
        from_log_ratio=lambda v: torch.expm1((alpha - 1) * v) / (alpha - 1),
        conjugate_from_log_ratio=lambda v: torch.expm1(alpha * v) / alpha,
    )


#: By name.
DIVERGENCES: dict[str, Divergence] = {entry.name: entry for entry in _FIXED}

#: By name, of a parameter: the alpha of the family, the weight of P.
PARAMETRIC_DIVERGENCES: dict[str, Callable[[float], Divergence]] = {
    "alpha": _alpha,
    "weighted_jensen_shannon": _weighted_jensen_shannon,
}
