"""`qtomo verify`: did the laboratory prepare the state?"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

import qtomo
from qtomo.errors import InputError
from qtomo.files import check_absent
from qtomo.records.file.reader import RecordFile
from qtomo.reporting.style import figure_kind

if TYPE_CHECKING:
    from qtomo.states.library import System
    from qtomo.states.state import State

from .common import command_line, device_option, json_option, print_json, seed_option, shown_progress
from .target import target_of, target_options

__all__ = ["command"]

REJECTED = 1

#: Options that are those of `qtomo.verify`; what is left are parameters of the target.
_ASKED = ("alpha", "level", "alternative", "resolution", "parity_run", "seed", "device")


def _renamed(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """A callback that tells the new name of an option."""

    def refuse(_context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            raise InputError(f"{parameter.opts[0]} is called {name} now")

    return refuse


@click.command("verify")
@click.argument("file", type=click.Path(), required=False)
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
@click.option("--plan", "planning", is_flag=True, help="Instead: records needed to see faults, by measurement.")
@click.option("--qubits", type=int, help="With --plan: number of qubits, where there is no file.")
@click.option("--fault", "faults", multiple=True, metavar="NAME:SIZE", help="With --plan: such as depolarizing:0.01.")
@click.option("--power", default=0.95, show_default=True, help="With --plan: probability to see the fault.")
@device_option
@seed_option
@json_option
def command(
    file: str | None,
    target: str | None,
    figure: Path | None,
    output: Path | None,
    everything: bool,
    planning: bool,
    qubits: int | None,
    faults: tuple[str, ...],
    power: float,
    as_json: bool,
    **options: Any,
) -> int:
    """Ask whether the records of FILE are of the target: consistent (or only in the bases measured), inconsistent or
    undecided, and why.

    Writes FILE's name with .verification.json beside it, of which qtomo report makes a page. Exit code 1 where the
    records are inconsistent.

    Example: qtomo verify lab.h5 --target tfim --coupling 1 --field 1

    Example: qtomo verify --plan --target tfim --qubits 50 --fault depolarizing:0.01
    """
    if figure is not None:
        figure_kind(figure)
    if output is not None:
        check_absent(output, overwrite=True)
    if file is None and not planning:
        raise InputError("expected FILE, or --plan to plan an experiment")
    asked = {name: options.pop(name) for name in _ASKED}
    meant = target_of(target, options, qubits if file is None else _n_sites(file))
    if planning:
        _plan(meant, faults, as_json, alpha=asked["alpha"], power=power, seed=asked["seed"])
        return 0
    assert file is not None
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


def _plan(target: System | State | None, faults: tuple[str, ...], as_json: bool, **asked: Any) -> None:
    if target is None:
        raise InputError("--plan: expected --target, with --qubits")
    with shown_progress() as progress:
        planned = qtomo.plan(target, faults, **asked, progress=progress)
    if as_json:
        print_json(planned.to_dict())
    else:
        click.echo(str(planned))


def _n_sites(file: str) -> int:
    with RecordFile(file) as opened:
        return opened.n_sites
