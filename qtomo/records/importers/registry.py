"""Import formats: one file each, which reads a foreign file as outcomes or as shots with settings.

A format is a function of a path and keyword options; its signature says what they are, for Python and the command
line alike.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from qtomo.config import near_miss
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import POVM
from qtomo.records.file.state_file import povm_of
from qtomo.records.importers.base import Imported
from qtomo.records.importers.csv import read_csv
from qtomo.records.importers.hdf5 import read_hdf5
from qtomo.records.importers.npy import read_npy
from qtomo.records.importers.onehot import read_onehot
from qtomo.records.importers.pastaq import read_pastaq
from qtomo.records.importers.qiskit import read_qiskit
from qtomo.records.importers.qucumber import read_qucumber

__all__ = ["FORMATS", "FormatOption", "format_options", "read_format"]

#: Every format by name: the only list there is.
FORMATS: dict[str, Callable[..., Imported]] = {
    "hdf5": read_hdf5,
    "csv": read_csv,
    "npy": read_npy,
    "qiskit": read_qiskit,
    "qucumber": read_qucumber,
    "pastaq": read_pastaq,
    "onehot": read_onehot,
}

# Names of files that say which format it is; those of HDF5 and of text do not.
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".npy": "npy", ".npz": "npy", ".json": "qiskit"}


@dataclass(frozen=True)
class FormatOption:
    """An option of a format, as the signature of its function says.

    Args:
        name: what Python calls it.
        kind: its type, `None` aside: str, bool, Path, POVM, a `Literal`, or a tuple of str.
        help: what it means, the text of its `Annotated[type, "text"]`.
        is_required: whether there is no default.
    """

    name: str
    kind: Any
    help: str
    is_required: bool

    def value(self, given: Any) -> Any:
        """What a caller gave, as the function takes it: names of POVMs and of files, numbers for text.

        Raises:
            InputError: none of the values that there are.
        """
        if self.kind is POVM:
            return povm_of(given)
        if self.kind is Path:
            return Path(given)
        if get_origin(self.kind) is tuple:
            return (given,) if isinstance(given, str) else tuple(map(str, given))
        if get_origin(self.kind) is Literal and given not in get_args(self.kind):
            raise InputError(
                Code.UNKNOWN, f"{self.name} is '{given}', expected one of {', '.join(get_args(self.kind))}"
            )
        return str(given) if self.kind is str else given


def format_options(read: Callable[..., Imported]) -> tuple[FormatOption, ...]:
    """The options of a format's function, its path aside.

    >>> [option.name for option in format_options(read_onehot)]
    ['povm']
    """
    hints = get_type_hints(read, include_extras=True)
    found = []
    for parameter in inspect.signature(read).parameters.values():
        if parameter.name != "path":
            hint = hints[parameter.name]
            kind, text = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, "")
            kinds = [part for part in get_args(kind) if part is not type(None)]
            kind = kinds[0] if type(None) in get_args(kind) else kind
            found.append(FormatOption(parameter.name, kind, text, parameter.default is inspect.Parameter.empty))
    return tuple(found)


def read_format(
    path: str | os.PathLike[str], format: str | None = None, options: Mapping[str, Any] | None = None
) -> Imported:
    """A foreign file as understood by a format.

    Args:
        path: the file.
        format: a name of `FORMATS`; None where the file's name tells it.
        options: those of the format, None where one is not given.

    Raises:
        InputError: an unknown format, one that the file's name does not tell, an option that the format does not have
            or one missing that it needs, or what is wrong with the file.
    """
    path = Path(path)
    name = format or _SUFFIXES.get(path.suffix.lower())
    if name is None:
        raise InputError(
            Code.REQUIRED, f"{path}: its name does not tell the format, expected one of {', '.join(FORMATS)}"
        )
    if name not in FORMATS:
        raise InputError(Code.UNKNOWN, f"format '{name}'{near_miss(name, list(FORMATS))}; known: {', '.join(FORMATS)}")
    known = {option.name: option for option in format_options(FORMATS[name])}
    given = {key: value for key, value in (options or {}).items() if value is not None}
    unknown = next((key for key in given if key not in known), None)
    if unknown is not None:
        raise InputError(Code.UNKNOWN, f"format {name} has no option '{unknown}'{near_miss(unknown, list(known))}")
    missing = next((key for key, option in known.items() if option.is_required and key not in given), None)
    if missing is not None:
        raise InputError(Code.REQUIRED, f"format {name}: no {missing}: {known[missing].help}")
    return FORMATS[name](path, **{key: known[key].value(value) for key, value in given.items()})
