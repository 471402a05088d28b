"""Options that say which state was meant: a family with its parameters, or a file of a state or a circuit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import rich_click as click

import qtomo
from qtomo.config import near_miss
from qtomo.errors import Code, InputError
from qtomo.records.file.schema import named_target
from qtomo.states.library import SYSTEMS
from qtomo.states.state import State
from qtomo.states.system import Numbers, System, SystemField, option_name, system_fields

from .simulate import FIELD_TYPES

__all__ = ["TARGETS", "parameters_of", "target_of", "target_options"]

#: What `--target` takes.
TARGETS = f"{', '.join(SYSTEMS)}, or a file: of a state (HDF5, .npy) or a circuit (.qasm)."


def target_options(callback: Callable[..., Any]) -> Callable[..., Any]:
    """`--target`, and one option per parameter of a target, `--qubits` aside, which the records tell."""
    fields: dict[str, dict[str, SystemField]] = {}
    for family, system in SYSTEMS.items():
        for field in system_fields(system):
            fields.setdefault(field.name, {})[family] = field
    for name, by_family in reversed(fields.items()):
        if name != "n_sites":
            kinds = {field.kind for field in by_family.values()}
            kind = FIELD_TYPES[Numbers if Numbers in kinds else kinds.pop()]
            callback = click.option(option_name(name), name, type=kind, help=_help(by_family))(callback)
    return click.option("--target", help=f"What was meant: {TARGETS}  [default: the file's target]")(callback)


def _help(by_family: dict[str, SystemField]) -> str:
    """What a parameter means, said once where it is the same for all families that have it."""
    texts = {field.help for field in by_family.values()}
    if len(texts) == 1:
        return texts.pop()
    return " ".join(f"{family}: {field.help}" for family, field in by_family.items())


def target_of(name: str | None, parameters: dict[str, Any], n_sites: int | None) -> System | State | None:
    """The target that these options name, None where none was given.

    Raises:
        InputError: an unknown name, a parameter that it does not have, or no number of qubits.
    """
    given = {option: value for option, value in parameters.items() if value is not None}
    if name is None:
        if given:
            raise InputError(
                Code.REQUIRED, f"{option_name(next(iter(given)))}: a parameter of a target, expected --target beside it"
            )
        return None
    if n_sites is None and name in SYSTEMS and "n_sites" in {field.name for field in system_fields(SYSTEMS[name])}:
        raise InputError(Code.REQUIRED, f"--target {name}: expected --qubits beside it")
    return named_target(name, n_sites, given)


def parameters_of(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """Parameters of a target that are written as NAME=VALUE.

    Raises:
        InputError: one that is written otherwise or twice, that the target does not have, or of another kind.
    """
    system = SYSTEMS.get(name, qtomo.Circuit)
    fields = {field.name: field for field in system_fields(system)}
    values: dict[str, Any] = {}
    for text in texts:
        parameter, equals, value = text.partition("=")
        if not equals or parameter in values:
            raise InputError(Code.SYNTAX, f"--parameter {text}: expected NAME=VALUE, such as field=1.0, each name once")
        if parameter not in fields:
            raise InputError(
                Code.UNKNOWN, f"--parameter {text}: unknown parameter '{parameter}'{near_miss(parameter, list(fields))}"
            )
        try:
            values[parameter] = fields[parameter].read(value)
        except InputError as error:
            raise InputError(error.code, f"--parameter {text}: {error}") from None
    return values
