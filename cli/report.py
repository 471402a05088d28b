"""`qtomo report`: one HTML file of what is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

import qtomo
from qtomo.reporting.style import FORMATS

from .common import judging_options, overwrite_option, shown_progress

__all__ = ["command"]


@click.command("report")
@click.argument("sources", metavar="RUN... | VERIFICATION.JSON", type=click.Path(), nargs=-1, required=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="HTML file."
)
@click.option("--figure-format", type=click.Choice(FORMATS), help="Save each figure also as a file, for a paper.")
@judging_options
@overwrite_option
def command(
    sources: tuple[str, ...],
    output: Path,
    figure_format: str | None,
    records_file: str | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Write one HTML file of runs, side by side, or of a verification: the verdict first, then all that it rests on.

    It opens without a network, on a telephone, on paper and in the dark. A run without an evaluation of its present
    weights is evaluated first.

    Example: qtomo report run --output report.html

    Example: qtomo report lab.verification.json --output lab.html

    Example: qtomo report gru rbm --output families.html --figure-format pdf
    """
    with shown_progress() as progress:
        qtomo.report(
            sources,
            output,
            records=records_file,
            figure_format=figure_format,
            overwrite=overwrite,
            progress=progress,
            **options,
        )
    click.echo(output)
