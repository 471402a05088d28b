"""The record file, version 1: names, limits and the target it may carry. See docs/record-format.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qtomo.config import near_miss
from qtomo.errors import Code, InputError
from qtomo.states.density import DensityMatrix
from qtomo.states.library import SYSTEMS, build_system
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.state import State
from qtomo.states.system import System, system_fields

__all__ = ["FORMAT", "VERSION", "Parameter", "Target", "TargetLike"]

FORMAT = "qtomo-records"
VERSION = 1


#: What an attribute of `/target` may be.
Parameter = str | int | float | tuple[float, ...]


def _named(name: str, n_sites: int | None) -> System | State:
    """A system by its name, or a state from its file."""
    if name in SYSTEMS and n_sites is not None:
        found: System = SYSTEMS[name](n_sites)
        return found
    if name in SYSTEMS:
        raise InputError(
            Code.REQUIRED, f"target '{name}': expected a system with its number of qubits, such as TFIM(10)"
        )
    if Path(name).is_file():
        from qtomo.records.file.state_file import read_state  # which reads records too

        return read_state(name)
    raise InputError(Code.UNKNOWN, f"target '{name}': neither a file nor a state{near_miss(name, list(SYSTEMS))}")


@dataclass(frozen=True)
class Target:
    """The state that records are of, or should be of.

    Args:
        parameters: plain numbers and strings; `family` says what they mean, e.g.
            {"family": "tfim", "n_sites": 50, "coupling": 1.0, "field": 1.0, "boundary": "open"}.
        tensors: the exact state's MPS tensors, or those of an LPDO's purification, where known.
        density_matrix: the exact state, where it is a mixed one of a few qubits.

    >>> from qtomo import TFIM
    >>> Target.of(TFIM(3)).state().n_sites
    3
    """

    parameters: dict[str, Parameter]
    tensors: tuple[NDArray[Any], ...] | None = None
    density_matrix: NDArray[np.complex128] | None = None

    @classmethod
    def of(
        cls,
        system: TargetLike,
        state: MPS | None = None,
        *,
        n_sites: int | None = None,
    ) -> Target:
        """A system, with its state where that has been computed; or a state that nothing else is known of.

        Args:
            system: one of them; or, where the number of qubits is known, a system's name, its class or
                another function of that number, or a state file.
            state: of the system.
            n_sites: number of qubits.

        Raises:
            InputError: none of them.
        """
        if isinstance(system, Target):
            return system
        if isinstance(system, str):
            return cls.of(_named(system, n_sites))
        if callable(system):
            if n_sites is None:
                name = getattr(system, "__name__", "function")
                raise InputError(Code.REQUIRED, f"target {name}: expected it with a number of qubits: {name}(4)")
            return cls.of(system(n_sites))
        if not isinstance(system, State | System):
            raise InputError(
                Code.KIND,
                f"a target of type {type(system).__name__}, expected a system such as TFIM(10), or a state, such as "
                "read_state('ket.npy') gives",
            )
        if isinstance(system, MPS):
            return cls({"family": "state", "n_sites": system.n_sites}, system.tensors)
        if isinstance(system, LPDO):
            known: dict[str, Parameter] = {"family": "state", "n_sites": system.n_sites, "ancillas": system.ancillas}
            return cls(known, system.purification.tensors)
        if isinstance(system, DensityMatrix):
            return cls({"family": "state", "n_sites": system.n_sites}, None, system.matrix)
        parameters: dict[str, Parameter] = {"family": system.family, **_fields(system)}
        if system.terms():
            parameters["boundary"] = "open"
        return cls(parameters, state.tensors if state else None)

    @property
    def system(self) -> System | None:
        """The system by its parameters; None for a state that is known by its tensors alone.

        Raises:
            InputError: a parameter missing, unknown or out of range.
        """
        return build_system(self.parameters)

    @property
    def ancillas(self) -> int:
        """Qubits of the purification a site, 0 where the tensors are of a pure state."""
        found = self.parameters.get("ancillas", 0)
        return found if isinstance(found, int) and found > 0 and self.parameters.get("family") == "state" else 0

    def state(self) -> State:
        """The exact state: the stored one, or computed anew.

        Raises:
            InputError: the target has neither tensors nor parameters of a known family.
        """
        if self.tensors is not None:
            return LPDO(MPS(self.tensors), self.ancillas) if self.ancillas else MPS(self.tensors)
        if self.density_matrix is not None:
            return DensityMatrix(self.density_matrix)
        system = self.system
        if system is None:
            raise InputError(
                Code.ABSENT, f"target of family '{self.parameters.get('family')}' carries no state: no tensors stored"
            )
        return system.state()

    def describe(self) -> str:
        """One line for tables and `info`."""
        p = dict(self.parameters)
        family = p.pop("family", "state")
        return f"{family}: " + ", ".join(f"{name} {_short(value)}" for name, value in p.items())


def _fields(system: System) -> dict[str, Any]:
    return {field.name: getattr(system, field.name) for field in system_fields(type(system))}


def _short(value: Parameter) -> str:
    if isinstance(value, tuple):
        return f"{_short(min(value))} to {_short(max(value))}"
    return np.format_float_positional(value, precision=6, trim="0") if isinstance(value, float) else str(value)


#: What can be meant by a target where the number of qubits is known: see `Target.of`.
TargetLike: TypeAlias = Target | System | State | str | Callable[[int], System]
