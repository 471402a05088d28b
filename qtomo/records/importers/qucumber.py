"""QuCumber's text pairs: a file of samples, 0 and 1 with spaces between, and a file of bases, letters alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

from qtomo.errors import Code, InputError
from qtomo.records.file.writer import Block
from qtomo.records.importers.base import (
    Basis,
    Imported,
    Lost,
    alphabets,
    as_blocks,
    fixed_basis,
    measurement,
    shot_blocks,
    text_lines,
    with_basis,
)
from qtomo.records.importers.recognition import Claim, Head, Sure, recognised_by

__all__ = ["read_qucumber"]

_SAMPLES = "lines of samples, 0 and 1 with spaces between"
_BASES = "lines of bases, letters X, Y, Z with spaces between"


def _claim(head: Head) -> Claim | None:
    rows = [line.split() for line in head.lines]
    if not rows or any(len(row) != len(rows[0]) or set(row) - {"0", "1"} for row in rows) or len(rows[0]) < 2:
        return None
    return Claim(Sure.POSSIBLE, "samples of QuCumber, 0 and 1 with spaces between")


@recognised_by(_claim)
def read_qucumber(
    path: Path,
    *,
    bases: Annotated[Path | None, "The file of bases, one line per sample."] = None,
    basis: Basis = None,
    lost: Lost = None,
) -> Imported:
    """QuCumber's samples with their bases; its qubits run from left to right, as those of qtomo do.

    Raises:
        InputError: names the line, what was found and what was expected.
    """
    if bases is not None and basis is not None:
        raise InputError(Code.CONFLICT, f"--basis {basis}: {bases} has the bases of the shots, expected one of the two")
    povm = measurement(path, None, bases is not None or basis is not None)
    letters, bits = alphabets(2, lost, None)
    n_sites = len(next(text_lines(path, _SAMPLES))[1].split())
    if basis is not None:
        fixed_basis(basis, n_sites)

    def samples() -> Iterator[list[int]]:
        for place, line in text_lines(path, _SAMPLES):
            yield bits.of_words(line.split(), place, n_sites)

    def pairs() -> Iterator[tuple[list[int], list[int]]]:
        assert bases is not None
        ends = (f"{path}, at the end", ""), (f"{bases}, at the end", "")
        lines = zip_longest(text_lines(path, _SAMPLES), text_lines(bases, _BASES))
        for sample, setting in lines:
            (place, line), (other, text) = sample or ends[0], setting or ends[1]
            yield letters.of_words(text.split(), other, n_sites), bits.of_words(line.split(), place, n_sites)

    def blocks() -> Iterator[Block]:
        return with_basis(as_blocks(samples()), basis, n_sites) if bases is None else shot_blocks(pairs())

    source = f"bases of {bases}" if bases else f"basis {basis} for every shot"
    return Imported(path, n_sites, povm, True, blocks, notes=(f"samples with {source}, first column is site 0",))
