"""HDF5 files from anywhere: nothing is believed, or read into memory, before it is checked."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EAGAIN
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError
from qtomo.states.density import LARGEST_DENSITY

__all__ = ["CheckedFile", "first_line", "text"]

_LARGEST_BOND = 4096
_LARGEST_CHUNK = 2**29  # a tensor of the largest bond
_DENSEST = 1100  # bytes of data that one byte of a file may stand for: gzip never reaches it
# What HDF5 and h5py raise at a damaged file.
_HDF5_ERRORS = (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, MemoryError)
# What a file may be compressed with; any other filter would have HDF5 load a plug-in.
_FILTERS = ("gzip", "shuffle", "fletcher32", "lzf", "scaleoffset", "szip")


class CheckedFile:
    """An open HDF5 file of one of our formats, which holds no link or storage outside itself.

    A format is a subclass with `_read_header`, whose failures become one message.

    Args:
        path: the file.
        kind: what it should be, in words.
        format_name: what its attribute `format` should say; None for files of other programs.

    Raises:
        InputError: says which file, which dataset, what was found and what was expected.
    """

    def __init__(self, path: str | os.PathLike[str], kind: str, format_name: str | None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            found = "a directory" if self.path.is_dir() else "no such file"
            raise InputError(
                Code.KIND if self.path.is_dir() else Code.ABSENT, f"{self.path}: {found}, expected a {kind}"
            )
        if not os.access(self.path, os.R_OK):
            raise InputError(Code.ENVIRONMENT, f"{self.path}: cannot be read, permission denied")
        if not h5py.is_hdf5(self.path):
            expected = f"HDF5, format '{format_name}'" if format_name else "HDF5"
            raise InputError(Code.KIND, f"{self.path}: not an HDF5 file, expected a {kind} ({expected})")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            if error.errno == EAGAIN or "unable to lock file" in str(error):
                raise InputError(
                    Code.ENVIRONMENT,
                    f"{self.path}: open for writing in another program, expected a file that none writes",
                ) from None
            raise InputError(
                Code.DAMAGED, f"{self.path}: damaged or truncated HDF5 file ({first_line(error)})"
            ) from None
        try:
            if format_name is not None:
                self._check_format(format_name)
            self._read_header()
        except InputError:
            self.close()
            raise
        except _HDF5_ERRORS as error:
            self.close()
            raise InputError(Code.DAMAGED, f"{self.path}: damaged {kind} ({first_line(error)})") from None

    def _check_format(self, format_name: str) -> None:
        found = text(self._file.attrs.get("format"))
        if found != format_name:
            other = f"format '{found}'" if found else "no attribute 'format'"
            raise self.error(Code.KIND, f"HDF5 file of another kind ({other}), expected format '{format_name}'")

    def _read_header(self) -> None:
        """Check and keep what the format says of itself."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def error(self, code: Code, message: str) -> InputError:
        """An error that names the file."""
        return InputError(code, f"{self.path}: {message}")

    def visit(self, found: Callable[[str, Any], None]) -> None:
        """Call with the name and the object of everything stored in the file; links are not followed."""
        with self.reading("its contents"):
            self._file.visititems(lambda name, item: found(name, item))

    @contextmanager
    def reading(self, place: str) -> Iterator[None]:
        """Turn what HDF5 says of a damaged `place` into one message that names it."""
        try:
            yield
        except InputError:
            raise
        except _HDF5_ERRORS as error:
            raise self.error(Code.DAMAGED, f"{place}: cannot be read ({first_line(error)})") from None

    def tensors(self, group: str, n_sites: int) -> tuple[NDArray[Any], ...]:
        """The tensors of a matrix-product state, `group`/0 to `group`/(n_sites - 1)."""
        found = []
        for site in range(n_sites):
            name = f"{group}/{site}"
            dataset = self.dataset(name, ("f8", "c16"), 3)
            if max(dataset.shape) > _LARGEST_BOND:
                raise self.error(
                    Code.TOO_LARGE, f"/{name}: shape {dataset.shape}, expected bonds of at most {_LARGEST_BOND}"
                )
            found.append(np.asarray(dataset[()]))
        return tuple(found)

    def square(self, name: str, n_sites: int) -> NDArray[np.complex128]:
        """The density matrix of `n_sites` qubits at `name`."""
        size = 2 ** min(n_sites, LARGEST_DENSITY)
        dataset = self.dataset(name, "c16", 2)
        if dataset.shape != (size, size):
            raise self.error(Code.SHAPE, f"/{name}: shape {dataset.shape}, expected ({size}, {size})")
        return np.asarray(dataset[()])

    def dataset(
        self, name: str, dtypes: str | tuple[str, ...], ndims: int | tuple[int, ...], virtual: bool = False
    ) -> h5py.Dataset:
        """The dataset at `name`, of one of some types and numbers of dimensions; virtual only where that is welcome."""
        dataset = self.stored_here(name, virtual)
        dtypes = (dtypes,) if isinstance(dtypes, str) else dtypes
        ndims = (ndims,) if isinstance(ndims, int) else ndims
        if dataset.dtype not in [np.dtype(d) for d in dtypes]:
            expected = " or ".join(np.dtype(d).name for d in dtypes)
            raise self.error(Code.SHAPE, f"/{name}: data of type {dataset.dtype}, expected {expected}")
        if len(dataset.shape or ()) not in ndims:
            expected = " or ".join(str(n) for n in ndims)
            raise self.error(Code.SHAPE, f"/{name}: {len(dataset.shape or ())} dimensions, expected {expected}")
        return dataset

    def stored_here(self, name: str, virtual: bool = False) -> h5py.Dataset:
        """The dataset at `name`, once sure that all it claims lies in this file, and is safe to read."""
        dataset = self.own(name, h5py.Dataset)
        with self.reading(f"/{name}"):
            self._check_storage(name, dataset, virtual)
        return dataset

    def _check_storage(self, name: str, dataset: h5py.Dataset, virtual: bool) -> None:
        if dataset.external is not None or (dataset.is_virtual and not virtual):
            raise self.error(Code.DAMAGED, f"/{name}: stored outside this file, which is refused")
        if dataset.is_virtual or dataset.shape is None:
            return
        filters = [name for name in dataset._filters if name not in _FILTERS]
        if filters:
            raise self.error(
                Code.UNSUPPORTED, f"/{name}: compressed by filter '{filters[0]}', expected {', '.join(_FILTERS)}"
            )
        size, whole = self.path.stat().st_size, math.prod(dataset.shape) * dataset.dtype.itemsize
        expected = f"no more than a file of {size:,} bytes can hold"
        if whole > _DENSEST * size:
            raise self.error(
                Code.TOO_LARGE, f"/{name}: shape {dataset.shape} claims {whole:,} bytes, expected {expected}"
            )
        if dataset.chunks is None:
            missing = dataset.id.get_storage_size() < whole
        else:
            chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
            if chunk > _LARGEST_CHUNK:
                raise self.error(
                    Code.TOO_LARGE, f"/{name}: chunks of {chunk:,} bytes, expected at most {_LARGEST_CHUNK:,}"
                )
            n_chunks = math.prod(-(-length // part) for length, part in zip(dataset.shape, dataset.chunks, strict=True))
            missing = dataset.id.get_num_chunks() < n_chunks
        if missing:
            raise self.error(
                Code.DAMAGED, f"/{name}: shape {dataset.shape} claims {whole:,} bytes, but some were never written"
            )

    def own(self, name: str, kind: type) -> Any:
        """The object at `name`, once sure that it lies in this very file and is of that kind."""
        place = ""
        for part in name.split("/"):
            place += f"/{part}"
            with self.reading(place):
                link = self._file.get(place, getlink=True)
                if link is None:
                    raise self.error(Code.ABSENT, f"{place}: missing")
                if not isinstance(link, h5py.HardLink):
                    raise self.error(Code.DAMAGED, f"{place}: a link that may point elsewhere, which is refused")
                found = self._file[place]
        if not isinstance(found, kind):
            raise self.error(
                Code.KIND, f"/{name}: found a {type(found).__name__.lower()}, expected a {kind.__name__.lower()}"
            )
        return found


def text(value: object) -> str:
    """An attribute as text; empty where it is none."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else ""


def first_line(error: BaseException) -> str:
    """What an exception says, short."""
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
