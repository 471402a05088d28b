"""`qtomo verify`: did the laboratory prepare the state?"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from qtomo.analysis.planning import plan
from qtomo.analysis.verification import verification_path, verify
from qtomo.errors import InputError
from qtomo.records import RecordFile, option_name, read_state
from qtomo.report.figures import fault_map
from qtomo.states import SYSTEMS, State, System

from .common import device_option, json_option, print_json, progress_bar, say, seed_option
from .simulate import FIELD_HELP, FIELD_TYPES

__all__ = ["command"]

REJECTED = 1

_FIELDS = {field.name: field for system in SYSTEMS.values() for field in dataclasses.fields(system)}


def _parameter_options(callback: Callable[..., Any]) -> Callable[..., Any]:
    """An option a parameter that some target has, `--qubits` aside, which the records tell."""
    for name, field in reversed(_FIELDS.items()):
        if name != "n_sites":
            kind = FIELD_TYPES[str(field.type)]
            callback = click.option(option_name(name), name, type=kind, help=FIELD_HELP[name])(callback)
    return callback


@click.command("verify")
@click.argument("file", type=click.Path(), required=False)
@click.option("--target", help=f"What was meant: {', '.join(SYSTEMS)}, or a state file.  [default: the file's target]")
@_parameter_options
@click.option("--level", default=0.01, show_default=True, help="Probability of a false alarm, over all tests together.")
@click.option("--confidence", default=0.95, show_default=True, help="Of the certified bounds.")
@click.option(
    "--alternative",
    default="auto",
    show_default=True,
    help="Learned for the split likelihood ratio: auto, kgram, gru, none.",
)
@click.option("--parity-run", type=click.Path(), help="Shots of all qubits in basis X, for a tighter fidelity bound.")
@click.option("--resolution", default=0.05, show_default=True, help="Fault of every qubit that `consistent` excludes.")
@click.option("--figure", type=click.Path(path_type=Path), help="PNG of the map of the fault.")
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
    level: float,
    confidence: float,
    alternative: str,
    parity_run: str | None,
    resolution: float,
    figure: Path | None,
    planning: bool,
    qubits: int | None,
    faults: tuple[str, ...],
    power: float,
    device: str,
    seed: int,
    as_json: bool,
    **parameters: Any,
) -> int:
    """Ask whether the records of FILE are of the target: consistent, inconsistent or undecided, and why.

    Writes FILE's name with .verification.json beside it. Exit code 1 where the records are inconsistent.

    Example: qtomo verify lab.h5 --target tfim --coupling 1 --field 1

    Example: qtomo verify --plan --target tfim --qubits 50 --fault depolarizing:0.01
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    if file is None and not planning:
        raise InputError("expected FILE, or --plan to plan an experiment")
    n_sites = qubits if file is None else _n_sites(file)
    meant = _target(target, given, n_sites)
    if planning:
        if meant is None:
            raise InputError("--plan: expected --target, with --qubits")
        planned = plan(meant, faults or ("depolarizing:0.01", "dephasing:0.01"), level, power, seed=seed, say=say)
        if as_json:
            print_json(planned.to_dict())
        else:
            click.echo(str(planned))
        return 0
    assert file is not None
    started = time.monotonic()
    with progress_bar("scoring") as update:
        found = verify(
            file,
            meant,
            level,
            alternative,
            confidence,
            resolution,
            parity_run,
            seed=seed,
            device=device,
            say=say,
            progress=update,
        )
    if figure is not None:
        fault_map(found, figure)
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(f"{found}\n\n{verification_path(file)}   ({time.monotonic() - started:.0f} s)")
    return REJECTED if found.verdict == "inconsistent" else 0


def _n_sites(file: str) -> int:
    with RecordFile(file) as opened:
        return opened.n_sites


def _target(name: str | None, given: dict[str, Any], n_sites: int | None) -> System | State | None:
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
