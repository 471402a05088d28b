"""`qtomo sample`: records drawn from a trained model."""

from __future__ import annotations

import rich_click as click

import qtomo

from .common import json_option, overwrite_option, print_json, progress_bar, seed_option

__all__ = ["command"]


@click.command("sample")
@click.argument("run", type=click.Path())
@click.option("--records", type=int, default=100_000, show_default=True, help="Number of records.")
@click.option("--output", type=click.Path(), required=True, help="Record file to write.")
@click.option("--training-records", type=click.Path(), help="Where the run's record file is now, if it has moved.")
@seed_option
@overwrite_option
@json_option
def command(
    run: str, records: int, output: str, training_records: str | None, seed: int, overwrite: bool, as_json: bool
) -> None:
    """Draw records from a run's model into a record file.

    Example: qtomo sample run --records 100000 --output model.h5
    """
    with progress_bar("records") as update:
        path = qtomo.sample_records(run, records, output, training_records, seed, overwrite, update)
    if as_json:
        print_json({"file": str(path), "n_records": records, "seed": seed})
    else:
        click.echo(f"{path}: {records:,} records of the model in {run}, seed {seed}")
