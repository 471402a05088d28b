"""Fidelity with any pure state by its shadow overlap: all qubits in Z but a few neighbours, in any basis.

For a block b of m neighbours and bits z of the others let |psi_z> be the target's state of the block given z, and
Q_b = sum_z |z><z| x |psi_z><psi_z|, without those z that the target forbids. The target is a ground state, of energy 0,
of H = sum_b (1 - Q_b), and if it is the only one, F >= 1 - <H>/gap for every state (Huang, Preskill, Soleimanifar,
arXiv 2404.07281, whose tau is N/gap at m = 1). H is the generator of a Markov chain, and its gap small where bits
have to change one by one: with m = 2 or 3 it is several times as large, and the target may conserve a number of ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.errors import InputError
from qtomo.measurement.povm import BASES, PAULIS, POVM
from qtomo.observables.certificates.base import Certificate, CertificateKind
from qtomo.observables.certificates.pieces import LARGEST, allotted, may_be_planned, pieces_witness
from qtomo.observables.certificates.spectrum import Gap, gap_above
from qtomo.observables.certificates.witness import fidelity_bounds
from qtomo.observables.duals import bit_values
from qtomo.records.records import Records, checked_records
from qtomo.states.mps import MPS

__all__ = ["overlap_gap", "overlap_settings", "overlap_witnesses"]

Reals = NDArray[np.float64]
Indices = NDArray[np.int64]
Tensor = NDArray[Any]

_WIDTHS = (1, 2, 3)
_WIDE_ENOUGH = 0.6  # gap with which no wider block is looked for
_TINY = 1e-9  # norm of a block's state that the target forbids
_SMALLEST_GAP = 1e-3


def overlap_witnesses(
    target: MPS, records: Records, level: float = 0.95, width: int | None = None
) -> list[Certificate]:
    """Lower bounds on the fidelity from shots of `overlap_settings`, or of any list that tells the same.

    Args:
        target: of at most 20 qubits.
        records: bits in listed settings, without readout error, which could not be taken out of what is conditioned on.
        level: confidence, one-sided.
        width: m, neighbours that are read in any basis; that of `overlap_settings` where not given.

    Raises:
        InputError: something else than `Records`, or another number of qubits.
    """
    records = checked_records(records, "overlap_witnesses", target.n_sites)
    if not _is_sharp(records) or not may_be_planned(records, _has_one_block):
        return []
    blocks = _blocks(target, width)
    if blocks is None:
        return []
    witness = pieces_witness(blocks, target, records)
    if witness is None:
        return []
    gap = blocks.gap
    assumptions = [
        f"the target is the only state of overlap 1 for blocks of {blocks.width} qubits: "
        f"gap {gap.value:.4g}, with a residual of {gap.residual:.1g}, which is taken off",
    ]
    return fidelity_bounds(CertificateKind.SHADOW_OVERLAP, witness, level, assumptions)


def overlap_settings(
    target: MPS, total_shots: int, width: int | None = None
) -> tuple[Outcomes, NDArray[np.int64]] | None:
    """The settings of `overlap_witnesses` and the shots of each; None where the target has no bound.

    Args:
        target: of at most 20 qubits.
        total_shots: of all settings.
        width: m, 1 to 3; the smallest with a gap of 0.6 where not given, or that with the largest.
    """
    blocks = _blocks(target, width)
    if blocks is None:
        return None
    patterns = list(itertools.product(range(3), repeat=blocks.width))
    if target.is_real:  # an odd number of Y says nothing of real amplitudes
        patterns = [codes for codes in patterns if codes.count(1) % 2 == 0]
    chosen = set()
    for first in range(blocks.count_blocks):
        for codes in patterns:
            setting = np.full(target.n_sites, 2, np.uint8)
            setting[first : first + blocks.width] = codes
            chosen.add(tuple(setting.tolist()))
    settings = np.array(sorted(chosen, reverse=True), np.uint8)
    return settings, allotted(blocks, target, settings, total_shots)


def overlap_gap(target: MPS, width: int) -> Gap:
    """The gap of H above the target, by Lanczos on all amplitudes.

    Args:
        target: of at most 20 qubits.
        width: m.
    """
    psi = target.to_statevector()
    n = target.n_sites
    shapes = [(2**first, 2**width, 2 ** (n - width - first)) for first in range(n - width + 1)]
    norms = [np.linalg.norm(psi.reshape(shape), axis=1, keepdims=True) for shape in shapes]

    def apply(vector: Tensor) -> Tensor:
        found = len(shapes) * vector
        for shape, norm in zip(shapes, norms, strict=True):
            block = np.divide(psi.reshape(shape), norm, out=np.zeros(shape, psi.dtype), where=norm > _TINY)
            found = found - (block * (block.conj() * vector.reshape(shape)).sum(axis=1, keepdims=True)).reshape(-1)
        return found

    return gap_above(apply, psi, 0.0, float(len(shapes)))


@lru_cache(maxsize=16)
def _blocks(target: MPS, width: int | None) -> _Blocks | None:
    """Blocks of this width, or of the smallest that will do; None where there is no gap or none is known."""
    if target.n_sites > LARGEST:
        return None
    best = None
    for m in (width,) if width else _WIDTHS:
        if m > target.n_sites:
            break
        gap = overlap_gap(target, m)
        if best is None or gap.lower > best.gap.lower:
            best = _Blocks(target, m, gap)
        if best.gap.lower >= _WIDE_ENOUGH:
            break
    return best if best is not None and best.gap.lower >= _SMALLEST_GAP else None


@dataclass(frozen=True, eq=False)
class _Blocks:
    """The overlap's pieces: of each block the 4^m Pauli products, each times what the target gives it."""

    target: MPS
    width: int
    gap: Gap

    @property
    def count_blocks(self) -> int:
        """Blocks of neighbours."""
        return self.target.n_sites - self.width + 1

    @property
    def constant(self) -> float:
        """1 - <H>/gap without any overlap."""
        return 1 - self.count_blocks / self.gap.lower

    @property
    def count(self) -> int:
        """Pieces of all blocks; those that vanish in real states are left out."""
        return self.count_blocks * len(self.products)

    @cached_property
    def products(self) -> list[tuple[str, ...]]:
        """Letters of a block's Pauli products."""
        every = itertools.product("IXYZ", repeat=self.width)
        return [p for p in every if not self.target.is_real or p.count("Y") % 2 == 0]

    @cached_property
    def operators(self) -> Tensor:
        """The products as matrices, (products, 2^m, 2^m)."""
        found = []
        for letters in self.products:
            matrix: Tensor = np.ones((1, 1))
            for letter in letters:
                matrix = np.kron(matrix, PAULIS[letter])
            found.append(matrix)
        return np.array(found)

    def told(self, setting: Outcomes) -> Indices:
        """Products that agree with the setting, of blocks without which all is in Z."""
        size = len(self.products)
        found = [first * size + np.array(mine) for first, mine in self._told(setting)]
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def _told(self, setting: Outcomes) -> Iterator[tuple[int, list[int]]]:
        turned = np.flatnonzero(setting != 2)
        for first in range(self.count_blocks):
            last = first + self.width
            if not len(turned) or (first <= turned[0] and turned[-1] < last):
                basis = [BASES[code] for code in setting[first:last]]
                yield (
                    first,
                    [
                        number
                        for number, letters in enumerate(self.products)
                        if all(p in ("I", q) for p, q in zip(letters, basis, strict=True))
                    ],
                )

    def values(self, setting: Outcomes, bits: Outcomes, povm: POVM) -> Reals:
        """2^-m <psi_z|P|psi_z> times the signs that were read, over the gap."""
        blocks = list(self._told(setting))
        states = self._states(bits, [first for first, _ in blocks])
        signs = 1.0 - 2.0 * bits
        found = []
        for (first, mine), state in zip(blocks, states, strict=True):
            expected = np.einsum("ns,pst,nt->np", state.conj(), self.operators[mine], state, optimize=True).real
            for column, number in enumerate(mine):
                for offset, letter in enumerate(self.products[number]):
                    if letter != "I":
                        expected[:, column] *= signs[:, first + offset]
            found.append(expected / (2**self.width * self.gap.lower))
        return np.concatenate(found, axis=1)

    def reach(self, setting: Outcomes, weights: Reals, povm: POVM) -> float:
        """No expectation is above 1."""
        return float(np.abs(weights).sum()) / float(2**self.width * self.gap.lower)

    def _states(self, bits: Outcomes, firsts: list[int]) -> list[Tensor]:
        """The target's state of each block given the other bits, (n, 2^m) each; 0 where it forbids them."""
        tensors, n, size = self.target.tensors, len(bits), self.target.n_sites
        rights: dict[int, Tensor] = {size: np.ones((n, 1))}
        for site in range(size - 1, min(firsts) + self.width - 1, -1):
            rights[site] = _selected(tensors[site].transpose(2, 1, 0), bits[:, site], rights[site + 1])
        left: Tensor = np.ones((n, 1))
        found: list[Tensor] = []
        for site in range(max(firsts) + 1):
            if site in firsts:
                amplitudes: Tensor = left[:, None, :]
                for tensor in tensors[site : site + self.width]:
                    amplitudes = np.einsum("nka,asb->nksb", amplitudes, tensor).reshape(n, -1, tensor.shape[2])
                block = np.einsum("nkb,nb->nk", amplitudes, rights[site + self.width])
                norm = np.linalg.norm(block, axis=1, keepdims=True)
                found.append(np.divide(block, norm, out=np.zeros_like(block), where=norm > _TINY))
            left = _selected(tensors[site], bits[:, site], left)
        return found


def _selected(tensor: Tensor, bits: Outcomes, vectors: Tensor) -> Tensor:
    """Vectors (n, bond) times the matrix of each row's bit."""
    found: Tensor = np.where(bits[:, None] == 0, vectors @ tensor[:, 0], vectors @ tensor[:, 1])
    return found


def _has_one_block(settings: Outcomes) -> NDArray[np.bool_]:
    """Which settings are all in Z but a few neighbours."""
    turned = settings != 2
    first = turned.argmax(axis=1)
    last = settings.shape[1] - 1 - turned[:, ::-1].argmax(axis=1)
    found: NDArray[np.bool_] = ~turned.any(axis=1) | (last - first < max(_WIDTHS))
    return found


def _is_sharp(records: Records) -> bool:
    """Whether bits are those of X, Y and Z without error."""
    if not records.has_settings:
        return False
    try:
        values, there = bit_values(records.povm, records.n_sites)
    except InputError:
        return False
    return all(np.allclose(np.abs(values[p][there[p] > 0]), 1.0) for p in BASES)
