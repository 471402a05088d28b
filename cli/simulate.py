"""`qtomo simulate`: exact measurement records of a known state. One subcommand per system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import rich_click as click

import qtomo
from qtomo.errors import InputError
from qtomo.measurement.noise import NOISES
from qtomo.measurement.povm import NAMED_POVMS
from qtomo.parallel import world
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.schema import named_target
from qtomo.records.shots import SHOTS
from qtomo.states.library import SYSTEMS
from qtomo.states.state import State
from qtomo.states.system import Edges, Numbers, System, SystemField, option_name, system_fields

from .common import (
    command_line,
    device_option,
    json_option,
    overwrite_option,
    print_json,
    say,
    seed_option,
    shots_option,
    shown_progress,
)

__all__ = ["FIELD_TYPES", "command"]


class _Field(click.ParamType):  # type: ignore[type-arg]
    """What a system's field of some kind is written as."""

    def __init__(self, kind: Any, name: str) -> None:
        self.name = name
        self._field = SystemField("", kind, "", None)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._field.read(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


#: Click's type of each kind of a system's field.
FIELD_TYPES: dict[Any, Any] = {
    int: int,
    float: float,
    Numbers: _Field(Numbers, "numbers"),
    Edges: _Field(Edges, "edges"),
    str: _Field(str, "file"),
}


@click.group("simulate")
def command() -> None:
    """Simulate measurement records of an exact state.

    Example: qtomo simulate tfim --qubits 50 --shots 100000 --seed 7 --output tfim.h5
    """


def _run(build: Callable[[], System | State], **options: Any) -> None:
    """Simulate what `build` gives, as the shared options say, and print what was made."""
    system = build()
    if isinstance(system, qtomo.TFIM) and system.is_degenerate:
        gap = system.free_fermions.gap
        say(f"note: the two lowest states are degenerate (gap {gap:.1e}); this is the one of even parity")
    if isinstance(system, qtomo.Circuit) and system.truncation > 0:
        say(f"note: bonds are truncated; infidelity with the circuit's state is at most {system.truncation:.1e}")
    output, seed, overwrite = (options[name] for name in ("output", "seed", "overwrite"))
    workers = world()
    with workers.together(), shown_progress() as progress:
        path = qtomo.simulate(
            system,
            options["shots"],
            output,
            povm=options["povm"],
            axes=options["axes"],
            settings=options["settings"],
            noise=options["noise"],
            declared=not options["undeclared"],
            loss=options["loss"],
            seed=seed,
            shard=options["shard"] or (workers.rank, workers.size),
            device=options["device"],
            overwrite=overwrite,
            progress=progress,
            command=command_line(),
        )
    if workers.rank:
        return
    if workers.size > 1:
        from qtomo.records.file.shards import join_shards

        path = join_shards(output, workers.size, overwrite)
    with RecordFile(path) as file:
        summary = {
            "file": str(path),
            "n_records": file.n_records,
            "n_sites": file.n_sites,
            "povm": file.povm.name,
            "seed": seed,
            "sha256": file.sha256,
        }
    if options["as_json"]:
        print_json(summary)
    else:
        count = f"{summary['n_records']:,} records of {system.n_sites} qubits"
        click.echo(f"{path}: {count}, {summary['povm']}, seed {seed}")


class _Shard(click.ParamType):  # type: ignore[type-arg]
    """I/N: part I of N, counted from 0."""

    name = "i/n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            shard, shards = (int(part) for part in str(value).split("/"))
        except ValueError:
            self.fail(f"'{value}' is not I/N, such as 0/4", param, ctx)
        return shard, shards


_SHARED = (
    click.option(
        "--povm",
        help=f"Measurement: {', '.join(NAMED_POVMS)}, or a record file or .npy with one.  "
        "[default: pauli4, or pauli6 with --settings]",
    ),
    click.option(
        "--axes",
        multiple=True,
        metavar="AXES[@SITES]",
        help="Where the POVM's own X, Y and Z point, such as -X,Y,Z or -X,Y,Z@0,4.",
    ),
    click.option(
        "--settings",
        metavar="random|FILE",
        help="Keep basis and bit of each qubit: bases at random, or from a file of lines such as XZZY 1000.",
    ),
    click.option(
        "--noise",
        multiple=True,
        metavar="NAME:PROBABILITY[@SITES]",
        help=f"Channel before the measurement, as often as needed: {', '.join(NOISES)}, readout.",
    ),
    click.option("--undeclared", is_flag=True, help="Keep the noise out of the file's POVM: a fault to be found."),
    click.option("--loss", type=float, default=0.0, show_default=True, help="Probability that an outcome is lost."),
    shots_option(f"Number of shots, each one outcome per qubit.  [default: {SHOTS}, or as the list of settings says]"),
    seed_option,
    click.option("-o", "--output", type=click.Path(), required=True, help="Record file to write."),
    click.option("--shard", type=_Shard(), help="Make part I of N alone; `qtomo join` makes one file of them."),
    device_option,
    overwrite_option,
    json_option,
)


def _with_options(callback: Callable[..., None], own: Sequence[Any]) -> Callable[..., None]:
    for option in reversed([*own, *_SHARED]):
        callback = option(callback)
    return callback


def _subcommand(family: str, system: type[Any]) -> click.Command:
    """The command of one system: one option per field, then those that all share."""
    fields = system_fields(system)

    def callback(**values: Any) -> None:
        own = {field.name: values.pop(field.name) for field in fields}
        _run(lambda: system(**own), **values)

    options = []
    for field in fields:
        given = {"required": True} if field.is_required else {"default": field.default, "show_default": True}
        kind = FIELD_TYPES[field.kind]
        options.append(click.option(option_name(field.name), field.name, type=kind, help=field.help, **given))
    first_line = (system.__doc__ or "").strip().splitlines()[0]
    needed = _EXAMPLES.get(family, "--qubits 50")
    example = f"Example: qtomo simulate {family} {needed} --shots 100000 --output {family}.h5"
    return click.command(family, help=f"{_TITLES.get(family, first_line)}\n\n{example}")(
        _with_options(callback, options)
    )


def _state(state: str, **options: Any) -> None:
    _run(lambda: named_target(state), **options)


#: What a system needs beside or instead of fifty qubits.
_EXAMPLES = {
    "dicke": "--qubits 50 --excitations 3",
    "graph": "--qubits 4 --edges 0-1,1-2,2-3,0-3",
    "circuit": "--qasm bell.qasm",
}

#: Where a class's own first line says too little.
_TITLES = {
    "circuit": "What a circuit in OpenQASM 2 or 3 prepares; site i is its qubit i. Needs Qiskit.",
    "tfim": "Ground state of the 1D transverse-field Ising model, open ends, by DMRG.",
    "xxz": "Ground state of the antiferromagnetic XXZ chain, open ends, by DMRG; Heisenberg by default.",
}

for _family, _system in SYSTEMS.items():
    command.add_command(_subcommand(_family, _system))

command.add_command(
    click.command(
        "state",
        help="A state from a file: a state or record file of qtomo, a .npy ket or density matrix, or a .qasm circuit."
        "\n\n"
        "Example: qtomo simulate state --file ghz.h5 --shots 100000 --output measured.h5",
    )(_with_options(_state, [click.option("--file", "state", type=click.Path(), required=True, help="The state.")]))
)
