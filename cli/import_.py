"""`qtomo import`: records of a laboratory or of another program as a record file. One subcommand per format."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import rich_click as click

import qtomo
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import NAMED_POVMS, POVM
from qtomo.records.file.schema import named_target
from qtomo.records.importers.base import Imported
from qtomo.records.importers.registry import FORMATS, format_options, recognised_format
from qtomo.records.survey import Coarsening
from qtomo.states.state import State
from qtomo.states.system import System, option_name

from .common import command_line, json_option, overwrite_option, print_json
from .target import TARGETS, parameters_of

__all__ = ["command"]

#: What an example needs beyond the file.
_EXAMPLES = {
    "hdf5": "lab.h5 --outcomes /run3/bits --settings /run3/bases",
    "csv": "lab.csv",
    "npy": "lab.npz --outcomes bits --settings bases",
    "qiskit": "result.json --basis-order plain",
    "qucumber": "samples.txt --bases bases.txt",
    "pastaq": "data.h5",
    "onehot": "train.txt --povm pauli4",
    "counters": "counts.txt --bases lexicographic --bit-order plain",
    "frequencies": "tomograms.h5 --outcomes ions_024 --select a1 --shots-per-setting 200",
    "pytket": "counts.json",
    "ionq": "histogram.json --qubits 4",
    "braket": "results.json",
    "rydberg": "job.json --task 0",
    "randommeas": "measurements.npz",
}


class _ByContents(click.RichGroup):
    """A group whose command may be left out: the file that stands in its place tells it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """With the format that the first file is recognised as, where none is named."""
        first = next((word for word in args if not word.startswith("-")), "")
        if first in self.commands:
            args = [first, *(word for word in args if word is not first)]
        elif first and (Path(first).exists() or "." in first or "/" in first):
            name, note = recognised_format(Path(first))
            click.echo(note, err=True)
            args = [name, *args]
        return list(super().parse_args(ctx, args))


@click.group("import", cls=_ByContents)
def command() -> None:
    """Import records of a laboratory or of another program; try --dry-run first.

    The contents of a file tell its format: qtomo import FILE. A format before the file forces one, and its --help
    lists its options. Several files are read one after the other.

    Example: qtomo import lab.csv --output records.h5
    """


def _target(name: str | None, parameters: Sequence[str]) -> Callable[[int], System | State] | None:
    """The target that the options name, by the number of qubits, which only the file tells."""
    if name is None:
        if parameters:
            raise InputError(Code.REQUIRED, f"--parameter {parameters[0]}: expected --target as well")
        return None
    values = parameters_of(name, parameters)
    return lambda n_sites: named_target(name, n_sites, values)


_SHARED = (
    click.option("-o", "--output", type=click.Path(), help="Record file to write."),
    click.option("--dry-run", is_flag=True, help="Show the first rows as understood, and write nothing."),
    click.option("--confusion", type=click.Path(), help="Readout confusion p(read a | true b): .npy, JSON or text."),
    click.option(
        "--calibration", nargs=2, type=click.Path(), help="Shots of |0...0> and of |1...1>, which tell the confusion."
    ),
    click.option("--design", type=click.Choice(["random", "listed"]), help="How bases were chosen.  [default: tested]"),
    click.option("--coarsen", type=click.Choice(get_args(Coarsening)), help="Shots as outcomes of fewer kinds."),
    click.option("--target", help=f"The state that the records should be of: {TARGETS}"),
    click.option("--parameter", multiple=True, metavar="NAME=VALUE", help="A parameter of the target: field=1.0."),
    overwrite_option,
    json_option,
)


_KINDS: dict[Any, dict[str, Any]] = {
    Path: {"type": click.Path(path_type=Path)},
    bool: {"is_flag": True},
    int: {"type": int},
}


def _kind(kind: Any) -> dict[str, Any]:
    """How click reads an option of a format, by its type."""
    if get_origin(kind) is tuple:
        return {"multiple": True}
    if get_origin(kind) is Literal:
        return {"type": click.Choice(get_args(kind))}
    if kind is POVM:
        return {"metavar": f"{{{'|'.join(NAMED_POVMS)}|FILE}}"}
    return _KINDS.get(kind, {})


def _subcommand(name: str, read: Callable[..., Imported]) -> click.Command:
    """The command of one format: its options from the signature of its function, then those that all share."""

    def callback(paths: Sequence[Path], *, as_json: bool, parameter: Sequence[str], **values: Any) -> None:
        family, calibration = values.pop("target"), values.pop("calibration") or None
        meant = _target(family, parameter)
        found = qtomo.import_records(
            paths,
            name,
            target=meant,
            calibration=calibration,
            check=None if meant is None else qtomo.labelling_note,  # which takes PyTorch to load
            command=command_line(),
            **values,
        )
        if as_json:
            print_json(found.to_dict())
        else:
            click.echo(str(found))

    wrapped: Any = callback
    for option in reversed(_SHARED):
        wrapped = option(wrapped)
    for own in reversed(format_options(read)):
        flag = option_name(own.name)
        wrapped = click.option(flag, own.name, required=own.is_required, help=own.help, **_kind(own.kind))(wrapped)
    wrapped = click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))(
        wrapped
    )
    about = inspect.getdoc(read) or ""
    example = f"Example: qtomo import {name} {_EXAMPLES.get(name, 'FILE')} --output records.h5"
    return click.command(name, help=f"{about.partition('Raises:')[0].strip()}\n\n{example}")(wrapped)


for _name, _read in FORMATS.items():
    command.add_command(_subcommand(_name, _read))
