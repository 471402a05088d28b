"""Density matrices of a few qubits."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtomo.errors import Code, InputError
from qtomo.measurement.povm import PAULIS
from qtomo.states.pauli import to_paulis

if TYPE_CHECKING:
    import qutip

__all__ = ["LARGEST_DENSITY", "DensityMatrix"]

#: Qubits of a density matrix at most: its 4**12 real numbers take 128 MiB.
LARGEST_DENSITY = 12

_TOLERANCE = 1e-8

Reals = NDArray[np.float64]


class DensityMatrix:
    """A mixed state of up to 12 qubits, site 0 the leftmost factor.

    Args:
        matrix: complex (2**N, 2**N).

    Raises:
        InputError: another shape, more than 12 qubits, not Hermitian, not positive, or of trace other than 1.

    >>> import numpy as np
    >>> DensityMatrix(np.eye(2) / 2)
    DensityMatrix(1 qubits, purity 0.5000)
    """

    def __init__(self, matrix: ArrayLike) -> None:
        rho = np.array(matrix, dtype=np.complex128)
        if rho.ndim != 2 or rho.shape[0] != rho.shape[1] or rho.shape[0] < 2 or rho.shape[0] & (rho.shape[0] - 1):
            raise InputError(Code.SHAPE, f"a density matrix has shape {rho.shape}, expected (2**N, 2**N)")
        self.n_sites = int(rho.shape[0]).bit_length() - 1
        if self.n_sites > LARGEST_DENSITY:
            raise InputError(
                Code.TOO_LARGE, f"a density matrix of {self.n_sites} qubits, expected at most {LARGEST_DENSITY}"
            )
        if not np.isfinite(rho).all():
            raise InputError(Code.VALUE, "a density matrix holds entries that are not finite numbers")
        excess = float(np.abs(rho - rho.conj().T).max())
        if excess > _TOLERANCE:
            raise InputError(Code.UNPHYSICAL, f"a density matrix is not Hermitian (off by {excess:.3g})")
        trace = float(np.trace(rho).real)
        if abs(trace - 1) > _TOLERANCE:
            raise InputError(Code.UNPHYSICAL, f"a density matrix has trace {trace:.9g}, expected 1")
        smallest = float(np.linalg.eigvalsh(rho)[0])
        if smallest < -_TOLERANCE:
            raise InputError(Code.UNPHYSICAL, f"a density matrix is not positive (eigenvalue {smallest:.3g})")
        rho.setflags(write=False)
        #: complex128 (2**N, 2**N)
        self.matrix: NDArray[np.complex128] = rho

    def __repr__(self) -> str:
        return f"DensityMatrix({self.n_sites} qubits, purity {np.vdot(self.matrix, self.matrix).real:.4f})"

    @classmethod
    def from_qutip(cls, rho: qutip.Qobj) -> DensityMatrix:
        """The state of a QuTiP density matrix of qubits.

        Raises:
            InputError: not an operator of qubits, or not a state.
        """
        if not rho.isoper or set(rho.dims[0]) != {2}:
            raise InputError(
                Code.KIND, f"QuTiP object of type '{rho.type}' with dims {rho.dims}, expected an operator of qubits"
            )
        return cls(rho.full())

    def to_qutip(self) -> qutip.Qobj:
        """The state as a QuTiP density matrix of N qubits."""
        import qutip

        return qutip.Qobj(self.matrix, dims=[[2] * self.n_sites] * 2)

    @functools.cached_property
    def pauli_values(self) -> Reals:
        """<P_0 x ... x P_N-1> for all products of I, X, Y, Z, shape (4,) * N."""
        return to_paulis(self.matrix)

    def expectation(self, operators: Mapping[int, NDArray[np.complex128]]) -> complex:
        """Expectation of a product of one-qubit operators by site.

        Raises:
            InputError: a site outside the state.
        """
        outside = [site for site in operators if not 0 <= site < self.n_sites]
        if outside:
            raise InputError(Code.VALUE, f"site {outside[0]} is outside a state of {self.n_sites} qubits")
        values: NDArray[np.generic] = self.pauli_values
        for site in range(self.n_sites):
            operator = operators.get(site, PAULIS["I"])
            values = np.tensordot(np.array([np.trace(operator @ PAULIS[p]) / 2 for p in "IXYZ"]), values, axes=1)
        return complex(values)
