"""A measurement of one qubit as a random choice of basis, where it is one.

Pauli-4, Pauli-6, shots with settings and most of their noise are: choose a basis, measure a bit, call the result by a
label. That is how they are sampled fastest, and what a flipped readout bit means. SIC is no such mixture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from qtomo.measurement.povm import PAULIS

__all__ = ["BasisMeasurement", "as_random_bases", "basis_of", "in_kets"]

_NAMED = 1e-6  # how near a Bloch vector is to a pole that gives its name
_EXACT = 1e-10  # how well a mixture of bases has to reproduce the elements


@dataclass(frozen=True)
class BasisMeasurement:
    """One qubit measured in a basis chosen at random, its bit then turned into an outcome at random.

    Args:
        weights: probability of each basis, (bases,).
        kets: the orthonormal kets of each basis, complex (bases, bit, 2).
        labels: probability of each outcome given basis and bit, (bases, bit, outcomes).
    """

    weights: NDArray[np.float64]
    kets: NDArray[np.complex128]
    labels: NDArray[np.float64]

    def elements(self) -> NDArray[np.complex128]:
        """The POVM that it is, complex (outcomes, 2, 2)."""
        projectors = np.einsum("bsi,bsj->bsij", self.kets, self.kets.conj())
        found: NDArray[np.complex128] = np.einsum("b,bsa,bsij->aij", self.weights, self.labels, projectors)
        return found


def basis_of(effect: NDArray[np.complex128]) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """The measurement {effect, 1 - effect} as a basis and a confusion of its bit.

    Returns the kets, complex (bit, 2), and the probabilities of both outcomes given the bit, (bit, 2).
    """
    values, vectors = np.linalg.eigh(effect)
    first = np.clip(values, 0.0, 1.0)
    return vectors.T[::-1], np.stack([first, 1 - first], axis=1)[::-1]


def as_random_bases(elements: NDArray[np.complex128]) -> BasisMeasurement | None:
    """A POVM (K, 2, 2) as a random choice of basis, or None where it is none, as SIC is not.

    Looks for weights C >= 0 with sum_{b,s} C[a,b,s] |b,s><b,s| = M_a and as many of s = 0 as of s = 1 in each
    basis, the bases being those along the elements' own Bloch vectors: a small linear programme.
    """
    bloch = np.stack([np.einsum("aij,ji->a", elements, PAULIS[p]).real / 2 for p in "XYZ"], axis=1)
    traces = np.einsum("aii->a", elements).real / 2
    axes = _axes(bloch)
    n_outcomes, n_bases = len(elements), len(axes)
    # Unknowns C[a, b, s], flattened. Element a: sum C = 2 Tr/2, sum C (-1)^s axis_b = 2 bloch_a.
    signs = np.array([1.0, -1.0])
    features = np.concatenate([np.ones((1, n_bases, 2)), axes.T[:, :, None] * signs], axis=0).reshape(4, -1)
    of_elements = np.kron(np.eye(n_outcomes), features)
    balance = np.tile(np.kron(np.eye(n_bases), signs), n_outcomes)
    wanted = np.concatenate([2 * np.column_stack([traces, bloch]).ravel(), np.zeros(n_bases)])
    system = np.concatenate([of_elements, balance])
    found = optimize.linprog(np.zeros(system.shape[1]), A_eq=system, b_eq=wanted, bounds=(0, None), method="highs")
    if found.x is None or np.abs(system @ found.x - wanted).max() > _EXACT:
        return None
    joint = found.x.reshape(n_outcomes, n_bases, 2).transpose(1, 2, 0)
    weights = joint[:, 0].sum(axis=1)
    used = weights > _EXACT
    kets = np.stack([_kets(axis) for axis in axes[used]])
    given = joint[used] / joint[used].sum(axis=2, keepdims=True)
    return BasisMeasurement(weights[used] / weights[used].sum(), kets, given)


def _axes(bloch: NDArray[np.float64]) -> NDArray[np.float64]:
    """The different directions of some vectors, up to sign, (axes, 3); z where there is none."""
    axes: list[NDArray[np.float64]] = []
    for vector in bloch:
        length = np.linalg.norm(vector)
        if length > 1e-12 and not any(abs(abs(axis @ vector) / length - 1) < 1e-9 for axis in axes):
            axes.append(vector / length)
    return np.array(axes) if axes else np.array([[0.0, 0.0, 1.0]])


def _kets(axis: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Eigenkets of axis.sigma, the +1 one first, with amplitudes as real as can be."""
    _, vectors = np.linalg.eigh(sum(r * PAULIS[p] for r, p in zip(axis, "XYZ", strict=True)))
    return vectors.T[::-1]


_KETS = {
    "|+⟩": (1, 0, 0),
    "|−⟩": (-1, 0, 0),
    "|+i⟩": (0, 1, 0),
    "|−i⟩": (0, -1, 0),
    "|0⟩": (0, 0, 1),
    "|1⟩": (0, 0, -1),
}


def in_kets(elements: NDArray[np.complex128]) -> list[str]:
    """What each element of a POVM (K, 2, 2) says of the qubit: the ket it projects on, or those of bases that it
    stands for, or its direction.

    >>> from qtomo.measurement.povm import named_povm
    >>> in_kets(named_povm("pauli4").elements)[:2]
    ['|0⟩', '|+⟩']
    """
    vectors = np.stack([np.einsum("aij,ji->a", elements, PAULIS[p]).real for p in "XYZ"], axis=1)
    vectors = vectors / np.einsum("aii->a", elements).real[:, None]
    bases = None if np.allclose(np.linalg.norm(vectors, axis=1), 1) else as_random_bases(elements)
    words = []
    for outcome, vector in enumerate(vectors):
        if abs(np.linalg.norm(vector) - 1) < _EXACT or bases is None:
            words.append(_ket(vector))
            continue
        shares = bases.weights[:, None] * bases.labels[:, :, outcome]
        kets = bases.kets[shares > shares.max() / 2]
        blochs = np.stack([np.einsum("bi,ij,bj->b", kets.conj(), PAULIS[p], kets).real for p in "XYZ"], axis=1)
        words.append(" or ".join(_ket(bloch) for bloch in blochs))
    return words


def _ket(bloch: NDArray[np.float64]) -> str:
    """A ket by its Bloch vector."""
    for name, pole in _KETS.items():
        if np.abs(bloch - pole).max() < _NAMED:
            return name
    return f"along ({', '.join(f'{part:.2f}' for part in bloch)})"
