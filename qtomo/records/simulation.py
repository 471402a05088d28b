"""Simulated experiments: exact records of a known state, streamed to a file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from qtomo.distribution import LOST, Distribution, Outcomes
from qtomo.errors import Code, InputError
from qtomo.files import check_absent
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import BASES, NAMED_POVMS, POVM, parse_axes
from qtomo.measurement.settings import Design, SettingList, read_setting_list
from qtomo.parallel import pick_device
from qtomo.progress import SILENT, Progress
from qtomo.records.file.schema import Target, TargetLike
from qtomo.records.file.shards import shard_path
from qtomo.records.file.state_file import povm_of
from qtomo.records.file.writer import Block, write_records
from qtomo.records.shots import SHOTS
from qtomo.seeds import stream
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.mps import MPS
from qtomo.states.state import State
from qtomo.states.system import System, in_words, option_name, system_fields

__all__ = ["Shard", "draw_blocks", "simulate"]


#: Records per random stream. Block b is a function of (seed, b) alone, whoever draws it and when.
BLOCK = 8192

#: (i, n): part i of n, counted from 0.
Shard = tuple[int, int]


def draw_blocks(
    source: Distribution,
    n_records: int,
    seed: int,
    purpose: str,
    progress: Progress = SILENT,
) -> Iterator[Outcomes]:
    """`n_records` samples in blocks of `BLOCK`, each from its own random stream.

    `progress` is told after each block.
    """
    for block in _Progressing(n_records, (0, 1), progress):
        yield source.sample(block.rows, stream(seed, purpose, block.index))


def simulate(
    system: TargetLike,
    shots: int | None = None,
    output: str | os.PathLike[str] = "records.h5",
    *,
    povm: POVM | str | os.PathLike[str] | None = None,
    axes: Sequence[str] = (),
    settings: SettingList | str | os.PathLike[str] | None = None,
    noise: Sequence[str] = (),
    declared: bool = True,
    loss: float = 0.0,
    seed: int = 0,
    shard: Shard = (0, 1),
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
    command: str = "",
) -> Path:
    """Measure a state, into a record file that carries the exact state, so that models can be judged against it.

    Args:
        system: what is measured, such as `TFIM(50)`, a state, or whatever else `Target.of` takes.
        shots: how often, each one outcome per qubit; a list of settings says it itself, so give None or nothing.
        output: the record file to write.
        povm: each qubit's measurement, its name, or a file with one; pauli4, or pauli6 with settings, if not given.
        axes: where the POVM's X, Y and Z point, such as "-X,Y,Z@0,4".
        settings: keep basis and bit of each qubit: bases at "random", or from a list or the file of one.
        noise: channels before the measurement, such as "depolarizing:0.1@0".
        declared: whether the file's POVM contains the noise; if not, the noise is a fault to be found.
        loss: probability that an outcome is lost, independently of all else.
        seed: of all randomness.
        shard: (i, n) makes part i of n, from 0, at `shard_path(output, i, n)`; `join_shards` makes one file of them.
        device: `cpu`, `cuda` or `auto`.
        overwrite: replace an existing file.
        progress: told what is being done.
        command: how to make the file again.

    Raises:
        InputError: a number out of range, a measurement that does not fit or is not understood, a shard without
            records, or an output that exists or cannot be written.

    >>> from qtomo import GHZ
    >>> simulate(GHZ(3), 200, "ghz.h5", povm="pauli6", settings="random", seed=1).name
    'ghz.h5'
    """
    system = _prepared(system)
    bases, n = _bases(settings, system.n_sites), system.n_sites
    draw = _Draw(_number(shots, bases), seed, loss, bases, shard)
    path = check_absent(shard_path(output, *shard) if draw.is_part else output, overwrite)
    named = povm_of(povm or ("pauli4" if bases is None else "pauli6"))
    clean = parse_axes(named, axes, n)
    measured = _noisy(clean, noise, n, draw)
    place, progress = pick_device(device), Progress.of(progress)
    state = system if isinstance(system, State) else _solved(system, progress)
    progress.stage("records")
    blocks = _experiment(BornDistribution(state, measured, device=place), draw, progress)
    target = Target.of(system, state if isinstance(state, MPS) else None)
    command = command or _command(system, named, draw, {"axes": axes, "noise": noise, "undeclared": not declared})
    kept: dict[str, Any] = {"design": draw.design, "seed": seed, "shard": shard if draw.is_part else None}
    povm = measured if declared else clean
    return write_records(path, blocks, n, povm, target=target, command=command, overwrite=overwrite, **kept)


def _prepared(system: TargetLike) -> System | State:
    """The system that is meant, or its state where there is none."""
    if isinstance(system, System | State) and not isinstance(system, type):
        return system
    meant = Target.of(system)
    return meant.system or meant.state()


@dataclass(frozen=True)
class _Draw:
    """Which records are drawn: all that the random numbers depend on, but for the state and the measurement.

    Raises:
        InputError: a number out of range, or a shard without records.
    """

    n_records: int
    seed: int
    loss: float
    settings: SettingList | Literal["random"] | None
    shard: Shard

    def __post_init__(self) -> None:
        part, parts = self.shard
        if self.n_records < 1:
            raise InputError(Code.VALUE, f"number of shots is {self.n_records}, expected at least 1")
        if self.seed < 0:
            raise InputError(Code.VALUE, f"seed is {self.seed}, expected 0 or more")
        if not 0 <= self.loss < 1:
            raise InputError(Code.VALUE, f"loss is {self.loss}, expected a probability of 0 to less than 1")
        if not 0 <= part < parts:
            raise InputError(Code.VALUE, f"shard is {part} of {parts}, expected 0 to {parts - 1}")
        if not len(_Progressing(self.n_records, self.shard)):
            raise InputError(
                Code.TOO_FEW,
                f"shard {part} of {parts} of {self.n_records} records is empty: a random stream has {BLOCK} records",
            )

    @property
    def is_part(self) -> bool:
        """Whether this is one of several shards."""
        return self.shard[1] > 1

    @property
    def design(self) -> Design:
        """How settings are chosen."""
        return "povm" if self.settings is None else "random" if self.settings == "random" else "listed"

    def bases(self, block: _BlockOfRecords, n_sites: int, rng: np.random.Generator) -> Outcomes | None:
        """The settings of a block, uint8 (rows, n_sites); None where there are none."""
        if self.settings is None:
            return None
        if self.settings == "random":
            return rng.integers(0, len(BASES), (block.rows, n_sites), dtype=np.uint8)
        return self.settings.rows(block.first, block.first + block.rows)


def _bases(
    settings: SettingList | str | os.PathLike[str] | None, n_sites: int
) -> SettingList | Literal["random"] | None:
    if settings is None or isinstance(settings, SettingList):
        return settings
    return "random" if settings == "random" else read_setting_list(settings, n_sites)


def _number(shots: int | None, settings: SettingList | Literal["random"] | None) -> int:
    """How many records there are to be."""
    if not isinstance(settings, SettingList):
        return SHOTS if shots is None else shots
    if shots not in (None, settings.n_records):
        raise InputError(
            Code.CONFLICT,
            f"{shots} shots beside a list of settings, which says {settings.n_records:,}: give no number beside it",
        )
    return settings.n_records


def _noisy(clean: POVM, noise: Sequence[str], n_sites: int, draw: _Draw) -> POVM:
    """The measurement after the noise."""
    measured = parse_noise(clean, noise, n_sites)
    measured.site_elements(n_sites)
    if draw.settings is not None and not measured.measures_bases:
        raise InputError(
            Code.MISMATCH, f"settings go with bases X, Y and Z (--povm pauli6), not with POVM '{measured.name}'"
        )
    return measured


def _solved(system: System, progress: Progress) -> State:
    progress.stage(f"exact state of {system.n_sites} qubits")
    return system.state()


def _experiment(born: BornDistribution, draw: _Draw, progress: Progress) -> Iterator[Block]:
    """The blocks of a simulated file, each a function of (seed, its index)."""
    for block in _Progressing(draw.n_records, draw.shard, progress):
        rng = stream(draw.seed, "simulate", block.index)
        bases = draw.bases(block, born.n_sites, rng)
        bits = born.sample(block.rows, rng) if bases is None else born.sample_bits(bases, rng)
        if draw.loss:
            bits[stream(draw.seed, "loss", block.index).random(bits.shape) < draw.loss] = LOST
        yield bits if bases is None else (bases, bits)


@dataclass(frozen=True)
class _BlockOfRecords:
    index: int
    first: int
    rows: int


class _Progressing:
    """The blocks of a shard, in order, telling how far they are."""

    def __init__(self, n_records: int, shard: Shard, progress: Progress = SILENT) -> None:
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
            self._progress.update(index * BLOCK + rows - start, total)


def _command(system: System | State, povm: POVM, draw: _Draw, others: Mapping[str, Sequence[str] | bool]) -> str:
    """The command line that makes the same records; empty where there is none, as for a list of settings."""
    name = next((name for name, made in NAMED_POVMS.items() if np.array_equal(made(), povm.elements)), None)
    if isinstance(system, State) or name is None or isinstance(draw.settings, SettingList):
        return ""
    fields = system_fields(type(system))
    if any(field.kind is str for field in fields):  # whose file is not known
        return ""
    words = ["qtomo", "simulate", system.family]
    for field in fields:
        words += [option_name(field.name), in_words(getattr(system, field.name))]
    words += ["--povm", name, "--shots", str(draw.n_records), "--seed", str(draw.seed)]
    words += ["--settings", draw.settings] if draw.settings else []
    words += ["--loss", str(draw.loss)] if draw.loss else []
    for option, chosen in others.items():
        if isinstance(chosen, bool):
            words += [f"--{option}"] * chosen
        else:
            words += [word for text in chosen for word in (f"--{option}", text)]
    return shlex.join(words)
