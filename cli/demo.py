"""`qtomo demo`: the main job, end to end, at fifty qubits."""

from __future__ import annotations

import time
from pathlib import Path

import rich_click as click

import qtomo
from qtomo.errors import Code, InputError
from qtomo.records.shots import SHOTS

from .common import json_option, overwrite_option, print_json, say, shots_option, shown_progress
from .train import run_training

__all__ = ["command"]

_VALIDATION = 5_000


@click.command("demo")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder."
)
@click.option("--qubits", type=int, default=50, show_default=True, help="Number of qubits N.")
@shots_option("Number of shots to train on.", default=SHOTS)
@click.option("--preset", default="gru", show_default=True, help="Training preset.")
@click.option("--epochs", type=int, default=4, show_default=True, help="Passes over the records.")
@overwrite_option
@json_option
def command(*, output: Path, qubits: int, shots: int, preset: str, epochs: int, overwrite: bool, as_json: bool) -> None:
    """Simulate the critical Ising chain, train on its records, judge the model, and write the report.

    Example: qtomo demo --output demo
    """
    started = time.monotonic()
    if output.exists() and not output.is_dir():
        raise InputError(Code.KIND, f"{output}: is a file, expected a folder")
    settings = [f"training.epochs={epochs}", f"training.validation_records={_VALIDATION}"]
    from qtomo.reporting.figures import save_figure, summary_figure
    from qtomo.training.config import read_settings

    checked = read_settings(preset, None, settings)
    model = qtomo.TFIM(qubits)
    output.mkdir(parents=True, exist_ok=True)
    record_file, run_folder, figure = output / "tfim.h5", output / "run", output / "demo.png"
    say(f"[1/3] {shots + _VALIDATION:,} Pauli-4 records of the critical Ising chain of {qubits} qubits (J = h = 1)")
    with shown_progress() as progress:
        qtomo.simulate(model, shots + _VALIDATION, record_file, seed=7, overwrite=overwrite, progress=progress)
    say(f"[2/3] training on {shots:,} of them, {_VALIDATION:,} held out")
    run = run_training(run_folder, record_file, checked, overwrite)
    say("[3/3] judging against the exact state")
    with shown_progress() as progress:
        evaluation = qtomo.evaluate(run, progress=progress)
        save_figure(summary_figure(run, evaluation), figure)
        page = run.folder.report
        qtomo.report([run.folder.path], page, overwrite=True, progress=progress)
    seconds = time.monotonic() - started
    if as_json:
        print_json({**evaluation.to_dict(), "figure": str(figure), "report": str(page), "seconds": seconds})
        return
    click.echo(f"\n{evaluation}\n\nfigure: {figure}\nreport: {page}   ({seconds:.0f} s in all)")
