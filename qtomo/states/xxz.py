"""The antiferromagnetic XXZ chain, H = J sum (X X + Y Y + D Z Z) over neighbours, open ends; Heisenberg at D = 1."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from qtomo.errors import Code, InputError
from qtomo.states.dmrg import DIAGONALISED, Terms, lowest_vector, run_dmrg
from qtomo.states.mps import MPS
from qtomo.states.system import Qubits

__all__ = ["XXZ"]

#: Schmidt weight a cut that the ground state leaves out.
_WEIGHT = 1e-13


@dataclass(frozen=True)
class XXZ:
    """The model's parameters. N is even, so that the ground state is unique and has as many 0 as 1.

    Args:
        n_sites: N, even.
        coupling: J > 0.
        anisotropy: D > -1; 1 is the Heisenberg chain. At D >> 1 the gap closes with N.

    Raises:
        InputError: parameters outside these ranges.

    >>> XXZ(2).state().n_sites
    2
    """

    family: ClassVar[str] = "xxz"
    n_sites: Qubits
    coupling: Annotated[float, "J in H = J Σ(XX + YY + D ZZ)."] = 1.0
    anisotropy: Annotated[float, "D in H = J Σ(XX + YY + D ZZ)."] = 1.0

    def __post_init__(self) -> None:
        if self.n_sites < 2 or self.n_sites % 2:
            raise InputError(
                Code.VALUE, f"number of qubits is {self.n_sites}, expected an even number for an XXZ chain"
            )
        if not (math.isfinite(self.coupling) and self.coupling > 0):
            raise InputError(Code.VALUE, f"coupling is {self.coupling}, expected a positive number (antiferromagnetic)")
        if not (math.isfinite(self.anisotropy) and self.anisotropy > -1):
            raise InputError(
                Code.VALUE, f"anisotropy is {self.anisotropy}, expected more than -1 (below, it is a ferromagnet)"
            )

    def terms(self) -> Terms:
        """The Hamiltonian as Pauli products."""
        strength = {"X": self.coupling, "Y": self.coupling, "Z": self.coupling * self.anisotropy}
        return tuple((s, {i: p, i + 1: p}) for i in range(self.n_sites - 1) for p, s in strength.items())

    def state(self) -> MPS:
        """The ground state, by DMRG with the number of ones conserved, or Lanczos up to twelve qubits."""
        if self.n_sites <= DIAGONALISED:
            lift = 2 * sum(abs(coefficient) for coefficient, _ in self.terms()) / self.n_sites
            pairs = itertools.combinations(range(self.n_sites), 2)
            other_numbers = [(lift, {i: "Z", j: "Z"}) for i, j in pairs]  # lifts states of more ones than zeros
            return lowest_vector([*self.terms(), *other_numbers], self.n_sites).truncate(weight=_WEIGHT)[0]
        from tenpy.models.xxz_chain import XXZChain

        # TeNPy's spins are half the Pauli matrices.
        options = {"L": self.n_sites, "Jxx": 4 * self.coupling, "Jz": 4 * self.coupling * self.anisotropy, "hz": 0.0}
        state = run_dmrg(XXZChain, options, ["up", "down"] * (self.n_sites // 2), np.eye(2))
        return state.truncate(weight=_WEIGHT)[0]
