"""Mixed states of open chains as locally purified density operators.

rho = sum over k of A_k |A_k><A_k| with one purification index k a site (Werner et al. 2016, arXiv 1412.5746): positive
whatever the tensors. A purification index of dimension 2**m is m qubits that nobody measures, so that the state is a
matrix-product state of N (1 + m) qubits, the purification, of which all but the first of each N groups are lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import Code, InputError
from qtomo.states.density import LARGEST_DENSITY, DensityMatrix
from qtomo.states.mps import MPO, MPS

__all__ = ["LPDO"]


class LPDO:
    """A mixed state of N qubits, as the part of a pure state that is not lost.

    Args:
        purification: a state of N (1 + ancillas) qubits; after each of the N its own ancillas follow.
        ancillas: qubits of the purification a site, 0 for a pure state.

    Raises:
        InputError: a number of qubits that is not a multiple of 1 + ancillas.

    >>> from qtomo import GHZ
    >>> LPDO(GHZ(4).state(), ancillas=1).n_sites
    2
    """

    def __init__(self, purification: MPS, ancillas: int = 1) -> None:
        if ancillas < 0 or purification.n_sites % (1 + ancillas):
            expected = f"a multiple of {1 + ancillas} (a qubit and {ancillas} ancillas a site)"
            raise InputError(Code.VALUE, f"a purification of {purification.n_sites} qubits, expected {expected}")
        self.purification = purification
        self.ancillas = ancillas

    @classmethod
    def from_tensors(cls, tensors: Sequence[NDArray[Any]]) -> LPDO:
        """From one (left, 2, purification, right) array a site, of any norm; the purification a power of 2.

        Raises:
            InputError: another purification dimension, or shapes that do not chain.
        """
        kappa = tensors[0].shape[2]
        ancillas = kappa.bit_length() - 1
        if 2**ancillas != kappa or any(tensor.shape[2] != kappa for tensor in tensors):
            raise InputError(
                Code.SHAPE, f"purification dimensions {[t.shape[2] for t in tensors]}, expected one power of 2"
            )
        chain: list[NDArray[Any]] = []
        for tensor in tensors:
            rest, left = tensor, len(tensor)
            for _ in range(ancillas):
                q, r = np.linalg.qr(rest.reshape(2 * left, -1))
                chain.append(q.reshape(left, 2, -1))
                rest, left = r, len(r)
            chain.append(rest.reshape(left, 2, -1))
        return cls(MPS(chain), ancillas)

    @property
    def n_sites(self) -> int:
        """N, the number of qubits, ancillas not among them."""
        return self.purification.n_sites // (1 + self.ancillas)

    @property
    def bond_dims(self) -> tuple[int, ...]:
        """Dimensions of the N - 1 bonds between sites."""
        return self.purification.bond_dims[self.ancillas :: 1 + self.ancillas]

    def __repr__(self) -> str:
        return (
            f"LPDO({self.n_sites} qubits, bond dimension {max(self.bond_dims, default=1)}, "
            f"purification dimension {2**self.ancillas})"
        )

    def tensors(self) -> list[NDArray[Any]]:
        """One (left, 2, purification, right) array a site."""
        found = []
        for site in range(self.n_sites):
            parts = self.purification.tensors[site * (1 + self.ancillas) : (site + 1) * (1 + self.ancillas)]
            merged = parts[0]
            for part in parts[1:]:
                merged = np.tensordot(merged, part, axes=1)
            found.append(merged.reshape(len(parts[0]), 2, 2**self.ancillas, parts[-1].shape[2]))
        return found

    def embed(self, outcomes: Outcomes) -> Outcomes:
        """Records (n, n_sites) as those of the purification, whose ancillas are lost."""
        out = np.full((len(outcomes), self.purification.n_sites), LOST, dtype=np.uint8)
        out[:, :: 1 + self.ancillas] = outcomes
        return out

    def expectation(self, operators: Mapping[int, NDArray[Any]]) -> complex:
        """<O_i O_j ...> for (2, 2) operators by site.

        Raises:
            InputError: a site outside the chain.
        """
        outside = [site for site in operators if not 0 <= site < self.n_sites]
        if outside:
            raise InputError(Code.VALUE, f"operator on site {outside[0]} of a chain of {self.n_sites} sites")
        return self.purification.expectation({site * (1 + self.ancillas): o for site, o in operators.items()})

    def mpo_expectation(self, mpo: MPO) -> complex:
        """Tr(rho W) of a matrix-product operator, such as a Hamiltonian."""
        left = np.ones((1, 1, 1))
        for tensor, w in zip(self.tensors(), mpo, strict=True):
            half = np.einsum("awb,bskc->awskc", left, tensor, optimize=True)
            half = np.einsum("awskc,wvts->avtkc", half, w, optimize=True)
            left = np.einsum("avtkc,atkd->dvc", half, tensor.conj(), optimize=True)
        return complex(left[0, 0, 0])

    def purity(self) -> float:
        """Tr rho**2."""
        return self.overlap(self)

    def overlap(self, other: LPDO) -> float:
        """Tr(rho sigma).

        Raises:
            InputError: another number of qubits.
        """
        if other.n_sites != self.n_sites:
            raise InputError(Code.MISMATCH, f"states of {self.n_sites} and {other.n_sites} qubits have no overlap")
        left = np.ones((1, 1, 1, 1))  # bonds of rho's A and conj A, sigma's A and conj A
        for a, b in zip(self.tensors(), other.tensors(), strict=True):
            half = np.einsum("abcd,aske->bcdske", left, a, optimize=True)
            half = np.einsum("bcdske,btkf->cdstef", half, a.conj(), optimize=True)  # rho_st
            half = np.einsum("cdstef,ctkg->dskefg", half, b, optimize=True)
            left = np.einsum("dskefg,dskh->efgh", half, b.conj(), optimize=True)
        return float(left[0, 0, 0, 0].real)

    def to_density(self) -> DensityMatrix:
        """The density matrix.

        Raises:
            InputError: more than 12 qubits.
        """
        if self.n_sites > LARGEST_DENSITY:
            raise InputError(
                Code.TOO_LARGE, f"a density matrix of {self.n_sites} qubits, expected at most {LARGEST_DENSITY}"
            )
        rho = np.ones((1, 1, 1, 1))  # rows, columns, bonds of A and conj A
        for a in self.tensors():
            step = np.einsum("xyab,aske->xysbke", rho, a, optimize=True)
            step = np.einsum("xysbke,btkf->xsytef", step, a.conj(), optimize=True)
            rows = step.shape[0] * 2
            rho = step.reshape(rows, rows, *step.shape[4:])
        return DensityMatrix(rho[:, :, 0, 0] / np.trace(rho[:, :, 0, 0]))
