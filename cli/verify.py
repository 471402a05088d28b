"""`qtomo verify`: did the laboratory prepare the state?"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

import qtomo
from qtomo.errors import Code, InputError
from qtomo.files import check_absent
from qtomo.records.file.reader import RecordFile
from qtomo.reporting.style import figure_kind

from .common import command_line, device_option, json_option, print_json, seed_option, shown_progress
from .target import target_of, target_options

__all__ = ["command"]

REJECTED = 1

#: Options that are those of `qtomo.verify`; what is left are parameters of the target.
_ASKED = ("alpha", "level", "alternative", "resolution", "parity_run", "seed", "device", "budget")


def _renamed(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """A callback that tells the new name of an option."""

    def refuse(_context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            raise InputError(Code.UNKNOWN, f"{parameter.opts[0]} is called {name} now")

    return refuse


def _moved(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        raise InputError(Code.UNKNOWN, "verify --plan is a command of its own now: qtomo plan")


@click.command("verify")
@click.argument("file", type=click.Path())
@target_options
@click.option("--alpha", default=0.01, show_default=True, help="Probability of a false alarm, over all tests together.")
@click.option("--level", default=0.95, show_default=True, help="Confidence of intervals and bounds.")
@click.option("--confidence", hidden=True, expose_value=False, callback=_renamed("--level"))
@click.option(
    "--alternative",
    default="auto",
    show_default=True,
    help="Learned from half of the records: auto, kgram, a family such as gru, none.",
)
@click.option("--parity-run", type=click.Path(), help="Shots of all qubits in basis X, for a tighter fidelity bound.")
@click.option("--resolution", default=0.05, show_default=True, help="Fault of every qubit that `consistent` excludes.")
@click.option("--figure", type=click.Path(path_type=Path), help="Map of the fault (.png, .pdf or .svg).")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file.  [default: NAME.verification.json]")
@click.option("--all", "everything", is_flag=True, help="Show all tests, not only those that reject.")
@click.option("--budget/--no-budget", default=None, help="Fit all local errors of all qubits.  [default: where quick]")
@click.option("--plan", is_flag=True, hidden=True, expose_value=False, callback=_moved)
@device_option
@seed_option
@json_option
def command(
    file: str,
    target: str | None,
    figure: Path | None,
    output: Path | None,
    everything: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Ask whether the records of FILE are of the target: consistent (or only in the bases measured), inconsistent or
    undecided, and why.

    Writes FILE's name with .verification.json beside it, of which qtomo report makes a page. Exit code 1 where the
    records are inconsistent.

    Example: qtomo verify lab.h5 --target tfim --coupling 1 --field 1
    """
    if figure is not None:
        figure_kind(figure)
    if output is not None:
        check_absent(output, overwrite=True)
    asked = {name: options.pop(name) for name in _ASKED}
    meant = target_of(target, options, _n_sites(file))
    started = time.monotonic()
    with shown_progress() as progress:
        found = qtomo.verify(
            file,
            meant,
            **asked,
            output=output,
            command=command_line(),
            progress=progress,
        )
    if figure is not None:
        from qtomo.reporting.figures import fault_map, save_figure

        save_figure(fault_map(found), figure)
    if as_json:
        print_json(found.to_dict())
    else:
        from qtomo.verification.pipeline import verification_path

        where = output or verification_path(file)
        click.echo(f"{found.text(everything)}\n\n{where}   ({time.monotonic() - started:.0f} s)")
    return REJECTED if found.verdict == "inconsistent" else 0


def _n_sites(file: str) -> int:
    with RecordFile(file) as opened:
        return opened.n_sites
