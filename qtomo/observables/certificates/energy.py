"""Fidelity with a ground state by its energy, where it is the only ground state of a known Hamiltonian: a state
orthogonal to it costs at least the gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import Code, InputError
from qtomo.observables.certificates.base import GUARANTEES, Certificate, CertificateKind
from qtomo.observables.duals import bit_values, dual_values
from qtomo.observables.estimates import estimate_observables
from qtomo.observables.paulis import Observable
from qtomo.records.records import Records, checked_records
from qtomo.seeds import stream
from qtomo.states.dmrg import Terms
from qtomo.states.library import System
from qtomo.states.tfim import TFIM
from qtomo.statistics.bounds import mean_upper_limit, proportion_lower_limit
from qtomo.statistics.estimate import Guarantee

__all__ = ["energy_witnesses"]

Reals = NDArray[np.float64]

#: Records, and shots that tell a term, from which a normal limit of an energy is relied on.
_ASYMPTOTIC, _ASYMPTOTIC_TERM = 10_000, 300


def energy_witnesses(
    system: System | None, records: Records, level: float = 0.95, parity_bits: Outcomes | None = None
) -> list[Certificate]:
    """Lower bounds on the fidelity with the ground state, F >= 1 - (<H> - E0)/gap: one that holds at any number of
    records, and a closer one that holds for many, where there are.

    With bits of shots of all qubits in basis X (`parity_bits`, (n, n_sites)) a TFIM's bound is refined: with p the
    probability of the ground state's parity and e1 < e2 the lowest mode energies,
    F >= p - [(<H> - E0) - e1 (1 - p)]/(e1 + e2), since the lowest excitations of either parity cost e1, and e1 + e2.

    Args:
        system: the target; only a TFIM with a gap has an exact one here, others have no bound.
        records: of any design.
        level: confidence, one-sided.
        parity_bits: bits of the shots in basis X, 255 where lost.

    Raises:
        InputError: something else than `Records`.
    """
    records = checked_records(records, "energy_witnesses")
    if not isinstance(system, TFIM) or system.is_degenerate:
        return []
    found = []
    share = (1 - level) / 2 if parity_bits is not None and len(parity_bits) else 1 - level  # of the error, the energy's
    for upper in (_guaranteed_energy(system, records, 1 - share), _asymptotic_energy(system, records, 1 - share)):
        if upper is not None:
            found.append(_witness(system, upper, level, parity_bits))
    return found


@dataclass(frozen=True)
class _Energy:
    """An upper limit of <H>, and what may be said of it."""

    limit: float
    value: float
    error: float
    n_records: int
    guarantee: Guarantee
    rests_on: str


def _asymptotic_energy(system: TFIM, records: Records, level: float) -> _Energy | None:
    """The Student limit of the sum of ratios; None from too few records for it to hold."""
    terms = tuple(system.terms())
    if len(records) < _ASYMPTOTIC or min(_shots_of_terms(terms, records), default=0) < _ASYMPTOTIC_TERM:
        return None
    try:
        found = estimate_observables([Observable("energy", terms)], records, level=2 * level - 1)["energy"]
    except InputError:
        return None
    text = f"the energy's upper limit is normal, from {found.n_records:,} records"
    return _Energy(found.high, found.value, found.standard_error, found.n_records, "asymptotic", text)


def _shots_of_terms(terms: Terms, records: Records) -> list[int]:
    """Records that tell each term."""
    if not records.has_settings:
        return [len(records)] * len(terms)
    bases = records.shot_settings
    there = ~records.lost
    return [
        int(np.all([(bases[:, i] == "XYZ".index(p)) & there[:, i] for i, p in product.items()], axis=0).sum())
        for _, product in terms
    ]


def _guaranteed_energy(system: TFIM, records: Records, level: float) -> _Energy | None:
    """A limit by betting: of dual values of each record, or of each listed setting's shots, Bonferroni over them."""
    whole = records.whole()
    if not len(whole):
        return None
    terms = tuple(system.terms())
    try:
        strata = list(_strata(terms, whole))
    except InputError:
        return None
    each = 1 - (1 - level) / len(strata)
    generator = stream(0, "order of bets")  # which must not depend on the values, as that of counts does
    limit = sum(mean_upper_limit(generator.permutation(values), low, high, each) for values, low, high in strata)
    value = sum(float(values.mean()) for values, _, _ in strata)
    error = math.sqrt(sum(float(values.var()) / len(values) for values, _, _ in strata))
    how = "of each record" if len(strata) == 1 else f"of the shots of {len(strata)} settings, Bonferroni over them"
    text = f"the energy's upper limit holds at any number of records: bets on bounded values {how}"
    return _Energy(limit, value, error, len(whole), "finite-sample", text)


def _strata(terms: Terms, records: Records) -> Iterator[tuple[Reals, float, float]]:
    """Values whose means add up to <H>, with their bounds: of all records, or of the shots of each listed setting.

    Raises:
        InputError: a measurement that does not tell a term.
    """
    n = records.n_sites
    if records.design != "listed" or records.setting_index is None:
        lookup, _ = dual_values(records.povm, n)
        yield _values(terms, lookup, records.labels), *_extremes(terms, lookup, records.povm.n_outcomes, n)
        return
    lookup, _ = bit_values(records.povm, n)
    shots = np.bincount(records.setting_index, minlength=len(records.settings if records.settings is not None else ()))
    assert records.settings is not None
    tells = np.array([
        np.all([records.settings[:, i] == "XYZ".index(p) for i, p in product.items()], axis=0) for _, product in terms
    ])  # fmt: skip
    totals = tells @ shots
    if (totals == 0).any():
        raise InputError(Code.UNMEASURED, "a term that no setting tells")
    for setting in np.flatnonzero(shots):
        mine = [
            (coefficient * shots[setting] / total, product)
            for (coefficient, product), told, total in zip(terms, tells[:, setting], totals, strict=True)
            if told
        ]
        if mine:
            rows = records.setting_index == setting
            two = {p: np.stack([table[np.arange(n), 2 * records.settings[setting] + s] for s in (0, 1)], axis=1)
                   for p, table in lookup.items()}  # fmt: skip
            yield _values(mine, two, records.outcomes[rows]), *_extremes(mine, two, 2, n)


def _values(terms: Terms, lookup: Mapping[str, Reals], labels: Outcomes) -> Reals:
    found = np.zeros(len(labels))
    for coefficient, product in terms:
        value = np.full(len(labels), coefficient)
        for site, letter in product.items():
            value = value * lookup[letter][site][labels[:, site]]
        found += value
    return found


def _extremes(terms: Terms, lookup: Mapping[str, Reals], n_outcomes: int, n_sites: int) -> tuple[float, float]:
    """Smallest and largest sum of terms over all records, by dynamic programming along the chain."""
    own = np.zeros((n_sites, n_outcomes))
    bonds = np.zeros((n_sites, n_outcomes, n_outcomes))
    rest = 0.0
    for coefficient, product in terms:
        sites = sorted(product)
        tables = [lookup[product[site]][site][:n_outcomes] for site in sites]
        if len(sites) == 1:
            own[sites[0]] += coefficient * tables[0]
        elif len(sites) == 2 and sites[1] == sites[0] + 1:
            bonds[sites[1]] += coefficient * np.outer(tables[0], tables[1])
        else:
            rest += abs(coefficient) * math.prod(float(np.abs(table).max()) for table in tables)

    def extreme(sign: float) -> float:
        best = sign * own[0]
        for site in range(1, n_sites):
            best = (best[:, None] + sign * bonds[site]).max(axis=0) + sign * own[site]
        return sign * float(best.max())

    return extreme(-1.0) - rest, extreme(1.0) + rest


def _witness(system: TFIM, energy: _Energy, level: float, parity_bits: Outcomes | None) -> Certificate:
    fermions = system.free_fermions
    excess, gap = energy.limit - fermions.energy, fermions.gap
    assumptions = [
        f"the Hamiltonian is that of the target ({system.n_sites} qubits), its ground state unique with gap {gap:.6g}",
        "shots are independent and identically distributed, of a state which may be mixed in any way",
        "each qubit is measured as the file's POVM says, readout error included",
        energy.rests_on,
    ]
    kind, value, scale = CertificateKind.ENERGY, 1 - excess / gap, gap
    if parity_bits is not None and len(parity_bits):
        right, n = _parity(parity_bits, system)
        low = proportion_lower_limit(right, n, 1 - (1 - level) / 2) if n else 0.0
        first, second = sorted(map(float, fermions.mode_energies))[:2] if system.n_sites > 1 else (gap, math.inf)
        kind = CertificateKind.ENERGY_AND_PARITY
        value, scale = low - (excess - first * (1 - low)) / (first + second), first + second
        assumptions.append(f"the parity is right in at least {low:.4f} (Clopper-Pearson, {n:,} whole X shots)")
    value = min(float(value), 1.0)
    needed = None
    above = max(energy.value - fermions.energy, 0.0)
    if value <= 0 and above < scale and energy.error > 0:
        reach = (scale - above) / float(stats.norm.ppf(level))
        needed = max(math.ceil(energy.n_records * (energy.error / reach) ** 2), energy.n_records + 1)
    says = (
        f"F ≥ {value:.4f} at {level:.0%} ({GUARANTEES[energy.guarantee]})"
        if value > 0
        else f"no bound: too few shots (about {needed:,} needed)"
        if needed
        else "no bound: too few shots"
        if above - energy.error * float(stats.norm.ppf(level)) < scale
        else "no bound: the energy is too high"
    )
    return Certificate(kind, value, level, says, assumptions, energy.guarantee, value > 0, needed)


def _parity(bits: Outcomes, system: TFIM) -> tuple[int, int]:
    """Shots with the ground state's parity prod X, of those that lost no qubit."""
    whole = bits[(bits != LOST).all(axis=1)]
    wanted = int(np.count_nonzero(system.fields < 0)) % 2
    return int(np.count_nonzero(whole.sum(axis=1, dtype=np.int64) % 2 == wanted)), len(whole)
