"""What a fault is, and how a family of them explains records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from qtomo.results import plain, stating
from qtomo.statistics.estimate import Estimate
from qtomo.verification.context import Context
from qtomo.worded import Worded

__all__ = ["Explanation", "Family", "Fault", "FaultKind", "hopeless"]

_HOPELESS = 0.6  # of the best gain per record
_NOISE = 10.0  # nats by which few records may be wrong about it


class FaultKind(Worded):
    """What can be wrong: what files and the command line call it, and what people do where that is something else."""

    DEPOLARIZING = "depolarizing"
    DEPHASING = "dephasing", "dephasing (Z flips)"
    BIT_FLIP = "bit-flip", "bit flips (X)"
    BIT_PHASE_FLIP = "bit-phase-flip", "Y flips"
    AMPLITUDE_DAMPING = "amplitude-damping", "amplitude damping"
    READOUT_0_TO_1 = "readout-0-to-1", "readout error 0→1"
    READOUT_1_TO_0 = "readout-1-to-0", "readout error 1→0"
    ROTATION_X = "rotation-x", "rotation about X"
    ROTATION_Y = "rotation-y", "rotation about Y"
    ROTATION_Z = "rotation-z", "rotation about Z"
    WHITE_NOISE = "white-noise", "white noise"
    EXCITED_STATE = "excited-state", "a share of the first excited state"
    THERMAL = "thermal", "a thermal state"
    FIELD = "field", "field off"
    LONGITUDINAL_FIELD = "longitudinal-field", "longitudinal field"
    ANISOTROPY = "anisotropy", "anisotropy off"
    BASES_RELABELLED = "bases-relabelled", "bases relabelled"
    BITS_EXCHANGED = "bits-exchanged", "0 and 1 exchanged"
    ORDER_REVERSED = "order-reversed", "order reversed"
    SITES_SHIFTED = "sites-shifted", "shifted by a site"
    SHOTS_SHIFTED = "shots-shifted", "shifted by a shot"
    QUBITS_EXCHANGED = "qubits-exchanged", "qubits exchanged"
    PAIR_ERROR = "pair-error", "correlated error of a pair"
    PAIR_READOUT = "pair-readout", "correlated readout error of a pair"
    DUPLICATES = "duplicates", "duplicated shots"
    DRIFT = "drift"


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
