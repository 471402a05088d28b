"""Read a record file that may come from anywhere: nothing is believed before it is checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes, shot_labels
from qtomo.errors import Code, InputError
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.povm import POVM
from qtomo.measurement.settings import Design
from qtomo.records.file.hdf5 import CheckedFile, text
from qtomo.records.file.schema import FORMAT, VERSION, Parameter, Target
from qtomo.records.records import Records
from qtomo.seeds import stream
from qtomo.states.qasm import LARGEST_SOURCE

__all__ = ["RecordFile", "split"]

_LARGEST_OUTCOMES = 64  # POVM elements per qubit
_LARGEST_SITES = 100_000
_LARGEST_ANCILLAS = 8  # a site
_BLOCK_BYTES = 16 * 2**20
# A design by the word that a file has for it; the last as qtomo 0.1.0 wrote it.
_DESIGNS: dict[str, Design] = {"random": "random", "listed": "listed", "fixed": "listed"}


class RecordFile(CheckedFile):
    """An open record file: its POVM, its target, and its outcomes in blocks or at once.

    Shots with settings (`design` is not `povm`) are given as outcomes 2 * basis + bit of their six-element POVM;
    `settings` has the bases alone. A file of joined shards reads as one.

    Opening checks the structure: kind and version, shapes and types, POVM, target, and that the file
    holds no link or storage outside itself. `check()` reads all outcomes once, and compares their range and
    their SHA-256 with what the file says.

    Args:
        path: the file.
        joined: whether a file made of shards is welcome.

    Raises:
        InputError: says which file, which dataset, what was found and what was expected.

    >>> import qtomo
    >>> path = qtomo.simulate(qtomo.GHZ(3), 100, "ghz.h5")
    >>> with RecordFile(path) as file:
    ...     print(file.n_records, file.povm.name, file.records().outcomes.shape)
    100 pauli4 (100, 3)
    """

    def __init__(self, path: str | os.PathLike[str], joined: bool = True) -> None:
        self._joined = joined
        self._shards: list[RecordFile] = []
        super().__init__(path, "record file", FORMAT)

    def close(self) -> None:
        """Close the file."""
        for shard in self._shards:
            shard.close()
        super().close()

    def __repr__(self) -> str:
        target = f", target {self.target.describe()}" if self.target else ""
        return f"RecordFile({str(self.path)!r}: {self.n_records:,} x {self.n_sites} {self.povm.name}{target})"

    def blocks(self) -> Iterator[Outcomes]:
        """The outcomes in order, uint8 (rows, n_sites) with about 16 MiB a block.

        Raises:
            InputError: the outcomes cannot be read, or one is outside the POVM.
        """
        for first, last in self.ranges():
            yield self.rows(first, last)

    def rows(self, first: int, last: int, lost: bool = True) -> Outcomes:
        """Outcomes `first` to `last`, the latter left out, uint8 (last - first, n_sites).

        Args:
            first: row to begin with.
            last: row to end before.
            lost: whether lost outcomes, 255, are welcome.

        Raises:
            InputError: they cannot be read, one is outside the POVM, or one is lost that is not welcome.
        """
        names = ["outcomes", "settings"] if self.has_settings else ["outcomes"]
        return self._labels({name: self._rows(name, first, last) for name in names}, first, lost)

    def raw_blocks(self, name: str) -> Iterator[Outcomes]:
        """Rows of `outcomes` (bits, for shots) or `settings` as they stand in the file, a block at a time."""
        for first, last in self.ranges():
            yield self._rows(name, first, last)

    def ranges(self, size: int = _BLOCK_BYTES) -> Iterator[tuple[int, int]]:
        """Rows (first, last), the latter left out, of blocks of at most `size` bytes that are quick to read.

        They are whole chunks of the file, as far as chunks are not larger, and end where a shard does.
        """
        if self._shards:
            start = 0
            for shard in self._shards:
                yield from ((start + first, start + last) for first, last in shard.ranges(size))
                start += shard.n_records
            return
        rows, chunk = max(1, size // self.n_sites), (self._data["outcomes"].chunks or (1,))[0]
        rows = max(rows // chunk * chunk, min(rows, chunk))
        for first in range(0, self.n_records, rows):
            yield first, min(first + rows, self.n_records)

    def _rows(self, name: str, first: int, last: int) -> Outcomes:
        """Checked rows of `outcomes` or `settings`."""
        if self._shards:
            parts, start = [], 0
            for shard in self._shards:
                inside = max(first - start, 0), min(last - start, shard.n_records)
                if inside[0] < inside[1]:
                    parts.append(shard._rows(name, *inside))
                start += shard.n_records
            return np.concatenate(parts)
        with self.reading(f"/{name}, rows {first} to {last - 1}"):
            block: Outcomes = self._data[name][first:last]
        if name == "settings":
            wrong, largest, known = block > 2, 2, "0 (X), 1 (Y) or 2 (Z)"
        else:
            largest = 1 if self.has_settings else self.n_outcomes - 1
            wrong, known = (block > largest) & (block != LOST), f"0 to {largest} (or {LOST} for a lost one)"
        if wrong.any():
            row, site = np.argwhere(wrong)[0]
            what = "setting" if name == "settings" else "outcome"
            raise self.error(
                Code.VALUE, f"/{name}, row {first + row}, site {site}: {what} {block[row, site]}, expected {known}"
            )
        return block

    def settings(self) -> Outcomes:
        """The basis of each qubit in each shot, uint8 (n_records, n_sites): 0 X, 1 Y, 2 Z.

        Raises:
            InputError: the file has no settings, or unreadable ones.
        """
        if not self.has_settings:
            raise self.error(
                Code.UNSUPPORTED, "/settings: missing; these are outcomes of a POVM, not shots in known bases"
            )
        return self._rows("settings", 0, self.n_records)

    @property
    def has_settings(self) -> bool:
        """Whether outcomes are bits in known bases."""
        return "settings" in self._data

    def records(self, rows: NDArray[np.int64] | None = None, lost: bool = True) -> Records:
        """All that the file holds, checked, as one value.

        Args:
            rows: sorted numbers of the rows to keep, all where None; all are checked.
            lost: whether lost outcomes, 255, are welcome.

        Raises:
            InputError: as `check`.
        """
        labels = self.load(lost, rows)
        settings = None
        if self.has_settings:
            settings = self.settings() if rows is None else self.settings()[rows]
            labels = np.where(labels == LOST, LOST, labels % 2).astype(np.uint8)
        columns = self.columns()
        return Records(
            labels,
            self.povm,
            design=self.design,
            settings=settings,
            columns=columns if rows is None else {name: values[rows] for name, values in columns.items()},
            target=self.target,
            ordered=self.ordered,
            calibration=self.calibration,
            name=str(self.path),
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """Numbers per record, such as its time or batch, by name: (n_records,) each.

        Raises:
            InputError: a column of another length or type, or one that cannot be read.
        """
        if self._shards or "shots" not in self._file:
            return {}
        found = {}
        with self.reading("/shots"):
            names = list(self.own("shots", h5py.Group))
        for name in names:
            dataset = self.dataset(f"shots/{name}", ("f8", "i8"), 1)
            if dataset.shape != (self.n_records,):
                raise self.error(Code.SHAPE, f"/shots/{name}: shape {dataset.shape}, expected ({self.n_records},)")
            with self.reading(f"/shots/{name}"):
                found[name] = np.asarray(dataset[()])
        return found

    def check(self, lost: bool = True) -> int:
        """Read every outcome once, hold it against the file's POVM and SHA-256, and count the lost ones.

        Args:
            lost: whether lost outcomes, 255, are welcome.

        Raises:
            InputError: an outcome out of range or lost that is not welcome, unreadable rows, or another checksum.
        """
        return sum(int(np.count_nonzero(block == LOST)) for _, block in self._checked_blocks(lost))

    def load(self, lost: bool = False, rows: NDArray[np.int64] | None = None) -> Outcomes:
        """All outcomes, checked, as uint8 (n_records, n_sites): one byte an outcome in memory.

        Args:
            lost: whether lost outcomes, 255, are welcome.
            rows: sorted numbers of the rows to keep, all where None; all are checked.

        Raises:
            InputError: as `check`.
        """
        out = np.empty((self.n_records if rows is None else len(rows), self.n_sites), dtype=np.uint8)
        for first, block in self._checked_blocks(lost):
            if rows is None:
                out[first : first + len(block)] = block
            else:
                start, end = np.searchsorted(rows, (first, first + len(block)))
                out[start:end] = block[rows[start:end] - first]
        return out

    def _labels(self, stored: dict[str, Outcomes], first: int, lost: bool) -> Outcomes:
        """The outcomes that rows stored from `first` on mean: of shots, their labels by setting and bit."""
        found = shot_labels(stored["settings"], stored["outcomes"]) if self.has_settings else stored["outcomes"]
        if not lost and (found == LOST).any():
            row, site = np.argwhere(found == LOST)[0]
            raise self.error(
                Code.UNSUPPORTED,
                f"/outcomes, row {first + row}, site {site}: outcome lost, expected whole records, "
                "the only ones that models learn from",
            )
        return found

    def _checked_blocks(self, lost: bool) -> Iterator[tuple[int, Outcomes]]:
        """Blocks with the number of their first row; at the end the checksums are held against the file's."""
        names = ["outcomes", "settings"] if self.has_settings else ["outcomes"]
        digests = {name: hashlib.sha256() for name in names}
        for first, last in self.ranges():
            blocks = {name: self._rows(name, first, last) for name in names}
            for name, block in blocks.items():
                digests[name].update(np.ascontiguousarray(block).data)
            yield first, self._labels(blocks, first, lost)
        for name, digest in digests.items():
            expected = self.sha256 if name == "outcomes" else self._settings_sha256
            if digest.hexdigest() != expected:
                raise self.error(
                    Code.DAMAGED,
                    f"/{name}: SHA-256 {digest.hexdigest()[:12]}…, expected {expected[:12]}…: the data were changed",
                )

    def _read_header(self) -> None:
        attrs = self._file.attrs
        if attrs.get("version") != VERSION:
            raise self.error(
                Code.VERSION, f"record file of version {attrs.get('version')}, this qtomo reads version {VERSION}"
            )
        self.creator = text(attrs.get("creator"))
        self.command = text(attrs.get("command"))
        self.seed = int(attrs["seed"]) if "seed" in attrs else None
        self.sha256 = text(attrs.get("sha256"))
        self.shard = (int(attrs["shard"]), int(attrs["shards"])) if "shard" in attrs else None
        names = ["outcomes", "settings"] if "settings" in self._file else ["outcomes"]
        self._data = {name: self.dataset(name, "u1", 2, virtual=True) for name in names}
        self.n_records, self.n_sites = (int(size) for size in self._data["outcomes"].shape)
        if self.n_records < 1:
            raise self.error(Code.TOO_FEW, "/outcomes: no records")
        if not 1 <= self.n_sites <= _LARGEST_SITES:
            raise self.error(Code.VALUE, f"/outcomes: {self.n_sites} sites, expected 1 to {_LARGEST_SITES}")
        elements = self.dataset("povm/elements", "c16", (3, 4))
        limit = self.n_sites * _LARGEST_OUTCOMES * 4
        if elements.size > limit:
            raise self.error(
                Code.TOO_LARGE,
                f"/povm/elements: shape {elements.shape}, more than {_LARGEST_OUTCOMES} outcomes per site",
            )
        try:
            self.povm = POVM(elements[()], text(elements.attrs.get("name")) or "custom")
            self.povm.site_elements(self.n_sites)
        except InputError as error:
            raise self.error(error.code, f"/povm/elements: {error}") from None
        self.n_outcomes = self.povm.n_outcomes
        self.design: Design = self._read_design()
        if self._data["outcomes"].is_virtual:
            self._open_shards()
        self.target = self._read_target() if "target" in self._file else None
        #: Whether the rows stand in the order of measurement, as they do but for what was made from counts.
        self.ordered = text(attrs.get("order")) != "unknown"
        self.calibration = self._read_calibration() if "calibration" in self._file else None

    def _read_design(self) -> Design:
        if "settings" not in self._data:
            return "povm"
        settings = self._data["settings"]
        if settings.shape != (self.n_records, self.n_sites):
            raise self.error(Code.SHAPE, f"/settings: shape {settings.shape}, expected that of /outcomes")
        if not self.povm.measures_bases:
            raise self.error(
                Code.MISMATCH, "/povm/elements: expected, beside /settings, six elements 2 * basis + bit as pauli6 has"
            )
        self._settings_sha256 = text(settings.attrs.get("sha256"))
        design = text(settings.attrs.get("design"))
        if design not in _DESIGNS:
            raise self.error(Code.UNKNOWN, f"/settings: design '{design}', expected random or listed")
        return _DESIGNS[design]

    def _read_calibration(self) -> Calibration:
        dataset = self.dataset("calibration", "i8", 3)
        if dataset.shape != (self.n_sites, 2, 2):
            raise self.error(Code.SHAPE, f"/calibration: shape {dataset.shape}, expected ({self.n_sites}, 2, 2)")
        counts = np.asarray(dataset[()])
        try:
            return Calibration(counts[..., 0], counts[..., 1])
        except InputError as error:
            raise self.error(error.code, f"/calibration: {error}") from None

    def _open_shards(self) -> None:
        """Open the files that a joined file names, each a whole record file in the same folder."""
        shape = (self.n_records, self.n_sites)
        if not self._joined:
            raise self.error(Code.KIND, "/outcomes: made of shards, expected a shard to be a whole record file")
        for name in shard_names(self._data["outcomes"]) or [""]:
            if not name or name != Path(name).name or name in (".", ".."):
                raise self.error(
                    Code.DAMAGED, f"/outcomes: a shard '{name}' outside this file's folder, which is refused"
                )
            path = self.path.parent / name
            if not path.is_file():
                raise self.error(
                    Code.ABSENT, f"/outcomes: shard '{name}' is missing from the folder {self.path.parent}"
                )
            if path.resolve() == self.path.resolve():
                raise self.error(Code.DAMAGED, "/outcomes: the file names itself as its shard")
            shard = RecordFile(path, joined=False)
            self._shards.append(shard)
            found = (shard.n_sites, shard.design, shard.povm.elements.shape)
            expected = (self.n_sites, self.design, self.povm.elements.shape)
            if found != expected or not np.array_equal(shard.povm.elements, self.povm.elements):
                raise self.error(
                    Code.MISMATCH, f"/outcomes: shard '{name}' has other sites, settings or POVM than this file"
                )
        total = sum(shard.n_records for shard in self._shards)
        if total != self.n_records:
            raise self.error(Code.SHAPE, f"/outcomes: shape {shape}, but its shards hold {total} records")

    def _read_target(self) -> Target:
        group = self.own("target", h5py.Group)
        parameters = {name: _plain(value) for name, value in group.attrs.items()} | self._long_parameters(group)
        tensors = None
        if "tensors" in group:
            ancillas = min(Target(parameters).ancillas, _LARGEST_ANCILLAS)
            tensors = self.tensors("target/tensors", self.n_sites * (1 + ancillas))
        density_matrix = self.square("target/density_matrix", self.n_sites) if "density_matrix" in group else None
        target = Target(parameters, tensors, density_matrix)
        if parameters.get("n_sites", self.n_sites) != self.n_sites:
            raise self.error(Code.MISMATCH, f"/target: state of {parameters['n_sites']} sites, expected {self.n_sites}")
        try:
            _ = target.system
        except InputError as error:
            raise self.error(error.code, f"/target: {error}") from None
        return target

    def _long_parameters(self, group: h5py.Group) -> dict[str, Parameter]:
        """Parameters of the target that are datasets: a circuit's text, and the edges of a graph."""
        found: dict[str, Parameter] = {}
        if "qasm" in group:
            dataset = self.dataset("target/qasm", "u1", 1)
            if dataset.size > LARGEST_SOURCE:
                raise self.error(
                    Code.TOO_LARGE, f"/target/qasm: {dataset.size:,} bytes, expected at most {LARGEST_SOURCE:,}"
                )
            found["qasm"] = text(np.asarray(dataset[()]).tobytes())
        if "edges" in group:
            dataset = self.dataset("target/edges", "i8", 2)
            if dataset.shape[1] != 2 or len(dataset) > self.n_sites**2:
                raise self.error(Code.SHAPE, f"/target/edges: shape {dataset.shape}, expected (edges, 2)")
            found["edges"] = tuple((first, second) for first, second in np.asarray(dataset[()]).tolist())
        return found


def split(n_records: int, n_validation: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers for training and for validation, drawn by `seed`, sorted, never overlapping.

    Raises:
        InputError: fewer than one record would be left for training.
    """
    if not 0 <= n_validation < n_records:
        raise InputError(
            Code.TOO_FEW, f"{n_validation} validation records of {n_records}, expected at least one left to train on"
        )
    order = stream(seed, "split").permutation(n_records)
    return np.sort(order[n_validation:]), np.sort(order[:n_validation])


def _plain(value: Any) -> Parameter:
    if isinstance(value, (str, bytes)):
        return text(value)
    if isinstance(value, np.generic) and isinstance(value.item(), (int, float)):
        return value.item()  # type: ignore[no-any-return]
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == "f":
        return tuple(value.tolist())
    raise ValueError(f"attribute of type {type(value).__name__} in /target")


def shard_names(dataset: h5py.Dataset) -> list[str]:
    """Files that a virtual dataset takes its rows from, in the order of the rows."""
    sources = sorted(dataset.virtual_sources(), key=lambda source: source.vspace.get_select_bounds()[0])
    return [source.file_name for source in sources]
