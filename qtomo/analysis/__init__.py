"""Analysis: estimates with error bars, divergences, observables, and the evaluation of a run."""

from qtomo.analysis.estimate import Estimate
from qtomo.analysis.evaluation import Evaluation, evaluate
from qtomo.analysis.observables import Observable, estimate_observables, exact_value, pauli
from qtomo.analysis.planning import plan
from qtomo.analysis.verdict import Verification
from qtomo.analysis.verification import verify

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
