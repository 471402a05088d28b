"""Plan an experiment: how many records show a fault of given size, by measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qtomo.analysis.certificates import records_needed
from qtomo.analysis.estimate import Estimate
from qtomo.analysis.faults import LOCAL_FAULTS, PARAMETERS, Law
from qtomo.analysis.table import Table
from qtomo.config import near_miss
from qtomo.errors import InputError
from qtomo.povm import named_povm
from qtomo.seeds import stream
from qtomo.states import LPDO, MPS, DensityMatrix, State, System

__all__ = ["Plan", "plan"]

_MEASUREMENTS = ("pauli4", "pauli6", "sic")
_EXACT = 10_000


@dataclass(frozen=True)
class Plan:
    """Records needed, by fault and measurement.

    Args:
        level: of the test.
        power: probability to see the fault.
        needed: by fault as written, by POVM.
    """

    level: float
    power: float
    needed: dict[str, dict[str, Estimate]]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values for JSON."""
        needed = {fault: {povm: e.to_dict() for povm, e in found.items()} for fault, found in self.needed.items()}
        return {"level": self.level, "power": self.power, "records_needed": needed}

    def __str__(self) -> str:
        columns = ["fault on every qubit", *_MEASUREMENTS]
        rows = [
            [
                fault,
                *(
                    f"{found[povm].value:,.0f} ± {found[povm].standard_error:,.0f}" if povm in found else "–"
                    for povm in _MEASUREMENTS
                ),
            ]
            for fault, found in self.needed.items()
        ]
        title = f"Records needed at level {self.level:g} with power {self.power:g} (the optimum for small faults)"
        return str(Table(title, columns, rows))


def plan(
    target: System | State,
    faults: Sequence[str],
    level: float = 0.01,
    power: float = 0.95,
    n_exact: int = _EXACT,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> Plan:
    """Records needed to see faults written as NAME:SIZE, with Pauli-4, Pauli-6 (random-basis shots) and SIC.

    Args:
        target: what is to be prepared.
        faults: local faults (depolarizing, dephasing, amplitude-damping, one read as zero) on every qubit, or a
            parameter of the target that is off by a share of itself, such as field:0.02.
        level: of the test.
        power: probability to see the fault.
        n_exact: exact records to estimate Fisher informations from.
        seed: of their randomness.
        say: called with a line about what is being done.

    Raises:
        InputError: a fault that is not understood, or level or power outside (0, 1).
    """
    for name, value in (("level", level), ("power", power)):
        if not 0 < value < 1:
            raise InputError(f"{name} is {value:g}, expected between 0 and 1")
    state = target if isinstance(target, LPDO | MPS | DensityMatrix) else target.state()
    system = None if isinstance(target, LPDO | MPS | DensityMatrix) else target
    parameter = PARAMETERS.get(system.family) if system is not None else None
    known = [*LOCAL_FAULTS, *([parameter] if parameter else [])]
    sizes = {fault: _parse(fault, known) for fault in faults}
    needed: dict[str, dict[str, Estimate]] = {fault: {} for fault in faults}
    for name in _MEASUREMENTS:
        if say:
            say(f"exact records in {name}")
        law = Law(state, named_povm(name), system)
        exact = law.scores(law.sample(n_exact, stream(seed, f"plan {name}")))
        for fault, (what, size) in sizes.items():
            if what in law.local_faults or what in law.parameters:
                needed[fault] |= {name: records_needed(law, exact, {what: size}, level, power)[what]}
    return Plan(level, power, needed)


def _parse(text: str, known: list[str]) -> tuple[str, float]:
    name, _, size = text.partition(":")
    if name not in known:
        raise InputError(f"fault '{text}': unknown fault '{name}'{near_miss(name, known)}")
    try:
        value = float(size)
    except ValueError:
        raise InputError(f"fault '{text}': expected NAME:SIZE, such as {known[0]}:0.01") from None
    if not 0 < abs(value) <= 1:
        raise InputError(f"fault '{text}': size {value:g}, expected more than 0 and at most 1")
    return name, abs(value)
