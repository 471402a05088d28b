"""`qtomo train`: learn the distribution of a record file."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from qtomo.errors import InputError
from qtomo.models import FAMILIES
from qtomo.training import PRESETS, Run, read_settings, resume, train
from qtomo.training.checkpoint import Progress

from .common import json_option, overwrite_option, print_json, progress_bar, records_option

__all__ = ["command", "run_training"]


@click.command("train")
@click.argument("records", type=click.Path(), required=False)
@click.option("--output", type=click.Path(), help="Run folder to make.")
@click.option("--model", "family", help=f"Family, with its preset where it has one: {', '.join(FAMILIES)}.")
@click.option("--preset", help=f"Settings by name: {', '.join(PRESETS)}.  [default: gru]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with [model] and [training].")
@click.option("--set", "assignments", multiple=True, metavar="SECTION.OPTION=VALUE", help="Change one setting.")
@click.option("--resume", "resumed", type=click.Path(), metavar="RUN", help="Go on with an interrupted run.")
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
    resumed: str | None,
    records_file: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train a model on a record file. Ctrl-C saves; --resume RUN goes on, to the same weights.

    Example: qtomo train tfim.h5 --output run --model maf --set model.hidden_size=100 --set training.epochs=5

    Example: qtomo train --resume run
    """
    if resumed is not None:
        if records or output or family or preset or config or assignments or overwrite:
            raise InputError("--resume goes on with a run's own settings: give it alone, or with --records")
        run = run_training(resumed, None, {}, records_file=records_file)
    elif records is None or output is None:
        raise InputError("expected RECORDS and --output RUN, or --resume RUN")
    elif family is not None and preset is not None:
        raise InputError("expected --model FAMILY or --preset NAME, not both")
    else:
        settings = read_settings(preset or "gru", config, assignments, family)
        run = run_training(output, records, settings, overwrite)
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
) -> Run:
    """Train with a progress bar, from the start on `records`, or from the checkpoint where None."""
    with progress_bar("training") as update:

        def report(progress: Progress, total: int) -> None:
            loss = progress.loss_sum / max(1, progress.batches)
            update(progress.step, total, f"steps, loss {loss:.3f}")

        try:
            if records is None:
                return resume(folder, records_file, report)
            return train(records, folder, settings, overwrite, report)
        except KeyboardInterrupt:
            raise click.Abort(f"stopped and saved; go on with: qtomo train --resume {folder}") from None
