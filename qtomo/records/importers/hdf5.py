"""HDF5 of any layout, by a mapping: which dataset holds the outcomes, and which the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.records.file.hdf5 import CheckedFile
from qtomo.records.file.writer import Block
from qtomo.records.importers.base import (
    Alphabet,
    Basis,
    Columns,
    Eigenvalues,
    Imported,
    Laid,
    Lost,
    OneBased,
    Povm,
    alphabets,
    check_laid,
    fixed_basis,
    measurement,
    names_bases,
    with_basis,
)
from qtomo.records.importers.recognition import OUTCOMES, SETTINGS, Claim, Head, Sure, called, recognised_by

__all__ = ["ForeignFile", "Table", "read_hdf5", "table_blocks", "table_shape"]

_BLOCK_BYTES = 2**22


class ForeignFile(CheckedFile):
    """An HDF5 file of another program: guarded as those of qtomo are, and of no format."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "file of measurement records", None)

    def has(self, name: str) -> bool:
        """Whether something is called so."""
        return name in self._file

    def attributes(self, name: str) -> list[Any]:
        """The values of all attributes of the object at `name`, or of the file."""
        with self.reading(f"the attributes of /{name}"):
            return [value for _, value in (self._file[name] if name else self._file).attrs.items()]

    def table(self, name: str, transposed: bool = False) -> Table:
        """The dataset at `name` as rows of values: (records, N), or (records,) strings of N letters."""
        dataset = self.stored_here(name.strip("/"))
        if dataset.dtype.kind not in "biuf" and h5py.check_string_dtype(dataset.dtype) is None:
            raise self.error(
                Code.SHAPE, f"/{name.strip('/')}: data of type {dataset.dtype}, expected numbers or letters"
            )
        return Table(self, name.strip("/"), dataset, transposed)


class Table:
    """A dataset of a foreign file, read as rows of one value per qubit."""

    def __init__(self, file: ForeignFile, name: str, dataset: h5py.Dataset, transposed: bool) -> None:
        self._file, self._name, self._dataset, self._transposed = file, name, dataset, transposed
        self.place = f"{file.path}: /{name}"
        shape = dataset.shape
        is_text = h5py.check_string_dtype(dataset.dtype) is not None
        if len(shape) != 2 and (transposed or not is_text or len(shape) != 1):
            expected = "two (records, N)" + (" or one of strings" if is_text else "")
            raise InputError(Code.SHAPE, f"{self.place}: {len(shape)} dimensions, expected {expected}")
        if 0 in shape:
            raise InputError(Code.TOO_FEW, f"{self.place}: shape {shape} holds no record")
        self._words = len(shape) == 1
        self.n_records = int(shape[1] if transposed else shape[0])
        self.n_sites = len(self._read(0, 1)[0]) if self._words else int(shape[0] if transposed else shape[1])

    @property
    def step(self) -> int:
        """Rows of a block, some 4 MiB."""
        return max(1, _BLOCK_BYTES // max(1, self.n_sites * int(self._dataset.dtype.itemsize)))

    def codes(self, first: int, last: int, alphabet: Alphabet) -> Outcomes:
        """Rows as numbers of an alphabet, uint8 (last - first, n_sites)."""
        rows = self._read(first, last)
        if not self._words:
            return alphabet.of_array(rows, self.place, first)
        found = []
        for row, word in enumerate(rows, start=first):
            place = f"{self.place}, row {row}"
            found.append(alphabet.of_words(word.decode("utf-8", errors="replace"), place, self.n_sites))
        return np.array(found, dtype=np.uint8)

    def _read(self, first: int, last: int) -> NDArray[Any]:
        with self._file.reading(f"/{self._name}, rows {first} to {last - 1}"):
            block = self._dataset[:, first:last].T if self._transposed else self._dataset[first:last]
            return np.asarray(block)


def _claim(head: Head) -> Claim | None:
    if not head.datasets:
        return None
    names = ", ".join(f"/{name}" for name in list(head.datasets)[:6])
    sure = Sure.LIKELY if _likely(head.datasets, OUTCOMES) else Sure.POSSIBLE
    return Claim(sure, f"datasets of HDF5: {names}")


def _likely(datasets: dict[str, tuple[tuple[int, ...], str]], names: str) -> list[str]:
    """Tables that are called so."""
    return called((name for name, (shape, _) in datasets.items() if len(shape) == 2), names)


def _found(path: Path, outcomes: str | None, settings: str | None, basis: str | None) -> tuple[str, str | None]:
    """The datasets of outcomes and of bases: as given, else the only ones that are called so.

    Raises:
        InputError: none, or several of them.
    """
    if outcomes is not None:
        return outcomes, settings
    with ForeignFile(path):
        datasets = Head(path).datasets
    likely = _likely(datasets, OUTCOMES)
    if len(likely) != 1:
        names = ", ".join(f"/{name} {shape}" for name, (shape, _) in list(datasets.items())[:12]) or "none"
        raise InputError(Code.REQUIRED, f"{path}: datasets {names}; expected --outcomes with one of them")
    bases = [name for name in _likely(datasets, SETTINGS) if name != likely[0]]
    if settings is None and basis is None and len(bases) == 1:
        settings = bases[0]
    return likely[0], settings


@recognised_by(_claim)
def read_hdf5(
    path: Path,
    *,
    outcomes: Annotated[str | None, "Dataset of the outcomes, (records, N), such as /run3/bits."] = None,
    settings: Annotated[str | None, "Dataset of the bases, numbers or letters, such as /run3/bases."] = None,
    column: Annotated[tuple[str, ...], "A number per shot to keep: NAME=DATASET, such as time=/run3/t."] = (),
    povm: Povm = None,
    basis: Basis = None,
    lost: Lost = None,
    one_based: OneBased = None,
    eigenvalues: Eigenvalues = False,
    records: Laid = None,
) -> Imported:
    """Datasets of an HDF5 file, read a block at a time: bits with settings, or outcome labels.

    Raises:
        InputError: names the dataset, the row, what was found and what was expected.
    """
    outcomes, settings = _found(path, outcomes, settings, basis)
    has_settings = names_bases(settings, basis)
    povm = measurement(path, povm, has_settings)
    alphabet = alphabets(2 if has_settings else povm.n_outcomes, lost, one_based, eigenvalues)
    turned = records == "columns"
    mapping = dict(_named(text) for text in column)
    with ForeignFile(path) as file:
        n_records, n_sites = table_shape(file, outcomes, settings, turned)
        check_laid(f"{path}: /{outcomes.strip('/')}", n_records, n_sites, records)
        for name, dataset in mapping.items():
            _column(file, name, dataset, n_records)
    if basis is not None:
        fixed_basis(basis, n_sites)

    def columns() -> Columns:
        with ForeignFile(path) as file:
            return {name: _column(file, name, dataset, n_records) for name, dataset in mapping.items()}

    bases = f"settings {settings}" if settings else f"basis {basis}" if basis else f"POVM '{povm.name}'"
    notes = (f"outcomes {outcomes} with {bases}, {n_records:,} records of {n_sites} qubits",)
    blocks = table_blocks(path, outcomes, settings, basis, alphabet, turned)
    return Imported(path, n_sites, povm, has_settings, blocks, columns, notes)


def table_shape(file: ForeignFile, outcomes: str, settings: str | None, transposed: bool) -> tuple[int, int]:
    """Records and qubits of both datasets."""
    bits = file.table(outcomes, transposed)
    if settings is not None:
        bases = file.table(settings, transposed)
        if (bases.n_records, bases.n_sites) != (bits.n_records, bits.n_sites):
            found = f"{bases.n_records} records of {bases.n_sites} qubits"
            raise InputError(
                Code.SHAPE, f"{bases.place}: {found}, expected {bits.n_records} of {bits.n_sites} as the outcomes"
            )
    return bits.n_records, bits.n_sites


def table_blocks(
    path: Path,
    outcomes: str,
    settings: str | None,
    basis: str | None,
    alphabet: tuple[Alphabet, Alphabet],
    transposed: bool,
) -> Callable[[], Iterator[Block]]:
    """Blocks of outcomes, or of settings and bits, read anew at each call."""

    def blocks() -> Iterator[Block]:
        letters, labels = alphabet
        with ForeignFile(path) as file:
            bits = file.table(outcomes, transposed)
            bases = file.table(settings, transposed) if settings is not None else None
            step = min(bits.step, bases.step) if bases else bits.step
            for first in range(0, bits.n_records, step):
                last = min(first + step, bits.n_records)
                block = bits.codes(first, last, labels)
                if bases is not None:
                    yield bases.codes(first, last, letters), block
                else:
                    yield from with_basis(iter([block]), basis, bits.n_sites)

    return blocks


def _named(text: str) -> tuple[str, str]:
    name, equals, dataset = text.partition("=")
    if not equals or not name.isidentifier() or not dataset:
        raise InputError(Code.SYNTAX, f"--column {text}: expected NAME=DATASET, such as time=/run3/t")
    return name, dataset


def _column(file: ForeignFile, name: str, dataset: str, n_records: int) -> NDArray[Any]:
    found = file.stored_here(dataset.strip("/"))
    if found.shape != (n_records,) or found.dtype.kind not in "iuf":
        place = f"/{dataset.strip('/')}, column '{name}'"
        raise file.error(Code.SHAPE, f"{place}: {found.dtype} {found.shape}, expected numbers ({n_records},)")
    with file.reading(f"/{dataset.strip('/')}"):
        return np.asarray(found[()])
