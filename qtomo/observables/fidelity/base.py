"""What an estimate of the fidelity is, and what it may be made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qtomo.measurement.settings import SettingList
from qtomo.records.records import Records
from qtomo.results import plain, stating
from qtomo.states.mps import MPS
from qtomo.states.stabilisers import Stabilisers, stabilisers_of
from qtomo.states.state import State
from qtomo.states.system import System
from qtomo.statistics.estimate import Estimate
from qtomo.worded import Worded

__all__ = ["AS_THE_FILE_SAYS", "SHOTS_ALIKE", "Aim", "Asked", "Fidelity", "FidelityKind", "Settings", "possible"]


class FidelityKind(Worded):
    """What an estimate of the fidelity is made from."""

    EXPANSION = "pauli-products", "all Pauli products of the target"
    DUALS = "duals", "dual values of every shot"
    STABILISERS = "stabilisers", "stabilisers drawn at random"
    PAIRS = "pairs", "coherences of all pairs of qubits"
    BUDGET = "error-budget", "the fitted error budget"


def possible(estimate: Estimate) -> Estimate:
    """An estimate of a fidelity within [0, 1]. One beyond is drawn back to the end with its interval, so that an
    interval does not shrink to nothing where chance has left what is possible.
    """
    value = min(max(estimate.value, 0.0), 1.0)
    low, high = estimate.low + value - estimate.value, estimate.high + value - estimate.value
    return replace(estimate, value=value, low=max(0.0, min(low, estimate.low)), high=min(1.0, max(high, estimate.high)))


@dataclass(frozen=True)
class Fidelity:
    """An estimate of F = <ψ|ρ|ψ>, ψ the target and ρ what was prepared.

    Args:
        kind: what it is made from.
        estimate: the value with its interval, within [0, 1].
        assumptions: what it rests on.
    """

    kind: FidelityKind
    estimate: Estimate
    assumptions: list[str]

    _stated = stating("name")

    @property
    def name(self) -> str:
        """What it is made from, in words."""
        return self.kind.words

    @property
    def is_model_free(self) -> bool:
        """Whether it rests on no model of what went wrong."""
        return self.estimate.guarantee != "model"

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return plain(self)


@dataclass(frozen=True, eq=False)
class Aim:
    """The pure state that was meant.

    Args:
        state: as a matrix-product state.
        system: its parameters, where known.
        stabilisers: its generators, where it is known to be a stabiliser state.
    """

    state: MPS
    system: System | None = None
    stabilisers: Stabilisers | None = None

    @classmethod
    def of(cls, state: State, system: System | None = None) -> Aim | None:
        """A state, with the system that it is of; None for a mixed one."""
        return cls(state, system, stabilisers_of(system)) if isinstance(state, MPS) else None

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""
        return self.state.n_sites


@dataclass(frozen=True, eq=False)
class Asked:
    """Whose fidelity is asked for, and from what.

    Args:
        records: with the measurement as it is known.
        aim: the target.
        level: confidence of intervals.
        seed: of all randomness.
    """

    records: Records
    aim: Aim
    level: float = 0.95
    seed: int = 0


#: Settings to measure a target in, 0 X, 1 Y, 2 Z by site, with the shots of each, given a number of shots in
#: all; None where a way to the fidelity does not apply to the target.
Settings = Callable[[Aim, int, np.random.Generator], SettingList | None]

#: What every estimate rests on.
SHOTS_ALIKE = "shots are independent and identically distributed, of a state which may be mixed in any way"
AS_THE_FILE_SAYS = "each qubit is measured as the file says, its readout error included"
