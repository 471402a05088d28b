"""The record file, version 1: names, limits and the target it may carry. See docs/record-format.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from qtomo.config import near_miss
from qtomo.errors import Code, InputError
from qtomo.states.arrays import is_qutip, state_of_array, state_of_qutip
from qtomo.states.circuit import Circuit
from qtomo.states.density import DensityMatrix
from qtomo.states.library import SYSTEMS, build_system
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.state import State
from qtomo.states.system import Edges, System, in_words, option_name, system_fields

if TYPE_CHECKING:
    import qutip

__all__ = ["CIRCUIT_SUFFIX", "FORMAT", "VERSION", "Parameter", "Target", "TargetLike", "named_target"]

FORMAT = "qtomo-records"
VERSION = 1


#: What a parameter of a target may be. Pairs, and the text of a circuit, are datasets of `/target`, others attributes.
Parameter = str | int | float | tuple[float, ...] | Edges

#: What the name of a circuit's file ends with.
CIRCUIT_SUFFIX = ".qasm"

_LONGEST = 40  # characters of a parameter in one line
_SMALL = 1e-4  # numbers below it are written with an exponent


def named_target(name: str, n_sites: int | None = None, parameters: Mapping[str, Any] | None = None) -> System | State:
    """The system of a name, or the state or circuit of a file.

    Args:
        name: a family, a file of OpenQASM (.qasm), or whatever `read_state` reads.
        n_sites: number of qubits, for a family.
        parameters: fields of the family, or of the circuit.

    Raises:
        InputError: neither, no number of qubits, or a parameter that the target does not have or that is out of range.

    >>> named_target("dicke", 4, {"excitations": 2})
    Dicke(n_sites=4, excitations=2)
    """
    given = dict(parameters or {})
    if name in SYSTEMS:
        known = _fields_of(SYSTEMS[name])
        _check_known(name, known, given)
        if "n_sites" in known and n_sites is None:
            raise InputError(
                Code.REQUIRED, f"target '{name}': expected a system with its number of qubits, such as TFIM(10)"
            )
        built = build_system({"family": name, **given, **({"n_sites": n_sites} if "n_sites" in known else {})})
        assert built is not None
        return built
    if not Path(name).is_file():
        families = f"known: {', '.join(SYSTEMS)}"
        raise InputError(
            Code.UNKNOWN, f"target '{name}': neither a file nor a state{near_miss(name, list(SYSTEMS))}; {families}"
        )
    if Path(name).suffix == CIRCUIT_SUFFIX:
        _check_known("circuit's file", _fields_of(Circuit) - {"qasm"}, given)
        return Circuit.from_file(name, **given)
    _check_known("state's file", set(), given)
    from qtomo.records.file.state_file import read_state  # which reads records too

    return read_state(name)


def _fields_of(system: type[Any]) -> set[str]:
    return {field.name for field in system_fields(system)}


def _check_known(what: str, known: set[str], given: Mapping[str, Any]) -> None:
    for option in given:
        if option not in known:
            raise InputError(
                Code.UNKNOWN, f"{option_name(option)}: a {what} has no such parameter{near_miss(option, list(known))}"
            )


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
            system: one of them; an array or a QuTiP object, a ket or a density matrix; a file of a state (`read_state`)
                or of a circuit in OpenQASM (.qasm); or, where the number of qubits is known, a system's name, its class
                or another function of that number.
            state: of the system.
            n_sites: number of qubits.

        Raises:
            InputError: none of them, or no state: its norm, trace, hermiticity and finite numbers are checked, and
                nothing is normalised.
        """
        if isinstance(system, Target):
            return system
        if isinstance(system, str | os.PathLike):
            return cls.of(named_target(os.fspath(system), n_sites))
        if isinstance(system, np.ndarray):
            return cls.of(state_of_array(system))
        if is_qutip(system):
            return cls.of(state_of_qutip(system))
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
        parameters: dict[str, Parameter] = {"family": system.family, "n_sites": system.n_sites, **_fields(system)}
        if isinstance(system, Circuit):  # which not every machine can run
            state = state or system.state()
            parameters["truncation"] = system.truncation
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
    def n_sites(self) -> int:
        """N, the number of qubits.

        Raises:
            InputError: as `state`.
        """
        found = self.parameters.get("n_sites")
        return found if isinstance(found, int) else self.state().n_sites

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
    if isinstance(value, str):
        return value if len(value) <= _LONGEST and value.isprintable() else f"of {len(value):,} characters"
    if isinstance(value, float) and 0 < abs(value) < _SMALL:
        return f"{value:.2e}"
    if not isinstance(value, tuple):
        return np.format_float_positional(value, precision=6, trim="0") if isinstance(value, float) else str(value)
    if not value or isinstance(value[0], tuple):
        words = in_words(value)
        return words if len(words) <= _LONGEST else f"of {len(value):,} pairs"
    return f"{_short(min(value))} to {_short(max(value))}"


#: What can be meant by a target, a name and a function where the number of qubits is known: see `Target.of`.
TargetLike: TypeAlias = Union[
    Target, System, State, str, "os.PathLike[str]", NDArray[Any], "qutip.Qobj", Callable[[int], System | State]
]
