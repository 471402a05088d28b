"""Measurements of one qubit: POVM elements, their duals and the named POVMs.

A POVM (positive operator-valued measure) is a set of positive operators M_a with sum 1; outcome a
of a qubit in state rho has probability Tr(M_a rho). A record of N qubits is N outcomes, one POVM per
site. The elements may be the same on each site, shape (K, 2, 2), or given per site, shape (N, K, 2, 2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtomo.errors import Code, InputError

__all__ = ["BASES", "NAMED_POVMS", "PAULIS", "POVM", "are_bases", "named_povm", "parse_axes"]

#: Single-qubit Pauli matrices by letter, complex128 (2, 2), in the basis |0>, |1>.
PAULIS: dict[str, NDArray[np.complex128]] = {
    "I": np.eye(2, dtype=np.complex128),
    "X": np.array([[0, 1], [1, 0]], dtype=np.complex128),
    "Y": np.array([[0, -1j], [1j, 0]], dtype=np.complex128),
    "Z": np.array([[1, 0], [0, -1]], dtype=np.complex128),
}

#: Letters of the bases that a shot's setting counts, 0, 1, 2.
BASES = "XYZ"

_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class POVM:
    """A measurement of each qubit by the same, or by site-dependent, POVM elements.

    Args:
        elements: complex (K, 2, 2), one POVM for every site, or (N, K, 2, 2), one per site.
        name: how tables and files call it; for display only, nothing is decided by it.

    Raises:
        InputError: wrong shape, entries that are not finite, an element that is not Hermitian or
            not positive, or elements that do not sum to the identity; says which one.

    >>> povm = named_povm("pauli4")
    >>> povm.n_outcomes, povm.is_complete
    (4, True)
    """

    elements: NDArray[np.complex128]
    name: str = "custom"

    def __init__(self, elements: ArrayLike, name: str = "custom") -> None:
        array = np.array(elements, dtype=np.complex128)
        _check_elements(array, name)
        array.setflags(write=False)
        object.__setattr__(self, "elements", array)
        object.__setattr__(self, "name", name)

    @property
    def n_outcomes(self) -> int:
        """K, the number of outcomes of one qubit."""
        return int(self.elements.shape[-3])

    @property
    def n_sites(self) -> int | None:
        """N where the elements are given per site, None where one POVM serves any chain."""
        return None if self.elements.ndim == 3 else self.elements.shape[0]

    def site_elements(self, n_sites: int) -> NDArray[np.complex128]:
        """Elements per site, complex (n_sites, K, 2, 2).

        Raises:
            InputError: the elements are given for another number of sites.
        """
        if self.n_sites is None:
            return np.broadcast_to(self.elements, (n_sites, *self.elements.shape))
        if self.n_sites != n_sites:
            raise InputError(
                Code.MISMATCH, f"POVM '{self.name}' is given for {self.n_sites} sites, asked for {n_sites}"
            )
        return self.elements

    @property
    def is_complete(self) -> bool:
        """Whether outcomes determine any one-qubit state (informational completeness) on each site."""
        frames = self.elements.reshape(-1, self.n_outcomes, 4)
        return all(np.linalg.matrix_rank(frame, tol=1e-7) == 4 for frame in frames)

    @property
    def measures_bases(self) -> bool:
        """Whether element 2b + s is bit s in basis b of three equally likely ones, so that shots with settings fit."""
        return are_bases(self.elements)

    def turned(self, axes: ArrayLike, n_sites: int | None = None, sites: Sequence[int] | None = None) -> POVM:
        """The same measurement in another orientation: its X, Y and Z directions point along three new axes.

        Args:
            axes: three orthonormal Bloch vectors, (3, 3), a row each.
            n_sites: N, needed where only some sites are turned.
            sites: which; all where not given.

        Raises:
            InputError: axes that are not orthonormal, or a site outside the chain.
        """
        rotation = np.asarray(axes, dtype=np.float64)
        if rotation.shape != (3, 3) or not np.abs(rotation @ rotation.T - np.eye(3)).max() < _TOLERANCE:
            raise InputError(
                Code.UNPHYSICAL, f"axes {np.round(rotation, 6).tolist()} are not three orthonormal vectors"
            )
        paulis = np.stack([PAULIS[p] for p in BASES])

        def turn(elements: NDArray[np.complex128]) -> NDArray[np.complex128]:
            traces = np.einsum("...ii->...", elements).real / 2
            bloch = np.einsum("...ij,pji->...p", elements, paulis).real / 2 @ rotation
            turned: NDArray[np.complex128] = traces[..., None, None] * PAULIS["I"]
            turned = turned + np.einsum("...p,pij->...ij", bloch, paulis)
            return turned

        return self.changed(turn, n_sites, sites)

    def changed(
        self,
        change: Callable[[NDArray[np.complex128]], NDArray[np.complex128]],
        n_sites: int | None = None,
        sites: Sequence[int] | None = None,
    ) -> POVM:
        """The POVM with the elements of some sites, or of all, put through a function of (..., K, 2, 2).

        Raises:
            InputError: a site outside the chain of `n_sites` qubits, or a result that is no POVM.
        """
        if sites is None:
            return POVM(change(self.elements), self.name)
        n_sites = n_sites if n_sites is not None else self.n_sites
        if n_sites is None:
            raise InputError(Code.REQUIRED, "the number of qubits is needed to change the measurement of some of them")
        outside = [site for site in sites if not 0 <= site < n_sites]
        if outside:
            raise InputError(Code.VALUE, f"site {outside[0]} is outside a chain of {n_sites} qubits")
        elements = self.site_elements(n_sites).copy()
        chosen = sorted(set(sites))
        elements[chosen] = change(elements[chosen])
        return POVM(elements, self.name)

    def duals(self) -> NDArray[np.complex128]:
        """Canonical dual operators D_a, with sum_a Tr(M_a rho) D_a = rho for every rho.

        The Moore-Penrose inverse of the frame {M_a}; unique when K = 4 (d'Ariano, Perinotti,
        Sacchi 2004, quant-ph/0405152). Shape as `elements`.

        Raises:
            InputError: the POVM is not informationally complete.
        """
        if not self.is_complete:
            raise InputError(Code.UNSUPPORTED, f"POVM '{self.name}' is not informationally complete: it has no duals")
        frames = self.elements.reshape(*self.elements.shape[:-2], 4)
        duals = np.linalg.pinv(frames).conj().swapaxes(-1, -2)
        return np.ascontiguousarray(duals).reshape(self.elements.shape)

    def outcome_values(self, operator: NDArray[np.complex128]) -> NDArray[np.float64]:
        """f(a) = Tr(D_a O), whose mean over outcomes is <O>: float64 (K,) or (N, K).

        For Pauli-4, f_Z = (5, -1, -1, -1).

        Raises:
            InputError: the POVM is not informationally complete.
        """
        values = np.einsum("...aij,ji->...a", self.duals(), operator)
        return np.ascontiguousarray(values.real)


def are_bases(elements: NDArray[np.complex128]) -> bool:
    """Whether of elements (..., K, 2, 2) number 2b + s is bit s in basis b of three equally likely ones.

    >>> are_bases(named_povm("pauli6").elements), are_bases(named_povm("pauli4").elements)
    (True, False)
    """
    if elements.shape[-3] != 6:
        return False
    pairs = elements.reshape(-1, 3, 2, 2, 2).sum(axis=2)
    return bool(np.abs(pairs - np.eye(2) / 3).max() < _TOLERANCE)


def _check_elements(elements: NDArray[np.complex128], name: str) -> None:
    if elements.ndim not in (3, 4) or elements.shape[-2:] != (2, 2) or 0 in elements.shape:
        raise InputError(
            Code.SHAPE, f"POVM '{name}': elements have shape {elements.shape}, expected (K, 2, 2) or (N, K, 2, 2)"
        )
    if not np.isfinite(elements).all():
        raise InputError(Code.VALUE, f"POVM '{name}': elements hold entries that are not finite numbers")
    by_site = elements.reshape(-1, *elements.shape[-3:])
    skewed = np.abs(by_site - by_site.conj().swapaxes(-1, -2)).max(axis=(-1, -2)) > _TOLERANCE
    smallest = np.linalg.eigvalsh(by_site)[..., 0]
    excess = np.abs(by_site.sum(axis=1) - np.eye(2)).max(axis=(-1, -2))
    wrong = skewed.any(axis=1) | (smallest < -_TOLERANCE).any(axis=1) | (excess > _TOLERANCE)
    if not wrong.any():
        return
    site = int(wrong.argmax())
    place = f"POVM '{name}'" + (f", site {site}" if elements.ndim == 4 else "")
    for outcome, (is_skewed, value) in enumerate(zip(skewed[site], smallest[site], strict=True)):
        if is_skewed:
            raise InputError(Code.UNPHYSICAL, f"{place}: element {outcome} is not Hermitian")
        if value < -_TOLERANCE:
            raise InputError(Code.UNPHYSICAL, f"{place}: element {outcome} is not positive (eigenvalue {value:.3g})")
    raise InputError(Code.UNPHYSICAL, f"{place}: elements do not sum to the identity (off by {excess[site]:.3g})")


def _projector(*bloch: float) -> NDArray[np.complex128]:
    """(1 + r.sigma)/2, the pure state with Bloch vector r."""
    return 0.5 * (PAULIS["I"] + sum(r * PAULIS[p] for r, p in zip(bloch, "XYZ", strict=True)))


def _pauli4() -> NDArray[np.complex128]:
    first = np.stack([_projector(0, 0, 1), _projector(1, 0, 0), _projector(0, 1, 0)]) / 3
    return np.concatenate([first, (PAULIS["I"] - first.sum(axis=0))[None]])


def _pauli6() -> NDArray[np.complex128]:
    poles = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    return np.stack([_projector(*pole) for pole in poles]) / 3


def _tetrahedral() -> NDArray[np.complex128]:
    a, b = np.sqrt(2) / 3, np.sqrt(6) / 3
    corners = [(0.0, 0.0, 1.0), (2 * a, 0.0, -1 / 3), (-a, b, -1 / 3), (-a, -b, -1 / 3)]
    return np.stack([_projector(*corner) for corner in corners]) / 2


def _trine() -> NDArray[np.complex128]:
    angles = 2 * np.pi * np.arange(3) / 3
    return np.stack([_projector(np.sin(angle), 0, np.cos(angle)) for angle in angles]) * 2 / 3


def _rebit() -> NDArray[np.complex128]:
    poles = [(1, 0, 0), (-1, 0, 0), (0, 0, 1), (0, 0, -1)]
    return np.stack([_projector(*pole) for pole in poles]) / 2


#: The measurements known by name. Pauli-4: |0>, |+>, |+i> at weight 1/3, and the rest. Pauli-6: a
#: uniformly random Pauli basis, outcome 2*basis + bit (X+, X-, Y+, Y-, Z+, Z-). SIC, or tetrahedral: the
#: symmetric informationally complete POVM with one corner at |0> (Carrasquilla et al. 2019,
#: arXiv 1810.10584). Trine (three real directions) and rebit (basis X or Z, at random) see real states only:
#: they are not informationally complete for qubits.
NAMED_POVMS: dict[str, Callable[[], NDArray[np.complex128]]] = {
    "pauli4": _pauli4,
    "pauli6": _pauli6,
    "sic": _tetrahedral,
    "tetrahedral": _tetrahedral,
    "trine": _trine,
    "rebit": _rebit,
}


def named_povm(name: str) -> POVM:
    """The POVM of that name, the same on every site.

    Raises:
        InputError: an unknown name; lists the known ones.

    >>> named_povm("sic").n_outcomes
    4
    """
    if name not in NAMED_POVMS:
        raise InputError(Code.UNKNOWN, f"no POVM is called '{name}'; known: {', '.join(NAMED_POVMS)}")
    return POVM(NAMED_POVMS[name](), name)


def parse_axes(povm: POVM, texts: Sequence[str], n_sites: int) -> POVM:
    """The measurement turned as written: three signed letters, or those @ some sites.

    "-X,Y,Z" puts the X pole of a Pauli-4 at |->, everywhere; "-X,Y,Z@0,4" on sites 0 and 4.

    Raises:
        InputError: not three signed letters, each once, or a site outside the chain.
    """
    for text in texts:
        letters, at, places = text.partition("@")
        words = [word.strip().upper() for word in letters.split(",")]
        if sorted(word.lstrip("+-") for word in words) != list(BASES) or any(len(word) > 2 for word in words):
            raise InputError(
                Code.SYNTAX, f"axes '{text}': expected X, Y and Z once each with or without a sign, such as -X,Y,Z"
            )
        rows = [(-1.0 if word[0] == "-" else 1.0) * np.eye(3)[BASES.index(word[-1])] for word in words]
        try:
            sites = [int(place) for place in places.split(",")] if at else None
        except ValueError:
            raise InputError(Code.SYNTAX, f"axes '{text}': '{places}' is not a list of sites, such as 0,4") from None
        povm = povm.turned(np.array(rows), n_sites, sites)
    return POVM(povm.elements, f"{povm.name} along {' '.join(texts)}") if texts else povm
