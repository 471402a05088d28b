"""`qtomo simulate`: exact measurement records of a known state."""

from __future__ import annotations

import rich_click as click

from qtomo.povm import NAMED_POVMS
from qtomo.records import RecordFile, simulate_tfim
from qtomo.states import TFIM

from .common import json_option, overwrite_option, print_json, progress_bar, say, seed_option

__all__ = ["command"]


@click.group("simulate")
def command() -> None:
    """Simulate measurement records of an exact state.

    Example: qtomo simulate tfim --qubits 50 --records 100000 --seed 7 --output tfim.h5
    """


@command.command("tfim")
@click.option("--qubits", type=int, required=True, help="Number of qubits N.")
@click.option("--coupling", type=float, default=1.0, show_default=True, help="J in H = −J ΣZZ − h ΣX.")
@click.option("--field", type=float, default=1.0, show_default=True, help="h in H = −J ΣZZ − h ΣX.")
@click.option("--povm", default="pauli4", show_default=True, help=f"Measurement: {', '.join(NAMED_POVMS)}.")
@click.option("--records", type=int, default=100_000, show_default=True, help="Number of records.")
@seed_option
@click.option("--output", type=click.Path(), required=True, help="Record file to write.")
@overwrite_option
@json_option
def tfim(
    qubits: int,
    coupling: float,
    field: float,
    povm: str,
    records: int,
    seed: int,
    output: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Ground state of the 1D transverse-field Ising model, open ends, by DMRG.

    Example: qtomo simulate tfim --qubits 50 --coupling 1.0 --field 1.0 --records 100000 --output tfim.h5
    """
    model = TFIM(qubits, coupling, field)
    if model.is_degenerate:
        gap = model.free_fermions.gap
        say(f"note: the two lowest states are degenerate (gap {gap:.1e}); this is the one of even parity")
    with progress_bar("records") as update:
        path = simulate_tfim(model, records, output, povm, seed, overwrite, update)
    with RecordFile(path) as file:
        summary = {
            "file": str(path),
            "n_records": file.n_records,
            "n_sites": file.n_sites,
            "povm": file.povm.name,
            "seed": seed,
            "sha256": file.sha256,
        }
    if as_json:
        print_json(summary)
    else:
        click.echo(f"{path}: {records:,} records of {qubits} qubits, {povm}, seed {seed}")
