"""`qtomo evaluate`: judge a trained run against the exact target."""

from __future__ import annotations

import rich_click as click

from qtomo.analysis import evaluate

from .common import json_option, print_json, records_option, say, seed_option

__all__ = ["command"]


@click.command("evaluate")
@click.argument("run", type=click.Path())
@records_option
@click.option("--samples", type=int, default=20_000, show_default=True, help="Fresh records of target and model.")
@click.option(
    "--level", type=click.FloatRange(0.5, 0.9999), default=0.95, show_default=True, help="Level of intervals."
)
@click.option("--device", default="cpu", show_default=True, help="For the exact target: cpu, cuda or auto.")
@seed_option
@json_option
def command(
    run: str, records_file: str | None, samples: int, level: float, device: str, seed: int, as_json: bool
) -> None:
    """Judge a run: divergences from the exact target beside k-gram baselines, observables, and claims.

    Example: qtomo evaluate run --samples 20000
    """
    evaluation = evaluate(run, records_file, samples, seed, level, say=say, device=device)
    if as_json:
        print_json(evaluation.to_dict())
    else:
        click.echo(str(evaluation))
