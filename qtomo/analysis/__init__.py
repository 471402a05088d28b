"""Analysis: estimates with error bars, divergences, observables, and the evaluation and comparison of runs."""

from qtomo.analysis.comparison import Comparison, compare
from qtomo.analysis.estimate import Estimate
from qtomo.analysis.evaluation import Evaluation, evaluate
from qtomo.analysis.observables import Observable, estimate_observables, exact_value, pauli
from qtomo.analysis.two_sample import TwoSampleTest, classifier_two_sample_test

__all__ = [
    "Comparison",
    "Estimate",
    "Evaluation",
    "Observable",
    "TwoSampleTest",
    "classifier_two_sample_test",
    "compare",
    "estimate_observables",
    "evaluate",
    "exact_value",
    "pauli",
]
