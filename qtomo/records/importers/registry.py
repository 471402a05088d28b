"""Import formats: one file each, which reads a foreign file as outcomes or as shots with settings.

A format is a function of a path and keyword options; its signature says what they are, for Python and the command
line alike.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from qtomo.config import near_miss
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import POVM
from qtomo.records.file.state_file import povm_of
from qtomo.records.importers.base import Imported, check_file
from qtomo.records.importers.braket import read_braket
from qtomo.records.importers.counters import read_counters
from qtomo.records.importers.csv import read_csv
from qtomo.records.importers.frequencies import read_frequencies
from qtomo.records.importers.hdf5 import read_hdf5
from qtomo.records.importers.ionq import read_ionq
from qtomo.records.importers.npy import read_npy
from qtomo.records.importers.onehot import read_onehot
from qtomo.records.importers.pastaq import read_pastaq
from qtomo.records.importers.pytket import read_pytket
from qtomo.records.importers.qiskit import read_qiskit
from qtomo.records.importers.qucumber import read_qucumber
from qtomo.records.importers.randommeas import read_randommeas
from qtomo.records.importers.recognition import Claim, Head, claim_of
from qtomo.records.importers.rydberg import read_rydberg

__all__ = ["FORMATS", "FormatOption", "format_options", "read_format", "recognise", "recognised_format"]

#: Every format by name: the only list there is.
FORMATS: dict[str, Callable[..., Imported]] = {
    "hdf5": read_hdf5,
    "csv": read_csv,
    "npy": read_npy,
    "qiskit": read_qiskit,
    "qucumber": read_qucumber,
    "pastaq": read_pastaq,
    "onehot": read_onehot,
    "counters": read_counters,
    "frequencies": read_frequencies,
    "pytket": read_pytket,
    "ionq": read_ionq,
    "braket": read_braket,
    "rydberg": read_rydberg,
    "randommeas": read_randommeas,
}


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


def recognise(path: Path) -> list[tuple[str, Claim]]:
    """The formats that may read a file, with what each takes it for, the surest first; by its contents.

    Raises:
        InputError: no regular file, an empty one, or one that is damaged.
    """
    check_file(path, "records of a laboratory or of another program")
    head = Head(path)
    found = [(name, claim) for name, read in FORMATS.items() if (claim := claim_of(read, head)) is not None]
    return sorted(found, key=lambda one: one[1].sure.rank)


def recognised_format(path: Path) -> tuple[str, str]:
    """The format of a file, and a note that says what it is taken for and what else it may be.

    Raises:
        InputError: none that is known, or several that are as likely.
    """
    found = recognise(path)
    if not found:
        raise InputError(
            Code.UNKNOWN, f"{path}: of no format that is recognised, expected one of {', '.join(FORMATS)}; name it"
        )
    (name, claim), others = found[0], found[1:]
    rivals = [(other, one) for other, one in others if one.sure == claim.sure]
    if rivals:
        readings = "; ".join(f"{other}: {one.reading}" for other, one in [found[0], *rivals])
        raise InputError(
            Code.REQUIRED,
            f"{path}: may be of several formats ({readings}), expected one of these names before the file",
        )
    also = f"; may also be read as {', '.join(other for other, _ in others)}" if others else ""
    return name, f"taken for {claim.reading} (format {name}, {claim.sure.words}{also})"


def read_format(
    path: str | os.PathLike[str], format: str | None = None, options: Mapping[str, Any] | None = None
) -> Imported:
    """A foreign file as understood by a format.

    Args:
        path: the file.
        format: a name of `FORMATS`; None where the file's contents are to tell it.
        options: those of the format, None where one is not given.

    Raises:
        InputError: an unknown format, one that the contents do not tell, an option that the format does not have or
            one missing that it needs, or what is wrong with the file.
    """
    path, name = Path(path), format
    if name is None:
        name, said = recognised_format(path)
        found = read_format(path, name, options)
        return replace(found, notes=(said, *found.notes))
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
