"""Simulated experiments: exact records of a known state, streamed to a file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from qtomo.distribution import LOST, Distribution, Outcomes
from qtomo.errors import InputError
from qtomo.files import check_absent
from qtomo.noise import parse_noise
from qtomo.povm import POVM, named_povm
from qtomo.records.schema import Target
from qtomo.records.writer import write_records
from qtomo.seeds import stream
from qtomo.states import MPS, BornDistribution, System

__all__ = ["Progress", "draw_blocks", "option_name", "simulate"]

#: Records a random stream. Block b is a function of (seed, b) alone, whoever draws it and when.
BLOCK = 8192

#: Called as progress(done, total).
Progress = Callable[[int, int], None]


def draw_blocks(
    source: Distribution, n_records: int, seed: int, purpose: str, progress: Progress | None = None
) -> Iterator[Outcomes]:
    """`n_records` samples in blocks of `BLOCK`, each from its own random stream.

    `progress(done, total)` is called after each block.
    """
    for index, first in enumerate(range(0, n_records, BLOCK)):
        rows = min(BLOCK, n_records - first)
        yield source.sample(rows, stream(seed, purpose, index))
        if progress:
            progress(first + rows, n_records)


def simulate(
    system: System | MPS,
    n_records: int,
    output: str | os.PathLike[str],
    povm: POVM | str = "pauli4",
    seed: int = 0,
    noise: Sequence[str] = (),
    loss: float = 0.0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Measure a state `n_records` times, into a record file.

    The file carries the system and its exact state, so that models can be judged against it.

    Args:
        system: what is measured, such as `TFIM(50)`, or a matrix-product state.
        n_records: how many times.
        output: the file.
        povm: the measurement of each qubit, or its name.
        seed: of all randomness.
        noise: channels before the measurement, as `qtomo.noise.parse_noise` reads them; they become part
            of the file's POVM.
        loss: probability that an outcome is lost, independently of all else.
        overwrite: replace an existing file.
        progress: called as progress(done, total).

    Raises:
        InputError: fewer than one record, a negative seed, a POVM for another number of sites, noise that is
            not understood, or an output that exists or cannot be written.
    """
    if n_records < 1:
        raise InputError(f"number of records is {n_records}, expected at least 1")
    if seed < 0:
        raise InputError(f"seed is {seed}, expected 0 or more")
    if not 0 <= loss < 1:
        raise InputError(f"loss is {loss}, expected a probability of 0 to less than 1")
    check_absent(output, overwrite)
    clean = named_povm(povm) if isinstance(povm, str) else povm
    measured = parse_noise(clean, noise, system.n_sites)
    measured.site_elements(system.n_sites)
    state = system if isinstance(system, MPS) else system.state()
    blocks = draw_blocks(BornDistribution(state, measured), n_records, seed, "simulate", progress)
    if loss:
        blocks = _lose(blocks, loss, seed)
    options = {"povm": clean.name, "records": n_records, "seed": seed, **({"loss": loss} if loss else {})}
    words = [f"--{name} {value}" for name, value in options.items()] + [f"--noise {text}" for text in noise]
    return write_records(
        output,
        blocks,
        system.n_sites,
        measured,
        Target.of(system, state),
        seed=seed,
        command=" ".join([_command(system), *words]) if isinstance(povm, str) else "",
        overwrite=overwrite,
    )


def _lose(blocks: Iterator[Outcomes], probability: float, seed: int) -> Iterator[Outcomes]:
    for index, block in enumerate(blocks):
        block[stream(seed, "loss", index).random(block.shape) < probability] = LOST
        yield block


def option_name(field: str) -> str:
    """The command line's name of a system's field."""
    return "--" + {"n_sites": "qubits"}.get(field, field.replace("_", "-"))


def _command(system: System | MPS) -> str:
    if isinstance(system, MPS):
        return ""
    words = ["qtomo", "simulate", system.family]
    for field in dataclasses.fields(system):  # type: ignore[arg-type]
        value = getattr(system, field.name)
        words += [option_name(field.name), ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return " ".join(words)
