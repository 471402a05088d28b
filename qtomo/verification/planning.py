"""Plan an experiment: how many records show a fault of given size, by measurement.

Records of the faulty state are drawn exactly. Each adds to the logarithm of the likelihood ratio that a verification
looks at, and one that the target forbids ends it. The number is the smallest with which the ratio passes the
threshold of all tests together, or a forbidden record is seen, with the power asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import stats

from qtomo.config import near_miss
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import named_povm
from qtomo.progress import Progress
from qtomo.records.file.schema import Target, TargetLike
from qtomo.records.records import Records
from qtomo.results import Level, Result
from qtomo.seeds import stream
from qtomo.states.library import System
from qtomo.statistics.estimate import Estimate
from qtomo.table import Table
from qtomo.verification.context import Context
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS, anywhere_log_ratios, applied
from qtomo.verification.faults.parameters import PARAMETERS, log_ratios, parameters_of
from qtomo.verification.hypothesis import Hypothesis

__all__ = ["Plan", "plan"]

Reals = NDArray[np.float64]
_Faulty = Callable[[Hypothesis], Hypothesis]
_Evidence = Callable[[Context], Reals]

#: What a plan asks about where nothing else is said.
_FAULTS = ("depolarizing:0.01", "dephasing:0.01")

_MEASUREMENTS = ("pauli4", "pauli6", "sic")
_COARSER = {"pauli4": "pauli6"}  # whose outcomes can be made from the other's
_EXACT = 10_000
_TESTS = 40  # that a verification corrects for, about
_PLACES = 16  # strengths that a likelihood ratio is averaged over, about
_RESAMPLED = 2_000  # draws of a sum
_NORMAL = 3_000  # records from which their sum is normal
_MOST = 10**12


@dataclass(frozen=True)
class Plan(Result, format="qtomo-plan", version=1):
    """Records needed, by fault and measurement.

    Args:
        alpha: error rate of all tests together.
        power: probability to see the fault.
        needed: by fault as written, by POVM; infinite where the measurement does not show it.
    """

    alpha: Level
    power: Level
    needed: Annotated[dict[str, dict[str, Estimate]], Field(alias="records_needed")]

    def table(self) -> Table:
        """One row per fault."""

        def cell(found: dict[str, Estimate], povm: str) -> str:
            if povm not in found:
                return "–"
            e = found[povm]
            return f"{e.value:,.0f} ± {e.standard_error:,.0f}" if math.isfinite(e.value) else "not seen"

        rows = [[fault, *(cell(found, povm) for povm in _MEASUREMENTS)] for fault, found in self.needed.items()]
        title = f"Records needed, α = {self.alpha:g} over all tests, power {self.power:g}"
        return Table(title, ["fault of every qubit", *_MEASUREMENTS], rows)

    def tables(self) -> list[Table]:
        """The table of `table`."""
        return [self.table()]


def plan(
    target: TargetLike,
    faults: Sequence[str] = (),
    *,
    alpha: float = 0.01,
    power: float = 0.95,
    n_exact: int = _EXACT,
    seed: int = 0,
    progress: Progress | None = None,
) -> Plan:
    """Records with which `verify` sees faults written as NAME:SIZE, with Pauli-4, Pauli-6 (random bases) and SIC.

    Args:
        target: what is to be prepared, with its number of qubits.
        faults: local faults on every qubit (depolarizing, dephasing, readout-1-to-0, rotation-x, ...), or a parameter
            of the target that is off by a share of itself, such as field:0.02; depolarizing:0.01 and dephasing:0.01
            where none are given.
        alpha: error rate of all tests together.
        power: probability that the records are called inconsistent.
        n_exact: records of the faulty state that the evidence is estimated from.
        seed: of their randomness.
        progress: told what is being done.

    Raises:
        InputError: a fault that is not understood, or alpha or power outside (0, 1).

    >>> from qtomo import GHZ
    >>> found = plan(GHZ(3), ["depolarizing:0.1"], n_exact=1000).needed["depolarizing:0.1"]
    >>> found["pauli6"].value <= found["pauli4"].value
    True
    """
    faults = (faults,) if isinstance(faults, str) else faults or _FAULTS
    for name, value in (("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise InputError(Code.VALUE, f"{name} is {value:g}, expected between 0 and 1")
    aimed, progress = Target.of(target), Progress.of(progress)
    state, system = aimed.state(), aimed.system
    changes = {fault: _change(fault, system) for fault in faults}
    needed: dict[str, dict[str, Estimate]] = {fault: {} for fault in faults}
    for name in _MEASUREMENTS:
        progress.stage(f"exact records in {name}")
        hypothesis = Hypothesis.of(state, named_povm(name), system)
        for fault, (change, evidence) in changes.items():
            try:
                faulty = change(hypothesis)
            except InputError:
                continue  # a measurement without bits has none to misread
            gains, error = _gains(hypothesis, faulty, evidence, n_exact, stream(seed, f"plan {name}"))
            needed[fault][name] = _enough(gains, error, alpha, power, stream(seed, f"sums {name}"))
    for found in needed.values():
        for coarse, fine in _COARSER.items():
            if coarse in found and fine in found and found[fine].value > found[coarse].value:
                found[fine] = found[coarse]  # whose outcomes are made from it: chance alone says otherwise
    return Plan(alpha, power, needed)


def _change(text: str, system: System | None) -> tuple[_Faulty, _Evidence]:
    """What a fault, written as NAME:SIZE, makes of a hypothesis, and the evidence that records give of its kind."""
    name, _, size = text.partition(":")
    parameters = {one.kind.value: one for one in parameters_of(system)}
    known = [*(kind.value for kind in LOCAL_KINDS), *parameters]
    if name not in known and name in {one.kind.value for one in PARAMETERS}:
        raise InputError(Code.UNKNOWN, f"fault '{text}': the target has no parameter of that name")
    if name not in known:
        raise InputError(Code.UNKNOWN, f"fault '{text}': unknown fault '{name}'{near_miss(name, known)}")
    try:
        value = float(size)
    except ValueError:
        raise InputError(Code.SYNTAX, f"fault '{text}': expected NAME:SIZE, such as {known[0]}:0.01") from None
    if not 0 < abs(value) <= 1:
        raise InputError(Code.VALUE, f"fault '{text}': size {value:g}, expected more than 0 and at most 1")
    bounds = LOCAL_KINDS[FaultKind(name)].bounds if name not in parameters else (-1.0, 1.0)
    if value < bounds[0]:
        raise InputError(Code.VALUE, f"fault '{text}': size {value:g}, expected more than {bounds[0]:g}")
    if name in parameters:
        assert system is not None
        parameter = parameters[name]
        state = parameter.state(system, value)
        return lambda hypothesis: hypothesis.prepared(state), lambda context: log_ratios(context, parameter)
    kind = FaultKind(name)
    return (
        lambda hypothesis: applied(hypothesis, kind, value, None),
        lambda context: anywhere_log_ratios(context, kind, np.array(LOCAL_KINDS[kind].grid)),
    )


def _gains(
    hypothesis: Hypothesis, faulty: Hypothesis, evidence: _Evidence, n: int, generator: np.random.Generator
) -> tuple[Reals, float]:
    """The logarithm of the likelihood ratio that faulty records add, at the strength where it adds most, and the
    standard error of its mean.

    The logarithm of a ratio q/p of distributions that are close has a mean far below its spread. Under the faulty f the
    mean of (q - p)/f is zero, and ln(q/p) less that is small to the second order, as its mean is: a control variate.
    """
    empty = Records(np.zeros((n, hypothesis.n_sites), dtype=np.uint8), hypothesis.povm)
    context = Context(faulty.sample_like(empty, generator), hypothesis)
    logs = evidence(context)
    finite = np.isfinite(logs).all(axis=0)
    shares = context.counts * finite / max(float(context.counts @ finite), 1.0)
    kept = np.where(finite, logs, 0.0)
    means, spread = kept @ shares, _spread(kept, shares)
    if finite.all():
        control = np.expm1(logs) * np.exp(context.log_prob_rows - faulty.log_prob(context.rows))
        steady = _spread(logs - control, shares)
        means = np.where(steady < spread, (logs - control) @ shares, means)
        spread = np.minimum(steady, spread)
    best = int(np.argmax(means))
    gains = logs[best] + (means[best] - kept[best] @ shares)
    return np.asarray(gains[context.inverse]), float(spread[best] / math.sqrt(n))


def _spread(values: Reals, shares: Reals) -> Reals:
    """Standard deviation of each row."""
    means = values @ shares
    return np.sqrt(((values - means[:, None]) ** 2) @ shares)


def _enough(gains: Reals, error: float, alpha: float, power: float, generator: np.random.Generator) -> Estimate:
    """The smallest number of records with the power, and how well `gains`, whose mean has an error, tell it."""
    threshold = math.log(_TESTS * _PLACES / alpha)
    finite = gains[np.isfinite(gains)]
    share = 1 - len(finite) / len(gains)
    method = f"{len(gains):,} exact records of the faulty state"
    by_sum = _by_sum(finite, threshold, power, generator) if share < 1 else math.inf
    by_forbidden = math.ceil(math.log(1 - power) / math.log1p(-share)) if 0 < share < 1 else 1 if share else math.inf
    value = float(min(by_sum, by_forbidden))
    if not math.isfinite(value):
        return Estimate(math.inf, math.inf, 0.0, math.inf, 0.95, len(gains), method)
    if by_forbidden <= by_sum:
        relative = math.sqrt((1 - share) / (share * len(gains)))
    else:
        relative = 2 * error / max(float(finite.mean()), 1e-300)
    low, high = value * max(0.0, 1 - 1.96 * relative), value * (1 + 1.96 * relative)
    return Estimate(value, value * relative, low, high, 0.95, len(gains), method)


def _by_sum(gains: Reals, threshold: float, power: float, generator: np.random.Generator) -> float:
    """Records whose gains add up to the threshold with the power."""
    mean, spread = float(gains.mean()), float(gains.std())
    if mean <= 0 or mean < 1e-9:
        return math.inf

    def enough(n: int) -> bool:
        if n > _NORMAL:
            return float(stats.norm.sf((threshold - n * mean) / (math.sqrt(n) * spread))) >= power
        sums = np.zeros(_RESAMPLED)
        for first in range(0, n, 256):
            sums += gains[generator.integers(0, len(gains), (_RESAMPLED, min(256, n - first)))].sum(axis=1)
        return float((sums >= threshold).mean()) >= power

    high = max(1, math.ceil(threshold / mean))
    while not enough(high):
        high *= 2
        if high > _MOST:
            return math.inf
    low = high // 2
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return float(high)
