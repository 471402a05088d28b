"""A target whose Hamiltonian is a little off: its state to first order, from ground states to either side.

psi(t) = psi(0) + t (psi(h) - psi(-h))/(2 h), normalised: right up to t^2, and no ground state is solved for at each t.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qtomo.states.mps import MPS, Tensor
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.parameters import Parameter, parameters_of, shifted_state
from qtomo.verification.hypothesis import Hypothesis

__all__ = ["Shift"]

_LARGEST = 3.0  # times the amount of the solved states, up to which they are extrapolated
_WEIGHT = 1e-13  # Schmidt weight that is left out a cut


@dataclass(frozen=True, eq=False)
class Shift:
    """States of a target by how far a parameter is off.

    Args:
        parameter: which.
        target: its state where it is not.
        below: the state with the parameter lower by `parameter.first`.
        above: with the parameter higher by that.
    """

    parameter: Parameter
    target: MPS
    below: MPS
    above: MPS

    @classmethod
    def of(cls, hypothesis: Hypothesis, kinds: Sequence[FaultKind]) -> Shift | None:
        """The first parameter of the target that is of these kinds; None where there is none."""
        system, target = hypothesis.system, hypothesis.first.state
        for parameter in parameters_of(system):
            if parameter.kind in kinds and system is not None and isinstance(target, MPS):
                states = [shifted_state(parameter, system, sign * parameter.first) for sign in (-1, 1)]
                if all(isinstance(state, MPS) for state in states):
                    below, above = (state for state in states if isinstance(state, MPS))
                    return cls(parameter, target, below, above)
        return None

    @property
    def largest(self) -> float:
        """The furthest that states are told."""
        return _LARGEST * self.parameter.first

    def state(self, amount: float) -> MPS:
        """The state with the parameter off by this."""
        return _superposed(self, amount)


@functools.lru_cache(maxsize=16)
def _superposed(shift: Shift, amount: float) -> MPS:
    share = amount / (2 * shift.parameter.first)
    parts: list[tuple[complex, MPS]] = [(1.0, shift.target)]
    for sign, state in ((-1.0, shift.below), (1.0, shift.above)):
        overlap = state.overlap(shift.target)
        parts.append((sign * share * overlap / abs(overlap), state))
    return _sum(parts).truncate(weight=_WEIGHT)[0]


def _sum(parts: Sequence[tuple[complex, MPS]]) -> MPS:
    """A superposition of states, as block-diagonal tensors."""
    last = parts[0][1].n_sites - 1
    tensors: list[Tensor] = []
    for site in range(last + 1):
        blocks = [state.tensors[site] * (factor if site == 0 else 1.0) for factor, state in parts]
        if last == 0:
            tensors.append(np.sum(blocks, axis=0))
        elif site in (0, last):
            tensors.append(np.concatenate(blocks, axis=2 if site == 0 else 0))
        else:
            rows, columns = (sum(block.shape[axis] for block in blocks) for axis in (0, 2))
            whole = np.zeros((rows, 2, columns), dtype=np.result_type(*blocks))
            row = column = 0
            for block in blocks:
                whole[row : row + block.shape[0], :, column : column + block.shape[2]] = block
                row, column = row + block.shape[0], column + block.shape[2]
            tensors.append(whole)
    return MPS(tensors)
