"""`qtomo compare`: trained runs side by side."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from qtomo.analysis import compare
from qtomo.files import check_absent

from .common import (
    device_option,
    estimates_option,
    json_option,
    level_option,
    overwrite_option,
    print_json,
    records_option,
    samples_option,
    say,
    seed_option,
)

__all__ = ["command"]


@click.command("compare")
@click.argument("runs", type=click.Path(), nargs=-1, required=True)
@click.option("--figure", type=click.Path(path_type=Path), help="Write a figure (PNG) there.")
@records_option
@samples_option
@level_option
@device_option
@estimates_option
@seed_option
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
    """Compare runs of any family that were trained on the same records, beside k-grams.

    Example: qtomo compare gru rbm --figure families.png
    """
    if figure is not None:
        check_absent(figure, overwrite)
    comparison = compare(runs, records_file, samples, seed, level, say, device, allow_estimates)
    if figure is not None:
        from qtomo.report.figures import comparison_figure

        comparison_figure(comparison, figure)
    if as_json:
        print_json({**comparison.to_dict(), **({"figure": str(figure)} if figure is not None else {})})
        return
    click.echo(str(comparison))
    if figure is not None:
        click.echo(f"\nfigure: {figure}")
