"""`qtomo train`: learn the distribution of a record file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

import qtomo
from qtomo.errors import Code, InputError, ProcessLost
from qtomo.models.registry import FAMILIES
from qtomo.parallel import world
from qtomo.training.presets import PRESETS
from qtomo.training.sweep.folder import is_sweep

if TYPE_CHECKING:
    from qtomo.training.sweep.trials import Sweep

from .common import json_option, overwrite_option, print_json, records_option, shown_progress

__all__ = ["command", "run_training"]


@click.command("train")
@click.argument("records", type=click.Path(), required=False)
@click.option("-o", "--output", type=click.Path(), help="Run folder to make (sweep folder, with --sweep).")
@click.option("--model", "family", help=f"Family, with its preset where it has one: {', '.join(FAMILIES)}.")
@click.option("--preset", help=f"Settings by name: {', '.join(PRESETS)}.  [default: gru]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with [model] and [training].")
@click.option("--epochs", type=int, help="Passes over the training records.")
@click.option("--batch-size", type=int, help="Records per step.")
@click.option("--learning-rate", type=float, help="Step size of the optimiser, at its highest.")
@click.option("--hidden-size", type=int, help="Width of the model, where the family has one.")
@click.option("--seed", type=int, help="Seed of every random number of the run.")
@click.option("--device", help="cpu, cuda or auto.")
@click.option("--set", "assignments", multiple=True, metavar="SECTION.OPTION=VALUE", help="Change any other setting.")
@click.option("--sweep", "plan", type=click.Path(), help="TOML file with [space] and [sweep]: try many settings.")
@click.option("--resume", "resumed", type=click.Path(), metavar="RUN", help="Go on with an interrupted run or sweep.")
@records_option
@overwrite_option
@json_option
def command(
    records: str | None,
    output: str | None,
    family: str | None,
    preset: str | None,
    config: Path | None,
    assignments: tuple[str, ...],
    plan: str | None,
    resumed: str | None,
    records_file: str | None,
    overwrite: bool,
    as_json: bool,
    **shortcuts: Any,
) -> None:
    """Train a model on a record file. Ctrl-C saves; --resume RUN goes on, to the same weights.

    Example: qtomo train tfim.h5 --output run --model maf --hidden-size 100 --epochs 5

    Example: qtomo train tfim.h5 --output found --sweep sweep.toml

    Example: qtomo train --resume run

    Example: torchrun --nproc-per-node 2 -m qtomo_cli train tfim.h5 --output run
    """
    given = {name: value for name, value in shortcuts.items() if value is not None}
    if resumed is not None:
        if records or output or family or preset or config or assignments or given or plan or overwrite:
            raise InputError(
                Code.CONFLICT, "--resume goes on with a run's own settings: give it alone, or with --records"
            )
        if is_sweep(resumed):
            _print_sweep(_run_sweep(resumed, None, None, {}, records_file=records_file), as_json)
            return
        run = run_training(resumed, None, {}, records_file=records_file)
    elif records is None or output is None:
        raise InputError(Code.REQUIRED, "expected RECORDS and --output RUN, or --resume RUN")
    elif family is not None and preset is not None:
        raise InputError(Code.CONFLICT, "expected --model FAMILY or --preset NAME, not both")
    else:
        from qtomo.training.config import read_settings

        settings = read_settings(preset or "gru", config, assignments, family, given)
        if plan is not None:
            _print_sweep(_run_sweep(output, records, plan, settings, overwrite), as_json)
            return
        run = run_training(output, records, settings, overwrite)
    if world().rank:
        return
    progress = run.progress
    last = progress.history[-1] if progress.history else {}
    if as_json:
        print_json({"run": str(run.folder.path), "epochs": progress.epoch, "steps": progress.step, **last})
    else:
        click.echo(repr(run))


def run_training(
    folder: str | Path,
    records: str | Path | None,
    settings: dict[str, dict[str, object]],
    overwrite: bool = False,
    records_file: str | None = None,
) -> qtomo.Run:
    """Train with a progress bar, from the start on `records`, or from the checkpoint where None."""
    with shown_progress() as progress, _say_how_to_go_on(folder):
        if records is None:
            return qtomo.resume(folder, records=records_file, progress=progress)
        return qtomo.train(records, folder, settings, overwrite=overwrite, progress=progress)


def _run_sweep(
    folder: str,
    records: str | None,
    plan: str | None,
    settings: dict[str, dict[str, object]],
    overwrite: bool = False,
    records_file: str | None = None,
) -> Sweep:
    """Sweep with a progress bar, from the start on `records` by the file `plan`, or on with a folder where None."""
    with shown_progress() as progress, _say_how_to_go_on(folder):
        if records is None or plan is None:
            return qtomo.resume_sweep(folder, records=records_file, progress=progress)
        return qtomo.sweep(records, folder, plan, settings, overwrite=overwrite, progress=progress)


def _print_sweep(found: Sweep, as_json: bool) -> None:
    if as_json:
        print_json(found.to_dict())
        return
    from qtomo.training.sweep.summary import sweep_summary

    click.echo(sweep_summary(found))


@contextmanager
def _say_how_to_go_on(folder: str | Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise click.Abort(f"stopped and saved; go on with: qtomo train --resume {folder}") from None
    except ProcessLost as error:
        raise ProcessLost(f"{error}; go on from the last checkpoint with: qtomo train --resume {folder}") from None
