"""The state that a circuit prepares, by its text in OpenQASM."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from qtomo.errors import Code, InputError
from qtomo.files import read_text
from qtomo.states.clifford import stabilisers_after
from qtomo.states.dmrg import Terms
from qtomo.states.gates import apply_gates
from qtomo.states.mps import MPS
from qtomo.states.qasm import LARGEST_SOURCE, Gate, declared_qubits, read_gates
from qtomo.states.stabilisers import Stabilisers

__all__ = ["Circuit"]

_LARGEST_BOND = 1024
_LARGEST_INFIDELITY = 0.01


@dataclass(frozen=True)
class Circuit:
    """What a circuit of gates makes of |0...0>; site i is the circuit's qubit i. Qiskit reads its text.

    Qiskit shows qubit 0 as the last letter of a bit string; here it is site 0, the first. Measurements at the end are
    left out; one before the end, a reset and classical control are refused, and so is any file that the text includes
    but the standard gates.

    Args:
        qasm: its text in OpenQASM 2 or 3.
        bond_dim: largest bond dimension. A state that needs more is truncated, and `truncation` says by how much.

    Raises:
        InputError: no OpenQASM, too long, without qubits or with too many, or a bond dimension outside 1 to 1024.

    >>> bell = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; h q[0]; cx q[0],q[1];'
    >>> Circuit(bell).state().bond_dims, str(Circuit(bell).stabilisers())
    ((2,), '+XX +ZZ')
    """

    family: ClassVar[str] = "circuit"
    qasm: Annotated[str, "File of a circuit in OpenQASM 2 or 3; needs Qiskit."] = field(repr=False)
    bond_dim: Annotated[int, "Largest bond dimension."] = 256

    def __post_init__(self) -> None:
        if not 1 <= self.bond_dim <= _LARGEST_BOND:
            raise InputError(Code.VALUE, f"bond dimension is {self.bond_dim}, expected 1 to {_LARGEST_BOND}")
        declared_qubits(self.qasm)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, bond_dim: int = 256) -> Circuit:
        """The circuit of a file in OpenQASM.

        Raises:
            InputError: no such file, or no circuit.

        >>> from pathlib import Path
        >>> _ = Path("plus.qasm").write_text('OPENQASM 3.0; include "stdgates.inc"; qubit q; h q;')
        >>> Circuit.from_file("plus.qasm").n_sites
        1
        """
        source = read_text(path, LARGEST_SOURCE)
        try:
            return cls(source, bond_dim)
        except InputError as error:
            raise InputError(error.code, f"{os.fspath(path)}: {error}") from None

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""
        return _n_qubits(self.qasm)

    @property
    def truncation(self) -> float:
        """A bound on the infidelity 1 - |<exact|state>|^2 of the state; 0 where the bond dimension suffices.

        Raises:
            InputError: as `state`.
        """
        return _prepared(self)[1]

    def state(self) -> MPS:
        """By applying the gates one by one.

        Raises:
            InputError: Qiskit is missing or cannot read the text, something in it is no gate, or the bonds needed are
                so large that the truncated state may be another (infidelity above 0.01).
        """
        return _prepared(self)[0]

    def terms(self) -> Terms:
        """No Hamiltonian."""
        return ()

    def stabilisers(self) -> Stabilisers | None:
        """Those of a circuit of Clifford gates, whose state is never truncated; None where one of its gates is none.

        Schmidt values of stabiliser states are equal, so that one too many for the bonds is refused.

        Raises:
            InputError: as `state`.
        """
        return stabilisers_after(self.n_sites, _gates_of(self.qasm))


@functools.lru_cache(maxsize=8)
def _n_qubits(qasm: str) -> int:
    return declared_qubits(qasm)


@functools.lru_cache(maxsize=4)
def _gates_of(qasm: str) -> tuple[Gate, ...]:
    return tuple(read_gates(qasm))


@functools.lru_cache(maxsize=4)
def _prepared(circuit: Circuit) -> tuple[MPS, float]:
    """The state of a circuit and the bound on its infidelity."""
    state, infidelity = apply_gates(circuit.n_sites, _gates_of(circuit.qasm), circuit.bond_dim)
    if infidelity > _LARGEST_INFIDELITY:
        raise InputError(
            Code.TOO_LARGE,
            f"the circuit's state does not fit a bond dimension of {circuit.bond_dim}: infidelity up to "
            f"{infidelity:.2g}, expected at most {_LARGEST_INFIDELITY}; give a larger one (at most {_LARGEST_BOND})",
        )
    return state, infidelity
