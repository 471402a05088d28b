"""States from NumPy arrays and QuTiP objects. They are checked, and nothing is normalised."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError
from qtomo.states.density import DensityMatrix
from qtomo.states.mps import MPS

if TYPE_CHECKING:
    import qutip

__all__ = ["is_qutip", "state_of_array", "state_of_qutip"]

_NORM = 1e-6  # by which a norm may be off 1


def state_of_array(array: NDArray[Any]) -> MPS | DensityMatrix:
    """A state from numbers: a ket (2**N,) or (2**N, 1), or a density matrix (2**N, 2**N), site 0 its slowest index.

    Raises:
        InputError: another shape, numbers that are not finite, a norm or trace that is not 1, or a matrix that is not
            Hermitian or not positive.

    >>> state_of_array(np.array([1, 0, 0, 1]) / 2**0.5).n_sites
    2
    """
    if array.dtype.kind not in "iufc":
        raise InputError(Code.SHAPE, f"an array of {array.dtype}, expected numbers")
    if array.ndim == 2 and array.shape[0] == 1 and array.shape[1] > 1:
        raise InputError(
            Code.SHAPE, f"an array of shape {array.shape} is a bra, expected a ket of shape ({array.shape[1]},)"
        )
    if array.ndim == 2 and array.shape[1] > 1:
        return DensityMatrix(array)
    if array.ndim not in (1, 2):
        raise InputError(
            Code.SHAPE, f"an array of shape {array.shape}, expected a ket (2**N,) or a density matrix (2**N, 2**N)"
        )
    if not np.isfinite(array).all():
        raise InputError(Code.VALUE, "a ket holds entries that are not finite numbers")
    norm = float(np.linalg.norm(array))
    if abs(norm - 1) > _NORM:
        total = float(np.real(array).sum())
        positive = np.isrealobj(array) and array.size and array.min() >= 0
        hint = "; its entries sum to 1, as probabilities do" if positive and abs(total - 1) < _NORM else ""
        raise InputError(Code.UNPHYSICAL, f"a ket of norm {norm:.6g}, expected 1{hint}")
    return MPS.from_statevector(array.ravel())


def state_of_qutip(state: qutip.Qobj) -> MPS | DensityMatrix:
    """A state from a QuTiP ket or density matrix of qubits, its first factor site 0.

    Raises:
        InputError: a bra, factors that are not qubits, or numbers that are no state.

    >>> import qutip
    >>> state_of_qutip(qutip.ghz_state(3)).n_sites
    3
    """
    if not (state.isket or state.isoper) or set(state.dims[0]) != {2}:
        expected = "a ket or a density matrix of qubits"
        raise InputError(Code.KIND, f"QuTiP object of type '{state.type}' with dims {state.dims}, expected {expected}")
    return state_of_array(state.full()[:, 0] if state.isket else state.full())


def is_qutip(value: object) -> bool:
    """Whether a value is an object of QuTiP, which is not loaded for the question."""
    loaded = sys.modules.get("qutip")
    return loaded is not None and isinstance(value, loaded.Qobj)
