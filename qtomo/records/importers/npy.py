"""NumPy arrays: outcomes (records, N) and settings, in .npy files or a .npz archive."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from qtomo.errors import Code, InputError
from qtomo.records.file.hdf5 import first_line
from qtomo.records.file.writer import Block
from qtomo.records.importers.base import (
    Basis,
    Eigenvalues,
    Imported,
    Laid,
    Lost,
    OneBased,
    Povm,
    alphabets,
    check_file,
    check_laid,
    fixed_basis,
    measurement,
    names_bases,
    with_basis,
)
from qtomo.records.importers.recognition import OUTCOMES, SETTINGS, Claim, Head, Sure, called, recognised_by

__all__ = ["read_archive", "read_npy", "read_outcomes_array"]

_LARGEST_ARRAY = 2**30  # bytes of a compressed array, which has to be held in memory
_BLOCK_BYTES = 2**22
_WHAT = "an array (records, N) in a .npy or .npz file"
_TABLE, _ANY = (2,), tuple(range(1, 9))  # dimensions


def _claim(head: Head) -> Claim | None:
    if head.is_array:
        return Claim(Sure.LIKELY, "an array of NumPy, a row a record")
    sure = Sure.LIKELY if len(called(head.arrays, OUTCOMES)) == 1 else Sure.POSSIBLE
    return Claim(sure, f"arrays of NumPy: {', '.join(head.arrays[:6])}") if head.arrays else None


@recognised_by(_claim)
def read_npy(
    path: Path,
    *,
    outcomes: Annotated[str | None, "Name of the outcomes in a .npz file."] = None,
    settings: Annotated[str | None, "Name of the bases in a .npz file, or a .npy file of them."] = None,
    povm: Povm = None,
    basis: Basis = None,
    lost: Lost = None,
    one_based: OneBased = None,
    eigenvalues: Eigenvalues = False,
    records: Laid = None,
) -> Imported:
    """Arrays (records, N): bits with bases as numbers or letters, or outcome labels.

    Raises:
        InputError: names the array, the row, what was found and what was expected.
    """
    outcomes, settings = _found(path, outcomes, settings, basis)
    has_settings = names_bases(settings, basis)
    povm = measurement(path, povm, has_settings)
    letters, labels = alphabets(2 if has_settings else povm.n_outcomes, lost, one_based, eigenvalues)
    data = read_outcomes_array(path, outcomes)
    data = data.T if records == "columns" else data
    n_records, n_sites = data.shape
    check_laid(str(path), n_records, n_sites, records)
    chosen = None
    if settings is not None:
        inside = path.suffix == ".npz" and not settings.endswith(".npy")
        chosen = read_outcomes_array(path, settings) if inside else read_outcomes_array(Path(settings))
        chosen = chosen.T if records == "columns" else chosen
        if chosen.shape != data.shape:
            raise InputError(
                Code.SHAPE, f"{path}: settings '{settings}' have shape {chosen.shape}, expected {data.shape}"
            )
    if basis is not None:
        fixed_basis(basis, n_sites)

    def blocks() -> Iterator[Block]:
        step = max(1, _BLOCK_BYTES // (n_sites * data.itemsize))
        for first in range(0, n_records, step):
            bits = labels.of_array(data[first : first + step], f"{path}, outcomes", first)
            if chosen is None:
                yield from with_basis(iter([bits]), basis, n_sites)
            else:
                yield letters.of_array(chosen[first : first + step], f"{path}, settings", first), bits

    kind = f"bits with {'settings ' + settings if settings else 'basis ' + str(basis)}" if has_settings else "outcomes"
    return Imported(path, n_sites, povm, has_settings, blocks, notes=(f"{kind}, {data.dtype} {data.shape}",))


def _found(path: Path, outcomes: str | None, settings: str | None, basis: str | None) -> tuple[str | None, str | None]:
    """The arrays of outcomes and of bases: as given, else the only ones of an archive that are called so."""
    check_file(path, _WHAT)
    if outcomes is not None or not (names := Head(path).arrays):
        return outcomes, settings
    likely, bases = called(names, OUTCOMES), called(names, SETTINGS)
    if len(likely) == 1 and settings is None and basis is None and len(bases) == 1:
        settings = bases[0]
    return (likely[0] if len(likely) == 1 else None), settings


def read_outcomes_array(path: Path, name: str | None = None) -> NDArray[Any]:
    """An array of two dimensions from a .npy file, or by name from a .npz archive, never unpickled.

    Raises:
        InputError: another kind of file, another shape, or more data claimed than are there.
    """
    check_file(path, _WHAT)
    with _reading(path):
        if zipfile.is_zipfile(path):
            return _member(path, name, _TABLE)
        if name is not None:
            raise InputError(Code.ABSENT, f"{path}: a file of one array without a name, asked for '{name}'")
        with path.open("rb") as file:
            _check_header(file, path.stat().st_size, str(path), _TABLE)
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return found


def read_archive(path: Path, name: str) -> NDArray[Any]:
    """An array of numbers of any shape by name from a .npz archive, never unpickled.

    Raises:
        InputError: another kind of file, no such array, or more data claimed than are there.
    """
    check_file(path, "a .npz file")
    with _reading(path):
        return _member(path, name, _ANY)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what NumPy and zipfile say of a damaged file into one message."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise InputError(Code.DAMAGED, f"{path}: not readable ({first_line(error)}), expected {_WHAT}") from None


def _member(path: Path, name: str | None, ndims: tuple[int, ...]) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        names = [member.removesuffix(".npy") for member in archive.namelist()]
        if name not in names:
            asked = f"no array '{name}'" if name else "an archive of arrays and no --outcomes NAME"
            raise InputError(
                Code.ABSENT if name else Code.REQUIRED, f"{path}: {asked}, expected one of {', '.join(names)}"
            )
        member = archive.getinfo(f"{name}.npy")
        if member.file_size > _LARGEST_ARRAY:
            raise InputError(
                Code.TOO_LARGE, f"{path}, {name}: {member.file_size:,} bytes, expected at most {_LARGEST_ARRAY:,}"
            )
        with archive.open(member) as file:
            _check_header(file, member.file_size, f"{path}, {name}", ndims)
        with archive.open(member) as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            return array


def _check_header(file: IO[bytes], size: int, place: str, ndims: tuple[int, ...]) -> None:
    """Hold what the header claims against the bytes that are there."""
    version = npy_format.read_magic(file)
    read = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of the .npy format")
    shape, _, dtype = read(file)
    if dtype.kind not in ("biufSU" if ndims == _TABLE else "biufc") or len(shape) not in ndims or 0 in shape:
        raise InputError(Code.SHAPE, f"{place}: an array of {dtype} {shape}, expected numbers or letters (records, N)")
    claimed, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if claimed > there:
        raise InputError(Code.DAMAGED, f"{place}: {shape} claims {claimed:,} bytes, but the file holds {there:,}")
