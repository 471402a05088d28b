"""Matrix-product states of open chains of qubits: overlap, expectations, truncation, QuTiP in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError

if TYPE_CHECKING:
    import qutip

__all__ = ["MPO", "MPS"]

Tensor = NDArray[Any]

#: A matrix-product operator: one complex (left, right, 2, 2) array a site, row then column index last.
MPO = Sequence[Tensor]

_LARGEST_VECTOR = 20


class MPS:
    """A normalised pure state of N qubits as a product of matrices, held in right-canonical form.

    psi[s_0 ... s_{N-1}] is the product over sites of `tensors[i][:, s_i, :]`. Site 0 is the leftmost
    qubit and QuTiP's first factor. Right-canonical: each tensor, as a (left, 2*right) matrix, has
    orthonormal rows (Schollwoeck 2011, arXiv 1008.3477, section 4.4).

    Args:
        tensors: one (left, 2, right) array a site, real or complex, outer bonds 1; any gauge and norm.

    Raises:
        InputError: shapes that do not chain, numbers that are not finite, or the zero state.

    >>> import numpy as np
    >>> MPS.from_statevector(np.array([1, 0, 0, 1]) / 2**0.5).bond_dims
    (2,)
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        _check_tensors(tensors)
        real = all(np.isrealobj(t) or not np.any(np.imag(t)) for t in tensors)
        dtype = np.float64 if real else np.complex128
        plain = [np.asarray(t.real if real else t, dtype=dtype) for t in tensors]
        self.tensors: tuple[Tensor, ...] = tuple(_right_canonical(plain))

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""
        return len(self.tensors)

    @property
    def bond_dims(self) -> tuple[int, ...]:
        """Dimensions of the N - 1 inner bonds."""
        return tuple(t.shape[2] for t in self.tensors[:-1])

    @property
    def is_real(self) -> bool:
        """Whether all amplitudes are real numbers."""
        return bool(np.isrealobj(self.tensors[0]))

    def __repr__(self) -> str:
        return f"MPS({self.n_sites} qubits, bond dimension {max(self.bond_dims, default=1)})"

    @classmethod
    def product(cls, vectors: Sequence[NDArray[Any]]) -> MPS:
        """The product of one-qubit states, each a vector of 2 amplitudes."""
        return cls([np.asarray(v).reshape(1, 2, 1) for v in vectors])

    @classmethod
    def from_statevector(cls, amplitudes: NDArray[Any]) -> MPS:
        """The state with these 2**N amplitudes, site 0 the slowest index.

        Raises:
            InputError: the length is not a power of two.
        """
        rest = np.asarray(amplitudes).reshape(1, -1)
        n_sites = rest.size.bit_length() - 1
        if rest.size != 2**n_sites or n_sites < 1:
            raise InputError(Code.SHAPE, f"a state vector of qubits has 2**N amplitudes, found {rest.size}")
        tensors = []
        for _ in range(n_sites - 1):
            u, s, v = np.linalg.svd(rest.reshape(rest.shape[0] * 2, -1), full_matrices=False)
            keep = max(1, int(np.sum(s > 1e-15 * s[0])))
            tensors.append(u[:, :keep].reshape(rest.shape[0], 2, keep))
            rest = s[:keep, None] * v[:keep]
        return cls([*tensors, rest.reshape(-1, 2, 1)])

    def to_statevector(self) -> NDArray[Any]:
        """All 2**N amplitudes, site 0 the slowest index.

        Raises:
            InputError: more than 20 qubits.
        """
        if self.n_sites > _LARGEST_VECTOR:
            raise InputError(
                Code.TOO_LARGE, f"a state vector of {self.n_sites} qubits is too large (at most {_LARGEST_VECTOR})"
            )
        vector = np.ones((1, 1))
        for tensor in self.tensors:
            vector = np.tensordot(vector, tensor, axes=1).reshape(-1, tensor.shape[2])
        return vector[:, 0]

    @classmethod
    def from_qutip(cls, ket: qutip.Qobj) -> MPS:
        """The state of a QuTiP ket of qubits.

        Raises:
            InputError: not a ket, or a factor that is not a qubit.
        """
        if not ket.isket or set(ket.dims[0]) != {2}:
            raise InputError(Code.KIND, f"expected a QuTiP ket of qubits, found {ket.type} with dims {ket.dims}")
        return cls.from_statevector(ket.full()[:, 0])

    def to_qutip(self) -> qutip.Qobj:
        """The state as a QuTiP ket of N qubits (N at most 20)."""
        import qutip

        n = self.n_sites
        return qutip.Qobj(self.to_statevector()[:, None], dims=[[2] * n, [1] * n])

    def overlap(self, other: MPS) -> complex:
        """<self|other>. Its squared modulus is the quantum fidelity.

        Raises:
            InputError: another number of qubits.
        """
        if other.n_sites != self.n_sites:
            raise InputError(Code.MISMATCH, f"states of {self.n_sites} and {other.n_sites} qubits have no overlap")
        left = np.ones((1, 1))
        for bra, ket in zip(self.tensors, other.tensors, strict=True):
            left = _transfer(left, bra, ket)
        return complex(left[0, 0])

    @cached_property
    def _left(self) -> list[Tensor]:
        """Environments <psi|psi> of the sites left of each site, (bond, bond) each, bra index first."""
        left = [np.ones((1, 1))]
        for tensor in self.tensors[:-1]:
            left.append(_transfer(left[-1], tensor, tensor))
        return left

    def expectation(self, operators: Mapping[int, NDArray[Any]]) -> complex:
        """<O_i O_j ...> for (2, 2) operators by site; identity on the other sites.

        Raises:
            InputError: a site outside the chain.
        """
        if not operators:
            return 1.0 + 0.0j
        first, last = min(operators), max(operators)
        if first < 0 or last >= self.n_sites:
            raise InputError(
                Code.VALUE, f"operator on site {first if first < 0 else last} of a chain of {self.n_sites} sites"
            )
        left = self._left[first]
        for site in range(first, last + 1):
            ket = self.tensors[site]
            if site in operators:
                ket = np.einsum("st,atb->asb", operators[site], ket)
            left = _transfer(left, self.tensors[site], ket)
        return complex(np.trace(left))

    def mpo_expectation(self, mpo: MPO) -> complex:
        """<psi|W|psi> of a matrix-product operator, such as a Hamiltonian."""
        left = np.ones((1, 1, 1))
        for tensor, w in zip(self.tensors, mpo, strict=True):
            half = np.einsum("awb,bsc->awsc", left, tensor, optimize=True)
            half = np.einsum("awsc,wvts->avtc", half, w, optimize=True)
            left = np.einsum("avtc,atd->dvc", half, tensor.conj(), optimize=True)
        return complex(left[0, 0, 0])

    def variance(self, mpo: MPO) -> float:
        """<W^2> - <W>^2, zero for an eigenstate; rounding leaves about 1e-15 of <W>^2."""
        squares = [np.einsum("abij,cdjk->acbdik", w, w).reshape(w.shape[0] ** 2, w.shape[1] ** 2, 2, 2) for w in mpo]
        return float((self.mpo_expectation(squares) - self.mpo_expectation(mpo) ** 2).real)

    def schmidt_values(self) -> list[NDArray[np.float64]]:
        """Schmidt coefficients across each of the N - 1 cuts, largest first."""
        return _svd_sweep(self.tensors, None, 0.0)[1]

    def truncate(self, bond_dim: int | None = None, weight: float = 0.0) -> tuple[MPS, float]:
        """A state of smaller bonds and the weight thrown away.

        Keeps at each cut at most `bond_dim` Schmidt values, and drops the smallest ones as long as
        their squares sum to at most `weight` a cut. Returns (state, discarded), discarded being the sum
        over cuts: 1 - |<self|state>|**2 is at most about that (Schollwoeck 2011, arXiv 1008.3477, 4.5).
        """
        tensors, values = _svd_sweep(self.tensors, bond_dim, weight)
        discarded = sum(float(np.sum(s[t.shape[2] :] ** 2)) for s, t in zip(values, tensors[:-1], strict=True))
        return MPS(tensors), discarded


def _transfer(left: Tensor, bra: Tensor, ket: Tensor) -> Tensor:
    """One site further: (bra bond, ket bond) environment through a bra and a ket tensor."""
    half = np.tensordot(left, ket, axes=1)
    return np.tensordot(bra.conj(), half, axes=((0, 1), (0, 1)))


def _right_canonical(tensors: list[Tensor]) -> list[Tensor]:
    found, carry = right_canonical(tensors)
    found[0] = found[0] * (carry[0, 0] / abs(carry[0, 0]))
    return found


def right_canonical(tensors: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """The same state up to its norm and phase in right-canonical tensors, and the (1, 1) that has the phase.

    Args:
        tensors: (left, ..., right) a site, with any indices between; outer bonds 1.

    Raises:
        InputError: the zero vector.
    """
    out: list[Tensor] = []
    carry = np.ones((1, 1))
    for tensor in reversed(tensors):
        merged = np.tensordot(tensor, carry, axes=1)
        merged = merged / _norm(merged)
        q, r = np.linalg.qr(merged.reshape(merged.shape[0], -1).conj().T)
        out.append(q.conj().T.reshape(-1, *merged.shape[1:]))
        carry = r.conj().T
    return out[::-1], carry


def _norm(tensor: Tensor) -> float:
    norm = float(np.linalg.norm(tensor))
    if norm == 0:
        raise InputError(Code.UNPHYSICAL, "the zero vector is not a state")
    return norm


def _svd_sweep(
    tensors: Sequence[Tensor], bond_dim: int | None, weight: float
) -> tuple[list[Tensor], list[NDArray[np.float64]]]:
    """Left-canonical tensors truncated cut by cut, and all Schmidt values met at each cut."""
    out: list[Tensor] = []
    values: list[NDArray[np.float64]] = []
    carry = np.ones((1, 1))
    for tensor in tensors[:-1]:
        merged = np.tensordot(carry, tensor, axes=1)
        u, s, v = np.linalg.svd(merged.reshape(-1, merged.shape[2]), full_matrices=False)
        tails = np.cumsum(s[::-1] ** 2)[::-1]
        keep = max(1, int(np.sum(tails > weight)))
        keep = min(keep, bond_dim or keep)
        values.append(s)
        out.append(u[:, :keep].reshape(-1, 2, keep))
        carry = s[:keep, None] * v[:keep]
    return [*out, np.tensordot(carry, tensors[-1], axes=1)], values


def _check_tensors(tensors: Sequence[Tensor]) -> None:
    if not len(tensors):
        raise InputError(Code.VALUE, "a state needs at least one qubit, found none")
    bond = 1
    for site, tensor in enumerate(tensors):
        right = 1 if site == len(tensors) - 1 else None
        if tensor.ndim != 3 or tensor.shape[:2] != (bond, 2) or tensor.shape[2] != (right or tensor.shape[2]):
            expected = f"({bond}, 2, {right or 'right'})"
            raise InputError(Code.SHAPE, f"MPS tensor of site {site} has shape {tensor.shape}, expected {expected}")
        if not np.isfinite(tensor).all():
            raise InputError(Code.VALUE, f"MPS tensor of site {site} holds entries that are not finite numbers")
        bond = tensor.shape[2]
