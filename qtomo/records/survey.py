"""Look a foreign file through before it is written: count, test its settings, coarsen its shots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes, shot_labels
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import POVM
from qtomo.measurement.settings import Design
from qtomo.records.file.writer import Block
from qtomo.records.importers.base import Columns, Imported
from qtomo.records.uniformity import LEVEL, SettingTest, Uniformity

__all__ = ["Coarsening", "Survey", "coarsened", "survey"]

#: What shots may be coarsened to.
Coarsening = Literal["pauli4"]

_FIRST_ROWS = 5
# Outcome of Pauli-4 by 2 * basis + bit: bit 0 in Z is 0, in X 1, in Y 2, and any bit 1 is 3.
_PAULI4 = np.array([1, 3, 2, 3, 0, 3], dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Survey:
    """What one reading of a foreign file found.

    Args:
        n_records: shots or records.
        n_lost: lost outcomes.
        first: the first rows, as blocks are.
        columns: numbers per record, by name.
        uniformity: the test of the settings; None for outcomes.
    """

    n_records: int
    n_lost: int
    first: Block
    columns: Columns
    uniformity: Uniformity | None

    @property
    def design(self) -> Design:
        """How the settings look chosen."""
        if self.uniformity is None:
            return "povm"
        return "random" if self.uniformity.is_random else "listed"


def survey(source: Imported) -> Survey:
    """Read all of a foreign file once: check each value, count, keep the first rows, test the settings.

    Raises:
        InputError: the first thing that is wrong with the file.
    """
    n_records = n_lost = 0
    first: Block | None = None
    test = SettingTest(source.n_sites)
    for block, times in source.runs():
        bits = block[1] if isinstance(block, tuple) else block
        if isinstance(block, tuple):
            test.add(block[0], times)
        lost = (bits == LOST).sum(axis=1)
        n_records += len(bits) if times is None else int(times.sum())
        n_lost += int(lost.sum() if times is None else lost @ times)
        if first is None and n_records:
            first = _first(block, times)
    if first is None:
        raise InputError(Code.TOO_FEW, f"{source.path}: no records")
    columns = source.columns()
    return Survey(n_records, n_lost, first, columns, test.result() if source.has_settings else None)


def _first(block: Block, times: NDArray[np.int64] | None) -> Block:
    """The first few rows of a block, those that follow themselves as often."""
    size = len(block[0] if isinstance(block, tuple) else block)
    every = np.arange(size) if times is None else np.repeat(np.arange(size), np.minimum(times, _FIRST_ROWS))
    rows = every[:_FIRST_ROWS]
    return (block[0][rows], block[1][rows]) if isinstance(block, tuple) else block[rows]


def coarsened(source: Imported, found: Survey) -> Imported:
    """Shots as Pauli-4 outcomes, which is right only where each basis was drawn uniformly and independently.

    Raises:
        InputError: outcomes that are no shots, or bases that fail the test, with its p-value.
    """
    if found.uniformity is None:
        raise InputError(
            Code.UNSUPPORTED,
            f"{source.path}: outcomes of POVM '{source.povm.name}', expected shots with settings to coarsen",
        )
    if not found.uniformity.is_random:
        raise InputError(
            Code.UNSUPPORTED,
            f"{source.path}: {found.uniformity.describe()}; Pauli-4 outcomes need bases drawn uniformly and "
            f"independently, expected p of at least {LEVEL:g}",
        )
    six = source.povm.elements
    ones = six[..., 1::2, :, :].sum(axis=-3, keepdims=True)
    four = np.concatenate([six[..., [4, 0, 2], :, :], ones], axis=-3)

    def blocks() -> Iterator[Outcomes]:
        for block in source.blocks():
            assert isinstance(block, tuple)
            labels = shot_labels(*block)
            yield np.where(labels == LOST, LOST, _PAULI4[np.minimum(labels, 5)]).astype(np.uint8)

    name = source.povm.name.replace("pauli6", "pauli4")  # shown, and no more
    notes = (*source.notes, f"coarsened to Pauli-4, p = {found.uniformity.p_value:.3g} that bases were uniform")
    return replace(source, povm=POVM(four, name), has_settings=False, blocks=blocks, notes=notes, counted=None)
