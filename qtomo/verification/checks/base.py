"""What a test of records against a hypothesis finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from qtomo.results import Probability, Real, stating
from qtomo.statistics.holm import holm
from qtomo.verification.faults.base import FaultKind
from qtomo.worded import Worded

__all__ = ["Test", "TestKind", "adjusted"]


class TestKind(Worded):
    """What is tested."""

    __test__ = False  # not one of pytest's

    FORBIDDEN = "forbidden-outcomes", "no forbidden outcome"
    LOG_LIKELIHOOD = "log-likelihood", "mean ln P"
    ONE_QUBIT = "fault-of-one-qubit", "{fault}, one qubit"
    EVERY_QUBIT = "fault-of-every-qubit", "{fault}, all qubits"
    PARAMETER = "parameter", "{fault}"
    RELABELLED_QUBIT = "relabelling-of-one-qubit", "relabelling of one qubit"
    RELABELLED = "relabelling", "relabelling of all"
    SITES = "single-qubit-frequencies", "single-qubit frequencies"
    PAIRS = "pair-frequencies", "pair frequencies"
    NEIGHBOURS = "neighbours", "errors of two neighbours together"
    CLASSIFIER = "classifier", "classifier two-sample test"
    LEARNED = "learned-alternative", "learned alternative"
    DUPLICATES = "duplicates", "duplicated shots"
    MEMORY = "memory", "bits that stay from shot to shot"
    FAULT_SETS_IN = "fault-sets-in", "fault sets in along the shots"
    DRIFT = "drift", "drift along the shots"
    ONE_STATE = "one-state-for-all-settings", "one state fits all settings"
    CALIBRATION = "readout-calibration", "readout as calibrated"


@dataclass(frozen=True)
class Test:
    """What one test found.

    Args:
        kind: what is tested.
        p_value: probability, under the hypothesis, of what was found or worse: at most that, at any number of records.
        statistic: what was found, in words.
        fault: the kind of fault that is tested for, if it is one.
        sites: where it shows most, if anywhere.
        place: the same in words, where sites do not tell it.
        adjusted: p-value after Holm's correction over all tests of a verification.
    """

    __test__ = False

    kind: TestKind
    p_value: Probability
    statistic: str
    fault: FaultKind | None = None
    sites: tuple[int, ...] = ()
    place: str = ""
    adjusted: Annotated[Real, Field(alias="adjusted_p_value")] = math.nan

    _stated = stating("name")

    @property
    def name(self) -> str:
        """What is tested, in words."""
        return self.kind.words.format(fault=self.fault.words if self.fault else "")

    @property
    def where(self) -> str:
        """Where it shows, in words."""
        if self.place or not self.sites:
            return self.place
        return f"qubit{'s' if len(self.sites) > 1 else ''} {', '.join(map(str, self.sites))}"

    def rejects(self, alpha: float) -> bool:
        """Whether it rejects, with all tests together erring at most with probability `alpha`."""
        return self.adjusted <= alpha


def adjusted(tests: Sequence[Test]) -> list[Test]:
    """The tests with p-values that are simultaneous (Holm 1979), smallest first."""
    corrected = holm([test.p_value for test in tests])
    found = [replace(test, adjusted=p) for test, p in zip(tests, corrected, strict=True)]
    return sorted(found, key=lambda test: (test.adjusted, test.p_value))
