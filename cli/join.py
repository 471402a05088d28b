"""`qtomo join`: one record file of shards that several processes made."""

from __future__ import annotations

import rich_click as click

from qtomo.records.file.reader import RecordFile
from qtomo.records.file.shards import join_shards

from .common import json_option, overwrite_option, print_json

__all__ = ["command"]


@click.command("join")
@click.argument("output", type=click.Path())
@click.option("--shards", type=click.IntRange(1, 100_000), required=True, help="How many there are.")
@overwrite_option
@json_option
def command(output: str, shards: int, overwrite: bool, as_json: bool) -> None:
    """Join OUTPUT's shards, which stay beside it, into one record file that reads them.

    Example: qtomo join tfim.h5 --shards 4
    """
    path = join_shards(output, shards, overwrite)
    with RecordFile(path) as file:
        n_records, sha256 = file.n_records, file.sha256
    if as_json:
        print_json({"file": str(path), "n_records": n_records, "shards": shards, "sha256": sha256})
    else:
        click.echo(f"{path}: {n_records:,} records in {shards} shards")
