"""`qtomo import`: records of a laboratory or of another program as a record file. One subcommand a format."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import rich_click as click

from qtomo.distribution import LOST, Outcomes, shot_labels
from qtomo.errors import InputError
from qtomo.measurement.bases import in_kets
from qtomo.measurement.povm import BASES, NAMED_POVMS, POVM
from qtomo.measurement.settings import Design
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.schema import Target
from qtomo.records.importers.base import Imported
from qtomo.records.importers.registry import FORMATS
from qtomo.records.importing import Coarsening, Survey, coarsened, survey, write_imported
from qtomo.measurement.readout import with_bit_confusion
from qtomo.records.importers.readout import read_calibration, read_confusion
from qtomo.records.records import Records
from qtomo.records.simulation import option_name
from qtomo.states.library import SYSTEMS, build_system
from qtomo.verification.pipeline import better_labelling

from .common import command_line, json_option, overwrite_option, povm_of, print_json

__all__ = ["command"]

_TRIED = 1000  # records that other labellings are tried on

#: What an example needs beyond the file.
_EXAMPLES = {
    "hdf5": "lab.h5 --outcomes /run3/bits --settings /run3/bases",
    "csv": "lab.csv",
    "npy": "lab.npz --outcomes bits --settings bases",
    "qiskit": "result.json --basis-order plain",
    "qucumber": "samples.txt --bases bases.txt",
    "pastaq": "data.h5",
    "onehot": "train.txt --povm pauli4",
}


@click.group("import")
def command() -> None:
    """Import records of a laboratory or of another program; try --dry-run first.

    Example: qtomo import csv lab.csv --output records.h5
    """


def _run(source: Imported, given: Mapping[str, Any], **options: Any) -> None:
    """Look the source through, write it as the shared options say, and print what was made.

    Args:
        source: the file, as the options of its format say.
        given: these options.
        options: those that all formats share.
    """
    summary: dict[str, Any] = {}
    notes: list[str] = []
    calibration = None
    confusion = None
    if options["calibration"]:
        if options["confusion"]:
            raise InputError("--confusion and --calibration: expected one of the two")
        zeros, ones = map(Path, options["calibration"])
        calibration = read_calibration(zeros, ones, source.n_sites, given)
        confusion = calibration.confusion
        shots = calibration.shots.max(axis=0)
        notes += [f"readout of {shots[0]:,} + {shots[1]:,} shots", *calibration.describe()]
        summary["readout"] = {"confusion": confusion.tolist(), "standard_errors": calibration.errors.tolist()}
    elif options["confusion"]:
        confusion = read_confusion(Path(options["confusion"]), source.n_sites)
        notes.append(f"readout confusion of {options['confusion']}, in the POVM elements")
        summary["readout"] = {"confusion": confusion.tolist()}
    as_read = source
    if confusion is not None:
        source = replace(source, povm=with_bit_confusion(source.povm, confusion, source.n_sites))
    target = _target(options["target"], options["parameter"], source.n_sites)
    found = survey(source)
    notes.append(_labels_in_words(as_read))
    if options["coarsen"]:
        source = coarsened(source, found)
    elif options["design"] and not source.has_settings:
        raise InputError(f"--design {options['design']}: the records have no settings")
    if target is not None:
        notes += _doubt(source, found, target)
    summary |= _describe(source, found, options["design"]) | {"notes": [*source.notes, *notes]}
    if options["dry_run"]:
        summary["first"] = _first_rows(found.first)
    else:
        if not options["output"]:
            raise InputError("no --output FILE, expected one, or --dry-run")
        path = write_imported(
            source,
            found,
            options["output"],
            target,
            options["design"] if source.has_settings else None,
            calibration,
            command_line(),
            options["overwrite"],
        )
        with RecordFile(path) as file:
            summary = {"file": str(path), **summary, "sha256": file.sha256}
    if target is not None:
        summary["target"] = target.describe()
    if options["as_json"]:
        print_json(summary)
    else:
        _print(summary)


def _labels_in_words(source: Imported) -> str:
    """What each label means, as kets."""
    kets = in_kets(source.povm.site_elements(source.n_sites)[0])
    if source.has_settings:
        zeros, ones = (
            ", ".join(f"{ket} in {basis}" for ket, basis in zip(kets[bit::2], BASES, strict=True)) for bit in (0, 1)
        )
        return f"bit 0 is {zeros}; bit 1 is {ones}"
    return "; ".join(f"outcome {outcome} is {ket}" for outcome, ket in enumerate(kets))


def _doubt(source: Imported, found: Survey, target: Target) -> list[str]:
    """A note where another labelling of the records fits the target far better."""
    step = max(1, found.n_records // _TRIED)
    parts, first = [], 0
    for block in source.blocks():
        labels = shot_labels(*block) if isinstance(block, tuple) else block
        parts.append(labels[-first % step :: step])
        first += len(labels)
    design: Design = "random" if source.has_settings else "povm"
    records = Records.from_labels(np.concatenate(parts), source.povm, design=design)
    better = better_labelling(records, target)
    if better is None:
        return []
    return [f"another labelling fits the target far better: {better.describe()}; check before you rely"]


def _describe(source: Imported, found: Survey, design: Design | None) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "n_records": found.n_records,
        "n_sites": source.n_sites,
        "povm": source.povm.name,
        "lost": found.n_lost,
        "design": (design or found.design) if source.has_settings else None,
        "columns": sorted(found.columns),
    }
    if found.uniformity is not None:
        test = found.uniformity
        summary["settings"] = {"distinct": test.n_settings, "p_value": test.p_value, "said": test.describe()}
    return summary


def _first_rows(block: Outcomes | tuple[Outcomes, Outcomes]) -> list[str]:
    """Rows as understood, site 0 leftmost: bases and bits, or outcomes."""
    bits = block[1] if isinstance(block, tuple) else block
    gap = "" if bits[bits != LOST].max(initial=0) < 10 else " "
    words = [gap.join("?" if bit == LOST else str(bit) for bit in row) for row in bits]
    if not isinstance(block, tuple):
        return words
    letters = np.array(list(BASES))
    return [f"{''.join(letters[row])} {word}" for row, word in zip(block[0], words, strict=True)]


def _print(summary: dict[str, Any]) -> None:
    what = "shots" if summary["design"] else "records"
    head = summary.get("file", "nothing written (--dry-run)")
    lost = f", {summary['lost']:,} outcomes lost" if summary["lost"] else ""
    design = f", design {summary['design']}" if summary["design"] else ""
    click.echo(
        f"{head}: {summary['n_records']:,} {what} of {summary['n_sites']} qubits, {summary['povm']}{design}{lost}"
    )
    if "settings" in summary:
        click.echo(f"settings: {summary['settings']['said']}")
    for note in summary["notes"]:
        click.echo(f"note: {note}")
    if summary["columns"]:
        click.echo(f"columns: {', '.join(summary['columns'])}")
    if "target" in summary:
        click.echo(f"target: {summary['target']}")
    if "first" in summary:
        click.echo("first rows, site 0 leftmost:")
        for row in summary["first"]:
            click.echo(f"  {row}")


def _target(family: str | None, parameters: Sequence[str], n_sites: int) -> Target | None:
    if family is None:
        if parameters:
            raise InputError(f"--parameter {parameters[0]}: expected --target FAMILY as well")
        return None
    values: dict[str, Any] = {"family": family, "n_sites": n_sites}
    for text in parameters:
        name, equals, value = text.partition("=")
        if not equals or name in values:
            raise InputError(f"--parameter {text}: expected NAME=VALUE, such as field=1.0, each name once")
        values[name] = _value(text, value)
    system = build_system(values)
    assert system is not None
    return Target.of(system)


def _value(text: str, value: str) -> int | float | tuple[float, ...]:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        numbers = tuple(float(part) for part in value.split(","))
    except ValueError:
        raise InputError(f"--parameter {text}: '{value}' is not a number, or numbers with commas between") from None
    return numbers[0] if len(numbers) == 1 else numbers


_SHARED = (
    click.option("--output", type=click.Path(), help="Record file to write."),
    click.option("--dry-run", is_flag=True, help="Show the first rows as understood, and write nothing."),
    click.option("--confusion", type=click.Path(), help="Readout confusion p(read a | true b): .npy, JSON or text."),
    click.option(
        "--calibration", nargs=2, type=click.Path(), help="Shots of |0...0> and of |1...1>, which tell the confusion."
    ),
    click.option("--design", type=click.Choice(["random", "listed"]), help="How bases were chosen.  [default: tested]"),
    click.option("--coarsen", type=click.Choice(get_args(Coarsening)), help="Shots as outcomes of fewer kinds."),
    click.option("--target", type=click.Choice(list(SYSTEMS)), help="The state that the records should be of."),
    click.option("--parameter", multiple=True, metavar="NAME=VALUE", help="A parameter of the target: field=1.0."),
    overwrite_option,
    json_option,
)


def _kind(hint: Any) -> dict[str, Any]:
    """How click reads an option of a format, by its type."""
    inner = [part for part in get_args(hint) if part is not type(None)] if type(None) in get_args(hint) else [hint]
    kind = inner[0]
    if get_origin(kind) is tuple:
        return {"multiple": True}
    if get_origin(kind) is Literal:
        return {"type": click.Choice(get_args(kind))}
    if kind is POVM:
        return {"metavar": f"{{{'|'.join(NAMED_POVMS)}|FILE}}"}
    return {"type": click.Path(path_type=Path)} if kind is Path else {"is_flag": True} if kind is bool else {}


def _subcommand(name: str, read: Callable[..., Imported]) -> click.Command:
    """The command of one format: its options from the signature of its function, then those that all share."""
    hints = get_type_hints(read, include_extras=True)
    own = [parameter for parameter in inspect.signature(read).parameters.values() if parameter.name != "path"]

    def callback(path: Path, **values: Any) -> None:
        given = {parameter.name: values.pop(parameter.name) for parameter in own}
        if given.get("povm") is not None:
            given["povm"] = povm_of(given["povm"])
        _run(read(path, **given), given, **values)

    options = [click.argument("path", metavar="FILE", type=click.Path(path_type=Path))]
    for parameter in own:
        hint, text = get_args(hints[parameter.name])
        needed = parameter.default is inspect.Parameter.empty
        options.append(
            click.option(option_name(parameter.name), parameter.name, required=needed, help=text, **_kind(hint))
        )
    wrapped: Any = callback
    for option in reversed([*options, *_SHARED]):
        wrapped = option(wrapped)
    about = inspect.getdoc(read) or ""
    example = f"Example: qtomo import {name} {_EXAMPLES.get(name, 'FILE')} --output records.h5"
    return click.command(name, help=f"{about.partition('Raises:')[0].strip()}\n\n{example}")(wrapped)


for _name, _read in FORMATS.items():
    command.add_command(_subcommand(_name, _read))
