"""Outcomes that were counted: rows that stand for many shots each, drawn out a block at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import named_povm
from qtomo.records.file.writer import Block
from qtomo.records.importers.base import Imported, Run

__all__ = ["Counted", "as_whole", "drawn_out", "imported_counts", "times_shots"]

LARGEST = 10**8  # shots
_BLOCK_BYTES = 2**22
_ROUNDED = 1e-6  # of the shots, by which a share times shots may miss a whole number
_EXACT = 1e-8  # the same where the number of shots is not known


@dataclass(frozen=True, eq=False)
class Counted:
    """What was seen in one setting.

    Args:
        place: where it stands, for messages.
        basis: of each qubit, uint8 (n_sites,).
        outcomes: bits, uint8 (rows, n_sites).
        times: how often each row was seen, (rows,).
    """

    place: str
    basis: Outcomes
    outcomes: Outcomes
    times: NDArray[np.int64]


def drawn_out(runs: Iterable[Run]) -> Iterator[Block]:
    """Rows as often as they were seen, a block at a time."""
    for block, times in runs:
        if times is None:
            yield block
            continue
        ends = np.cumsum(times)
        total, width = int(ends[-1]) if len(ends) else 0, (block[1] if isinstance(block, tuple) else block).shape[1]
        size = max(1, _BLOCK_BYTES // width)
        for first in range(0, total, size):
            last = min(first + size, total)
            rows = slice(int(np.searchsorted(ends, first, side="right")), int(np.searchsorted(ends, last)) + 1)
            inside = np.clip(ends[rows], first, last) - np.clip(ends[rows] - times[rows], first, last)
            if isinstance(block, tuple):
                yield np.repeat(block[0][rows], inside, axis=0), np.repeat(block[1][rows], inside, axis=0)
            else:
                yield np.repeat(block[rows], inside, axis=0)


def imported_counts(path: Path, settings: Sequence[Counted], notes: Sequence[str], ordered: bool = False) -> Imported:
    """Counts of several settings as shots, setting after setting.

    Raises:
        InputError: settings of different numbers of qubits, none at all, no shot, or more than can be drawn out.
    """
    if not settings:
        raise InputError(Code.TOO_FEW, f"{path}: no setting, expected counts of at least one")
    n_sites = len(settings[0].basis)
    for one in settings:
        if len(one.basis) != n_sites or one.outcomes.shape[1] != n_sites:
            found = f"{len(one.basis)} bases and {one.outcomes.shape[1]} bits"
            raise InputError(Code.SHAPE, f"{one.place}: {found}, expected {n_sites} of both as in the first setting")
    total = sum(int(one.times.sum()) for one in settings)
    if not 0 < total <= LARGEST:
        raise InputError(
            Code.TOO_LARGE if total else Code.TOO_FEW, f"{path}: {total:,} shots, expected 1 to {LARGEST:,}"
        )

    def runs() -> Iterator[Run]:
        for one in settings:
            yield (np.tile(one.basis, (len(one.times), 1)), one.outcomes), one.times

    said = [] if ordered else ["counts keep no order of shots"]
    return Imported(
        path,
        n_sites,
        named_povm("pauli6"),
        True,
        lambda: drawn_out(runs()),
        notes=(*notes, *said),
        ordered=ordered,
        counted=runs,
    )


def as_whole(count: object, place: str) -> int:
    """A count, which some programs write as a float.

    Raises:
        InputError: anything but a whole number from 0 on.
    """
    if isinstance(count, bool) or not isinstance(count, int | float) or count != count or count < 0:
        raise InputError(Code.VALUE, f"{place}: {str(count)[:40]}, expected a whole number from 0")
    if count != int(count) if abs(count) < float("inf") else True:
        hint = "; shares are counts where --shots-per-setting says of how many" if count < 1 else ""
        raise InputError(Code.VALUE, f"{place}: {str(count)[:40]}, expected a whole number from 0{hint}")
    return int(count)


def times_shots(shares: NDArray[np.float64], shots: int | None, place: str) -> NDArray[np.int64]:
    """Counts of the outcomes of a setting from their shares, (outcomes,) each.

    Raises:
        InputError: shares that do not sum to 1, are negative, or that so many shots cannot have; or no number of
            shots, with the smallest that these shares can have.
    """
    if not np.isfinite(shares).all() or (shares < 0).any() or abs(float(shares.sum()) - 1) > 1e-3:
        raise InputError(
            Code.VALUE, f"{place}: shares that sum to {float(shares.sum()):.6g}, expected some from 0 on that sum to 1"
        )
    if shots is None:
        least = smallest_shots(shares)
        said = f"; the smallest number that makes these whole is {least}" if least else ""
        raise InputError(
            Code.REQUIRED, f"{place}: shares of an unknown number of shots, expected --shots-per-setting NUMBER{said}"
        )
    counts = np.rint(shares * shots)
    if np.abs(shares * shots - counts).max() > max(_ROUNDED * shots, 1e-3) or int(counts.sum()) != shots:
        least = smallest_shots(shares)
        said = f"; the smallest number that does is {least}" if least else ""
        raise InputError(
            Code.VALUE, f"{place}: --shots-per-setting {shots} does not make the shares whole numbers{said}"
        )
    return counts.astype(np.int64)


def smallest_shots(shares: NDArray[np.float64], most: int = 100_000) -> int | None:
    """The smallest number of shots that makes all shares whole numbers, (…,); None where none up to `most` does."""
    values = np.unique(np.round(shares[np.isfinite(shares)], 12))
    for first in range(1, most + 1, 1000):
        tried = np.arange(first, min(first + 1000, most + 1), dtype=np.float64)[:, None]
        whole = np.abs(tried * values - np.rint(tried * values)).max(axis=1) < np.maximum(_EXACT * tried[:, 0], 1e-9)
        if whole.any():
            return int(tried[int(whole.argmax()), 0])
    return None
