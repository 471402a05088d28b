"""Options that say which state was meant: a family with its parameters, or a state file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from qtomo.errors import InputError
from qtomo.records.file.state_file import read_state
from qtomo.states.library import SYSTEMS, build_system
from qtomo.states.state import State
from qtomo.states.system import Numbers, System, SystemField, option_name, system_fields

from .simulate import FIELD_TYPES

__all__ = ["target_of", "target_options"]


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
    what = f"What was meant: {', '.join(SYSTEMS)}, or a state file.  [default: the file's target]"
    return click.option("--target", help=what)(callback)


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
            raise InputError(f"{option_name(next(iter(given)))}: a parameter of a target, expected --target beside it")
        return None
    if name not in SYSTEMS:
        if Path(name).exists():
            return read_state(name)
        raise InputError(f"--target {name}: neither a file nor a state; known: {', '.join(SYSTEMS)}")
    system = SYSTEMS[name]
    known = {field.name for field in system_fields(system)}
    for option in given:
        if option not in known:
            raise InputError(f"{option_name(option)}: a {name} has no such parameter")
    if n_sites is None:
        raise InputError(f"--target {name}: expected --qubits beside it")
    return build_system({"family": name, "n_sites": n_sites, **given})
