"""`qtomo plan`: which measurement, and how many shots?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

import qtomo
from qtomo.errors import Code, InputError
from qtomo.files import check_absent

from .common import json_option, print_json, seed_option, shown_progress
from .target import target_of, target_options

__all__ = ["command"]


@click.command("plan")
@target_options
@click.option("--qubits", type=int, help="Number of qubits, where --target is a name.")
@click.option("--certify", type=float, help="Fidelity to certify: which settings, and how many shots of each?")
@click.option("--expected", type=float, help="With --certify: fidelity that is thought to be there.  [default: 0.97]")
@click.option("--level", type=float, help="With --certify: confidence of the bound.  [default: 0.95]")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="With --certify: list of settings (.csv, .json or .txt)."
)
@click.option("--overwrite", is_flag=True, help="Replace the list of settings.")
@click.option("--fault", "faults", multiple=True, metavar="NAME:SIZE", help="Fault to see, as depolarizing:0.01.")
@click.option("--power", type=float, help="Of faults: probability to see them.  [default: 0.95]")
@click.option("--alpha", type=float, help="Of faults: probability of a false alarm.  [default: 0.01]")
@seed_option
@json_option
def command(
    target: str | None,
    qubits: int | None,
    certify: float | None,
    expected: float | None,
    level: float | None,
    output: Path | None,
    overwrite: bool,
    faults: tuple[str, ...],
    power: float | None,
    alpha: float | None,
    seed: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Plan an experiment: shots that show faults of a target, by measurement; or with --certify the settings and shots
    that certify a fidelity, by every way there is.

    A list of settings goes to a control program, and to qtomo simulate --settings to try it.

    Example: qtomo plan --target tfim --qubits 50 --fault depolarizing:0.01

    Example: qtomo plan --target ghz --qubits 20 --certify 0.8 --expected 0.9 -o settings.csv
    """
    of_fidelity: dict[str, Any] = {"expected": expected, "level": level}
    of_faults: dict[str, Any] = {"power": power, "alpha": alpha}
    beside = "with" if certify is None else "without"
    useless = {**of_fidelity, "output": output} if certify is None else {**of_faults, "fault": faults or None}
    for name, value in useless.items():
        if value is not None:
            raise InputError(Code.CONFLICT, f"--{name} goes {beside} --certify")
    given = {name: value for name, value in {**of_fidelity, **of_faults}.items() if value is not None}
    if output is not None:
        check_absent(output, overwrite)
    meant = target_of(target, options, qubits)
    if meant is None:
        raise InputError(Code.REQUIRED, "expected --target, with --qubits where it is a name")
    with shown_progress() as progress:
        if certify is None:
            planned: qtomo.results.Result = qtomo.plan(meant, faults, **given, seed=seed, progress=progress)
        else:
            planned = listed = qtomo.plan_settings(meant, certify, **given, seed=seed, progress=progress)
    if certify is not None and output is not None:
        listed.save_settings(output, overwrite=overwrite)
    if as_json:
        print_json(planned.to_dict())
    else:
        click.echo(str(planned))
        if output is not None:
            click.echo(str(output))
