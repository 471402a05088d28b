"""Frequencies of all outcomes in each of several bases: an HDF5 dataset (..., bases, 2^N outcomes)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError
from qtomo.records.file.hdf5 import text
from qtomo.records.importers.base import Imported, fixed_basis
from qtomo.records.importers.counts import Counted, as_whole, imported_counts, smallest_shots, times_shots
from qtomo.records.importers.hdf5 import ForeignFile
from qtomo.records.importers.recognition import Claim, Head, Sure, recognised_by

__all__ = ["read_frequencies"]

_MOST = 2**24  # outcomes of all bases


def _claim(head: Head) -> Claim | None:
    fitting = [name for name, (shape, kind) in head.datasets.items() if kind in "fiu" and _is_table(shape)]
    if not fitting:
        return None
    with ForeignFile(head.path) as file:
        if not any(_labels_of(file, name) for name in fitting):
            return None
    return Claim(Sure.CERTAIN, f"frequencies of outcomes by basis, in /{', /'.join(fitting[:4])}")


@recognised_by(_claim)
def read_frequencies(
    path: Path,
    *,
    outcomes: Annotated[str | None, "Dataset of the frequencies, (..., bases, 2^N), where there are several."] = None,
    select: Annotated[str | None, "The experiment of a dataset of several: its label or its number from 0."] = None,
    shots_per_setting: Annotated[int | None, "Shots that the frequencies of a basis are of."] = None,
) -> Imported:
    """Frequencies or counts of all outcomes in bases that an attribute names (XXX, ...), first letter first qubit.

    The outcomes of N qubits are numbered from 0 with the first qubit as the highest bit.

    Raises:
        InputError: names the dataset, what was found and what was expected; also where it is in doubt which experiment
            is meant, or how many shots frequencies are of.
    """
    with ForeignFile(path) as file:
        name = _dataset(file, outcomes)
        dataset = file.stored_here(name)
        place = f"{path}: /{name}"
        if not _is_table(dataset.shape) or dataset.dtype.kind not in "fiu" or dataset.size > _MOST:
            raise InputError(
                Code.SHAPE, f"{place}: {dataset.dtype} {dataset.shape}, expected numbers (..., bases, 2^N outcomes)"
            )
        labels = _labels_of(file, name)
        if labels is None:
            raise InputError(Code.ABSENT, f"{place}: no attribute that names its {dataset.shape[-2]} bases")
        with file.reading(f"/{name}"):
            table = np.asarray(dataset[()], dtype=np.float64)
        chosen, which = _selected(file, name, table, select, place)
    n_sites = int(np.log2(chosen.shape[1]))
    rows = (np.arange(2**n_sites)[:, None] >> np.arange(n_sites)[::-1] & 1).astype(np.uint8)
    shots, said = _shots(chosen, shots_per_setting, place)
    settings = []
    for label, shares in zip(labels, chosen, strict=True):
        there = f"{place}, basis {label}"
        if shots is None:
            times = np.array([as_whole(float(count), there) for count in shares], np.int64)
        else:
            times = times_shots(shares, shots, there)
        settings.append(Counted(there, fixed_basis(label, n_sites), rows, times))
    return imported_counts(path, settings, (f"/{name}{which}: {len(labels)} bases of {n_sites} qubits", said))


def _is_table(shape: tuple[int, ...]) -> bool:
    """(..., bases, 2^N) with at least two outcomes."""
    return len(shape) in (2, 3) and 0 not in shape and shape[-1] >= 2 and shape[-1] & (shape[-1] - 1) == 0


def _dataset(file: ForeignFile, name: str | None) -> str:
    if name is not None:
        return name.strip("/")
    found: list[str] = []

    def add(path: str, item: Any) -> None:
        shape = getattr(item, "shape", None)
        if shape and _is_table(tuple(shape)) and _labels_of(file, path) is not None:
            found.append(path)

    file.visit(add)
    if len(found) != 1:
        names = ", ".join(f"/{one}" for one in found[:8]) or "none"
        raise InputError(
            Code.REQUIRED, f"{file.path}: datasets of frequencies: {names}; expected --outcomes with one of them"
        )
    return found[0]


def _labels_of(file: ForeignFile, name: str) -> list[str] | None:
    """The names of the bases of a dataset, in an attribute of it or of the file; None where there are none."""
    shape = file.stored_here(name).shape
    width = int(np.log2(shape[-1]))
    for words in _attributes(file, name):
        fit = len(words) == shape[-2] and all(re.fullmatch(rf"[XYZxyz]{{{width}}}", word) for word in words)
        if fit:
            return words
    return None


def _attributes(file: ForeignFile, name: str) -> list[list[str]]:
    """Attributes of the dataset, then of the file, that are lists of words."""
    found = []
    for values in (*file.attributes(name), *file.attributes("")):
        if isinstance(values, np.ndarray) and values.ndim == 1 and values.size <= _MOST:
            words = [text(value) for value in values.tolist()]
            if all(words):
                found.append(words)
    return found


def _selected(
    file: ForeignFile, name: str, table: NDArray[np.float64], select: str | None, place: str
) -> tuple[NDArray[np.float64], str]:
    """The frequencies of one experiment, (bases, outcomes), and which it is in words."""
    if table.ndim == 2:
        if select is not None:
            raise InputError(Code.CONFLICT, f"--select {select}: {place} holds one experiment, expected none to choose")
        return table, ""
    named = next((words for words in _attributes(file, name) if len(words) == len(table)), None)
    names = named or [str(number) for number in range(len(table))]
    if select is None or select not in names:
        found = "several experiments" if select is None else f"no experiment '{select}'"
        raise InputError(
            Code.REQUIRED if select is None else Code.UNKNOWN,
            f"{place}: {found}, expected --select with one of {', '.join(names[:20])}",
        )
    return table[names.index(select)], f", experiment {select}"


def _shots(table: NDArray[np.float64], given: int | None, place: str) -> tuple[int | None, str]:
    """Shots of a setting, None where the numbers are counts already, and how that is known."""
    if np.abs(table.sum(axis=1) - 1).max() < 1e-3:
        if given is not None and given < 1:
            raise InputError(Code.VALUE, f"--shots-per-setting {given}: expected at least 1")
        if given is None:
            least = smallest_shots(table)
            if least is None:
                raise InputError(
                    Code.REQUIRED, f"{place}: frequencies of an unknown number of shots, expected --shots-per-setting"
                )
            raise InputError(
                Code.REQUIRED,
                f"{place}: frequencies of an unknown number of shots, expected --shots-per-setting; the "
                f"smallest number that makes all of them whole is {least}",
            )
        return given, f"frequencies times {given:,} shots a basis"
    if given is not None:
        raise InputError(
            Code.CONFLICT, f"--shots-per-setting {given}: {place} holds counts, expected shares that sum to 1"
        )
    return None, "counts of every outcome"
