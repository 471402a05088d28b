"""`qtomo compare`: trained runs side by side, or record files against one another."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from qtomo.errors import InputError
from qtomo.evaluation.comparison import compare
from qtomo.files import check_absent
from qtomo.reporting.style import figure_kind
from qtomo.verification.file_comparison import compare_records

from .common import json_option, judging_options, overwrite_option, print_json, say

__all__ = ["command"]


@click.command("compare")
@click.argument("runs", metavar="RUN... | FILE...", type=click.Path(), nargs=-1, required=True)
@click.option("--figure", type=click.Path(path_type=Path), help="Write a figure there (.png, .pdf or .svg).")
@judging_options
@overwrite_option
@json_option
def command(
    runs: tuple[str, ...],
    figure: Path | None,
    records_file: str | None,
    samples: int,
    level: float,
    device: str,
    allow_estimates: bool,
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Compare runs of any family that were trained on the same records, beside k-grams; or record files of the same
    measurement with the first of them: has the device drifted?

    Example: qtomo compare gru rbm --figure families.png

    Example: qtomo compare monday.h5 tuesday.h5
    """
    files = [path for path in runs if Path(path).is_file()]
    if files:
        if len(files) < len(runs):
            folder = next(path for path in runs if path not in files)
            raise InputError(f"{folder}: not a record file as {files[0]} is; compare runs, or record files")
        if figure is not None:
            raise InputError("--figure: of runs only, not of record files")
        found = compare_records(files, alpha=1 - level, seed=seed, say=say)
        if as_json:
            print_json(found.to_dict())
        else:
            click.echo(str(found))
        return
    if figure is not None:
        figure_kind(figure)
        check_absent(figure, overwrite)
    comparison = compare(
        runs,
        records_file,
        n_samples=samples,
        seed=seed,
        level=level,
        say=say,
        device=device,
        allow_estimates=allow_estimates,
    )
    if figure is not None:
        from qtomo.reporting.figures import comparison_figure, save_figure

        save_figure(comparison_figure(comparison), figure)
    if as_json:
        print_json({**comparison.to_dict(), **({"figure": str(figure)} if figure is not None else {})})
        return
    click.echo(str(comparison))
    if figure is not None:
        click.echo(f"\nfigure: {figure}")
