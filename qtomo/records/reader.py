"""Read a record file that may come from anywhere: nothing is believed before it is checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import InputError
from qtomo.povm import POVM
from qtomo.records.schema import FORMAT, VERSION, Parameter, Target
from qtomo.seeds import stream

__all__ = ["RecordFile", "split"]

_LARGEST_OUTCOMES = 64  # POVM elements a qubit
_LARGEST_SITES = 100_000
_LARGEST_BOND = 4096
_BLOCK_BYTES = 16 * 2**20


class RecordFile:
    """An open record file: its POVM, its target, and its outcomes in blocks or at once.

    Opening checks the structure: kind and version, shapes and types, POVM, target, and that the file
    holds no link or storage outside itself. `check()` reads all outcomes once, and compares their range and
    their SHA-256 with what the file says.

    Args:
        path: the file.

    Raises:
        InputError: says which file, which dataset, what was found and what was expected.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            found = "a directory" if self.path.is_dir() else "no such file"
            raise InputError(f"{self.path}: {found}, expected a record file")
        if not os.access(self.path, os.R_OK):
            raise InputError(f"{self.path}: cannot be read, permission denied")
        if not h5py.is_hdf5(self.path):
            raise InputError(f"{self.path}: not an HDF5 file, expected a record file (HDF5, format '{FORMAT}')")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise InputError(f"{self.path}: damaged or truncated HDF5 file ({_first_line(error)})") from None
        try:
            self._read_header()
        except InputError:
            self._file.close()
            raise
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            self._file.close()
            raise InputError(f"{self.path}: damaged record file ({_first_line(error)})") from None

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __repr__(self) -> str:
        target = f", target {self.target.describe()}" if self.target else ""
        return f"RecordFile({str(self.path)!r}: {self.n_records:,} x {self.n_sites} {self.povm.name}{target})"

    def blocks(self) -> Iterator[Outcomes]:
        """The outcomes in order, uint8 (rows, n_sites) with about 16 MiB a block.

        Raises:
            InputError: the outcomes cannot be read, or one is outside the POVM.
        """
        rows = max(1, _BLOCK_BYTES // self.n_sites)
        for first in range(0, self.n_records, rows):
            try:
                block: Outcomes = self._outcomes[first : first + rows]
            except (OSError, RuntimeError) as error:
                place = f"rows {first} to {min(first + rows, self.n_records) - 1}"
                raise self._error(f"/outcomes, {place}: cannot be read ({_first_line(error)})") from None
            wrong = (block >= self.n_outcomes) & (block != LOST)
            if wrong.any():
                row, site = np.argwhere(wrong)[0]
                raise self._error(
                    f"/outcomes, row {first + row}, site {site}: outcome {block[row, site]}, "
                    f"expected 0 to {self.n_outcomes - 1} (or {LOST} for a lost one)"
                )
            yield block

    def check(self) -> int:
        """Read every outcome once, hold it against the file's POVM and SHA-256, and count the lost ones.

        Raises:
            InputError: an outcome out of range, unreadable rows, or another checksum.
        """
        return sum(int(np.count_nonzero(block == LOST)) for block in self._checked_blocks())

    def load(self, lost: bool = False) -> Outcomes:
        """All outcomes, checked, as uint8 (n_records, n_sites): one byte an outcome in memory.

        Args:
            lost: whether lost outcomes, 255, are welcome.

        Raises:
            InputError: as `check`; or a lost outcome that is not welcome.
        """
        out = np.empty((self.n_records, self.n_sites), dtype=np.uint8)
        first = 0
        for block in self._checked_blocks():
            gone = np.argwhere(block == LOST)
            if len(gone) and not lost:
                row, site = gone[0]
                raise self._error(
                    f"/outcomes, row {first + row}, site {site}: outcome lost, expected whole records, "
                    "the only ones that models learn from"
                )
            out[first : first + len(block)] = block
            first += len(block)
        return out

    def _checked_blocks(self) -> Iterator[Outcomes]:
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(np.ascontiguousarray(block).data)
            yield block
        if digest.hexdigest() != self.sha256:
            raise self._error(
                f"/outcomes: SHA-256 {digest.hexdigest()[:12]}…, expected {self.sha256[:12]}…: the data were changed"
            )

    def _error(self, message: str) -> InputError:
        return InputError(f"{self.path}: {message}")

    def _read_header(self) -> None:
        attrs = self._file.attrs
        if _text(attrs.get("format")) != FORMAT:
            found = _text(attrs.get("format"))
            kind = f"format '{found}'" if found else "no attribute 'format'"
            raise self._error(f"HDF5 file of another kind ({kind}), expected format '{FORMAT}'")
        if attrs.get("version") != VERSION:
            raise self._error(f"record file of version {attrs.get('version')}, this qtomo reads version {VERSION}")
        self.creator = _text(attrs.get("creator"))
        self.command = _text(attrs.get("command"))
        self.seed = int(attrs["seed"]) if "seed" in attrs else None
        self.sha256 = _text(attrs.get("sha256"))
        self._outcomes = self._dataset("outcomes", "u1", 2)
        self.n_records, self.n_sites = (int(size) for size in self._outcomes.shape)
        if not 1 <= self.n_sites <= _LARGEST_SITES:
            raise self._error(f"/outcomes: {self.n_sites} sites, expected 1 to {_LARGEST_SITES}")
        elements = self._dataset("povm/elements", "c16", (3, 4))
        limit = self.n_sites * _LARGEST_OUTCOMES * 4
        if elements.size > limit:
            raise self._error(f"/povm/elements: shape {elements.shape}, more than {_LARGEST_OUTCOMES} outcomes a site")
        try:
            self.povm = POVM(elements[()], _text(elements.attrs.get("name")) or "custom")
            self.povm.site_elements(self.n_sites)
        except InputError as error:
            raise self._error(f"/povm/elements: {error}") from None
        self.n_outcomes = self.povm.n_outcomes
        self.target = self._read_target() if "target" in self._file else None

    def _read_target(self) -> Target:
        group = self._own("target", h5py.Group)
        parameters = {name: _plain(value) for name, value in group.attrs.items()}
        tensors = None
        if "tensors" in group:
            names = [f"target/tensors/{site}" for site in range(self.n_sites)]
            tensors = tuple(self._tensor(name) for name in names)
        target = Target(parameters, tensors)
        if parameters.get("n_sites", self.n_sites) != self.n_sites:
            raise self._error(f"/target: state of {parameters['n_sites']} sites, expected {self.n_sites}")
        try:
            _ = target.system
        except InputError as error:
            raise self._error(f"/target: {error}") from None
        return target

    def _tensor(self, name: str) -> NDArray[Any]:
        dataset = self._dataset(name, ("f8", "c16"), 3)
        if max(dataset.shape) > _LARGEST_BOND:
            raise self._error(f"/{name}: shape {dataset.shape}, expected bonds of at most {_LARGEST_BOND}")
        return np.asarray(dataset[()])

    def _dataset(self, name: str, dtypes: str | tuple[str, ...], ndims: int | tuple[int, ...]) -> h5py.Dataset:
        dataset = self._own(name, h5py.Dataset)
        dtypes = (dtypes,) if isinstance(dtypes, str) else dtypes
        ndims = (ndims,) if isinstance(ndims, int) else ndims
        if dataset.dtype not in [np.dtype(d) for d in dtypes]:
            expected = " or ".join(np.dtype(d).name for d in dtypes)
            raise self._error(f"/{name}: data of type {dataset.dtype}, expected {expected}")
        if len(dataset.shape or ()) not in ndims:
            expected = " or ".join(str(n) for n in ndims)
            raise self._error(f"/{name}: {len(dataset.shape or ())} dimensions, expected {expected}")
        if dataset.external is not None or dataset.is_virtual:
            raise self._error(f"/{name}: stored outside this file, which is refused")
        return dataset

    def _own(self, name: str, kind: type) -> Any:
        """The object at `name`, once sure that it lies in this very file and is of that kind."""
        place = ""
        for part in name.split("/"):
            place += f"/{part}"
            link = self._file.get(place, getlink=True)
            if link is None:
                raise self._error(f"{place}: missing")
            if not isinstance(link, h5py.HardLink):
                raise self._error(f"{place}: a link that may point elsewhere, which is refused")
        found = self._file[name]
        if not isinstance(found, kind):
            raise self._error(f"/{name}: found a {type(found).__name__.lower()}, expected a {kind.__name__.lower()}")
        return found


def split(n_records: int, n_validation: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers for training and for validation, drawn by `seed`, sorted, never overlapping.

    Raises:
        InputError: fewer than one record would be left for training.
    """
    if not 0 <= n_validation < n_records:
        raise InputError(f"{n_validation} validation records of {n_records}, expected at least one left to train on")
    order = stream(seed, "split").permutation(n_records)
    return np.sort(order[n_validation:]), np.sort(order[:n_validation])


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else ""


def _plain(value: Any) -> Parameter:
    if isinstance(value, (str, bytes)):
        return _text(value)
    if isinstance(value, np.generic) and isinstance(value.item(), (int, float)):
        return value.item()  # type: ignore[no-any-return]
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == "f":
        return tuple(value.tolist())
    raise ValueError(f"attribute of type {type(value).__name__} in /target")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
