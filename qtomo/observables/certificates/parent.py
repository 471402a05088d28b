"""Fidelity by the energy of a Hamiltonian that has the target as its only ground state: F >= 1 - (<H> - E0)/gap.

The Hamiltonian is the target's own where it has one, such as a Heisenberg chain; or the parent Hamiltonian of a
matrix-product state, the sum over blocks of neighbours of the projector on what the target's reduced state of the block
leaves out (Cramer et al. 2010, arXiv 1101.4366). Terms are Pauli products of neighbours, told by settings that repeat.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping
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
from qtomo.observables.certificates.witness import Witness, fidelity_bounds
from qtomo.observables.duals import bit_values, dual_values
from qtomo.observables.fidelity.base import Aim
from qtomo.records.records import Records, checked_records
from qtomo.states.mps import MPS
from qtomo.states.system import System
from qtomo.statistics.bounds import IndependentTerms

__all__ = ["Parent", "parent_of", "parent_settings", "parent_witnesses"]

Reals = NDArray[np.float64]
Indices = NDArray[np.int64]
Tensor = NDArray[Any]

_WIDTHS = (2, 3, 4, 5)
_WIDEST = 4  # longest term of a system's own Hamiltonian
_RANK = 1e-10  # weight of a block's reduced state that counts as none
_WIDE_ENOUGH = 0.1  # gap with which no wider blocks are looked for
_SMALLEST_GAP, _LARGEST_VARIANCE = 1e-3, 1e-8
_SMALLEST_TERM = 1e-10

#: A Pauli product: first site, and a letter for each site from there.
Product = tuple[int, str]


def parent_witnesses(aim: Aim, records: Records, level: float = 0.95) -> list[Certificate]:
    """Lower bounds on the fidelity from listed settings, random bases or a POVM.

    Args:
        aim: the target, of at most 20 qubits.
        records: of any design; `parent_settings` tell all terms.
        level: confidence, one-sided.

    Raises:
        InputError: something else than `Records`, or another number of qubits.
    """
    records = checked_records(records, "parent_witnesses", aim.n_sites)
    if not may_be_planned(records, _repeats):
        return []
    parent = parent_of(aim)
    if parent is None:
        return []
    try:
        listed = records.design == "listed"
        witness = pieces_witness(parent, aim.state, records) if listed else _by_duals(parent, records.whole())
    except InputError:  # a measurement that does not tell the terms
        return []
    if witness is None:
        return []
    source = "the target's own Hamiltonian" if parent.width == 0 else f"a parent Hamiltonian of {parent.width} qubits"
    assumptions = [
        f"{source}, its ground state unique with gap {parent.gap.value:.4g}, with a residual of "
        f"{parent.gap.residual:.1g}, which is taken off",
    ]
    return fidelity_bounds(CertificateKind.PARENT_HAMILTONIAN, witness, level, assumptions)


def parent_settings(aim: Aim, total_shots: int) -> tuple[Outcomes, NDArray[np.int64]] | None:
    """Settings that repeat along the chain and tell every term, and the shots of each; None where there is no bound.

    Args:
        aim: the target, of at most 20 qubits.
        total_shots: of all settings.
    """
    parent = parent_of(aim)
    if parent is None:
        return None
    length = max(len(letters) for _, letters in parent.products)
    patterns = itertools.product(range(3), repeat=length)
    settings = np.array([np.resize(np.array(p, np.uint8), aim.n_sites) for p in patterns])
    told = [parent.told(setting) for setting in settings]
    counts = np.zeros(parent.count, dtype=np.int64)
    for mine in told:
        counts[mine] += 1
    kept = []
    for number in sorted(range(len(settings)), key=lambda each: len(told[each])):
        mine = told[number]
        if (counts[mine] > 1).all():
            counts[mine] -= 1  # the other settings tell all that this one does
        else:
            kept.append(number)
    chosen = settings[sorted(kept)]
    return chosen, allotted(parent, aim.state, chosen, total_shots)


@dataclass(frozen=True, eq=False)
class Parent:
    """A Hamiltonian with the target as its only ground state, as Pauli products of neighbours.

    Args:
        terms: by product, its coefficient.
        energy: of the target, with the identity's part.
        identity: the coefficient of the identity.
        gap: above the target.
        width: qubits of a block; 0 for a system's own Hamiltonian.
    """

    terms: Mapping[Product, float]
    energy: float
    identity: float
    gap: Gap
    width: int

    @cached_property
    def products(self) -> list[Product]:
        """The products, in an order."""
        return sorted(self.terms)

    @property
    def constant(self) -> float:
        """1 - (<H> - E0)/gap without the products."""
        return 1 - (self.identity - self.energy) / self.gap.lower

    @property
    def count(self) -> int:
        """Number of products."""
        return len(self.terms)

    def told(self, setting: Outcomes) -> Indices:
        """Products that agree with the setting where they are not the identity."""
        text = "".join(BASES[code] for code in setting)
        found = [
            number
            for number, (first, letters) in enumerate(self.products)
            if all(p in ("I", q) for p, q in zip(letters, text[first:], strict=False))
        ]
        return np.array(found, dtype=np.int64)

    def values(self, setting: Outcomes, bits: Outcomes, povm: POVM) -> Reals:
        """The products' values, times minus their coefficients over the gap."""
        lookup = self._lookup(setting, povm)
        signs = lookup[np.arange(len(setting)), bits]
        mine = self.told(setting)
        found = np.empty((len(bits), len(mine)))
        for column, number in enumerate(mine):
            found[:, column] = self._weight(number) * signs[:, self._sites(number)].prod(axis=1)
        return found

    def reach(self, setting: Outcomes, weights: Reals, povm: POVM) -> float:
        """The sum of the largest values."""
        largest = np.abs(self._lookup(setting, povm)).max(axis=1)
        sizes = [abs(self._weight(number)) * largest[self._sites(number)].prod() for number in self.told(setting)]
        return float(np.abs(weights) @ np.array(sizes))

    def _weight(self, number: int) -> float:
        return -self.terms[self.products[number]] / self.gap.lower

    def _sites(self, number: int) -> list[int]:
        first, letters = self.products[number]
        return [first + offset for offset, letter in enumerate(letters) if letter != "I"]

    def _lookup(self, setting: Outcomes, povm: POVM) -> Reals:
        """The value of bits 0 and 1 at each site, (n_sites, 2)."""
        values, _ = bit_values(povm, len(setting))
        found = [values[BASES[code]][site, [2 * code, 2 * code + 1]] for site, code in enumerate(setting)]
        return np.array(found)


def _repeats(settings: Outcomes) -> NDArray[np.bool_]:
    """Which settings repeat after a few sites."""
    every = [(settings[:, period:] == settings[:, :-period]).all(axis=1) for period in range(1, max(_WIDTHS) + 1)]
    found: NDArray[np.bool_] = np.any(every, axis=0)
    return found


def parent_of(aim: Aim) -> Parent | None:
    """A Hamiltonian that bounds the fidelity with a target; None where none is known.

    The target's own where it is given as one and the target is found to be its lowest state; otherwise the parent
    Hamiltonian of the shortest blocks, of 2 to 5 qubits, that leave the target alone with
    a gap of 0.1, or with the largest.
    """
    if not 2 <= aim.n_sites <= LARGEST:
        return None
    return _own(aim.state, aim.system) or _of_blocks(aim.state)


@lru_cache(maxsize=16)
def _own(state: MPS, system: System | None) -> Parent | None:
    terms = system.terms() if system is not None else ()
    if not terms or any(max(p) - min(p) >= _WIDEST for _, p in terms if p):
        return None
    products: dict[Product, float] = defaultdict(float)
    identity = 0.0
    for coefficient, product in terms:
        if product:
            span = range(min(product), max(product) + 1)
            products[span.start, "".join(product.get(site, "I") for site in span)] += coefficient
        else:
            identity += coefficient
    return _checked(state, products, identity, 0)


@lru_cache(maxsize=16)
def _of_blocks(state: MPS) -> Parent | None:
    best = None
    for width in _WIDTHS:
        if width > state.n_sites:
            break
        products: dict[Product, float] = defaultdict(float)
        identity, empty = 0.0, 0
        for first in range(state.n_sites - width + 1):
            block = np.eye(2**width) - _range_projector(state, first, width)
            empty += int(np.linalg.norm(block) < 0.5)
            parts = _pauli_parts(block, width)
            identity += parts.pop("I" * width, 0.0)
            for letters, coefficient in parts.items():
                start = len(letters) - len(letters.lstrip("I"))
                products[first + start, letters.strip("I")] += coefficient
        if empty <= state.n_sites // 2:
            found = _checked(state, products, identity, width)
            if found is not None and (best is None or found.gap.lower > best.gap.lower):
                best = found
            if best is not None and best.gap.lower >= _WIDE_ENOUGH:
                break
    return best


def _range_projector(state: MPS, first: int, width: int) -> Tensor:
    """The projector on the range of the reduced state of a block, (2^width, 2^width)."""
    left: Tensor = np.ones((1, 1))
    for tensor in state.tensors[:first]:
        left = np.einsum("ab,asc,bsd->cd", left, tensor.conj(), tensor, optimize=True)
    weights, vectors = np.linalg.eigh(left)
    block: Tensor = (np.sqrt(np.maximum(weights, 0.0))[:, None] * vectors.conj().T)[:, None, :]
    for tensor in state.tensors[first : first + width]:
        block = np.einsum("aks,stb->aktb", block, tensor).reshape(block.shape[0], -1, tensor.shape[2])
    matrix = block.transpose(1, 0, 2).reshape(2**width, -1)
    u, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    kept = u[:, sizes**2 > _RANK]
    projector: Tensor = kept @ kept.conj().T
    return projector


def _pauli_parts(matrix: Tensor, width: int) -> dict[str, float]:
    """A Hermitian matrix as a sum of Pauli products, by letters."""
    tensor = matrix.reshape((2,) * (2 * width))
    every = np.array([PAULIS[p] for p in "IXYZ"])
    for rows in range(width, 0, -1):  # the first row index and its column index, for a Pauli index at the end
        tensor = np.tensordot(tensor, every, axes=((0, rows), (2, 1)))
    flat = tensor.reshape(-1).real / 2**width
    letters = ("".join(p) for p in itertools.product("IXYZ", repeat=width))
    return {p: float(c) for p, c in zip(letters, flat, strict=True) if abs(c) > _SMALLEST_TERM}


def _checked(state: MPS, products: Mapping[Product, float], identity: float, width: int) -> Parent | None:
    """The Hamiltonian, if the target is its lowest state with a gap."""
    n, psi = state.n_sites, state.to_statevector()
    blocks = _summed(products)
    real = np.isrealobj(psi) and all(np.abs(block.imag).max() < 1e-12 for block in blocks.values())
    blocks = {place: block.real if real else block for place, block in blocks.items()}

    def apply(vector: Tensor) -> Tensor:
        found: Tensor = identity * vector
        for (first, length), block in blocks.items():
            shaped = vector.reshape(2**first, 2**length, 2 ** (n - first - length))
            found = found + np.einsum("st,atb->asb", block, shaped, optimize=True).reshape(-1)
        return found

    applied = apply(psi)
    energy = float(np.vdot(psi, applied).real)
    scale = sum(abs(c) for c in products.values())
    if np.linalg.norm(applied - energy * psi) > _LARGEST_VARIANCE**0.5 * max(scale, 1.0):
        return None
    ground = psi if real else psi.astype(np.complex128)
    gap = gap_above(apply, ground, energy, 2 * scale)
    return Parent(dict(products), energy, identity, gap, width) if gap.lower > _SMALLEST_GAP else None


def _summed(products: Mapping[Product, float]) -> dict[tuple[int, int], Tensor]:
    """Matrices by first site and length."""
    found: dict[tuple[int, int], Tensor] = {}
    for (first, letters), coefficient in products.items():
        matrix: Tensor = np.full((1, 1), coefficient, dtype=np.complex128)
        for letter in letters:
            matrix = np.kron(matrix, PAULIS[letter])
        place = (first, len(letters))
        found[place] = found[place] + matrix if place in found else matrix
    return found


def _by_duals(parent: Parent, records: Records) -> Witness | None:
    """The bound from dual values of every shot, whose bases were drawn at random or which has a POVM's outcome."""
    if not len(records):
        return None
    lookup, _ = dual_values(records.povm, records.n_sites)
    labels, n = records.labels, len(records)
    total, reach, squares = np.zeros(n), 0.0, 0.0
    for number, (first, letters) in enumerate(parent.products):
        value = np.full(n, parent._weight(number))
        largest = abs(parent._weight(number))
        for offset, letter in enumerate(letters):
            if letter != "I":
                table = lookup[letter][first + offset]
                value *= table[labels[:, first + offset]]
                largest *= float(np.abs(table).max())
        total += value
        reach += largest
        squares += largest * abs(parent._weight(number))  # 3^k for k letters in random bases
    mean = 1 - parent.constant  # in the target
    sums = IndependentTerms((total - mean) / n, -(reach + abs(mean)) / n, (reach + abs(mean)) / n, (squares / n) ** 0.5)
    return Witness(sums)
