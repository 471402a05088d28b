"""Simulated experiments: exact records of a known state, streamed to a file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from qtomo.distribution import LOST, Distribution, Outcomes
from qtomo.errors import InputError
from qtomo.files import check_absent
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import POVM, named_povm
from qtomo.measurement.settings import SettingList
from qtomo.parallel import pick_device
from qtomo.records.file.schema import Target
from qtomo.records.file.shards import shard_path
from qtomo.records.file.writer import Block, write_records
from qtomo.seeds import stream
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.density import DensityMatrix
from qtomo.states.library import System
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.state import State

__all__ = ["Progress", "Shard", "draw_blocks", "option_name", "simulate"]

#: Records a random stream. Block b is a function of (seed, b) alone, whoever draws it and when.
BLOCK = 8192

#: (i, n): part i of n, counted from 0.
Shard = tuple[int, int]

#: Called as progress(done, total).
Progress = Callable[[int, int], None]


def draw_blocks(
    source: Distribution,
    n_records: int,
    seed: int,
    purpose: str,
    progress: Progress | None = None,
) -> Iterator[Outcomes]:
    """`n_records` samples in blocks of `BLOCK`, each from its own random stream.

    `progress(done, total)` is called after each block.
    """
    for block in _Progressing(n_records, (0, 1), progress):
        yield source.sample(block.rows, stream(seed, purpose, block.index))


def simulate(
    system: System | State,
    n_records: int | None,
    output: str | os.PathLike[str],
    povm: POVM | str = "pauli4",
    seed: int = 0,
    noise: Sequence[str] = (),
    loss: float = 0.0,
    overwrite: bool = False,
    progress: Progress | None = None,
    settings: SettingList | Literal["random"] | None = None,
    shard: Shard = (0, 1),
    device: str = "cpu",
    command: str = "",
    declared: bool = True,
) -> Path:
    """Measure a state `n_records` times, into a record file.

    The file carries the system and its exact state, so that models can be judged against it.

    Args:
        system: what is measured, such as `TFIM(50)`, or a state.
        n_records: how many times; None with a list of settings, which says so itself.
        output: the file.
        povm: the measurement of each qubit, or its name.
        seed: of all randomness.
        noise: channels before the measurement, as `qtomo.measurement.noise.parse_noise` reads them; they become part
            of the file's POVM.
        loss: probability that an outcome is lost, independently of all else.
        overwrite: replace an existing file.
        progress: called as progress(done, total).
        settings: keep (basis, bit) of each qubit instead of outcomes of `povm`, which is then pauli6: bases
            `"random"`, or from a list.
        shard: (i, n) makes the i-th of n parts of the records, counted from 0, at `shard_path(output, i, n)`;
            `join_shards` makes one file of them, the same records as one process makes.
        device: `cpu`, `cuda` or `auto`.
        command: how to make the file again.
        declared: whether the file's POVM tells the noise; if not, it is that of a laboratory that knows of none.

    Raises:
        InputError: fewer than one record, a negative seed, a POVM for another number of sites, noise that is
            not understood, a shard without records, or an output that exists or cannot be written.
    """
    if isinstance(settings, SettingList):
        if n_records is not None:
            raise InputError("the list of settings says how many records there are: give no number beside it")
        n_records = settings.n_records
    if n_records is None or n_records < 1:
        raise InputError(f"number of records is {n_records}, expected at least 1")
    if seed < 0:
        raise InputError(f"seed is {seed}, expected 0 or more")
    if not 0 <= loss < 1:
        raise InputError(f"loss is {loss}, expected a probability of 0 to less than 1")
    if not 0 <= shard[0] < shard[1]:
        raise InputError(f"shard is {shard[0]} of {shard[1]}, expected 0 to {shard[1] - 1}")
    if not len(_Progressing(n_records, shard)):
        raise InputError(
            f"shard {shard[0]} of {shard[1]} of {n_records} records is empty: a random stream has {BLOCK} records"
        )
    path = check_absent(output if shard[1] == 1 else shard_path(output, *shard), overwrite)
    clean = named_povm(povm) if isinstance(povm, str) else povm
    measured = parse_noise(clean, noise, system.n_sites)
    measured.site_elements(system.n_sites)
    if settings is not None and not measured.measures_bases:
        raise InputError(f"settings go with bases X, Y and Z (--povm pauli6), not with POVM '{measured.name}'")
    state = system if isinstance(system, LPDO | MPS | DensityMatrix) else system.state()
    born = BornDistribution(state, measured, device=pick_device(device))
    blocks = _experiment(born, n_records, seed, loss, settings, shard, progress)
    return write_records(
        path,
        blocks,
        system.n_sites,
        measured if declared else clean,
        Target.of(system, state if isinstance(state, MPS) else None),
        seed=seed,
        command=command or _command(system, clean.name, n_records, seed, loss, noise),
        overwrite=overwrite,
        design="povm" if settings is None else "random" if settings == "random" else "listed",
        shard=None if shard[1] == 1 else shard,
    )


def _experiment(
    born: BornDistribution,
    n_records: int,
    seed: int,
    loss: float,
    settings: SettingList | Literal["random"] | None,
    shard: Shard,
    progress: Progress | None,
) -> Iterator[Block]:
    """The blocks of a simulated file, each a function of (seed, its index)."""
    for block in _Progressing(n_records, shard, progress):
        rng = stream(seed, "simulate", block.index)
        if settings is None:
            bits = born.sample(block.rows, rng)
        else:
            size = (block.rows, born.n_sites)
            bases = (
                rng.integers(0, 3, size, dtype=np.uint8)
                if settings == "random"
                else settings.rows(block.first, block.first + block.rows)
            )
            bits = born.sample_bits(bases, rng)
        if loss:
            bits[stream(seed, "loss", block.index).random(bits.shape) < loss] = LOST
        yield bits if settings is None else (bases, bits)


@dataclass(frozen=True)
class _BlockOfRecords:
    index: int
    first: int
    rows: int


class _Progressing:
    """The blocks of a shard, in order, telling how far they are."""

    def __init__(self, n_records: int, shard: Shard, progress: Progress | None = None) -> None:
        n_blocks = -(-n_records // BLOCK)
        self._range = range(n_blocks * shard[0] // shard[1], n_blocks * (shard[0] + 1) // shard[1])
        self._n_records = n_records
        self._progress = progress

    def __len__(self) -> int:
        return len(self._range)

    def __iter__(self) -> Iterator[_BlockOfRecords]:
        start = self._range.start * BLOCK
        total = min(self._n_records, self._range.stop * BLOCK) - start
        for index in self._range:
            rows = min(BLOCK, self._n_records - index * BLOCK)
            yield _BlockOfRecords(index, index * BLOCK, rows)
            if self._progress:
                self._progress(index * BLOCK + rows - start, total)


def option_name(field: str) -> str:
    """The command line's name of a system's field."""
    return "--" + {"n_sites": "qubits"}.get(field, field.replace("_", "-"))


def _command(system: System | State, povm: str, n_records: int, seed: int, loss: float, noise: Sequence[str]) -> str:
    if isinstance(system, LPDO | MPS | DensityMatrix):
        return ""
    words = ["qtomo", "simulate", system.family]
    for field in dataclasses.fields(system):  # type: ignore[arg-type]
        value = getattr(system, field.name)
        words += [option_name(field.name), ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    options = {"povm": povm, "records": n_records, "seed": seed, **({"loss": loss} if loss else {})}
    words += [f"--{name} {value}" for name, value in options.items()] + [f"--noise {text}" for text in noise]
    return " ".join(words)
