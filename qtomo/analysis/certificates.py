"""What records certify: lower bounds on fidelity and on misfit, each with its assumptions; and experiments planned.

A classical fidelity certifies nothing. The energy does, where the target is the only ground state of a known
Hamiltonian: a state orthogonal to it costs at least the gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.analysis.estimate import Estimate
from qtomo.analysis.faults import Law, Scores
from qtomo.analysis.observables import Observable, estimate_observables
from qtomo.distribution import LOST, Outcomes
from qtomo.povm import POVM
from qtomo.states import TFIM, System

__all__ = ["Certificate", "energy_witness", "kl_lower_bound", "parity_bound", "records_needed"]

#: Records from which the normal interval of a mean of products of dual values is relied on.
_ASYMPTOTIC = 10_000


@dataclass(frozen=True)
class Certificate:
    """A bound that holds with some confidence under stated assumptions.

    Args:
        name: what is bounded.
        value: the bound; may be below zero, and then says nothing.
        level: confidence.
        says: what it says, in a sentence.
        assumptions: what it rests on.
        records_to_say_something: about how many records of this kind would make it say something, if it does not.
    """

    name: str
    value: float
    level: float
    says: str
    assumptions: list[str]
    records_to_say_something: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return {
            "name": self.name,
            "value": self.value if math.isfinite(self.value) else None,
            "level": self.level,
            "says": self.says,
            "assumptions": self.assumptions,
            "records_to_say_something": self.records_to_say_something,
        }


def energy_witness(
    system: System,
    outcomes: Outcomes,
    povm: POVM,
    level: float = 0.95,
    given_settings: bool = False,
    parity_bits: Outcomes | None = None,
) -> Certificate | None:
    """A lower bound on the fidelity with the ground state, F >= 1 - (<H> - E0)/gap; None where there is none to have.

    With bits of a run of all qubits in basis X (`parity_bits`, (n, n_sites)) a TFIM's bound is refined: with p the
    probability of the ground state's parity and e1 < e2 the lowest mode energies,
    F >= p - [(<H> - E0) - e1 (1 - p)]/(e1 + e2), since the lowest excitations of either parity cost e1, and e1 + e2.

    Args:
        system: the target; only a TFIM has an exact gap here.
        outcomes: records (n, n_sites).
        povm: their measurement.
        level: confidence, one-sided.
        given_settings: whether the outcomes are shots in known bases.
        parity_bits: bits of the run in basis X, 255 where lost.
    """
    if not isinstance(system, TFIM) or system.is_degenerate or not (povm.is_complete or given_settings):
        return None
    fermions = system.free_fermions
    energy = Observable("energy", tuple(system.terms()))
    refined = parity_bits is not None and len(parity_bits) > 0
    share = (1 - level) / 2 if refined else 1 - level  # of the error, for the energy
    found = estimate_observables([energy], outcomes, povm, 1 - 2 * share, given_settings)["energy"]
    excess = found.high - fermions.energy
    gap = fermions.gap
    assumptions = [
        f"the Hamiltonian is that of the target ({system.n_sites} qubits), its ground state unique with gap {gap:.6g}",
        "records are independent and of one state, which may be mixed in any way",
        "each qubit is measured as the file's POVM says, readout error included",
        f"the energy's upper limit is normal, from {found.n_records:,} records"
        + ("" if found.n_records >= _ASYMPTOTIC else f" (fewer than the {_ASYMPTOTIC:,} that this wants)"),
    ]
    value, scale = 1 - excess / gap, gap
    name = "fidelity with the ground state, by its energy"
    if refined:
        assert parity_bits is not None
        parity = _parity(parity_bits, system)
        low = parity_bound(parity[0], parity[1], 1 - share)
        first, second = sorted(fermions.mode_energies)[:2]
        value, scale = low - (excess - first * (1 - low)) / (first + second), first + second
        name = "fidelity with the ground state, by its energy and parity"
        assumptions.append(f"the parity is right in at least {low:.4f} (Clopper-Pearson, {parity[1]:,} whole X shots)")
    needed = None
    if value <= 0 and found.value - fermions.energy < scale:
        reach = (scale - max(found.value - fermions.energy, 0.0)) / stats.norm.ppf(1 - share)
        needed = math.ceil(found.n_records * (found.standard_error / reach) ** 2)
    says = (
        f"F >= {value:.4f} with {level:.0%} confidence"
        if value > 0
        else f"it says nothing: the energy is not known well enough; about {needed:,} records would bring it above 0"
        if needed
        else "it says nothing: the energy is too high"
    )
    return Certificate(name, value, level, says, assumptions, needed)


def parity_bound(right: int, n: int, level: float) -> float:
    """One-sided lower limit of a proportion (Clopper and Pearson 1934)."""
    return float(stats.beta.ppf(1 - level, right, n - right + 1)) if right else 0.0


def _parity(bits: Outcomes, system: TFIM) -> tuple[int, int]:
    """Shots with the ground state's parity prod X, of those that lost no qubit."""
    whole = bits[(bits != LOST).all(axis=1)]
    wanted = int(np.count_nonzero(system.fields < 0)) % 2
    return int(np.count_nonzero(whole.sum(axis=1, dtype=np.int64) % 2 == wanted)), len(whole)


def kl_lower_bound(log_ratios: Mapping[str, NDArray[np.float64]], level: float = 0.95) -> Certificate:
    """KL(data||target) >= E_data[ln q/P], for q learned from other records: the best of some (Bonferroni).

    Args:
        log_ratios: by alternative, ln q/P of records that it has not seen, in nats.
        level: confidence, one-sided.
    """
    share = (1 - level) / max(1, len(log_ratios))
    best, value, n = "", -math.inf, 0
    for name, ratio in log_ratios.items():
        finite = ratio[np.isfinite(ratio)]
        if len(finite) < len(ratio) or len(ratio) < 2:
            continue
        low = float(ratio.mean() - stats.t.ppf(1 - share, len(ratio) - 1) * ratio.std(ddof=1) / math.sqrt(len(ratio)))
        if low > value:
            best, value, n = name, low, len(ratio)
    says = (
        f"the records' law differs from the target's by KL(data‖target) >= {value:.3g} nats a record (seen by {best})"
        if value > 0
        else "it shows no difference from the target; that bounds none from above"
    )
    assumptions = [
        "records are independent and of one law",
        f"the mean of ln q/P is normal, from {n:,} records that the alternative has not seen",
    ]
    return Certificate("misfit KL(data‖target), from below", value, level, says, assumptions)


def records_needed(
    law: Law, exact: Scores, strengths: Mapping[str, float], level: float, power: float
) -> dict[str, Estimate]:
    """Records with which a score test at this level sees a fault of this strength on every qubit with this power.

    n = ((z_level + z_power)/(t sqrt(v)))^2 with v the variance of the score (its Fisher information), estimated from
    exact records: what no test can do with much fewer (Neyman and Pearson 1933), for small faults.

    Args:
        law: the target as it would be measured.
        exact: scores of exact records of it.
        strengths: by local fault or parameter.
        level: of the test: one-sided for local faults, two-sided for parameters.
        power: probability to see the fault.
    """
    found = {}
    for name, strength in strengths.items():
        local = name in exact.sites
        scores = exact.sites[name].sum(axis=1) if local else exact.shifts[name]
        reach = stats.norm.ppf(1 - (level if local else level / 2)) + stats.norm.ppf(power)
        squares = np.square(scores - (0.0 if local else scores.mean()))
        variance, error = float(squares.mean()), float(squares.std(ddof=1)) / math.sqrt(len(squares))
        value = (reach / strength) ** 2 / variance
        low, high = ((reach / strength) ** 2 / max(variance + sign * 1.96 * error, 1e-300) for sign in (1, -1))
        method = f"Fisher information of the score in {law.born.povm.name}"
        found[name] = Estimate(value, value * error / variance, low, high, 0.95, len(scores), method)
    return found
