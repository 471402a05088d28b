"""Graph states: a controlled phase for each edge of a graph, on qubits that are all in |+>."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from qtomo.errors import Code, InputError
from qtomo.states.dmrg import Terms
from qtomo.states.mps import MPS
from qtomo.states.stabilisers import Bits, Stabilisers, echelon
from qtomo.states.system import Edges, Qubits

__all__ = ["Graph"]

_LARGEST_RANK = 10  # a bond of 1024
_MOST_QUBITS = 1000


@dataclass(frozen=True)
class Graph:
    """A graph state: controlled phases along edges, of qubits in |+> (Hein, Eisert, Briegel 2004, quant-ph/0307130).

    Args:
        n_sites: N.
        edges: pairs of different sites, each pair once; in any order, which the graph forgets.

    Raises:
        InputError: a site outside the graph, an edge from a site to itself, or one twice; or a bond beyond 1024.

    >>> Graph(4, ((0, 1), (1, 2), (2, 3), (3, 0))).state().bond_dims
    (2, 4, 2)
    """

    family: ClassVar[str] = "graph"
    n_sites: Qubits
    edges: Annotated[Edges, "Pairs of neighbours, counted from 0: 0-1,1-2."]

    def __post_init__(self) -> None:
        if not 1 <= self.n_sites <= _MOST_QUBITS:
            raise InputError(Code.VALUE, f"number of qubits is {self.n_sites}, expected 1 to {_MOST_QUBITS:,}")
        found: set[tuple[int, int]] = set()
        for first, second in self.edges:
            words = f"edge {first}-{second}"
            if not (0 <= first < self.n_sites and 0 <= second < self.n_sites):
                raise InputError(
                    Code.VALUE, f"{words} of a graph of {self.n_sites} qubits, expected 0 to {self.n_sites - 1}"
                )
            if first == second:
                raise InputError(Code.VALUE, f"{words} joins a qubit to itself")
            edge = (int(min(first, second)), int(max(first, second)))
            if edge in found:
                raise InputError(
                    Code.CONFLICT, f"{words} is there twice, which is no edge: two controlled phases undo each other"
                )
            found.add(edge)
        object.__setattr__(self, "edges", tuple(sorted(found)))

    def state(self) -> MPS:
        """Exact, of the smallest bonds: 2**r, r the rank modulo 2 of the edges across a cut.

        A bond holds the parities with which the qubits to its left will turn those to its right.
        """
        adjacency = self._adjacency()
        tensors = []
        rows = adjacency[:0]  # a basis of the parities that the bond to the left holds
        for site in range(self.n_sites):
            after, pivots = echelon(adjacency[: site + 1, site + 1 :], self.n_sites - site - 1)
            if len(pivots) > _LARGEST_RANK:
                raise InputError(
                    Code.TOO_LARGE,
                    f"the graph state needs a bond dimension of 2^{len(pivots)} between sites {site} and {site + 1}, "
                    f"expected at most {2**_LARGEST_RANK:,}: number the qubits so that neighbours are near",
                )
            tensor = np.zeros((2 ** len(rows), 2, 2 ** len(pivots)))
            parities = _combinations(rows)
            for bit in (0, 1):
                passed = parities[:, 1:] ^ (bit * adjacency[site, site + 1 :])
                bonds = passed[:, pivots].astype(np.int64) @ (1 << np.arange(len(pivots)))
                tensor[np.arange(len(parities)), bit, bonds] = 1 - 2.0 * (bit & parities[:, 0])
            tensors.append(tensor)
            rows = after[: len(pivots)]
        return MPS(tensors)

    def terms(self) -> Terms:
        """No Hamiltonian."""
        return ()

    def stabilisers(self) -> Stabilisers:
        """X of a qubit with Z of its neighbours."""
        return Stabilisers(np.eye(self.n_sites, dtype=np.uint8), self._adjacency(), np.zeros(self.n_sites, np.uint8))

    def _adjacency(self) -> Bits:
        adjacency = np.zeros((self.n_sites, self.n_sites), np.uint8)
        for first, second in self.edges:
            adjacency[first, second] = adjacency[second, first] = 1
        return adjacency


def _combinations(rows: Bits) -> Bits:
    """All sums of rows modulo 2, (2**rank, columns), row j of them in sum number b where bit j of b is set."""
    chosen = (np.arange(2 ** len(rows))[:, None] >> np.arange(len(rows))) & 1
    return (chosen @ rows.astype(np.int64) % 2).astype(np.uint8)
