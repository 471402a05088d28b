"""What a fault is, and how a family of them explains records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from qtomo.results import plain, stating
from qtomo.statistics.estimate import Estimate
from qtomo.verification.context import Context

__all__ = ["Explanation", "Family", "Fault", "FaultKind", "hopeless"]

_HOPELESS = 0.6  # of the best gain per record
_NOISE = 10.0  # nats by which few records may be wrong about it


class FaultKind(StrEnum):
    """What can be wrong. The value is what files and the command line call it."""

    DEPOLARIZING = "depolarizing"
    DEPHASING = "dephasing"
    BIT_FLIP = "bit-flip"
    BIT_PHASE_FLIP = "bit-phase-flip"
    AMPLITUDE_DAMPING = "amplitude-damping"
    READOUT_0_TO_1 = "readout-0-to-1"
    READOUT_1_TO_0 = "readout-1-to-0"
    ROTATION_X = "rotation-x"
    ROTATION_Y = "rotation-y"
    ROTATION_Z = "rotation-z"
    WHITE_NOISE = "white-noise"
    EXCITED_STATE = "excited-state"
    THERMAL = "thermal"
    FIELD = "field"
    LONGITUDINAL_FIELD = "longitudinal-field"
    ANISOTROPY = "anisotropy"
    BASES_RELABELLED = "bases-relabelled"
    BITS_EXCHANGED = "bits-exchanged"
    ORDER_REVERSED = "order-reversed"
    SITES_SHIFTED = "sites-shifted"
    SHOTS_SHIFTED = "shots-shifted"
    QUBITS_EXCHANGED = "qubits-exchanged"
    PAIR_ERROR = "pair-error"
    PAIR_READOUT = "pair-readout"
    DUPLICATES = "duplicates"
    DRIFT = "drift"

    @property
    def words(self) -> str:
        """How people call it."""
        return _WORDS.get(self, self.value)


#: How people call what is not called as its value reads.
_WORDS = {
    FaultKind.DEPHASING: "dephasing (Z flips)",
    FaultKind.BIT_FLIP: "bit flips (X)",
    FaultKind.BIT_PHASE_FLIP: "Y flips",
    FaultKind.AMPLITUDE_DAMPING: "amplitude damping",
    FaultKind.READOUT_0_TO_1: "readout error 0→1",
    FaultKind.READOUT_1_TO_0: "readout error 1→0",
    FaultKind.ROTATION_X: "rotation about X",
    FaultKind.ROTATION_Y: "rotation about Y",
    FaultKind.ROTATION_Z: "rotation about Z",
    FaultKind.WHITE_NOISE: "white noise (a share of the maximally mixed state)",
    FaultKind.EXCITED_STATE: "a share of the first excited state",
    FaultKind.THERMAL: "a thermal state",
    FaultKind.FIELD: "field off",
    FaultKind.LONGITUDINAL_FIELD: "longitudinal field",
    FaultKind.ANISOTROPY: "anisotropy off",
    FaultKind.BASES_RELABELLED: "bases relabelled",
    FaultKind.BITS_EXCHANGED: "0 and 1 exchanged",
    FaultKind.ORDER_REVERSED: "order reversed",
    FaultKind.SITES_SHIFTED: "shifted by a site",
    FaultKind.SHOTS_SHIFTED: "shifted by a shot",
    FaultKind.QUBITS_EXCHANGED: "qubits exchanged",
    FaultKind.PAIR_ERROR: "correlated error of a pair",
    FaultKind.PAIR_READOUT: "correlated readout error of a pair",
    FaultKind.DUPLICATES: "duplicated shots",
    FaultKind.DRIFT: "drift",
}


@dataclass(frozen=True)
class Fault:
    """A fault of some kind, somewhere, of some size.

    Args:
        kind: what is wrong.
        sites: where; None for every qubit alike, or for what has no place.
        size: its strength, where it has one.
        parameter: what the size is: `probability`, `angle` in radians, `share`, `relative change`, `temperature`.
        detail: which of several variants, in words.
        when: from which shots on, in words; empty where all along.
    """

    kind: FaultKind
    sites: tuple[int, ...] | None = None
    size: Estimate | None = None
    parameter: str = ""
    detail: str = ""
    when: str = ""

    _stated = stating("description")

    @property
    def what(self) -> str:
        """The kind in words, with its variant."""
        return f"{self.kind.words}: {self.detail}" if self.detail else self.kind.words

    @property
    def where(self) -> str:
        """Its place in words; empty where it has none."""
        if self.sites is None:
            return "every qubit" if self.parameter in ("probability", "angle") else ""
        names = ", ".join(map(str, self.sites))
        return f"qubit{'s' if len(self.sites) > 1 else ''} {names}"

    @property
    def description(self) -> str:
        """Kind, place and size in words."""
        return self.describe()

    def describe(self) -> str:
        """Kind, place and size in words."""
        place = f" on {self.where}" if self.where else ""
        when = f" {self.when}" if self.when else ""
        size = f", {self.parameter} {self.size.interval()}" if self.size else ""
        return f"{self.what}{place}{when}{size}"

    def same_as(self, other: Fault) -> bool:
        """Whether both are of one kind, place, time and variant."""
        mine, theirs = ((one.kind, one.sites, one.detail, one.when) for one in (self, other))
        return mine == theirs

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return plain(self)


@dataclass(frozen=True, eq=False)
class Explanation:
    """A fault with the strength that makes some records most likely.

    Args:
        fault: what it is; its size is still without an interval.
        strength: fitted, 0 where it has none.
        log_likelihood: of the records, in nats.
        log_places: logarithm of the number of places and variants that were tried.
        apply: the records under this fault of some strength: another hypothesis, or other labels.
        curve: log-likelihood of the records by strength; None where the fault has none.
        bounds: of the strength.
        rest: records that the fault says nothing new of, such as those before a drift, as they were.
        curve_of: log-likelihood of any records by strength, where it is not that of what `apply` makes of them.
    """

    fault: Fault
    strength: float
    log_likelihood: float
    log_places: float
    apply: Callable[[Context, float], Context]
    curve: Callable[[float], float] | None = None
    bounds: tuple[float, float] = (0.0, 1.0)
    rest: Callable[[Context], list[Context]] = lambda _context: []
    curve_of: Callable[[Context], Callable[[float], float]] | None = None

    @property
    def score(self) -> float:
        """Log-likelihood less the logarithm of the number of places that it was looked for in."""
        return self.log_likelihood - self.log_places

    def renamed(self, **changes: Any) -> Explanation:
        """The same with other fields of its fault."""
        return replace(self, fault=replace(self.fault, **changes))


class Family(Protocol):
    """Faults of one kind or of several alike: a function that finds the likeliest of them."""

    def __call__(self, context: Context, best: float = -math.inf, /) -> Iterable[Explanation]:
        """The likeliest members, given the records; none where the family does not apply to them.

        `best` is the log-likelihood of the best of other families: what is costly may be left out where few records say
        that it is hopeless.
        """


def hopeless(few: Context, found: float, context: Context, best: float) -> bool:
    """Whether a log-likelihood on few of the records is so far behind the best on all that more would not change it."""
    mine, theirs = found - few.log_likelihood, best - context.log_likelihood
    if not (math.isfinite(mine) and math.isfinite(theirs)):
        return math.isinf(theirs) and not math.isfinite(found)
    return mine / len(few.records) < _HOPELESS * theirs / len(context.records) - _NOISE / len(few.records)
