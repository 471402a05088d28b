"""`qtomo sample`: records drawn from a trained model."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

import qtomo
from qtomo.errors import Code, InputError
from qtomo.records.shots import SHOTS

from .common import json_option, overwrite_option, print_json, records_option, seed_option, shown_progress

__all__ = ["command"]


@click.command("sample")
@click.argument("run", type=click.Path())
@click.option("--shots", type=int, default=SHOTS, show_default=True, help="Number of records to draw.")
@click.option("-o", "--output", type=click.Path(), required=True, help="Record file to write.")
@records_option
@seed_option
@overwrite_option
@json_option
def command(
    run: str, *, shots: int, output: str, records_file: str | None, seed: int, overwrite: bool, as_json: bool
) -> None:
    """Draw records from a run's model into a record file.

    Example: qtomo sample run --shots 100000 --output model.h5
    """
    if records_file is not None and records_file.isdigit() and not Path(records_file).exists():
        raise InputError(
            Code.ABSENT, f"--records {records_file}: no such file; the number of records to draw is given by --shots N"
        )
    with shown_progress() as progress:
        path = qtomo.sample(run, shots, output, records=records_file, seed=seed, overwrite=overwrite, progress=progress)
    if as_json:
        print_json({"file": str(path), "n_records": shots, "seed": seed})
    else:
        click.echo(f"{path}: {shots:,} records of the model in {run}, seed {seed}")
