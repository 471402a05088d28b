"""Simulated experiments: exact records of a known state, streamed to a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from qtomo.distribution import Distribution, Outcomes
from qtomo.errors import InputError
from qtomo.files import check_absent
from qtomo.povm import POVM, named_povm
from qtomo.records.schema import Target
from qtomo.records.writer import write_records
from qtomo.seeds import stream
from qtomo.states import TFIM, BornDistribution, ground_state

__all__ = ["Progress", "draw_blocks", "simulate_tfim"]

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


def simulate_tfim(
    model: TFIM,
    n_records: int,
    output: str | os.PathLike[str],
    povm: POVM | str = "pauli4",
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Measure the ground state of a transverse-field Ising chain `n_records` times, into a record file.

    The file carries the Hamiltonian and the exact state, so that models can be judged against it.

    Raises:
        InputError: fewer than one record, a negative seed, a POVM for another number of sites, or an
            output that exists or cannot be written.
    """
    if n_records < 1:
        raise InputError(f"number of records is {n_records}, expected at least 1")
    if seed < 0:
        raise InputError(f"seed is {seed}, expected 0 or more")
    check_absent(output, overwrite)
    povm = named_povm(povm) if isinstance(povm, str) else povm
    povm.site_elements(model.n_sites)
    state = ground_state(model)
    source = BornDistribution(state, povm)
    blocks = draw_blocks(source, n_records, seed, "simulate", progress)
    command = (
        f"qtomo simulate tfim --qubits {model.n_sites} --coupling {model.coupling} --field {model.field} "
        f"--povm {povm.name} --records {n_records} --seed {seed}"
    )
    return write_records(
        output, blocks, model.n_sites, povm, Target.tfim(model, state), seed=seed, command=command, overwrite=overwrite
    )
