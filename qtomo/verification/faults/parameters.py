"""The Hamiltonian that was not the one meant: a parameter off by a share of itself, or a longitudinal field.

Another value of a parameter is another ground state. States at a few values tell the likelihood there; between them
it is interpolated.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.interpolate import PchipInterpolator

from qtomo.states.dmrg import lowest_state
from qtomo.states.library import System
from qtomo.states.state import State
from qtomo.states.tfim import TFIM
from qtomo.states.xxz import XXZ
from qtomo.statistics.evidence import log_mean_exp
from qtomo.verification.context import Context
from qtomo.verification.faults.base import Explanation, Fault, FaultKind

__all__ = ["PARAMETERS", "Parameter", "explanations", "log_e", "log_ratios", "parameters_of", "shifted_state"]

Reals = NDArray[np.float64]

_MIXED = np.array([0.6, 0.35, 0.2, 0.12, 0.07, 0.04, 0.02])  # shares of the shifted state in an alternative
_FAR = 6  # times the first amount, that is looked at as well
_HOPELESS = 0.5  # of the best gain of other faults, below which a parameter is not followed
_STEPS = 8  # states that the search for a peak solves for
_LARGEST = 24  # qubits of a chain whose longitudinal field is looked for


@dataclass(frozen=True)
class Parameter:
    """A number of the Hamiltonian that may be off.

    Args:
        kind: which.
        system: whose.
        state: the ground state with the number off by some amount.
        parameter: what the amount is.
        first: an amount to begin with.
        bounds: of the amount.
        most_sites: longest chain that it is looked for in.
    """

    kind: FaultKind
    system: type[System]
    state: Callable[[System, float], State]
    parameter: str
    first: float
    bounds: tuple[float, float]
    most_sites: int = 10**6


def _relative(name: str) -> Callable[[System, float], State]:
    """The ground state with a parameter changed by a share of itself."""

    def state(system: System, change: float) -> State:
        value = np.asarray(getattr(system, name)) * (1 + change)
        moved = tuple(value.tolist()) if value.ndim else float(value)
        return dataclasses.replace(system, **{name: moved}).state()  # type: ignore[type-var]

    return state


def _longitudinal(system: System, field: float) -> State:
    """The ground state with -g sum Z_i added, g in units of the largest coefficient."""
    unit = max(abs(coefficient) for coefficient, _ in system.terms())
    extra = tuple((-field * unit, {site: "Z"}) for site in range(system.n_sites))
    return lowest_state((*system.terms(), *extra), system.n_sites)


#: All of them. Only h/J counts in a TFIM: a coupling that is off is a field that is off by the other way.
PARAMETERS = (
    Parameter(FaultKind.FIELD, TFIM, _relative("field"), "relative change", 0.05, (-0.9, 3.0)),
    Parameter(FaultKind.ANISOTROPY, XXZ, _relative("anisotropy"), "relative change", 0.05, (-0.9, 3.0)),
    Parameter(
        FaultKind.LONGITUDINAL_FIELD, TFIM, _longitudinal, "field over largest term", 0.05, (-2.0, 2.0), _LARGEST
    ),
)


def _of(system: System | None) -> Iterator[Parameter]:
    for parameter in PARAMETERS:
        if system is not None and isinstance(system, parameter.system) and system.n_sites <= parameter.most_sites:
            yield parameter


@functools.lru_cache(maxsize=64)
def shifted_state(parameter: Parameter, system: System, amount: float) -> State:
    """The ground state of a system with a parameter off by some amount."""
    return parameter.state(system, amount)


def log_ratios(context: Context, parameter: Parameter) -> Reals:
    """ln P_1/P_0 of each of the rows for shares of the states a little to either side, (alternatives, rows).

    (1 - s) P_0 + s P_1 stands for all shifts smaller than that of P_1, which it equals to first order.
    """
    system = context.hypothesis.system
    assert system is not None
    before = context.log_prob_rows
    found = []
    for amount in (-parameter.first, parameter.first):
        moved = context.hypothesis.prepared(shifted_state(parameter, system, amount)).log_prob(context.rows)
        with np.errstate(invalid="ignore"):
            ratio = np.where(np.isneginf(before), np.inf, moved - before)
        found.append(ratio)
        found += [np.log1p(share * np.expm1(np.minimum(ratio, 700.0))) for share in _MIXED]
    return np.array(found)


def log_e(context: Context, parameter: Parameter) -> float:
    """ln of the likelihood ratio averaged over these: an e-value."""
    return log_mean_exp(log_ratios(context, parameter) @ context.counts)


def parameters_of(system: System | None) -> list[Parameter]:
    """Those whose error is looked for in every verification, at two more ground states each."""
    return [one for one in _of(system) if one.kind != FaultKind.LONGITUDINAL_FIELD]


def explanations(context: Context, best: float = -math.inf) -> Iterable[Explanation]:
    """Each parameter of the target at its likeliest value."""
    system = context.hypothesis.system
    for parameter in _of(system):
        assert system is not None
        found = _fitted(context, parameter, system, best)
        if found is not None:
            yield found


def _fitted(context: Context, parameter: Parameter, system: System, rival: float) -> Explanation | None:
    """Follow the likelihood outwards from the target until it has passed its peak, then close in on that; unless few
    states tell that another fault is far likelier.
    """
    values: dict[float, float] = {}

    def at(amount: float) -> float:
        amount = round(amount, 6)
        if amount not in values:
            state = shifted_state(parameter, system, amount) if amount else context.hypothesis.first.state
            assert state is not None
            values[amount] = context.under(context.hypothesis.prepared(state)).log_likelihood
        return values[amount]

    low, high = -parameter.first, parameter.first
    near = at(0.0), at(low), at(high)
    if max(near) == near[0] and math.isfinite(rival) and not _near(values, rival):
        return None  # without the two states further out
    known = (0.0, low, high, _FAR * low, _FAR * high)
    best = max(known, key=at)
    if not math.isfinite(at(best)) or (math.isfinite(rival) and not _near(values, rival)):
        return None
    while best and parameter.bounds[0] < 2 * best < parameter.bounds[1] and at(2 * best) > at(best):
        best *= 2
    around = sorted((best / 2, 2 * best)) if abs(best) > parameter.first else sorted((best - high, best + high))
    around = [min(max(end, parameter.bounds[0]), parameter.bounds[1]) for end in around]
    optimize.minimize_scalar(
        lambda t: -max(at(float(t)), -1e300), bounds=around, method="bounded", options={"maxiter": _STEPS}
    )
    best = max(values, key=lambda amount: values[amount])
    if best == 0:
        return None
    for step in _sides(values, best):  # so that the interval is not left to interpolation far from any state
        at(min(max(best + step, parameter.bounds[0]), parameter.bounds[1]))
    places = sorted(amount for amount, value in values.items() if math.isfinite(value))
    curve = PchipInterpolator(places, [values[amount] for amount in places])

    def apply(found: Context, amount: float) -> Context:
        state = shifted_state(parameter, system, round(amount, 4))
        return found.under(found.hypothesis.prepared(state))

    fault = Fault(parameter.kind, None, parameter=parameter.parameter)
    bounds = places[0], places[-1]
    return Explanation(fault, best, values[best], 0.0, apply, lambda t: float(curve(t)), bounds)


def _near(values: dict[float, float], rival: float) -> bool:
    """Whether the peak of the likelihood may come near that of the best of other faults, as a parabola tells."""
    before = values[0.0]
    if not math.isfinite(before):
        return True
    gains = {amount: value - before for amount, value in values.items() if math.isfinite(value) and amount}
    step = min((abs(amount) for amount in gains), default=0.0)
    up, down = gains.get(step, -math.inf), gains.get(-step, -math.inf)
    peak = max(gains.values(), default=0.0)
    bend = -(up + down) / step**2 if math.isfinite(up + down) else 0.0
    if bend > 0:
        peak = max(peak, ((up - down) / (2 * step)) ** 2 / (2 * bend))
    return peak > _HOPELESS * (rival - before)


def _sides(values: dict[float, float], best: float) -> list[float]:
    """Steps to either side at which the likelihood has fallen by about two nats, from the nearest known fall."""
    others = [(abs(t - best), values[best] - v) for t, v in values.items() if t != best and math.isfinite(v)]
    distance, fall = min(others, key=lambda one: abs(math.log(max(one[1], 1e-3) / 2)))
    step = distance * math.sqrt(2 / max(fall, 1e-3))
    step = min(step, 4 * distance)
    return [-step, step]
