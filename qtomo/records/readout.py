"""Readout confusion a qubit, given or estimated from calibration shots, and the POVM elements it makes.

`confusion[i, a, b]` is the probability that qubit i's bit b is read as a: columns sum to 1.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import InputError
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.noise import with_readout_error
from qtomo.measurement.povm import POVM
from qtomo.records.file.hdf5 import first_line
from qtomo.records.file.state_file import read_array
from qtomo.records.importers.base import Imported, check_file, text_lines
from qtomo.records.importers.csv import read_csv
from qtomo.records.importers.hdf5 import read_hdf5
from qtomo.records.importers.npy import read_npy
from qtomo.records.importers.pastaq import read_pastaq
from qtomo.records.importers.qiskit import read_qiskit

__all__ = ["calibrate", "confused", "read_confusion"]

_ROUNDING = 1e-6  # how far a written column may be off 1 before it is renormalised
_LARGEST_FILE = 2**26


def read_confusion(path: Path, n_sites: int) -> NDArray[np.float64]:
    """Confusion matrices from .npy, JSON, or text: (2, 2) for all qubits or (N, 2, 2), given back as (N, 2, 2).

    Text has two lines of two numbers, p(0|0) p(0|1) and p(1|0) p(1|1), or N such pairs.

    Raises:
        InputError: another shape, a number that is no probability, or a column that does not sum to 1.
    """
    what = "confusion matrices p(read a | true b), (2, 2) or (N, 2, 2)"
    check_file(path, what)
    if path.suffix == ".npy":
        array = np.asarray(read_array(path))
    elif path.suffix == ".json":
        array = _json(path, what)
    else:
        lines = [line.replace(",", " ").split() for _, line in text_lines(path, what)]
        array = _array(path, lines, what)
        array = array.reshape(-1, 2, 2) if array.shape == (2 * n_sites, 2) and n_sites > 1 else array
    if array.shape not in ((2, 2), (n_sites, 2, 2)) or array.dtype.kind not in "iuf":
        raise InputError(f"{path}: {array.dtype} {array.shape}, expected (2, 2) or ({n_sites}, 2, 2)")
    matrices = np.broadcast_to(array.astype(np.float64), (n_sites, 2, 2))
    if not np.isfinite(matrices).all() or matrices.min() < 0 or matrices.max() > 1:
        site, a, b = np.argwhere(~((matrices >= 0) & (matrices <= 1)))[0]
        raise InputError(f"{path}, site {site}, p({a}|{b}): {matrices[site, a, b]}, expected 0 to 1")
    sums = matrices.sum(axis=1)
    site, column = (int(i) for i in np.unravel_index(np.abs(sums - 1).argmax(), sums.shape))
    if abs(sums[site, column] - 1) > _ROUNDING:
        rows = np.abs(matrices.sum(axis=2) - 1).max() < _ROUNDING
        hint = "; its rows do: transpose it" if rows else ""
        raise InputError(f"{path}, site {site}: column {column} sums to {sums[site, column]:.6g}, expected 1{hint}")
    normalised: NDArray[np.float64] = matrices / sums[:, None, :]
    return normalised


def _json(path: Path, what: str) -> NDArray[Any]:
    if path.stat().st_size > _LARGEST_FILE:
        raise InputError(f"{path}: {path.stat().st_size:,} bytes, expected {what}")
    try:
        return _array(path, json.loads(path.read_bytes()), what)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not readable ({first_line(error)}), expected {what}") from None


def _array(path: Path, rows: Any, what: str) -> NDArray[Any]:
    try:
        return np.array(rows, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: not numbers of one shape ({first_line(error)}), expected {what}") from None


def calibrate(zeros: Path, ones: Path, n_sites: int, options: Mapping[str, Any] | None = None) -> Calibration:
    """Estimate each qubit's confusion from shots of |0...0> and of |1...1>; lost bits are left out.

    Args:
        zeros: shots of |0...0>: .npy, .npz, HDF5, Qiskit's JSON, or text, a shot a line.
        ones: shots of |1...1>.
        n_sites: N.
        options: those that the data were imported with. What says how bits are written (outcomes, lost, one_based,
            bit_order) holds for these files too.

    Raises:
        InputError: bits of another number of qubits, what is no bit, or a qubit whose bits are all lost.
    """
    wrong, shots = [], []
    for state, path in enumerate((zeros, ones)):
        bits = _bits(path, n_sites, options or {})
        seen = (bits != LOST).sum(axis=0)
        if not seen.all():
            raise InputError(f"{path}, site {int(seen.argmin())}: every bit is lost, expected shots of |{state}...>")
        wrong.append(((bits != state) & (bits != LOST)).sum(axis=0))
        shots.append(seen)
    return Calibration(np.stack(wrong, axis=1), np.stack(shots, axis=1))


_WRITTEN = ("outcomes", "lost", "one_based", "bit_order")


def _bits(path: Path, n_sites: int, options: Mapping[str, Any]) -> Outcomes:
    """Bits of calibration shots, site 0 leftmost."""
    check_file(path, f"bits of {n_sites} qubits, a shot a line")
    read = _reader(path, options)
    taken = inspect.signature(read).parameters
    given = {name: options[name] for name in _WRITTEN if name in taken and options.get(name) is not None}
    source = read(path, **given, **({"basis": "Z"} if "basis" in taken else {}))
    if source.n_sites != n_sites:
        raise InputError(f"{path}: {source.n_sites} bits a shot, expected {n_sites}")
    bits = np.concatenate([block[1] if isinstance(block, tuple) else block for block in source.blocks()])
    return bits[:, ::-1] if options.get("bit_order") == "qiskit" and "bit_order" not in taken else bits


def _reader(path: Path, options: Mapping[str, Any]) -> Callable[..., Imported]:
    """How a file of bits is read, by its suffix."""
    if path.suffix in (".h5", ".hdf5"):
        return read_hdf5 if options.get("outcomes") else read_pastaq
    readers: dict[str, Callable[..., Imported]] = {".npy": read_npy, ".npz": read_npy, ".json": read_qiskit}
    return readers.get(path.suffix, read_csv)


def confused(povm: POVM, confusion: NDArray[np.float64], n_sites: int) -> POVM:
    """The measurement that `povm` is when qubit i's bit is misread by `confusion[i]` before it becomes an outcome.

    Raises:
        InputError: a POVM that measures no bit in a basis, such as SIC.
    """
    name = f"{povm.name} after readout"
    if povm.measures_bases:
        pairs = povm.site_elements(n_sites).reshape(n_sites, 3, 2, 2, 2)
        return POVM(np.einsum("nab,nsbij->nsaij", confusion, pairs).reshape(n_sites, 6, 2, 2), name)
    for site, matrix in enumerate(confusion):
        povm = with_readout_error(povm, float(matrix[1, 0]), float(matrix[0, 1]), n_sites, [site])
    return POVM(povm.elements, name)
