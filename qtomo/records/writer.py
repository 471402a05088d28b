"""Write a record file, streaming: memory does not grow with the number of records."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from qtomo import __version__
from qtomo.distribution import LOST, Outcomes
from qtomo.errors import InputError
from qtomo.files import atomic_output, check_absent
from qtomo.povm import POVM
from qtomo.records.schema import FORMAT, VERSION, Target

__all__ = ["write_records"]

_CHUNK_BYTES = 2**18
_LIBRARY = ("earliest", "v110")  # versions of HDF5 that can read the file


def write_records(
    path: str | os.PathLike[str],
    blocks: Iterable[Outcomes],
    n_sites: int,
    povm: POVM,
    target: Target | None = None,
    seed: int | None = None,
    command: str = "",
    overwrite: bool = False,
) -> Path:
    """Write blocks of outcomes, each uint8 (rows, n_sites), one after another.

    The file appears under its name only when it is whole; a failure or an interrupt leaves nothing.
    The same blocks and attributes give the same bytes.

    Args:
        path: the file to be.
        blocks: the outcomes.
        n_sites: N.
        povm: what the outcomes mean.
        target: the state they are of, where known.
        seed: the one they were drawn with.
        command: how to make this file again.
        overwrite: replace an existing file.

    Raises:
        InputError: the path exists and `overwrite` is false, its folder does not exist or may not be
            written, the disk is full, or blocks that do not fit the sites or the POVM.
    """
    path = check_absent(path, overwrite)
    povm.site_elements(n_sites)
    with atomic_output(path) as partial, _Disk(partial) as disk, h5py.File(disk, "w", libver=_LIBRARY) as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["creator"] = f"qtomo {__version__}"
        file.attrs["command"] = command
        if seed is not None:
            file.attrs["seed"] = seed
        elements = file.create_dataset("povm/elements", data=povm.elements, track_times=False)
        elements.attrs["name"] = povm.name
        if target is not None:
            _write_target(file, target)
        rows = max(1, _CHUNK_BYTES // n_sites)
        outcomes = file.create_dataset(
            "outcomes",
            shape=(0, n_sites),
            maxshape=(None, n_sites),
            dtype=np.uint8,
            chunks=(rows, n_sites),
            compression="gzip",
            compression_opts=1,
            track_times=False,
        )
        digest = hashlib.sha256()
        for block in blocks:
            _check_block(block, n_sites, povm.n_outcomes)
            start = outcomes.shape[0]
            outcomes.resize(start + len(block), axis=0)
            outcomes[start:] = block
            digest.update(np.ascontiguousarray(block, dtype=np.uint8).data)
            disk.check()
        file.attrs["sha256"] = digest.hexdigest()
    return path


def _check_block(block: Outcomes, n_sites: int, n_outcomes: int) -> None:
    if block.ndim != 2 or block.shape[1] != n_sites or block.dtype != np.uint8:
        raise InputError(f"a block of outcomes is {block.dtype} {block.shape}, expected uint8 (rows, {n_sites})")
    wrong = (block >= n_outcomes) & (block != LOST)
    if wrong.any():
        row, site = np.argwhere(wrong)[0]
        raise InputError(
            f"row {row} of a block, site {site}: outcome {block[row, site]}, expected 0 to {n_outcomes - 1}, "
            f"or {LOST} where lost"
        )


class _Disk(io.FileIO):
    """A file that keeps its first failed write for `check`, and for its closing, to raise.

    HDF5 cannot close a file that it cannot write and may take the process down with it; so it is told
    that all went well, and what follows a failed write is dropped.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while len(rest) and self._error is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self._error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = self._error or error
            return size or 0

    def check(self) -> None:
        """Raise the first failure, if there was one."""
        if self._error is not None:
            raise self._error

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)  # type: ignore[arg-type]
        if exception[0] is None:
            self.check()


def _write_target(file: h5py.File, target: Target) -> None:
    group = file.create_group("target")
    for name, value in target.parameters.items():
        group.attrs[name] = value
    for site, tensor in enumerate(target.tensors or ()):
        group.create_dataset(f"tensors/{site}", data=tensor, track_times=False)
