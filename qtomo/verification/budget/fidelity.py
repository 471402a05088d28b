"""The fidelity of a pure target after channels of each qubit, F = <psi|E(|phi><phi|)|psi>, and its slopes.

Environments of psi*, psi, phi and phi*, four bonds, go from site to site; no matrix of pairs of bonds by pairs of bonds
is made but them. F is linear in each qubit's transfer matrix T, so that the two environments of a qubit give all its
slopes, G_pq = dF/dT_pq.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.measurement.povm import PAULIS
from qtomo.states.mps import MPS

__all__ = ["Fidelity"]

Reals = NDArray[np.float64]
Tensor = NDArray[Any]

_WEIGHT = 1e-10  # Schmidt weight that is left out a cut: F is right to about 1e-8 at N = 50, critical
_STACK = np.stack([PAULIS[p] for p in "IXYZ"])


class Fidelity:
    """F of a target by the transfer matrices of its qubits, (n_sites, 4, 4) with T_pq = Tr(sigma_p E(sigma_q))/2.

    Args:
        target: psi.
        prepared: phi, what was there before the channels; the target where not given.

    >>> from qtomo import GHZ
    >>> dephased = np.tile(np.diag([1.0, 0.8, 0.8, 1.0]), (3, 1, 1))
    >>> round(Fidelity(GHZ(3).state())(dephased), 6)  # (1 + 0.8**3)/2
    0.756
    """

    def __init__(self, target: MPS, prepared: MPS | None = None) -> None:
        small = target.truncate(weight=_WEIGHT)[0]
        self._psi = small.tensors
        self._phi = small.tensors if prepared is None else prepared.truncate(weight=_WEIGHT)[0].tensors

    def __call__(self, transfer: Reals) -> float:
        """F."""
        left: Tensor = np.ones((1, 1, 1, 1))
        for site, one in enumerate(transfer):
            left = self._closed(site, self._opened(site, left), one)
        return float(left[0, 0, 0, 0].real)

    def with_slopes(self, transfer: Reals) -> tuple[float, Reals]:
        """F, and its slope in each entry of each transfer matrix, (n_sites, 4, 4)."""
        opened, left = [], np.ones((1, 1, 1, 1))
        for site, one in enumerate(transfer):
            opened.append(self._opened(site, left))
            left = self._closed(site, opened[-1], one)
        slopes = np.empty((len(transfer), 4, 4))
        right: Tensor = np.ones((1, 1, 1, 1))
        for site in reversed(range(len(transfer))):
            mine = self._from_right(site, right)
            # (v s, rest) of phi with (t u, rest) of psi
            table = opened[site].transpose(2, 3, 0, 1, 4, 5).reshape(4, -1) @ mine.reshape(4, -1).T
            slopes[site] = np.einsum("ptu,qvs,svtu->pq", _STACK, _STACK, table.reshape(2, 2, 2, 2)).real / 2
            right = self._passed(site, mine, transfer[site])
        return float(left[0, 0, 0, 0].real), slopes

    def _opened(self, site: int, left: Tensor) -> Tensor:
        """An environment through phi and phi* of a site: (psi*, psi, s, v, phi, phi*)."""
        phi = self._phi[site]
        a, b, c, d = left.shape
        # (a b d) (s c') from (a b d, c) (c, s c'), then (a b s c', v d') by phi*
        half = left.transpose(0, 1, 3, 2).reshape(a * b * d, c) @ phi.reshape(c, -1)
        half = half.reshape(a, b, d, 2, -1).transpose(0, 1, 3, 4, 2)
        whole = half.reshape(-1, d) @ phi.conj().reshape(d, -1)
        found: Tensor = whole.reshape(a, b, 2, phi.shape[2], 2, phi.shape[2]).transpose(0, 1, 2, 4, 3, 5)
        return found

    def _closed(self, site: int, opened: Tensor, transfer: Reals) -> Tensor:
        """That through the channel and psi*, psi: an environment of the next site."""
        psi = self._psi[site]
        a, b, _, _, c, d = opened.shape
        channel = _channel(transfer)  # (t u, s v)
        moved = channel @ opened.transpose(2, 3, 0, 1, 4, 5).reshape(4, -1)
        moved = moved.reshape(2, 2, a, b, c, d)  # t, u
        half = psi.conj().transpose(2, 1, 0).reshape(-1, 2 * a) @ moved.transpose(0, 2, 1, 3, 4, 5).reshape(2 * a, -1)
        half = half.reshape(-1, 2 * b, c * d)  # a', (u b), (c d)
        found = np.einsum("xy,ayz->axz", psi.transpose(2, 1, 0).reshape(-1, 2 * b), half, optimize=True)
        return np.asarray(found.reshape(psi.shape[2], psi.shape[2], c, d))

    def _from_right(self, site: int, right: Tensor) -> Tensor:
        """An environment from the right through psi* and psi of a site: (t, u, psi*, psi, phi, phi*)."""
        psi = self._psi[site]
        a, b, c, d = right.shape
        half = psi.conj().reshape(-1, a) @ right.reshape(a, -1)  # (left t), (b c d)
        half = half.reshape(psi.shape[0], 2, b, c * d)
        found = np.einsum("yub,atbz->tuayz", psi, half, optimize=True)
        return np.asarray(found.reshape(2, 2, psi.shape[0], psi.shape[0], c, d))

    def _passed(self, site: int, mine: Tensor, transfer: Reals) -> Tensor:
        """That through the channel and phi, phi*: an environment from the right of the site before."""
        phi = self._phi[site]
        _, _, a, b, c, d = mine.shape
        moved = _channel(transfer).T @ mine.reshape(4, -1)  # (s v), ...
        moved = moved.reshape(2, 2, a * b, c, d)
        half = np.einsum("xsc,svncd->vnxd", phi, moved, optimize=True)
        found = np.einsum("yvd,vnxd->nxy", phi.conj(), half, optimize=True)
        return np.asarray(found.reshape(a, b, phi.shape[0], phi.shape[0]))


def _channel(transfer: Reals) -> Tensor:
    """S with E(|s><v|) = sum_tu S_tu,sv |t><u|, (4, 4); real where it can be."""
    found = np.einsum("pq,ptu,qvs->tusv", transfer, _STACK, _STACK).reshape(4, 4) / 2
    return np.asarray(found.real if np.abs(found.imag).max() < 1e-14 else found)
