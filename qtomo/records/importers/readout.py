"""Files of readout error: confusion matrices, and shots of |0...0> and of |1...1> that tell them.

What is done with them is in `qtomo.measurement.readout` and `qtomo.measurement.calibration`.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.readout import checked_confusion
from qtomo.records.file.hdf5 import first_line
from qtomo.records.file.state_file import read_array
from qtomo.records.importers.base import Imported, check_file, text_lines
from qtomo.records.importers.csv import read_csv
from qtomo.records.importers.hdf5 import read_hdf5
from qtomo.records.importers.npy import read_npy
from qtomo.records.importers.pastaq import read_pastaq
from qtomo.records.importers.qiskit import read_qiskit

__all__ = ["read_calibration", "read_confusion"]

_LARGEST_FILE = 2**26
# Options of the data that say how bits are written, and so hold for calibration shots too.
_WRITTEN = ("outcomes", "lost", "one_based", "bit_order")


def read_confusion(path: str | os.PathLike[str], n_sites: int) -> NDArray[np.float64]:
    """Confusion matrices p(read a | true b) from .npy, JSON, or text, float64 (n_sites, 2, 2).

    The file has one for all qubits, (2, 2), or one per qubit, (N, 2, 2). Text has two lines of two numbers, p(0|0)
    p(0|1) and p(1|0) p(1|1), or N such pairs.

    Raises:
        InputError: another shape, a number that is no probability, or a column that does not sum to 1.
    """
    path = Path(path)
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
    return checked_confusion(array, n_sites, str(path))


def _json(path: Path, what: str) -> NDArray[Any]:
    if path.stat().st_size > _LARGEST_FILE:
        raise InputError(Code.TOO_LARGE, f"{path}: {path.stat().st_size:,} bytes, expected {what}")
    try:
        return _array(path, json.loads(path.read_bytes()), what)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(Code.DAMAGED, f"{path}: not readable ({first_line(error)}), expected {what}") from None


def _array(path: Path, rows: Any, what: str) -> NDArray[Any]:
    try:
        return np.array(rows, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            Code.SHAPE, f"{path}: not numbers of one shape ({first_line(error)}), expected {what}"
        ) from None


def read_calibration(
    zeros: str | os.PathLike[str],
    ones: str | os.PathLike[str],
    n_sites: int,
    options: Mapping[str, Any] | None = None,
) -> Calibration:
    """Count each qubit's wrong bits in shots of |0...0> and of |1...1>; lost bits are left out.

    Args:
        zeros: shots of |0...0>: .npy, .npz, HDF5, Qiskit's JSON, or text, one shot per line.
        ones: shots of |1...1>.
        n_sites: N.
        options: those that the data were imported with. What says how bits are written (outcomes, lost, one_based,
            bit_order) holds for these files too.

    Raises:
        InputError: bits of another number of qubits, what is no bit, or a qubit whose bits are all lost.
    """
    shots = []
    for state, path in enumerate(map(Path, (zeros, ones))):
        bits = _bits(path, n_sites, options or {})
        unread = (bits == LOST).all(axis=0)
        if unread.any():
            raise InputError(
                Code.UNMEASURED,
                f"{path}, site {int(unread.argmax())}: every bit is lost, expected shots of |{state}...>",
            )
        shots.append(bits)
    return Calibration.of_bits(*shots)


def _bits(path: Path, n_sites: int, options: Mapping[str, Any]) -> Outcomes:
    """Bits of calibration shots, site 0 leftmost."""
    check_file(path, f"bits of {n_sites} qubits, one shot per line")
    read = _reader(path, options)
    taken = inspect.signature(read).parameters
    given = {name: options[name] for name in _WRITTEN if name in taken and options.get(name) is not None}
    source = read(path, **given, **({"basis": "Z"} if "basis" in taken else {}))
    if source.n_sites != n_sites:
        raise InputError(Code.MISMATCH, f"{path}: {source.n_sites} bits per shot, expected {n_sites}")
    bits = np.concatenate([block[1] if isinstance(block, tuple) else block for block in source.blocks()])
    return bits[:, ::-1] if options.get("bit_order") == "qiskit" and "bit_order" not in taken else bits


def _reader(path: Path, options: Mapping[str, Any]) -> Callable[..., Imported]:
    """How a file of bits is read, by its suffix."""
    if path.suffix in (".h5", ".hdf5"):
        return read_hdf5 if options.get("outcomes") else read_pastaq
    readers: dict[str, Callable[..., Imported]] = {".npy": read_npy, ".npz": read_npy, ".json": read_qiskit}
    return readers.get(path.suffix, read_csv)
