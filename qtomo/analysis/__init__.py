"""Analysis: estimates with error bars, divergences, observables, and the evaluation of a run."""

from qtomo.analysis.estimate import Estimate
from qtomo.analysis.evaluation import Evaluation, evaluate
from qtomo.analysis.observables import Observable, estimate_observables, exact_value, pauli
from qtomo.analysis.planning import plan
from qtomo.analysis.verification import Verification, verify

__all__ = [
    "Estimate",
    "Evaluation",
    "Observable",
    "Verification",
    "estimate_observables",
    "evaluate",
    "exact_value",
    "pauli",
    "plan",
    "verify",
]
