"""Write a record file, streaming: memory does not grow with the number of records."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from qtomo import __version__
from qtomo.distribution import Outcomes
from qtomo.files import atomic_output, check_absent
from qtomo.povm import POVM
from qtomo.records.schema import FORMAT, VERSION, Target

__all__ = ["write_records"]

_CHUNK_BYTES = 2**18


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
            written, or the disk is full.
    """
    path = check_absent(path, overwrite)
    with atomic_output(path) as partial, _open(partial) as file:
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
            start = outcomes.shape[0]
            outcomes.resize(start + len(block), axis=0)
            outcomes[start:] = block
            digest.update(np.ascontiguousarray(block, dtype=np.uint8).data)
        file.attrs["sha256"] = digest.hexdigest()
    return path


class _open(h5py.File):  # type: ignore[misc]
    """An HDF5 file whose failed write does not hide its cause behind the failure to close it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w", libver=("earliest", "v110"))

    def __exit__(self, *exception: object) -> None:
        try:
            super().__exit__(*exception)
        except (OSError, RuntimeError):
            if exception[0] is None:
                raise


def _write_target(file: h5py.File, target: Target) -> None:
    group = file.create_group("target")
    for name, value in target.parameters.items():
        group.attrs[name] = value
    for site, tensor in enumerate(target.tensors or ()):
        group.create_dataset(f"tensors/{site}", data=tensor, track_times=False)
