"""What an error budget says, as values and as tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qtomo.results import Level, Matrix, plain, stating
from qtomo.statistics.estimate import Estimate
from qtomo.table import Table
from qtomo.verification.checks.base import Test
from qtomo.verification.faults.base import FaultKind
from qtomo.worded import Worded

__all__ = ["Budget", "Cost", "Entry", "Tie", "Tied"]

_INFORMATIVE = 0.3  # width of an interval of the fidelity
_SMALL = 0.0005  # infidelity that is not named
_NAMED = 3  # kinds of error in a sentence
_STANDS_OUT = 2.0  # times the share that a qubit would have were all alike
_SHOWN = 6  # qubits that a table of costs names


class Tie(Worded):
    """Why strengths are known together alone."""

    READOUT = "readout-or-state", "errors of readout and of the state that only calibration shots would tell apart"
    PLACE = "place", "one error, whichever of these qubits it is on"
    SEVERAL = "several", "errors that have the same effect on these records"
    DIFFERENCES = "differences", "only their differences are known"
    UNSEEN = "unseen", "not seen by these records"


@dataclass(frozen=True)
class Entry:
    """An error of a qubit.

    Args:
        kind: which.
        site: whose; None for one of the whole target, such as its field.
        parameter: what its strength is: `probability`, `angle` in radians, `relative change`.
        strength: how strong.
    """

    kind: FaultKind
    site: int | None
    parameter: str
    strength: Estimate


@dataclass(frozen=True)
class Cost:
    """The fidelity that some errors cost.

    Args:
        infidelity: 1 - F if they were the only ones.
        share: of the sum of -ln F over all such parts.
        kind: of all errors of a kind, if that.
        site: of all errors of a qubit, if that.
    """

    infidelity: Estimate
    share: Estimate
    kind: FaultKind | None = None
    site: int | None = None


@dataclass(frozen=True)
class Tied:
    """Strengths that the records do not tell apart, with their sum.

    Args:
        tie: why.
        kinds: of the errors.
        sites: the qubits that they are of.
        total: the sum of all these strengths; None where that is not told either.
    """

    tie: Tie
    kinds: tuple[FaultKind, ...]
    sites: tuple[int, ...]
    total: Estimate | None

    _stated = stating("description")

    @property
    def description(self) -> str:
        """In words."""
        names = ", ".join(kind.words for kind in self.kinds)
        places = ", ".join(map(str, self.sites))
        return f"{names} of qubit{'s' if len(self.sites) > 1 else ''} {places}: {self.tie.words}"


@dataclass(frozen=True, eq=False)
class Budget:
    """All local errors of all qubits, fitted together, and what they cost.

    Args:
        fidelity: of the target after all errors of the state, readout errors apart, if the model is right.
        entries: the strength of each error.
        kinds: what all errors of a kind cost.
        sites: what all errors of a qubit cost.
        tied: strengths that the records do not tell apart.
        tests: of the fitted distribution, with Holm's correction; they allow for what was fitted.
        correlations: residual correlation of each two qubits beyond the fit: the largest over their bases, in standard
            errors with its sign, (n_sites, n_sites), 0 where not measured.
        alpha: error rate of all tests together.
        level: confidence of the intervals.
        n_records: how many.

    Raises:
        ValueError: no cost per qubit, or correlations of another number of qubits.
    """

    fidelity: Estimate
    entries: list[Entry]
    kinds: list[Cost]
    sites: list[Cost]
    tied: list[Tied]
    tests: list[Test]
    correlations: Matrix
    alpha: Level
    level: Level
    n_records: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Budget) and self.to_dict() == other.to_dict()

    def __post_init__(self) -> None:
        n = len(self.sites)
        if self.correlations.shape != (n, n):
            raise ValueError(f"correlations {self.correlations.shape}, expected a row and a column per qubit, {n}")

    @property
    def fits(self) -> bool:
        """Whether no test rejects the fitted distribution."""
        return not any(test.rejects(self.alpha) for test in self.tests)

    @property
    def crosstalk(self) -> tuple[int, int, float]:
        """The two qubits of the largest residual correlation, and that in standard errors."""
        i, j = np.unravel_index(int(np.abs(np.triu(self.correlations, 1)).argmax()), self.correlations.shape)
        return int(i), int(j), float(self.correlations[i, j])

    def strength(self, kind: FaultKind, site: int | None) -> Estimate:
        """The strength of an error.

        Raises:
            KeyError: one that was not fitted.
        """
        for entry in self.entries:
            if (entry.kind, entry.site) == (kind, site):
                return entry.strength
        raise KeyError(f"{kind.words}, qubit {site}")

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return plain(self)

    def tables(self) -> list[Table]:
        """What each kind costs, what the worst qubits cost, and what is tied."""
        interval = f"1 − F alone [{self.level:.0%}]"
        rows = [[_words(c), c.infidelity.interval(), f"{c.share.value:.0%}"] for c in _largest(self.kinds)]
        tables = [Table("Infidelity by kind of error", ["error", interval, "share"], rows)]
        sites = _largest(self.sites)[:_SHOWN]
        rows = [[_words(c), c.infidelity.interval(), f"{c.share.value:.0%}"] for c in sites]
        tables.append(Table("Infidelity by qubit", ["qubit", interval, "share"], rows))
        if self.tied:
            rows = [[tied.description, tied.total.interval() if tied.total else "–"] for tied in self.tied]
            tables.append(Table("Known together alone", ["errors", "sum of strengths"], rows))
        return tables

    @property
    def is_informative(self) -> bool:
        """Whether the fidelity is told to better than three tenths, and the fit is not rejected."""
        return self.fits and self.fidelity.high - self.fidelity.low < _INFORMATIVE

    def lost_to(self) -> str:
        """The kinds of error that cost most, and the worst qubit where one stands out; empty where little is told."""
        told = [cost for cost in _largest(self.kinds) if cost.infidelity.low > _SMALL]
        if not self.is_informative:
            return ""
        words = [f"{_words(cost)} {_percent(cost.infidelity)}" for cost in told[:_NAMED]]
        worst = max(self.sites, key=lambda cost: cost.share.value, default=None)
        if words and worst is not None and worst.share.low > _STANDS_OUT / len(self.sites):
            words.append(f"most of it on qubit {worst.site} ({worst.share.value:.0%})")
        open_ = [one.total for one in self.tied if one.tie == Tie.READOUT and one.total is not None]
        if any(total.low > 0 for total in open_):
            words.append("and errors of readout or of the state, which only calibration shots tell apart")
        return ", ".join(words)

    def remarks(self) -> list[str]:
        """The fidelity, and whether the model may be believed."""
        found = [f"Fidelity if errors are local: {self.fidelity.interval()}"]
        rejecting = [test for test in self.tests if test.rejects(self.alpha)]
        if not rejecting:
            return [*found, "No test rejects the fitted errors."]
        names = ", ".join(f"{test.name}{f' ({test.where})' if test.where else ''}" for test in rejecting)
        return [*found, f"The records have more than these errors, and the budget is not to be relied on: {names}."]

    def __str__(self) -> str:
        return "\n\n".join([*self.remarks(), *map(str, self.tables())])


def _largest(costs: list[Cost]) -> list[Cost]:
    return sorted(costs, key=lambda cost: -cost.infidelity.value)


def _words(cost: Cost) -> str:
    return cost.kind.words if cost.kind is not None else str(cost.site)


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
