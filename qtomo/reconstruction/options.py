"""What every method of reconstruction is told beside the records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtomo.errors import Code, InputError
from qtomo.observables.paulis import Observable
from qtomo.progress import SILENT, Progress
from qtomo.reconstruction.quantities import QuantityKind
from qtomo.records.file.schema import Target
from qtomo.states.state import State

__all__ = ["BOUND_BY_VERIFY", "UNSAVED_STATE", "Options"]

#: Why a result that was read has no state.
UNSAVED_STATE = "a result that was read from its JSON has no state, expected a state file (qtomo reconstruct --output)"

#: Where settings do not determine the state.
BOUND_BY_VERIFY = (
    "A lower bound of the fidelity with a target needs fewer settings, for GHZ and cluster states two: qtomo verify "
    "FILE --target NAME."
)

_FEWEST_RESAMPLES = 20


@dataclass(frozen=True)
class Options:
    """Target, intervals, and who listens to the work.

    Args:
        target: the state to compare with, if any.
        level: confidence of the intervals, 0.5 to 1.
        resamples: data sets of the bootstrap, or draws of a tensor network, at least 20.
        seed: of all that is drawn.
        observables: to estimate; what the method takes by default where None.
        progress: told what is being done.
        kinds: of the numbers that a density matrix is given with; all where None.

    Raises:
        InputError: a level or a number of resamples out of range.
    """

    target: Target | None = None
    level: float = 0.95
    resamples: int = 200
    seed: int = 0
    observables: Sequence[Observable] | None = None
    progress: Progress = SILENT
    kinds: frozenset[QuantityKind] | None = None

    def __post_init__(self) -> None:
        if not 0.5 <= self.level < 1 or self.resamples < _FEWEST_RESAMPLES:
            raise InputError(
                Code.VALUE,
                f"level {self.level:g} and {self.resamples} resamples, expected 0.5 to 1 and at least "
                f"{_FEWEST_RESAMPLES}",
            )

    def target_state(self, n_sites: int, name: str) -> State | None:
        """The target's state, None where there is no target.

        Raises:
            InputError: a target of another number of qubits; `name` says of what.
        """
        if self.target is None:
            return None
        state = self.target.state()
        if state.n_sites != n_sites:
            raise InputError(Code.MISMATCH, f"{name}: of {n_sites} qubits, the target has {state.n_sites}")
        return state
