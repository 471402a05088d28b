"""`qtomo info`: what a record file or a run folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from qtomo.records import RecordFile
from qtomo.training import Run

from .common import json_option, print_json

__all__ = ["command"]


@click.command("info")
@click.argument("path", type=click.Path())
@json_option
def command(path: str, as_json: bool) -> None:
    """Say what a record file or a run folder holds; check every outcome and the checksum of a file.

    Example: qtomo info tfim.h5
    """
    summary = _run_summary(path) if Path(path).is_dir() else _file_summary(path)
    if as_json:
        print_json(summary)
        return
    width = max(map(len, summary))
    for name, value in summary.items():
        click.echo(f"{name.ljust(width)}  {value}")


def _file_summary(path: str) -> dict[str, Any]:
    with RecordFile(path) as file:
        n_lost = file.check()
        return {
            "file": str(file.path),
            "records": file.n_records,
            "lost outcomes": n_lost,
            "qubits": file.n_sites,
            "outcomes": file.n_outcomes,
            **({"settings": f"kept a shot, {file.design}"} if file.design else {}),
            "povm": file.povm.name + ("" if file.povm.is_complete else " (not informationally complete)"),
            "target": file.target.describe() if file.target else "none",
            "seed": file.seed if file.seed is not None else "unknown",
            "creator": file.creator,
            "command": file.command,
            "sha256": f"{file.sha256} (holds)",
        }


def _run_summary(path: str) -> dict[str, Any]:
    run = Run(path)
    progress = run.progress
    return {
        "run": path,
        "family": run.config.model["family"],
        "parameters": run.model.n_parameters,
        "qubits": run.config.records.n_sites,
        "outcomes": run.config.records.n_outcomes,
        "records": run.config.records.file,
        "epochs": f"{progress.epoch} of {run.config.training.epochs}",
        "finished": progress.finished,
        "best validation loss": f"{progress.best_loss:.6g} {run.model.validation_unit} (epoch {progress.best_epoch})",
    }
