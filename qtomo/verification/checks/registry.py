"""Tests of records against a hypothesis. A check is a function from a context to tests; CHECKS lists them."""

from collections.abc import Callable, Iterable

from qtomo.verification.checks import drift, faults, independence, one_state, targets
from qtomo.verification.checks.base import Test
from qtomo.verification.context import Context

__all__ = ["CHECKS", "OF_STATE"]

Check = Callable[[Context], Iterable[Test]]

#: What a hypothesis says of the state and its measurement, asked again of every fault that is to explain the records.
OF_STATE: tuple[Check, ...] = (
    targets.forbidden,
    targets.log_likelihood,
    targets.site_frequencies,
    targets.pair_frequencies,
    targets.classifier,
    faults.local_faults,
    faults.relabelled,
)

#: All checks by what is said while they run.
CHECKS: dict[str, tuple[Check, ...]] = {
    "likelihoods and faults": (targets.forbidden, targets.log_likelihood, faults.local_faults, faults.relabelled),
    "parameters of the Hamiltonian": (faults.parameters,),
    "frequencies": (targets.site_frequencies, targets.pair_frequencies),
    "classifier against exact records": (targets.classifier,),
    "independence and drift of the shots": (independence.duplicated, independence.stays, drift.drift),
    "one state for all settings": (one_state.one_state,),
}
