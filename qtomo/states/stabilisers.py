"""Stabiliser states by the Pauli products that leave them as they are (Gottesman 1997, quant-ph/9705052).

A product of Paulis is i^r X^x Z^z with bits x and z by site; the letters I, X, Y, Z stand for (x, z) = 00, 10, 11, 01.
Products of generators are sums of their bits modulo 2, with a phase that comes from Z's passing X's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError

if TYPE_CHECKING:
    from qtomo.states.state import State
    from qtomo.states.system import System

__all__ = ["Stabilised", "Stabilisers", "echelon", "kernel", "solved", "stabilisers_of"]

Bits = NDArray[np.uint8]

_LETTERS = "IXZY"  # by x + 2 z
_SPINS = {"X": (1, 0), "Y": (1, 1), "Z": (0, 1)}  # x and z by letter, in the order in which settings count bases


@dataclass(frozen=True, eq=False)
class Stabilisers:
    """N independent commuting Pauli products of N qubits, each with value +1 in the state.

    Args:
        x: where a generator has an X or a Y, uint8 (N, N), a generator a row.
        z: where it has a Z or a Y, (N, N).
        negative: whether it has a minus sign, (N,).

    Raises:
        InputError: generators that do not commute, or that are not independent.
    """

    x: Bits
    z: Bits
    negative: Bits

    def __post_init__(self) -> None:
        crossing = self.x.astype(np.int64) @ self.z.T
        wrong = np.argwhere((crossing + crossing.T) % 2)
        if len(wrong):
            raise InputError(Code.UNPHYSICAL, f"stabilisers {wrong[0][0]} and {wrong[0][1]} do not commute")
        if len(kernel(np.concatenate([self.x, self.z], axis=1).T)):
            raise InputError(Code.UNPHYSICAL, "stabilisers are not independent: one is the product of others")

    @classmethod
    def from_products(cls, products: Sequence[str]) -> Self:
        """From words such as `-XZI`, one letter a site, site 0 first.

        Raises:
            InputError: another letter or length, or as the class.

        >>> Stabilisers.from_products(["XX", "ZZ"]).n_sites
        2
        """
        n = len(products)
        x, z, negative = np.zeros((n, n), np.uint8), np.zeros((n, n), np.uint8), np.zeros(n, np.uint8)
        for row, word in enumerate(products):
            letters = word.lstrip("+-")
            if len(letters) != n or set(letters) - set(_LETTERS):
                raise InputError(Code.SYNTAX, f"stabiliser '{word}', expected {n} letters of I, X, Y, Z")
            negative[row] = word.startswith("-")
            x[row] = [letter in "XY" for letter in letters]
            z[row] = [letter in "YZ" for letter in letters]
        return cls(x, z, negative)

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""
        return len(self.negative)

    def __str__(self) -> str:
        signs = np.where(self.negative, "-", "+")
        return " ".join(
            sign + "".join(_LETTERS[code] for code in row) for sign, row in zip(signs, self.x + 2 * self.z, strict=True)
        )

    def elements(self, chosen: Bits) -> tuple[Bits, Bits, NDArray[np.int64]]:
        """Products of chosen generators.

        Args:
            chosen: which, 0 or 1, (m, N).

        Returns:
            x and z, uint8 (m, N) each, and signs, 1 or -1, (m,).
        """
        x, z = np.zeros((2, len(chosen), self.n_sites), np.uint8)
        phase = np.zeros(len(chosen), np.int64)  # r of i^r
        for row, taken in enumerate(chosen.T.astype(bool)):
            own = int((self.x[row] & self.z[row]).sum()) + 2 * int(self.negative[row])
            phase[taken] += own + 2 * (z[taken] & self.x[row]).sum(axis=1, dtype=np.int64)
            x[taken] ^= self.x[row]
            z[taken] ^= self.z[row]
        signs = 1 - ((phase - (x & z).sum(axis=1, dtype=np.int64)) % 4)
        return x, z, signs

    def measured_in(self, setting: Bits) -> Bits:
        """Independent elements that a setting measures, as chosen generators (k, N).

        Args:
            setting: basis of each site, 0 X, 1 Y, 2 Z, (N,).
        """
        spins = np.array(list(_SPINS.values()), np.uint8)[setting]
        return kernel(((self.x * spins[:, 1] + self.z * spins[:, 0]) % 2).T)

    def drawn_as(self, settings: Bits) -> Iterator[tuple[NDArray[np.int64], Bits, Bits]]:
        """The elements that settings were drawn for, where sites without a letter are measured in Z: those with X and Y
        exactly where the setting has them.

        Args:
            settings: 0 X, 1 Y, 2 Z, (S, N).

        Yields:
            for settings with X or Y at the same sites: their rows (m,); one element each, as chosen generators (m, N);
            and independent elements of Z alone (k, N), any product of which times the first is drawn for it too.
        """
        turned = settings != 2
        chosen, there, beside = solved(self.x.T, turned.T.astype(np.uint8))
        rows = np.flatnonzero(there)  # whose places of X and Y are those of some elements
        if not len(beside):  # of one each, as of graph states, whose generators X tells apart
            wrong = ((chosen[rows] @ self.z + (settings[rows] == 1)) % 2 == 1) & turned[rows]
            rows = rows[~wrong.any(axis=1)]
            yield rows, chosen[rows], beside
            return
        patterns, inverse = np.unique(turned[rows], axis=0, return_inverse=True)
        for index in range(len(patterns)):
            pattern: NDArray[np.bool_] = patterns[index]
            mine = rows[inverse.reshape(-1) == index]
            matrix = np.concatenate([self.x.T, self.z.T[pattern]])
            right = np.concatenate([turned[mine].T, (settings[mine] == 1)[:, pattern].T]).astype(np.uint8)
            chosen, there, beside = solved(matrix, right)
            if there.any():
                yield mine[there], chosen[there], beside

    def draw_settings(self, n: int, generator: np.random.Generator) -> Bits:
        """Settings of stabilisers drawn at random, with Z where they have no letter: 0 X, 1 Y, 2 Z, (n, N)."""
        x, z, _ = self.elements(generator.integers(0, 2, (n, self.n_sites), dtype=np.uint8))
        return np.where(x == 0, 2, z).astype(np.uint8)

    def covering_settings(self) -> Bits:
        """A few settings that together measure all generators, each where it first fits; Z where none has a letter."""
        codes, bins = self.x + 2 * self.z, list[Bits]()
        for row in codes:
            for taken in bins:
                if not ((taken != 0) & (row != 0) & (taken != row)).any():
                    np.copyto(taken, row, where=taken == 0)
                    break
            else:
                bins.append(row.copy())
        bases = np.array([2, 0, 2, 1], np.uint8)  # of I, X, Z, Y
        found: Bits = bases[np.stack(bins)]
        return found

    def rank_together(self, chosen: Sequence[Bits]) -> int:
        """How many independent elements there are in several sets of chosen generators."""
        rows = np.concatenate(chosen) if chosen else np.zeros((0, self.n_sites), np.uint8)
        return len(rows) - len(kernel(rows.T))


@runtime_checkable
class Stabilised(Protocol):
    """A system whose state has stabilisers, or may have them."""

    def stabilisers(self) -> Stabilisers | None:
        """Generators; None where the state is not known to be a stabiliser state."""


def stabilisers_of(system: System | State | None) -> Stabilisers | None:
    """The stabilisers of a system; None where its state is not known to be a stabiliser state.

    >>> from qtomo import GHZ, W
    >>> str(stabilisers_of(GHZ(2))), stabilisers_of(W(2))
    ('+XX +ZZ', None)
    """
    return system.stabilisers() if isinstance(system, Stabilised) else None


def kernel(matrix: Bits) -> Bits:
    """A basis of the vectors v with matrix v = 0 modulo 2, as rows."""
    return solved(matrix, np.zeros((len(matrix), 0), np.uint8))[2]


def echelon(matrix: Bits, columns: int) -> tuple[Bits, list[int]]:
    """The reduced row echelon form modulo 2 of the first columns, rows of zeros last, and the column where each of the
    other rows has its first one. What stands in further columns follows its row."""
    work = matrix.astype(np.uint8) % 2
    pivots: list[int] = []
    for column in range(columns):
        rank = len(pivots)
        below = np.flatnonzero(work[rank:, column])
        if not len(below):
            continue
        other = rank + int(below[0])
        work[[rank, other]] = work[[other, rank]]
        others = work[:, column].astype(bool)
        others[rank] = False
        work[others] ^= work[rank]
        pivots.append(column)
    return work, pivots


def solved(matrix: Bits, right: Bits) -> tuple[Bits, NDArray[np.bool_], Bits]:
    """Solutions of matrix v = r modulo 2 for each column r of `right`: one each as rows, whether there is one, and a
    basis of what may be added to them.
    """
    n = matrix.shape[1]
    work, pivots = echelon(np.concatenate([matrix, right], axis=1), n)
    rank = len(pivots)
    solutions = np.zeros((right.shape[1], n), np.uint8)
    solutions[:, pivots] = work[:rank, n:].T
    free = np.setdiff1d(np.arange(n), pivots)
    basis = np.zeros((len(free), n), np.uint8)
    basis[np.arange(len(free)), free] = 1
    basis[:, pivots] = work[:rank, free].T
    there = np.logical_not(work[rank:, n:].any(axis=0))
    return solutions, np.atleast_1d(there), basis
