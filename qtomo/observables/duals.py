"""What an outcome says of a Pauli matrix of its qubit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import BASES, PAULIS, POVM

__all__ = ["bit_values", "dual_values"]

Values = NDArray[np.float64]


def dual_values(povm: POVM, n_sites: int) -> tuple[dict[str, Values], dict[str, Values]]:
    """By letter, the value of each outcome at each site, and 1 where it has one: (n_sites, 256) each.

    Raises:
        InputError: a POVM that is not informationally complete.
    """
    values, there = {}, {}
    shape = povm.site_elements(n_sites).shape[:2]
    for letter in "XYZ":
        values[letter], there[letter] = np.zeros((2, n_sites, LOST + 1))
        values[letter][:, : shape[1]] = np.broadcast_to(povm.outcome_values(PAULIS[letter]), shape)
        there[letter][:, : shape[1]] = 1.0
    return values, there


def bit_values(povm: POVM, n_sites: int) -> tuple[dict[str, Values], dict[str, Values]]:
    """The same for shots: f with f_0 E_0 + f_1 E_1 = P, where the effects of the bits of basis P sum to 1.

    Raises:
        InputError: a basis that the noise has turned away from its Pauli.
    """
    elements = 3 * povm.site_elements(n_sites)
    values, there = {}, {}
    for basis, letter in enumerate(BASES):
        effect = elements[:, 2 * basis]  # c 1 + r.sigma
        bloch = np.stack([np.einsum("nij,ji->n", effect, PAULIS[p]).real / 2 for p in BASES], axis=1)
        along = bloch[:, basis]
        turned = np.abs(np.delete(bloch, basis, axis=1)).max(axis=1) > 1e-9
        wrong = np.flatnonzero(turned | (np.abs(along) < 1e-9))
        if len(wrong):
            raise InputError(
                Code.UNSUPPORTED, f"site {wrong[0]}: basis {letter} of POVM '{povm.name}' does not measure {letter}"
            )
        centre = np.einsum("nii->n", effect).real / 2
        values[letter], there[letter] = np.zeros((2, n_sites, LOST + 1))
        values[letter][:, 2 * basis] = (1 - centre) / along
        values[letter][:, 2 * basis + 1] = -centre / along
        there[letter][:, 2 * basis : 2 * basis + 2] = 1.0
    return values, there
