"""Write a record file, streaming: memory does not grow with the number of records."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import Code, InputError
from qtomo.files import atomic_output, check_absent
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.povm import POVM
from qtomo.measurement.settings import Design
from qtomo.records.file.schema import FORMAT, VERSION, Target
from qtomo.version import __version__

__all__ = ["Block", "open_new", "set_text", "write_checked", "write_header", "write_records"]

_CHUNK_BYTES = 2**18
# Version of HDF5 that can read the file: from 1.10 on, whose metadata carry checksums.
_LIBRARY = ("v110", "v110")


#: Outcomes (rows, n_sites), or settings and bits of shots, each (rows, n_sites).
Block = Outcomes | tuple[Outcomes, Outcomes]


def write_records(
    path: str | os.PathLike[str],
    blocks: Iterable[Block],
    n_sites: int,
    povm: POVM,
    *,
    design: Design = "povm",
    target: Target | None = None,
    columns: Mapping[str, NDArray[Any]] | None = None,
    ordered: bool = True,
    calibration: Calibration | None = None,
    seed: int | None = None,
    shard: tuple[int, int] | None = None,
    command: str = "",
    overwrite: bool = False,
) -> Path:
    """Write blocks of outcomes, each uint8 (rows, n_sites), one after another.

    The file appears under its name only when it is whole; a failure or an interrupt leaves nothing.
    The same blocks and attributes give the same bytes.

    Args:
        path: the record file to write.
        blocks: the outcomes; for shots pairs (settings, bits), settings 0 (X), 1 (Y), 2 (Z).
        n_sites: N.
        povm: what the outcomes mean; for shots six elements, 2 * basis + bit, such as pauli6.
        design: how the settings of shots were chosen; `povm` where the blocks are outcomes.
        target: the state they are of, where known.
        columns: numbers per record, such as its time or batch, (n_records,) each.
        ordered: whether the rows stand in the order of measurement, which counts do not keep.
        calibration: shots that the readout error in `povm` was estimated from.
        seed: the one they were drawn with.
        shard: (i, n) where this is part i of n of a larger file, counted from 0.
        command: how to make this file again.
        overwrite: replace an existing file.

    Raises:
        InputError: the path exists and `overwrite` is false, its folder does not exist or may not be
            written, the disk is full, or blocks or columns that do not fit the sites or the POVM.

    >>> import numpy as np
    >>> from qtomo import RecordFile, named_povm
    >>> outcomes = np.zeros((10, 3), np.uint8)
    >>> path = write_records("lab.h5", [outcomes], 3, named_povm("pauli4"))
    >>> with RecordFile(path) as file:
    ...     print(file.n_records, file.n_sites)
    10 3
    """
    path = check_absent(path, overwrite)
    povm.site_elements(n_sites)
    if design != "povm" and not povm.measures_bases:
        raise InputError(
            Code.MISMATCH,
            f"shots with settings and POVM '{povm.name}', expected six elements 2 * basis + bit as pauli6",
        )
    with open_new(path) as (file, disk):
        write_header(file, povm, target, seed, command)
        _write_origin(file, shard, ordered, calibration)
        n_records = _write_rows(file, disk, blocks, n_sites, povm.n_outcomes, design)
        for name, values in (columns or {}).items():
            _write_column(file, name, values, n_records)
    return path


def _write_origin(
    file: h5py.File, shard: tuple[int, int] | None, ordered: bool, calibration: Calibration | None
) -> None:
    """What only some files have: a place among shards, rows in no order, counts of a calibration."""
    if shard is not None:
        file.attrs["shard"], file.attrs["shards"] = shard
    if not ordered:
        set_text(file, "order", "unknown")
    if calibration is not None:
        counts = np.stack([calibration.wrong, calibration.shots], axis=-1).astype(np.int64)
        write_checked(file, "calibration", counts)


def _write_rows(
    file: h5py.File, disk: _Disk, blocks: Iterable[Block], n_sites: int, n_outcomes: int, design: Design
) -> int:
    """Write the outcomes, with their settings where `design` has some, and their checksums; tell how many there are."""
    outcomes = _Rows(file, "outcomes", n_sites)
    settings = _Rows(file, "settings", n_sites) if design != "povm" else None
    for block in blocks:
        bits = block[1] if isinstance(block, tuple) else block
        _check_block(bits, n_sites, n_outcomes if settings is None else 2)
        if isinstance(block, tuple) is (settings is None):
            kind = "outcomes alone" if settings else "settings and bits"
            raise InputError(Code.MISMATCH, f"a block of {kind}, which does not go with design '{design}'")
        if settings is not None:
            _check_settings(block[0], bits)
            settings.append(block[0])
        outcomes.append(bits)
        disk.check()
    set_text(file, "sha256", outcomes.sha256)
    if settings is not None:
        set_text(settings.dataset, "sha256", settings.sha256)
        set_text(settings.dataset, "design", design)
    return outcomes.n_records


@contextmanager
def open_new(path: Path) -> Iterator[tuple[h5py.File, _Disk]]:
    """A new HDF5 file that stands under its name when the block ends well."""
    with atomic_output(path) as partial, _Disk(partial) as disk, h5py.File(disk, "w", libver=_LIBRARY) as file:
        yield file, disk


def write_header(file: h5py.File, povm: POVM, target: Target | None, seed: int | None, command: str) -> None:
    """All of a record file but its records."""
    set_text(file, "format", FORMAT)
    file.attrs["version"] = VERSION
    set_text(file, "creator", f"qtomo {__version__}")
    set_text(file, "command", command)
    if seed is not None:
        file.attrs["seed"] = seed
    set_text(write_checked(file, "povm/elements", povm.elements), "name", povm.name)
    if target is not None:
        _write_target(file, target)


def set_text(place: h5py.Group | h5py.Dataset, name: str, value: str) -> None:
    """An attribute of text, of fixed length: those of variable length lie where HDF5 keeps no checksum."""
    raw = value.encode()
    place.attrs.create(name, raw, dtype=h5py.string_dtype("utf-8", max(1, len(raw))))


def write_checked(place: h5py.Group, name: str, data: NDArray[Any], **options: Any) -> h5py.Dataset:
    """A dataset in one piece, with a checksum that HDF5 compares at each reading."""
    chunks = {"chunks": data.shape, "fletcher32": True} if data.size else {}
    return place.create_dataset(name, data=data, track_times=False, **chunks, **options)


class _Rows:
    """A growing uint8 dataset (records, n_sites), and its checksum."""

    def __init__(self, file: h5py.File, name: str, n_sites: int) -> None:
        self.dataset = file.create_dataset(
            name,
            shape=(0, n_sites),
            maxshape=(None, n_sites),
            dtype=np.uint8,
            chunks=(max(1, _CHUNK_BYTES // n_sites), n_sites),
            compression="gzip",
            compression_opts=1,
            track_times=False,
        )
        self._digest = hashlib.sha256()

    @property
    def n_records(self) -> int:
        return int(self.dataset.shape[0])

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def append(self, block: Outcomes) -> None:
        start = self.n_records
        self.dataset.resize(start + len(block), axis=0)
        self.dataset[start:] = block
        self._digest.update(np.ascontiguousarray(block).data)


def _check_block(block: Outcomes, n_sites: int, n_outcomes: int) -> None:
    if block.ndim != 2 or block.shape[1] != n_sites or block.dtype != np.uint8:
        raise InputError(
            Code.SHAPE, f"a block of outcomes is {block.dtype} {block.shape}, expected uint8 (rows, {n_sites})"
        )
    if block.max(initial=0) < n_outcomes:  # far quicker than the question which
        return
    wrong = (block >= n_outcomes) & (block != LOST)
    if wrong.any():
        row, site = np.argwhere(wrong)[0]
        raise InputError(
            Code.VALUE,
            f"row {row} of a block, site {site}: outcome {block[row, site]}, expected 0 to {n_outcomes - 1}, "
            f"or {LOST} where lost",
        )


def _check_settings(block: Outcomes, bits: Outcomes) -> None:
    if block.shape != bits.shape or block.dtype != np.uint8:
        raise InputError(Code.SHAPE, f"a block of settings is {block.dtype} {block.shape}, expected uint8 {bits.shape}")
    if block.max(initial=0) > 2:
        row, site = np.argwhere(block > 2)[0]
        found = f"row {row} of a block, site {site}: setting {block[row, site]}"
        raise InputError(Code.VALUE, f"{found}, expected 0 (X), 1 (Y) or 2 (Z)")


def _write_column(file: h5py.File, name: str, values: NDArray[Any], n_records: int) -> None:
    array = np.asarray(values)
    if array.shape != (n_records,) or array.dtype.kind not in "iuf":
        raise InputError(Code.SHAPE, f"column '{name}' is {array.dtype} {array.shape}, expected numbers ({n_records},)")
    kind = np.float64 if array.dtype.kind == "f" else np.int64
    file.create_dataset(
        f"shots/{name}", data=array.astype(kind), compression="gzip", fletcher32=True, track_times=False
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
        if name == "qasm" and isinstance(value, str):  # more than an attribute may hold
            write_checked(group, name, np.frombuffer(value.encode(), np.uint8))
        elif name == "edges":
            write_checked(group, name, np.array(value, np.int64).reshape(-1, 2))
        elif isinstance(value, str):
            set_text(group, name, value)
        else:
            group.attrs[name] = value
    for site, tensor in enumerate(target.tensors or ()):
        write_checked(group, f"tensors/{site}", tensor)
    if target.density_matrix is not None:
        write_checked(group, "density_matrix", target.density_matrix, compression="gzip")
