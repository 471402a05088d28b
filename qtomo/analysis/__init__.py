"""Analysis: estimates with error bars, divergences, observables, and the evaluation of a run."""

from qtomo.analysis.estimate import Estimate
from qtomo.analysis.evaluation import Evaluation, evaluate
from qtomo.analysis.observables import Observable, estimate_observables, exact_value, pauli

__all__ = ["Estimate", "Evaluation", "Observable", "estimate_observables", "evaluate", "exact_value", "pauli"]
