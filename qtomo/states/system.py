"""What a named state is: a frozen dataclass of a few numbers, whose fields files and commands carry."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

from qtomo.errors import Code, InputError
from qtomo.files import read_text
from qtomo.states.dmrg import Terms
from qtomo.states.mps import MPS

__all__ = ["Edges", "Numbers", "Qubits", "System", "SystemField", "in_words", "option_name", "system_fields"]

#: The field that every system has.
Qubits = Annotated[int, "Number of qubits N."]

#: One number for all, or one each.
Numbers = float | tuple[float, ...]

#: Pairs of sites.
Edges = tuple[tuple[int, int], ...]

_LARGEST_TEXT = 2**20  # bytes of a file that a field holds


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
        kind: its type: int, float, `Numbers`, `Edges`, or str for the text of a file.
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

    def read(self, words: str) -> Any:
        """The value that a person writes as these words: numbers and edges with commas between, or the path of a text.

        Raises:
            InputError: they are of another kind.

        >>> from qtomo import Graph
        >>> system_fields(Graph)[1].read("0-1,1-2")
        ((0, 1), (1, 2))
        """
        if self.kind is str:
            return read_text(words, _LARGEST_TEXT)
        read, expected = _READERS[self.kind]
        try:
            return read(words)
        except ValueError:
            raise InputError(Code.SYNTAX, f"'{words}' is not {expected}") from None

    def check(self, value: Any) -> None:
        """Whether a value is of this kind; how large it may be is its system's affair.

        Raises:
            InputError: it is not.
        """
        is_text, is_edges = isinstance(value, str), isinstance(value, tuple) and value and isinstance(value[0], tuple)
        if self.kind is str:
            wrong, expected = not is_text, "text"
        elif self.kind == Edges:
            wrong, expected = not (is_edges or value == ()), "pairs of sites"
        elif is_text or is_edges:
            wrong, expected = True, "a number"
        else:
            wrong, expected = self.kind is int and not isinstance(value, int), "a whole number"
        if wrong:
            shown = f"'{value[:40]}'" if is_text else value
            raise InputError(Code.VALUE, f"{self.name} is {shown}, expected {expected}")
        if self.kind is float and isinstance(value, tuple):
            raise InputError(Code.VALUE, f"{self.name} has {len(value)} values, expected one")


def _numbers(words: str) -> Numbers:
    found = tuple(float(part) for part in words.split(","))
    return found[0] if len(found) == 1 else found


def _edges(words: str) -> Edges:
    pairs = [part.split("-") for part in words.split(",")] if words.strip() else []
    return tuple((int(first), int(second)) for first, second in pairs)


#: How a field of each kind is read from words, and what is expected of them.
_READERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    int: (int, "a whole number"),
    float: (float, "a number"),
    Numbers: (_numbers, "a number, or numbers with commas between"),
    Edges: (_edges, "pairs of sites with commas between, such as 0-1,1-2"),
}


def in_words(value: Any) -> str:
    """A field's value as a person writes it, which `SystemField.read` reads.

    >>> in_words(((0, 1), (1, 2))), in_words((1.0, 0.5))
    ('0-1,1-2', '1.0,0.5')
    """
    if not isinstance(value, tuple):
        return str(value)
    return ",".join("-".join(map(str, part)) if isinstance(part, tuple) else str(part) for part in value)


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
