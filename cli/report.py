"""`qtomo report`: one HTML file of what is known."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from qtomo.reporting.page import write_report
from qtomo.reporting.style import FORMATS

from .common import judging_options, overwrite_option, say

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
    samples: int,
    level: float,
    device: str,
    allow_estimates: bool,
    seed: int,
    overwrite: bool,
) -> None:
    """Write one HTML file of runs, side by side, or of a verification: the verdict first, then all that it rests on.

    It opens without a network, on a telephone, on paper and in the dark. A run without an evaluation of its present
    weights is evaluated first.

    Example: qtomo report run --output report.html

    Example: qtomo report lab.verification.json --output lab.html

    Example: qtomo report gru rbm --output families.html --figure-format pdf
    """
    page = write_report(
        sources,
        output,
        records_file,
        n_samples=samples,
        seed=seed,
        level=level,
        figure_format=figure_format,
        overwrite=overwrite,
        say=say,
        device=device,
        allow_estimates=allow_estimates,
    )
    for drawing in page.drawings():
        if drawing.failure:
            say(f"figure {drawing.name} could not be drawn: {drawing.failure}")
    click.echo(output)
