"""What a named state is: a frozen dataclass of a few numbers, whose fields files and commands carry."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

from qtomo.states.dmrg import Terms
from qtomo.states.mps import MPS

__all__ = ["Numbers", "Qubits", "System", "SystemField", "system_fields"]

#: The field that every system has.
Qubits = Annotated[int, "Number of qubits N."]

#: One number for all, or one each.
Numbers = float | tuple[float, ...]


@runtime_checkable
class System(Protocol):
    """A state given by a few numbers; a frozen dataclass, whose fields the file and the command line carry."""

    def __hash__(self) -> int:
        """Equal systems have equal states, which are kept by it."""

    family: ClassVar[str]
    """What files and commands call it."""

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""

    def state(self) -> MPS:
        """The state."""

    def terms(self) -> Terms:
        """The Hamiltonian as Pauli products, empty where the state comes from none."""


@dataclass(frozen=True)
class SystemField:
    """A field of a system, as its annotation says.

    Args:
        name: what Python calls it.
        kind: its type: int, float, or `Numbers`.
        help: what it means, as a command's help says it; empty where nothing is said.
        default: its value where it is not given; `dataclasses.MISSING` where it has to be.
    """

    name: str
    kind: Any
    help: str
    default: Any

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is dataclasses.MISSING


def system_fields(system: type[Any]) -> tuple[SystemField, ...]:
    """The fields of a system's class; the help of each is the text of its `Annotated[type, "text"]`.

    >>> from qtomo import GHZ
    >>> system_fields(GHZ)[0].help
    'Number of qubits N.'
    """
    hints = get_type_hints(system, include_extras=True)
    found = []
    for field in dataclasses.fields(system):
        hint = hints[field.name]
        kind, text = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, "")
        found.append(SystemField(field.name, kind, text, field.default))
    return tuple(found)


def option_name(field: str) -> str:
    """The command line's name of a system's field."""
    return "--" + {"n_sites": "qubits"}.get(field, field.replace("_", "-"))
