"""What a test of records against a hypothesis finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from qtomo.results import Probability, Real, stating
from qtomo.statistics.holm import holm
from qtomo.verification.faults.base import FaultKind

__all__ = ["Test", "TestKind", "adjusted"]


class TestKind(StrEnum):
    """What is tested."""

    __test__ = False  # not one of pytest's

    FORBIDDEN = "forbidden-outcomes"
    LOG_LIKELIHOOD = "log-likelihood"
    ONE_QUBIT = "fault-of-one-qubit"
    EVERY_QUBIT = "fault-of-every-qubit"
    PARAMETER = "parameter"
    RELABELLED_QUBIT = "relabelling-of-one-qubit"
    RELABELLED = "relabelling"
    SITES = "single-qubit-frequencies"
    PAIRS = "pair-frequencies"
    CLASSIFIER = "classifier"
    LEARNED = "learned-alternative"
    DUPLICATES = "duplicates"
    MEMORY = "memory"
    FAULT_SETS_IN = "fault-sets-in"
    DRIFT = "drift"
    ONE_STATE = "one-state-for-all-settings"
    CALIBRATION = "readout-calibration"


_WORDS = {
    TestKind.FORBIDDEN: "no forbidden outcome",
    TestKind.LOG_LIKELIHOOD: "mean ln P",
    TestKind.ONE_QUBIT: "{fault}, one qubit",
    TestKind.EVERY_QUBIT: "{fault}, all qubits",
    TestKind.PARAMETER: "{fault}",
    TestKind.RELABELLED_QUBIT: "relabelling of one qubit",
    TestKind.RELABELLED: "relabelling of all",
    TestKind.SITES: "single-qubit frequencies",
    TestKind.PAIRS: "pair frequencies",
    TestKind.CLASSIFIER: "classifier two-sample test",
    TestKind.LEARNED: "learned alternative",
    TestKind.DUPLICATES: "duplicated shots",
    TestKind.MEMORY: "bits that stay from shot to shot",
    TestKind.FAULT_SETS_IN: "fault sets in along the shots",
    TestKind.DRIFT: "drift along the shots",
    TestKind.ONE_STATE: "one state fits all settings",
    TestKind.CALIBRATION: "readout as calibrated",
}


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
        return _WORDS[self.kind].format(fault=self.fault.words if self.fault else "")

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
    """The tests with p-values that hold together (Holm 1979), smallest first."""
    corrected = holm([test.p_value for test in tests])
    found = [replace(test, adjusted=p) for test, p in zip(tests, corrected, strict=True)]
    return sorted(found, key=lambda test: (test.adjusted, test.p_value))
