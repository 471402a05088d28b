"""What is called X, Y, Z may be another axis, or its bit the other one: the 48 signed permutations of three axes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.measurement.povm import BASES, PAULIS, POVM
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.verification.faults.base import FaultKind

__all__ = ["AXES", "Axes"]


@dataclass(frozen=True)
class Axes:
    """A signed permutation of the axes: what is called X, Y, Z is +-X, +-Y, +-Z.

    Args:
        order: the true axis of each.
        flips: whether its bit is the other one.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @property
    def kind(self) -> FaultKind:
        """Bits exchanged where each basis has its own name, else bases relabelled."""
        return FaultKind.BITS_EXCHANGED if self.order == (0, 1, 2) else FaultKind.BASES_RELABELLED

    @property
    def detail(self) -> str:
        """The variant in words."""
        flipped = [letter for letter, flip in zip(BASES, self.flips, strict=True) if flip]
        bits = (
            ""
            if not flipped
            else "0 and 1 exchanged"
            if len(flipped) == 3
            else f"bits of {' and '.join(flipped)} flipped"
        )
        moved = [f"{BASES[i]} is {BASES[true]}" for i, true in enumerate(self.order) if i != true]
        if not moved:
            return "" if len(flipped) == 3 else f"in basis {' and '.join(flipped)}"
        names = " and ".join(BASES[i] for i, true in enumerate(self.order) if i != true)
        bases = f"{names} exchanged" if len(moved) == 2 else ", ".join(moved)
        return f"{bases}, {bits}" if bits else bases

    def labels(self) -> NDArray[np.uint8]:
        """The true element of each of 2 * basis + bit."""
        return np.array([2 * self.order[b] + (s ^ self.flips[b]) for b in range(3) for s in (0, 1)], dtype=np.uint8)

    def elements(self, povm: POVM) -> NDArray[np.complex128]:
        """The elements of the measurement with its axes so moved."""
        if povm.measures_bases:
            return povm.elements[..., self.labels(), :, :]
        rotation = np.zeros((3, 3))
        for axis, (true, flip) in enumerate(zip(self.order, self.flips, strict=True)):
            rotation[true, axis] = -1.0 if flip else 1.0
        bloch = pauli_coefficients(povm.elements)
        moved = np.concatenate([bloch[..., :1], bloch[..., 1:] @ rotation.T], axis=-1)
        found: NDArray[np.complex128] = np.einsum("...p,pij->...ij", moved, np.stack([PAULIS[p] for p in "IXYZ"]))
        return found


#: All but the identity.
AXES = tuple(
    Axes((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))
    for order in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=3)
    if order != (0, 1, 2) or any(flips)
)
