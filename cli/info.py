"""`qtomo info`: what a qtomo file holds, at a glance, and which command can use it."""

from __future__ import annotations

import rich_click as click

import qtomo

from .common import json_option, print_json

__all__ = ["command"]


@click.command("info")
@click.argument("path", type=click.Path())
@json_option
def command(path: str, as_json: bool) -> None:
    """Say what a file or folder holds and which command can use it; check every outcome of a record file.

    PATH is a record file, a state, a run or sweep folder, or the JSON of a result.

    Example: qtomo info tfim.h5
    """
    summary = qtomo.info(path)
    if as_json:
        print_json(summary.to_dict())
    else:
        click.echo(str(summary))
