"""Options that say which state was meant: a family with its parameters, or a state file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from qtomo.errors import InputError
from qtomo.records.file.state_file import read_state
from qtomo.records.simulation import option_name
from qtomo.states.library import SYSTEMS, System
from qtomo.states.state import State

from .simulate import FIELD_HELP, FIELD_TYPES

__all__ = ["target_of", "target_options"]

_FIELDS = {field.name: field for system in SYSTEMS.values() for field in dataclasses.fields(system)}


def target_options(callback: Callable[..., Any]) -> Callable[..., Any]:
    """`--target`, and an option a parameter that some target has, `--qubits` aside, which the records tell."""
    for name, field in reversed(_FIELDS.items()):
        if name != "n_sites":
            kind = FIELD_TYPES[str(field.type)]
            callback = click.option(option_name(name), name, type=kind, help=FIELD_HELP[name])(callback)
    what = f"What was meant: {', '.join(SYSTEMS)}, or a state file.  [default: the file's target]"
    return click.option("--target", help=what)(callback)


def target_of(name: str | None, parameters: dict[str, Any], n_sites: int | None) -> System | State | None:
    """The target that these options name, None where none was given.

    Raises:
        InputError: an unknown name, a parameter that it does not have, or no number of qubits.
    """
    given = {option: value for option, value in parameters.items() if value is not None}
    if name is None:
        if given:
            raise InputError(f"{option_name(next(iter(given)))}: a parameter of a target, expected --target beside it")
        return None
    if name not in SYSTEMS:
        if Path(name).exists():
            return read_state(name)
        raise InputError(f"--target {name}: neither a file nor a state; known: {', '.join(SYSTEMS)}")
    system = SYSTEMS[name]
    known = {field.name for field in dataclasses.fields(system)}
    for option in given:
        if option not in known:
            raise InputError(f"{option_name(option)}: a {name} has no such parameter")
    if n_sites is None:
        raise InputError("--plan: expected --qubits")
    found: System = system(n_sites=n_sites, **given)
    return found
