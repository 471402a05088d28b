"""`qtomo evaluate`: judge a trained run against the exact target."""

from __future__ import annotations

from typing import Any

import rich_click as click

import qtomo

from .common import json_option, judging_options, print_json, shown_progress

__all__ = ["command"]


@click.command("evaluate")
@click.argument("run", type=click.Path())
@judging_options
@json_option
def command(
    run: str,
    records_file: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Judge a run: divergences from the exact target beside k-gram baselines, observables, and claims.

    Example: qtomo evaluate run --samples 20000
    """
    with shown_progress() as progress:
        evaluation = qtomo.evaluate(run, records=records_file, progress=progress, **options)
    if as_json:
        print_json(evaluation.to_dict())
    else:
        click.echo(str(evaluation))
