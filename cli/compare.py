"""`qtomo compare`: trained runs side by side, or record files against one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

import qtomo
from qtomo.errors import Code, InputError
from qtomo.files import check_absent
from qtomo.reporting.style import figure_kind

from .common import json_option, judging_options, overwrite_option, print_json, shown_progress

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
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare runs of any family that were trained on the same records, beside k-grams; or record files of the same
    measurement with the first of them: has the device drifted?

    Example: qtomo compare gru rbm --figure families.png

    Example: qtomo compare monday.h5 tuesday.h5
    """
    if figure is not None:
        if any(Path(path).is_file() for path in runs):
            raise InputError(Code.CONFLICT, "--figure: of runs only, not of record files")
        figure_kind(figure)
        check_absent(figure, overwrite)
    with shown_progress() as progress:
        found = qtomo.compare(runs, records=records_file, progress=progress, **options)
    if isinstance(found, qtomo.Comparison) and figure is not None:
        from qtomo.reporting.figures import comparison_figure, save_figure

        save_figure(comparison_figure(found), figure)
    if as_json:
        print_json({**found.to_dict(), **({"figure": str(figure)} if figure is not None else {})})
        return
    click.echo(str(found))
    if figure is not None:
        click.echo(f"\nfigure: {figure}")
