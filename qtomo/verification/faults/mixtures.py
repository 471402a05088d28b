"""A share of another state: noise of the whole register, an excited state; and a thermal state in place of the ground
state.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from qtomo.states.library import System
from qtomo.states.state import State
from qtomo.states.tfim import TFIM, ground_state
from qtomo.states.thermal import thermal_states
from qtomo.verification.context import Context
from qtomo.verification.faults.base import Explanation, Fault, FaultKind, hopeless
from qtomo.verification.faults.local import fit_strength, mixture_curve

__all__ = ["explanations"]

Reals = NDArray[np.float64]

_SHARES = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6)
#: Inverse temperatures that are tried, in units of the largest term of the Hamiltonian.
_BETAS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
_MOST_THERMAL = 32  # qubits
_FEW = 500  # records on which all temperatures are tried


def explanations(context: Context, best: float = -math.inf) -> Iterable[Explanation]:
    """White noise, the first excited state, and a temperature."""
    white = _share(context, FaultKind.WHITE_NOISE, None)
    yield white
    system = context.hypothesis.system
    if system is None:
        return
    excited = _excited(system)
    if excited is not None:
        yield _share(context, FaultKind.EXCITED_STATE, excited)
    yield from _thermal(context, system, max(best, white.log_likelihood))


@functools.lru_cache(maxsize=8)
def _excited(system: System) -> State | None:
    """The lowest excited state, where it is known: of a TFIM the lowest of the other parity."""
    if not isinstance(system, TFIM) or system.n_sites < 2:
        return None
    parity = -1 if np.count_nonzero(system.fields < 0) % 2 else 1
    return ground_state(system, -parity)


def _share(context: Context, kind: FaultKind, other: State | None) -> Explanation:
    """The target with a share of another state."""

    def apply(found: Context, t: float) -> Context:
        return found.under(found.hypothesis.mixed(t, found.hypothesis.alone(other)))

    alone = context.hypothesis.alone(other).log_prob(context.rows)
    curve = mixture_curve(context.log_prob_rows, alone, context.counts)
    strength, top = fit_strength(curve, _SHARES, (0.0, 1.0))
    return Explanation(Fault(kind, None, parameter="share"), strength, top, 0.0, apply, curve)


@functools.lru_cache(maxsize=4)
def _heated(system: System) -> tuple[float, dict[float, State]]:
    """The energy unit of a Hamiltonian, and its thermal states by inverse temperature in that unit."""
    terms = system.terms()
    unit = max((abs(coefficient) for coefficient, _ in terms), default=0.0)
    if not unit or system.n_sites > _MOST_THERMAL or system.n_sites < 2:
        return unit, {}
    scaled = tuple((coefficient / unit, product) for coefficient, product in terms)
    return unit, dict(thermal_states(scaled, system.n_sites, _BETAS))


@functools.lru_cache(maxsize=16)
def _at_temperature(system: System, temperature: float) -> State:
    ((_, state),) = thermal_states(system.terms(), system.n_sites, [1 / temperature])
    return state


def _thermal(context: Context, system: System, best: float) -> Iterator[Explanation]:
    """A temperature, in the units of the Hamiltonian, where few records like it about as much as the best of other
    faults; the likelihood between the tried ones is interpolated.
    """
    unit, states = _heated(system)
    if not states:
        return
    few = context.part(_FEW, "temperatures")
    rough = [few.under(few.hypothesis.prepared(state)).log_likelihood for state in states.values()]
    top = int(np.argmax(rough))
    if few is not context and hopeless(few, rough[top], context, best):
        return
    chosen = list(states)[max(0, top - 2) : top + 3]
    betas = np.array(chosen)
    values = [context.under(context.hypothesis.prepared(states[beta])).log_likelihood for beta in chosen]
    if not np.isfinite(values).all() or len(values) < 3:
        return
    spline = CubicSpline(np.log(betas), values)

    def curve(temperature: float) -> float:
        return float(spline(math.log(unit / temperature)))

    bounds = unit / betas.max(), unit / betas.min()
    strength, _ = fit_strength(curve, list(unit / betas), bounds)

    def apply(found: Context, temperature: float) -> Context:
        return found.under(found.hypothesis.prepared(_at_temperature(system, round(temperature, 4))))

    reached = max(*values, context.log_likelihood)
    if curve(strength) > context.log_likelihood:  # interpolated: hold it against the state itself
        reached = apply(context, strength).log_likelihood

    fault = Fault(FaultKind.THERMAL, None, parameter="temperature")
    yield Explanation(fault, strength, reached, 0.0, apply, curve, bounds)
