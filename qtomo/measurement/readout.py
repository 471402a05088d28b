"""Readout error: bits read wrongly, as confusion matrices, and what they make of a POVM.

`confusion[i, a, b]` is the probability that qubit i's bit b is read as a: columns sum to 1. Estimates of it from shots
of known states are in `qtomo.measurement.calibration`; files of either are read by `qtomo.records.importers.readout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtomo.errors import Code, InputError
from qtomo.measurement.bases import as_random_bases
from qtomo.measurement.povm import POVM, are_bases

__all__ = ["checked_confusion", "with_bit_confusion", "with_confusion", "with_readout_error"]

_TOLERANCE = 1e-9
_ROUNDING = 1e-6  # how far a written column may be off 1 before it is renormalised


def checked_confusion(confusion: ArrayLike, n_sites: int, place: str = "confusion") -> NDArray[np.float64]:
    """Confusion matrices of each qubit's bit, float64 (n_sites, 2, 2), from (2, 2) for all qubits or (n_sites, 2, 2).

    Args:
        confusion: p(read a | true b), row a, column b.
        n_sites: N.
        place: what messages call it, such as the file.

    Raises:
        InputError: another shape, a number that is no probability, or a column that does not sum to 1.

    >>> checked_confusion([[0.98, 0.05], [0.02, 0.95]], 3).shape
    (3, 2, 2)
    """
    array = np.asarray(confusion)
    if array.shape not in ((2, 2), (n_sites, 2, 2)) or array.dtype.kind not in "iuf":
        raise InputError(Code.SHAPE, f"{place}: {array.dtype} {array.shape}, expected (2, 2) or ({n_sites}, 2, 2)")
    matrices = np.broadcast_to(array.astype(np.float64), (n_sites, 2, 2))
    if not np.isfinite(matrices).all() or matrices.min() < 0 or matrices.max() > 1:
        site, a, b = np.argwhere(~((matrices >= 0) & (matrices <= 1)))[0]
        raise InputError(Code.VALUE, f"{place}, site {site}, p({a}|{b}): {matrices[site, a, b]}, expected 0 to 1")
    sums = matrices.sum(axis=1)
    site, column = (int(i) for i in np.unravel_index(np.abs(sums - 1).argmax(), sums.shape))
    if abs(sums[site, column] - 1) > _ROUNDING:
        rows = np.abs(matrices.sum(axis=2) - 1).max() < _ROUNDING
        hint = "; its rows do: transpose it" if rows else ""
        raise InputError(
            Code.UNPHYSICAL, f"{place}, site {site}: column {column} sums to {sums[site, column]:.6g}, expected 1{hint}"
        )
    normalised: NDArray[np.float64] = matrices / sums[:, None, :]
    return normalised


def with_bit_confusion(povm: POVM, confusion: NDArray[np.float64], n_sites: int) -> POVM:
    """The measurement that `povm` is when each qubit's bit is misread before it becomes an outcome.

    Args:
        povm: the measurement of `n_sites` qubits.
        confusion: p(read a | true b) of each qubit, (n_sites, 2, 2), as `checked_confusion` gives.
        n_sites: N.

    Raises:
        InputError: a POVM that measures no bit in a basis, such as SIC.

    >>> from qtomo.measurement.povm import named_povm
    >>> povm = with_bit_confusion(named_povm("pauli6"), checked_confusion([[0.98, 0.05], [0.02, 0.95]], 2), 2)
    >>> povm.elements[0, 4].real.round(4).tolist()
    [[0.3267, 0.0], [0.0, 0.0167]]
    """
    elements = povm.site_elements(n_sites)
    misread = [_misread(site, matrix, povm.name) for site, matrix in zip(elements, confusion, strict=True)]
    return POVM(np.stack(misread), f"{povm.name} after readout")


def with_readout_error(
    povm: POVM, zero_as_one: float, one_as_zero: float, n_sites: int, sites: Sequence[int] | None = None
) -> POVM:
    """The measurement that `povm` is when the bit of some qubits, or of all, is misread before it becomes an outcome.

    Bit 0 of a basis is its outcome along the POVM's own pole: |0>, |+>, |+i> for Pauli-4; of a POVM of six elements
    that are three bases, as Pauli-6, it is the first of each pair.

    Args:
        povm: the measurement of `n_sites` qubits.
        zero_as_one: probability that 0 is read as 1.
        one_as_zero: probability that 1 is read as 0.
        n_sites: N.
        sites: the qubits that are misread; all where not given.

    Raises:
        InputError: a probability outside [0, 1], or a POVM that measures no bit, such as SIC.

    >>> from qtomo.measurement.povm import named_povm
    >>> with_readout_error(named_povm("pauli6"), 0.0, 0.1, 1).elements[4].real.round(4).tolist()
    [[0.3333, 0.0], [0.0, 0.0333]]
    """
    for value in (zero_as_one, one_as_zero):
        if not 0 <= value <= 1:
            raise InputError(Code.VALUE, f"readout: probability is {value}, expected 0 to 1")
    confusion = np.array([[1 - zero_as_one, one_as_zero], [zero_as_one, 1 - one_as_zero]])

    def misread(elements: NDArray[np.complex128]) -> NDArray[np.complex128]:
        by_site = elements.reshape(-1, *elements.shape[-3:])
        return np.stack([_misread(site, confusion, povm.name) for site in by_site]).reshape(elements.shape)

    return povm.changed(misread, n_sites, sites)


def _misread(elements: NDArray[np.complex128], confusion: NDArray[np.float64], name: str) -> NDArray[np.complex128]:
    """One qubit's elements (K, 2, 2) with its bit misread by `confusion`, (2, 2)."""
    if are_bases(elements):
        pairs = elements.reshape(3, 2, 2, 2)
        mixed: NDArray[np.complex128] = np.einsum("ab,sbij->saij", confusion, pairs).reshape(6, 2, 2)
        return mixed
    bases = as_random_bases(elements)
    if bases is None:
        raise InputError(
            Code.UNSUPPORTED, f"readout error: POVM '{name}' measures no bit in a basis; give it as a confusion matrix"
        )
    return replace(bases, labels=np.einsum("rs,bra->bsa", confusion, bases.labels)).elements()


def with_confusion(povm: POVM, confusion: ArrayLike, n_sites: int, sites: Sequence[int] | None = None) -> POVM:
    """The measurement that `povm` is when outcome b is read as a with probability `confusion[a, b]`.

    Args:
        povm: the measurement of `n_sites` qubits.
        confusion: p(read a | true b) of outcomes, not of bits, (K, K).
        n_sites: N.
        sites: the qubits that are misread; all where not given.

    Raises:
        InputError: not (K, K), a negative entry, or a column that does not sum to 1.

    >>> from qtomo.measurement.povm import named_povm
    >>> with_confusion(named_povm("sic"), np.full((4, 4), 0.25), 1).elements[0].real.round(9).tolist()
    [[0.25, 0.0], [0.0, 0.25]]
    """
    matrix = np.asarray(confusion, dtype=np.float64)
    k = povm.n_outcomes
    if matrix.shape != (k, k):
        raise InputError(
            Code.SHAPE, f"a confusion matrix has shape {matrix.shape}, expected ({k}, {k}) for POVM '{povm.name}'"
        )
    if not np.isfinite(matrix).all() or matrix.min() < 0:
        raise InputError(Code.VALUE, "a confusion matrix holds an entry that is not a probability")
    sums = matrix.sum(axis=0)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst] - 1) > _TOLERANCE:
        raise InputError(Code.UNPHYSICAL, f"column {worst} of a confusion matrix sums to {sums[worst]:.6g}, expected 1")
    return povm.changed(lambda elements: np.einsum("ab,...bij->...aij", matrix, elements), n_sites, sites)
