"""Analysis: estimates with error bars, divergences, observables, evaluation, comparison and verification."""

from qtomo.analysis.comparison import Comparison, compare
from qtomo.analysis.drift import FileComparison, compare_records
from qtomo.analysis.estimate import Estimate
from qtomo.analysis.evaluation import Evaluation, evaluate
from qtomo.analysis.observables import Observable, estimate_observables, exact_value, pauli
from qtomo.analysis.planning import plan
from qtomo.analysis.reconstruction import Reconstruction, reconstruct
from qtomo.analysis.two_sample import (
    KernelTest,
    TwoSampleTest,
    classifier_two_sample_test,
    divergence_bounds,
    kernel_two_sample_test,
)
from qtomo.analysis.verdict import Verification
from qtomo.analysis.verification import verify

__all__ = [
    "Comparison",
    "Estimate",
    "Evaluation",
    "FileComparison",
    "KernelTest",
    "Observable",
    "Reconstruction",
    "TwoSampleTest",
    "Verification",
    "classifier_two_sample_test",
    "compare",
    "compare_records",
    "divergence_bounds",
    "estimate_observables",
    "evaluate",
    "exact_value",
    "kernel_two_sample_test",
    "pauli",
    "plan",
    "reconstruct",
    "verify",
]
