"""qtomo: which state are the qubits in? Simulate measurement records, learn them, judge the state.

The names below are loaded when first used, so that `import qtomo` is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from qtomo.analysis import (
        Comparison,
        Estimate,
        Evaluation,
        FileComparison,
        Reconstruction,
        compare,
        compare_records,
        estimate_observables,
        evaluate,
        pauli,
        reconstruct,
    )
    from qtomo.errors import InputError
    from qtomo.povm import POVM, named_povm
    from qtomo.records import RecordFile, Records, Target, read_state, simulate, write_records, write_state
    from qtomo.states import (
        GHZ,
        LPDO,
        MPS,
        TFIM,
        XXZ,
        BornDistribution,
        Cluster,
        DensityMatrix,
        Product,
        RandomMPS,
        W,
        ground_state,
    )
    from qtomo.training import Run, resume, sample_records, train
    from qtomo.verification import Verification, plan, verify

_HOMES = {
    "errors": ("InputError",),
    "povm": ("POVM", "named_povm"),
    "states": (
        "GHZ",
        "LPDO",
        "MPS",
        "TFIM",
        "XXZ",
        "BornDistribution",
        "Cluster",
        "DensityMatrix",
        "Product",
        "RandomMPS",
        "W",
        "ground_state",
    ),
    "records": ("RecordFile", "Records", "Target", "read_state", "simulate", "write_records", "write_state"),
    "training": ("Run", "resume", "sample_records", "train"),
    "verification": ("Verification", "plan", "verify"),
    "analysis": (
        "Comparison",
        "Estimate",
        "Evaluation",
        "FileComparison",
        "Reconstruction",
        "compare",
        "compare_records",
        "estimate_observables",
        "evaluate",
        "pauli",
        "reconstruct",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "GHZ",
    "LPDO",
    "MPS",
    "POVM",
    "TFIM",
    "XXZ",
    "BornDistribution",
    "Cluster",
    "Comparison",
    "DensityMatrix",
    "Estimate",
    "Evaluation",
    "FileComparison",
    "InputError",
    "Product",
    "RandomMPS",
    "Reconstruction",
    "RecordFile",
    "Records",
    "Run",
    "Target",
    "Verification",
    "W",
    "compare",
    "compare_records",
    "estimate_observables",
    "evaluate",
    "ground_state",
    "named_povm",
    "pauli",
    "plan",
    "read_state",
    "reconstruct",
    "resume",
    "sample_records",
    "simulate",
    "train",
    "verify",
    "write_records",
    "write_state",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'qtomo' has no attribute '{name}'")
    return getattr(importlib.import_module(f"qtomo.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
