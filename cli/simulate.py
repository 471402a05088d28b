"""`qtomo simulate`: exact measurement records of a known state. One subcommand a system."""

from __future__ import annotations

import dataclasses
from typing import Any

import rich_click as click

from qtomo.noise import NOISES
from qtomo.povm import NAMED_POVMS
from qtomo.records import RecordFile, option_name, simulate
from qtomo.states import SYSTEMS, TFIM

from .common import json_option, overwrite_option, print_json, progress_bar, say, seed_option

__all__ = ["command"]

#: Help of each field of a system.
_HELP = {
    "n_sites": "Number of qubits N.",
    "coupling": "J; for tfim one number, or N - 1 with commas between.",
    "field": "h in H = −J ΣZZ − h ΣX; one number, or N with commas between.",
    "anisotropy": "D in H = J Σ(XX + YY + D ZZ).",
    "theta": "Angle from |0> to |1>, in radians.",
    "phi": "Azimuth, in radians.",
    "bond_dim": "Largest bond dimension.",
    "state_seed": "Seed of the state (--seed is that of the records).",
}


class _Numbers(click.ParamType):  # type: ignore[type-arg]
    """One number, or several with commas between."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"'{value}' is not a number, or numbers with commas between", param, ctx)
        return numbers[0] if len(numbers) == 1 else numbers


_TYPES: dict[str, Any] = {"int": int, "float": float, "float | tuple[float, ...]": _Numbers()}


@click.group("simulate")
def command() -> None:
    """Simulate measurement records of an exact state.

    Example: qtomo simulate tfim --qubits 50 --records 100000 --seed 7 --output tfim.h5
    """


def _run(
    family: str,
    povm: str,
    noise: tuple[str, ...],
    loss: float,
    records: int,
    seed: int,
    output: str,
    overwrite: bool,
    as_json: bool,
    **fields: Any,
) -> None:
    system = SYSTEMS[family](**fields)
    if isinstance(system, TFIM) and system.is_degenerate:
        gap = system.free_fermions.gap
        say(f"note: the two lowest states are degenerate (gap {gap:.1e}); this is the one of even parity")
    with progress_bar("records") as update:
        path = simulate(system, records, output, povm, seed, noise, loss, overwrite, update)
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
        click.echo(f"{path}: {records:,} records of {system.n_sites} qubits, {summary['povm']}, seed {seed}")


def _subcommand(family: str, system: type[Any]) -> click.Command:
    """The command of one system: an option a field, then those that all share."""

    def callback(**values: Any) -> None:
        _run(family, **values)

    shared = (
        click.option("--povm", default="pauli4", show_default=True, help=f"Measurement: {', '.join(NAMED_POVMS)}."),
        click.option(
            "--noise",
            multiple=True,
            metavar="NAME:PROBABILITY[@SITES]",
            help=f"Channel before the measurement, as often as needed: {', '.join(NOISES)}.",
        ),
        click.option("--loss", type=float, default=0.0, show_default=True, help="Probability that an outcome is lost."),
        click.option("--records", type=int, default=100_000, show_default=True, help="Number of records."),
        seed_option,
        click.option("--output", type=click.Path(), required=True, help="Record file to write."),
        overwrite_option,
        json_option,
    )
    for option in reversed(shared):
        callback = option(callback)
    for field in reversed(dataclasses.fields(system)):
        given = {"required": True} if field.default is dataclasses.MISSING else {"default": field.default}
        callback = click.option(
            option_name(field.name),
            field.name,
            type=_TYPES[str(field.type)],
            show_default=True,
            help=_HELP[field.name],
            **given,
        )(callback)
    first_line = (system.__doc__ or "").strip().splitlines()[0]
    example = f"Example: qtomo simulate {family} --qubits 50 --records 100000 --output {family}.h5"
    return click.command(family, help=f"{_TITLES.get(family, first_line)}\n\n{example}")(callback)


#: Where a class's own first line says too little.
_TITLES = {
    "tfim": "Ground state of the 1D transverse-field Ising model, open ends, by DMRG.",
    "xxz": "Ground state of the antiferromagnetic XXZ chain, open ends, by DMRG; Heisenberg by default.",
}

for _family, _system in SYSTEMS.items():
    command.add_command(_subcommand(_family, _system))
