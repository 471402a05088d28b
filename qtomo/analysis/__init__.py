"""Analysis: estimates with error bars, divergences, observables, evaluation, comparison and verification."""

from qtomo.analysis.comparison import Comparison, compare
from qtomo.analysis.evaluation import Evaluation, evaluate
from qtomo.analysis.file_comparison import FileComparison, compare_records
from qtomo.analysis.reconstruction import Reconstruction, reconstruct
from qtomo.observables import Observable, estimate_observables, exact_value, pauli
from qtomo.statistics.estimate import Estimate
from qtomo.statistics.two_sample import (
    KernelTest,
    TwoSampleTest,
    classifier_two_sample_test,
    divergence_bounds,
    kernel_two_sample_test,
)

__all__ = [
    "Comparison",
    "Estimate",
    "Evaluation",
    "FileComparison",
    "KernelTest",
    "Observable",
    "Reconstruction",
    "TwoSampleTest",
    "classifier_two_sample_test",
    "compare",
    "compare_records",
    "divergence_bounds",
    "estimate_observables",
    "evaluate",
    "exact_value",
    "kernel_two_sample_test",
    "pauli",
    "reconstruct",
]
