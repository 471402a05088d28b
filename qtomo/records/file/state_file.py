"""States and POVMs in files: HDF5 of qtomo, the target of a record file, or a plain NumPy array."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError
from qtomo.files import check_absent
from qtomo.measurement.povm import NAMED_POVMS, POVM, named_povm
from qtomo.records.file.hdf5 import CheckedFile, first_line, text
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.schema import FORMAT
from qtomo.records.file.writer import open_new, set_text, write_checked
from qtomo.states.arrays import state_of_array
from qtomo.states.density import LARGEST_DENSITY, DensityMatrix
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.state import State
from qtomo.version import __version__

__all__ = ["STATE_FORMAT", "povm_of", "read_array", "read_povm", "read_state", "write_state"]

STATE_FORMAT = "qtomo-state"
_VERSION = 1
_LARGEST_SITES = 100_000
_LARGEST_ANCILLAS = 8
_LARGEST_ARRAY = 4 ** (LARGEST_DENSITY + 1)


def write_state(path: str | os.PathLike[str], state: State, overwrite: bool = False) -> Path:
    """A state as HDF5: attributes `format` and `version`, and `/tensors/0...` or `/density_matrix`.

    An LPDO has the tensors of its purification and the attribute `ancillas`.


    Raises:
        InputError: the path exists and `overwrite` is false, or cannot be written.

    >>> from qtomo import GHZ, read_state
    >>> read_state(write_state("ghz.h5", GHZ(3).state())).n_sites
    3
    """
    path = check_absent(path, overwrite)
    with open_new(path) as (file, _):
        set_text(file, "format", STATE_FORMAT)
        file.attrs["version"] = _VERSION
        set_text(file, "creator", f"qtomo {__version__}")
        file.attrs["n_sites"] = state.n_sites
        if isinstance(state, DensityMatrix):
            write_checked(file, "density_matrix", state.matrix, compression="gzip")
        else:
            if isinstance(state, LPDO):
                file.attrs["ancillas"] = state.ancillas
            chain = state.purification if isinstance(state, LPDO) else state
            for site, tensor in enumerate(chain.tensors):
                write_checked(file, f"tensors/{site}", tensor)
    return path


class _StateFile(CheckedFile):
    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "state file", STATE_FORMAT)

    def _read_header(self) -> None:
        if self._file.attrs.get("version") != _VERSION:
            raise self.error(
                Code.VERSION, f"state file of version {self._file.attrs.get('version')}, expected {_VERSION}"
            )
        n_sites = int(self._file.attrs.get("n_sites", 0))
        if not 1 <= n_sites <= _LARGEST_SITES:
            raise self.error(Code.VALUE, f"attribute n_sites is {n_sites}, expected 1 to {_LARGEST_SITES}")
        try:
            self.state: State
            if "density_matrix" in self._file:
                self.state = DensityMatrix(self.square("density_matrix", n_sites))
            elif "ancillas" in self._file.attrs:
                ancillas = int(self._file.attrs["ancillas"])
                if not 0 <= ancillas <= _LARGEST_ANCILLAS:
                    raise self.error(Code.VALUE, f"attribute ancillas is {ancillas}, expected 0 to {_LARGEST_ANCILLAS}")
                self.state = LPDO(MPS(self.tensors("tensors", n_sites * (1 + ancillas))), ancillas)
            else:
                self.state = MPS(self.tensors("tensors", n_sites))
        except InputError as error:
            known = str(error).startswith(f"{self.path}: ")
            raise error if known else self.error(error.code, str(error)) from None


def read_state(path: str | os.PathLike[str]) -> State:
    """A state from a file: of qtomo (`write_state`), a record file's target, or a .npy array.

    An array is a ket (2**N,) or a density matrix (2**N, 2**N), site 0 its slowest index, as QuTiP's `full()` gives.

    Raises:
        InputError: another kind of file, or no state.

    >>> import numpy as np
    >>> np.save("plus.npy", np.array([1, 1]) / 2**0.5)
    >>> read_state("plus.npy").n_sites
    1
    """
    path = Path(path)
    if path.suffix == ".npy":
        array = read_array(path)
        try:
            return state_of_array(array)
        except InputError as error:
            raise InputError(error.code, f"{path}: {error}") from None
    if _format(path) == FORMAT:
        with RecordFile(path) as file:
            if file.target is None:
                raise file.error(Code.ABSENT, "/target: missing, expected the state to read")
            return file.target.state()
    with _StateFile(path) as state_file:
        return state_file.state


def read_povm(path: str | os.PathLike[str]) -> POVM:
    """A POVM from a file: that of a record file, or a .npy array (K, 2, 2) or (N, K, 2, 2).

    Raises:
        InputError: another kind of file, or no POVM.
    """
    path = Path(path)
    if path.suffix != ".npy":
        with RecordFile(path) as file:
            return file.povm
    try:
        return POVM(read_array(path), path.stem)
    except InputError as error:
        raise InputError(error.code, f"{path}: {error}") from None


def povm_of(povm: POVM | str | os.PathLike[str]) -> POVM:
    """A measurement as it is, by its name, or from a record file or .npy.

    Raises:
        InputError: neither a file nor a known name.

    >>> povm_of("pauli4").n_outcomes
    4
    """
    if isinstance(povm, POVM):
        return povm
    if isinstance(povm, str) and povm in NAMED_POVMS:
        return named_povm(povm)
    if Path(povm).exists():
        return read_povm(povm)
    raise InputError(Code.UNKNOWN, f"--povm {povm}: neither a file nor a measurement; known: {', '.join(NAMED_POVMS)}")


def read_array(path: Path) -> NDArray[Any]:
    """The numbers of a .npy file, never more than a density matrix of 12 qubits has.

    Raises:
        InputError: not such a file.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.dtype.kind not in "iufc" or array.size > _LARGEST_ARRAY:
            expected = f"numbers, at most {_LARGEST_ARRAY:,}"
            raise InputError(Code.SHAPE, f"{path}: an array of {array.dtype} {array.shape}, expected {expected}")
        return np.array(array)
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            Code.DAMAGED if path.is_file() else Code.ABSENT, f"{path}: not a readable .npy file ({first_line(error)})"
        ) from None


def _format(path: Path) -> str:
    try:
        with h5py.File(path, "r") as file:
            return text(file.attrs.get("format"))
    except OSError:
        return ""
