"""`qtomo evaluate`: judge a trained run against the exact target."""

from __future__ import annotations

import rich_click as click

from qtomo.evaluation.evaluation import evaluate

from .common import json_option, judging_options, print_json, say

__all__ = ["command"]


@click.command("evaluate")
@click.argument("run", type=click.Path())
@judging_options
@json_option
def command(
    run: str,
    records_file: str | None,
    samples: int,
    level: float,
    device: str,
    allow_estimates: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Judge a run: divergences from the exact target beside k-gram baselines, observables, and claims.

    Example: qtomo evaluate run --samples 20000
    """
    evaluation = evaluate(
        run,
        records_file,
        n_samples=samples,
        seed=seed,
        level=level,
        say=say,
        device=device,
        allow_estimates=allow_estimates,
    )
    if as_json:
        print_json(evaluation.to_dict())
    else:
        click.echo(str(evaluation))
