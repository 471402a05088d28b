"""HDF5 files from anywhere: nothing is believed, or read into memory, before it is checked."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from qtomo.errors import InputError
from qtomo.states import LARGEST_DENSITY

__all__ = ["CheckedFile", "first_line", "text"]

_LARGEST_BOND = 4096


class CheckedFile:
    """An open HDF5 file of one of our formats, which holds no link or storage outside itself.

    A format is a subclass with `_read_header`, whose failures become one message.

    Args:
        path: the file.
        kind: what it should be, in words.
        format_name: what its attribute `format` should say.

    Raises:
        InputError: says which file, which dataset, what was found and what was expected.
    """

    def __init__(self, path: str | os.PathLike[str], kind: str, format_name: str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            found = "a directory" if self.path.is_dir() else "no such file"
            raise InputError(f"{self.path}: {found}, expected a {kind}")
        if not os.access(self.path, os.R_OK):
            raise InputError(f"{self.path}: cannot be read, permission denied")
        if not h5py.is_hdf5(self.path):
            raise InputError(f"{self.path}: not an HDF5 file, expected a {kind} (HDF5, format '{format_name}')")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise InputError(f"{self.path}: damaged or truncated HDF5 file ({first_line(error)})") from None
        try:
            found = text(self._file.attrs.get("format"))
            if found != format_name:
                other = f"format '{found}'" if found else "no attribute 'format'"
                raise self.error(f"HDF5 file of another kind ({other}), expected format '{format_name}'")
            self._read_header()
        except InputError:
            self.close()
            raise
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError) as error:
            self.close()
            raise InputError(f"{self.path}: damaged {kind} ({first_line(error)})") from None

    def _read_header(self) -> None:
        raise TypeError("a format reads its own header")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def error(self, message: str) -> InputError:
        """An error that names the file."""
        return InputError(f"{self.path}: {message}")

    def tensors(self, group: str, n_sites: int) -> tuple[NDArray[Any], ...]:
        """The tensors of a matrix-product state, `group`/0 to `group`/(n_sites - 1)."""
        found = []
        for site in range(n_sites):
            name = f"{group}/{site}"
            dataset = self.dataset(name, ("f8", "c16"), 3)
            if max(dataset.shape) > _LARGEST_BOND:
                raise self.error(f"/{name}: shape {dataset.shape}, expected bonds of at most {_LARGEST_BOND}")
            found.append(np.asarray(dataset[()]))
        return tuple(found)

    def square(self, name: str, n_sites: int) -> NDArray[np.complex128]:
        """The density matrix of `n_sites` qubits at `name`."""
        size = 2 ** min(n_sites, LARGEST_DENSITY)
        dataset = self.dataset(name, "c16", 2)
        if dataset.shape != (size, size):
            raise self.error(f"/{name}: shape {dataset.shape}, expected ({size}, {size})")
        return np.asarray(dataset[()])

    def dataset(
        self, name: str, dtypes: str | tuple[str, ...], ndims: int | tuple[int, ...], virtual: bool = False
    ) -> h5py.Dataset:
        """The dataset at `name`, of one of some types and numbers of dimensions; virtual only where that is welcome."""
        dataset = self.own(name, h5py.Dataset)
        dtypes = (dtypes,) if isinstance(dtypes, str) else dtypes
        ndims = (ndims,) if isinstance(ndims, int) else ndims
        if dataset.dtype not in [np.dtype(d) for d in dtypes]:
            expected = " or ".join(np.dtype(d).name for d in dtypes)
            raise self.error(f"/{name}: data of type {dataset.dtype}, expected {expected}")
        if len(dataset.shape or ()) not in ndims:
            expected = " or ".join(str(n) for n in ndims)
            raise self.error(f"/{name}: {len(dataset.shape or ())} dimensions, expected {expected}")
        if dataset.external is not None or (dataset.is_virtual and not virtual):
            raise self.error(f"/{name}: stored outside this file, which is refused")
        return dataset

    def own(self, name: str, kind: type) -> Any:
        """The object at `name`, once sure that it lies in this very file and is of that kind."""
        place = ""
        for part in name.split("/"):
            place += f"/{part}"
            link = self._file.get(place, getlink=True)
            if link is None:
                raise self.error(f"{place}: missing")
            if not isinstance(link, h5py.HardLink):
                raise self.error(f"{place}: a link that may point elsewhere, which is refused")
        found = self._file[name]
        if not isinstance(found, kind):
            raise self.error(f"/{name}: found a {type(found).__name__.lower()}, expected a {kind.__name__.lower()}")
        return found


def text(value: object) -> str:
    """An attribute as text; empty where it is none."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else ""


def first_line(error: BaseException) -> str:
    """What an exception says, short."""
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
