"""`qtomo reconstruct`: from records, or a model, to the state."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import rich_click as click

from qtomo.errors import Code, InputError
from qtomo.files import check_absent
from qtomo.reconstruction.door import reconstruct
from qtomo.reconstruction.methods import METHODS, Method, TensorNetworkMethod
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.state_file import write_state
from qtomo.training.run import Run

from .common import (
    json_option,
    level_option,
    overwrite_option,
    print_json,
    records_option,
    seed_option,
    shown_progress,
)
from .target import target_of, target_options

__all__ = ["command"]


@click.command("reconstruct")
@click.argument("source", metavar="FILE | RUN", type=click.Path())
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    default="mle",
    show_default=True,
    help="Of few qubits: linear inversion, projected least squares or maximum likelihood. Of many: maximum likelihood "
    "over matrix-product states, or over locally purified (mixed) ones.",
)
@click.option("--bond", "bond_dim", type=int, help="Bond dimension (mps, lpdo).  [default: by held-out records]")
@target_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="State file to write.")
@click.option("--resamples", type=int, default=200, show_default=True, help="Data sets of the bootstrap.")
@records_option
@level_option
@seed_option
@overwrite_option
@json_option
def command(
    source: str,
    method: str,
    bond_dim: int | None,
    target: str | None,
    output: Path | None,
    resamples: int,
    records_file: str | None,
    level: float,
    seed: int,
    overwrite: bool,
    as_json: bool,
    **parameters: Any,
) -> None:
    """Reconstruct the state of the qubits, with error bars, from records of any design or from a trained model.

    Example: qtomo reconstruct lab.h5 --method mle --target ghz --output state.h5
    """
    if output is not None:
        check_absent(output, overwrite)
    chosen = _method(method, bond_dim)
    meant = target_of(target, parameters, _n_sites(source, records_file) if target is not None else None)
    started = time.monotonic()
    with shown_progress() as progress:
        found = reconstruct(
            source,
            chosen,
            target=meant,
            level=level,
            resamples=resamples,
            seed=seed,
            records=records_file,
            progress=progress,
        )
    if output is not None:
        write_state(output, found.state, overwrite)
    if as_json:
        print_json({**found.to_dict(), **({"output": str(output)} if output is not None else {})})
    else:
        where = f"{output}   " if output is not None else ""
        click.echo(f"{found}\n\n{where}({time.monotonic() - started:.0f} s)")


def _method(name: str, bond_dim: int | None) -> Method:
    kind = METHODS[name]
    if bond_dim is None:
        return kind()
    if issubclass(kind, TensorNetworkMethod):
        return kind(bond_dim)
    networks = [name for name, other in METHODS.items() if issubclass(other, TensorNetworkMethod)]
    raise InputError(
        Code.REQUIRED, f"--bond: a tensor network has one, expected --method {' or '.join(networks)} beside it"
    )


def _n_sites(source: str, records_file: str | None) -> int:
    if Path(source).is_dir():
        return Run(source).config.records.n_sites
    with RecordFile(source) as opened:
        return opened.n_sites
