"""Fidelity with the ground state of a transverse-field Ising chain, by the occupation of its modes.

With M = U S V^T as in `qtomo.states.tfim.FreeFermions` and G = U V^T, the number of excitations is
n = N/2 - 1/2 sum_ij G_ij S_ij, with the strings S_ii = X_i, S_ij = (-1)^(j-i-1) Z_i X...X Z_j for i < j, and the same
with Y at both ends for i > j. Its eigenvalues are 0, 1, ..., N, and 0 belongs to the ground state alone, so
F >= 1 - <n> for every state (Gluza, Kliesch, Eisert, Aolita 2018, arXiv 1703.03152). No gap enters.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.observables.certificates.base import Certificate, CertificateKind
from qtomo.observables.certificates.witness import Witness, fidelity_bounds
from qtomo.observables.duals import bit_values, dual_values
from qtomo.records.records import Records, checked_records
from qtomo.states.tfim import TFIM
from qtomo.statistics.bounds import IndependentTerms

__all__ = ["occupation_settings", "occupation_witnesses"]

Reals = NDArray[np.float64]
Rows = NDArray[np.int64]

_CHUNK = 20_000

#: What is assumed, before outcomes are seen, to choose among witnesses that all hold: the excitations in the state, by
#: how much they lower the strings, how often the parity is wrong, and the standard errors that a bound will lie below.
_EXCITED, _SHRUNK, _WRONG_PARITY, _ERRORS = 0.02, 0.9, 0.03, 2.5

#: Costs tried for the coefficients of strings that no shot tells, in standard deviations of a unit.
_UNTOLD = (0.1, 1.0, 10.0)

#: What fewer settings may cost of the bound.
_INDIFFERENT = 0.002

#: Shots that the outcomes of a POVM have to be worth for a string to be used.
_FEWEST_WORTH = 300

#: All-X shots from which the parity is used.
_FEWEST_PARITIES = 100


def occupation_witnesses(
    system: TFIM, records: Records, level: float = 0.95, parity_bits: Outcomes | None = None
) -> list[Certificate]:
    """Lower bounds on the fidelity with the ground state of a chain: guaranteed, and normal where shots are many.

    Weights w_k >= 1 of the modes, F >= 1 - <sum_k w_k n_k>/w_1, keep strings that no shot tells out of T = U W V^T,
    the coefficients of the strings (the polynomials M p(M^T M) are such T); what is left of them enters at its worst,
    which is half the sum of the singular values of these entries. With w_1 <= w_2 the lowest weights and P the
    probability of the ground state's parity, from shots of all qubits in X,
    F >= P - (<sum_k w_k n_k> - w_1 (1 - P))/(w_1 + w_2), as odd states have one excitation or more and even ones two.
    Every shot counts for every string that its bases tell, all shots alike. The weights are chosen from the settings.

    Args:
        system: the chain.
        records: of any design; listed settings of `occupation_settings` tell most.
        level: confidence, one-sided.
        parity_bits: bits of further shots of all qubits in basis X, (n, n_sites), 255 where lost.

    Raises:
        InputError: something else than `Records`, or another number of qubits.
    """
    n_sites = system.n_sites
    records = checked_records(records, "occupation_witnesses", n_sites)
    try:
        sources = [_Source(records, n_sites)]
    except InputError:  # a measurement from which no Pauli can be told
        return []
    if parity_bits is not None and len(parity_bits) and records.povm.measures_bases:
        settings, index = np.zeros((1, n_sites), np.uint8), np.zeros(len(parity_bits), np.int64)
        extra = Records(parity_bits, records.povm, design="listed", settings=settings, setting_index=index)
        sources.append(_Source(extra, n_sites))
    chosen = _choose(system, sources)
    kind = CertificateKind.OCCUPATION_AND_PARITY if chosen.parity else CertificateKind.OCCUPATION
    told = int(np.count_nonzero(chosen.coefficients))
    assumptions = [
        f"the Hamiltonian is that of the target ({n_sites} qubits), the target its ground state",
        f"{told:,} of {n_sites**2:,} strings are measured; the others enter at their worst, {chosen.loss:.2g}",
    ]
    return fidelity_bounds(kind, _witness(system, chosen, sources), level, assumptions)


@dataclass(frozen=True, eq=False)
class _Chosen:
    """F >= 1 - loss + parity E[P - 1] + sum of coefficients (S - G)."""

    coefficients: Reals
    precision: Reals
    parity: float
    loss: float
    spread: float


class _Source:
    """Shots measured alike, and what they tell of the strings."""

    def __init__(self, records: Records, n_sites: int) -> None:
        self.records = records
        self.n_sites = n_sites
        elements = records.povm.site_elements(n_sites)
        chances = np.einsum("nkii->nk", elements).real / 2
        self.values, self.there = (bit_values if records.has_settings else dual_values)(records.povm, n_sites)
        squares, largest = {}, {}
        for letter, table in self.values.items():
            used = table[:, : elements.shape[1]]
            share = np.where(self.there[letter][:, : elements.shape[1]] > 0, chances, 0.0)
            squares[letter] = (share * used**2).sum(axis=1) / share.sum(axis=1)
            largest[letter] = np.abs(used).max(axis=1)
        #: Mean square of a string's value in the maximally mixed state, and the largest value; (N, N).
        self.squares, self.largest = _of_strings(squares), _of_strings(largest)
        self.longest = n_sites
        if not records.has_settings:  # the values of longer strings have mean squares that leave too few shots
            useful = [d for d in range(n_sites) if np.diag(self.squares, d).min() <= len(records) / _FEWEST_WORTH]
            self.longest = max(useful, default=0) + 1

    @cached_property
    def all_x(self) -> NDArray[np.bool_]:
        """Which shots tell the parity, (n,)."""
        if not self.records.has_settings or self.records.settings is None:
            return np.zeros(len(self.records), dtype=bool)
        index = self.records.setting_index
        found: NDArray[np.bool_] = (self.records.settings == 0).all(axis=1)[index] & ~self.records.lost.any(axis=1)
        return found

    @cached_property
    def counts(self) -> Reals:
        """Shots that tell each string, (N, N)."""
        records, n = self.records, self.n_sites
        rows, shots = records.labels, np.ones(len(records))
        if records.settings is not None and records.setting_index is not None and not records.lost.any():
            rows = 2 * records.settings  # of shots in a setting one is like another
            shots = np.bincount(records.setting_index, minlength=len(rows)).astype(float)
        counts = np.zeros((n, n))
        for start in range(0, len(rows), _CHUNK):
            for letter, distance, row, first, _ in self.strings(rows[start : start + _CHUNK], with_values=False):
                places = np.bincount(first, shots[start + row], minlength=n - distance)
                counts[_places(letter, distance, n)] += places
        return counts

    def strings(self, labels: Outcomes, with_values: bool = True) -> Iterator[tuple[str, int, Rows, Rows, Reals]]:
        """By end letter and distance, the rows that tell a string, the string's first site and its value there."""
        sites = np.arange(self.n_sites)
        told = {letter: self.there[letter][sites, labels] > 0 for letter in "XYZ"}
        values = {letter: self.values[letter][sites, labels] for letter in "XYZ"} if with_values else {}
        rows, first = _where(told["X"])
        yield "X", 0, rows, first, values["X"][rows, first] if with_values else np.zeros(0)
        chain = _Products(values["X"]) if with_values else None
        alive, between = np.arange(len(labels)), np.ones((len(labels), self.n_sites - 1), dtype=bool)
        for distance in range(1, min(self.n_sites, self.longest)):
            for letter in "ZY":
                ends = told[letter][alive]
                rows, first = _where(ends[:, : self.n_sites - distance] & ends[:, distance:] & between)
                rows = alive[rows]
                value = np.zeros(0)
                if chain is not None:
                    value = values[letter][rows, first] * values[letter][rows, first + distance]
                    value *= chain.between(rows, first + 1, first + distance)
                yield letter, distance, rows, first, value if distance % 2 else -value
            between = between[:, :-1] & told["X"][alive, distance : self.n_sites - 1]
            kept = between.any(axis=1)
            alive, between = alive[kept], between[kept]
            if not len(alive):
                return


def _where(mask: NDArray[np.bool_]) -> tuple[Rows, Rows]:
    """Rows and columns where a mask holds; several times as fast as `numpy.nonzero` in two dimensions."""
    rows, columns = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return rows, columns


class _Products:
    """Products along the rows of a table, between any two of its columns."""

    def __init__(self, table: Reals) -> None:
        rows = len(table)
        logs = np.log(np.maximum(np.abs(table), 1e-300))
        self._logs = np.concatenate([np.zeros((rows, 1)), np.cumsum(logs, axis=1)], axis=1)
        self._signs = np.concatenate([np.ones((rows, 1)), np.cumprod(np.where(table < 0, -1.0, 1.0), axis=1)], axis=1)

    def between(self, rows: Rows, first: Rows, last: Rows) -> Reals:
        """The products of columns `first` to before `last`, for each of `rows`."""
        signs: Reals = self._signs[rows, first] * self._signs[rows, last]
        sizes: Reals = np.exp(self._logs[rows, last] - self._logs[rows, first])
        return signs * sizes


def _places(letter: str, distance: int, n_sites: int) -> tuple[Rows, Rows]:
    """Where the strings of an end letter and a distance stand in G, by first site."""
    first = np.arange(n_sites - distance)
    return (first + distance, first) if letter == "Y" else (first, first + distance)


def _of_strings(factors: dict[str, Reals]) -> Reals:
    """The product over the sites of each string of a factor by letter and site, (N, N)."""
    n = len(factors["X"])
    found = np.diag(factors["X"])
    for i, j in itertools.combinations(range(n), 2):
        between = float(factors["X"][i + 1 : j].prod())
        found[i, j] = factors["Z"][i] * factors["Z"][j] * between
        found[j, i] = factors["Y"][i] * factors["Y"][j] * between
    return found


def _choose(system: TFIM, sources: Sequence[_Source]) -> _Chosen:
    """The witness with the highest bound that is to be expected, from what the settings tell."""
    left, right = system.free_fermions.modes
    strings, n = system.free_fermions.correlations, system.n_sites
    precision = np.sum([source.counts / source.squares for source in sources], axis=0)
    told = precision > 0
    variances = np.where(told, (1 - _SHRUNK * strings**2) / np.where(told, precision, 1.0), 0.0)
    parities = sum(int(source.all_x.sum()) for source in sources)
    found = []
    for weights in _weights(left, right, variances, told):
        first, second = np.partition(weights, 1)[:2] if n > 1 else (weights[0], np.inf)
        whole = (left * weights) @ right
        rest = np.where(told, 0.0, whole)
        worst = float(np.linalg.svd(rest, compute_uv=False).sum() + (rest * strings).sum())
        for scale in (first, first + second)[: 2 if parities >= _FEWEST_PARITIES else 1]:
            parity = 0.0 if scale == first else second / scale
            coefficients = np.where(told, whole, 0.0) / (2 * scale)
            variance = float((coefficients**2 * variances).sum()) + parity**2 * _WRONG_PARITY / max(parities, 1)
            chosen = _Chosen(coefficients, precision, parity, worst / (2 * scale), float(np.sqrt(variance)))
            excited = _EXCITED * float(weights.mean()) / scale
            found.append((1 - chosen.loss - excited - _ERRORS * chosen.spread, chosen))
    return max(found, key=lambda each: each[0])[1]


def _weights(left: Reals, right: Reals, variances: Reals, told: NDArray[np.bool_]) -> Iterator[Reals]:
    """Weights of the modes, 1 or more: all 1, and those of small variance without the strings that are not told."""
    n = len(left)
    yield np.ones(n)
    if told.all():
        return
    products = np.einsum("ik,kj->ijk", left, right).reshape(n * n, n)
    for cost in _UNTOLD:
        deviation = np.where(told, np.sqrt(variances), cost).reshape(-1, 1) * _ERRORS / 2
        rows = np.concatenate([deviation * products, np.full((1, n), _EXCITED / n)])
        solved = lsq_linear(rows / np.abs(rows).max(), np.zeros(len(rows)), bounds=(1.0, np.inf), method="bvls")
        yield np.maximum(solved.x, 1.0)


def _witness(system: TFIM, chosen: _Chosen, sources: Sequence[_Source]) -> Witness:
    """What each shot adds: its strings less their values in the target, and its parity less the target's."""
    strings, n = system.free_fermions.correlations, system.n_sites
    sign = round(float(np.linalg.det(strings)))
    parities = sum(int(source.all_x.sum()) for source in sources)
    terms, low, high = [], 0.0, 0.0
    for source in sources:
        each = np.divide(chosen.coefficients, source.squares * chosen.precision, where=chosen.precision > 0,
                         out=np.zeros((n, n)))  # fmt: skip
        lowest = -np.abs(each) * source.largest - each * strings
        highest = np.abs(each) * source.largest - each * strings
        for start in range(0, len(source.records), _CHUNK):
            labels = source.records.labels[start : start + _CHUNK]
            size = len(labels)
            sums, least, most = np.zeros((3, size))
            for letter, distance, rows, first, value in source.strings(labels):
                places = _places(letter, distance, n)
                weight, expected = each[places][first], strings[places][first]
                sums += np.bincount(rows, weight * (value - expected), size)
                least += np.bincount(rows, lowest[places][first], size)
                most += np.bincount(rows, highest[places][first], size)
            known = np.flatnonzero(source.all_x[start : start + size])
            if chosen.parity and len(known):
                values = source.values["X"][np.arange(n), labels[known]].prod(axis=1) * sign
                sums[known] += chosen.parity * (values - 1) / 2 / parities
                largest = float(np.abs(source.values["X"]).max(axis=1).prod())
                least[known] -= chosen.parity * (largest + 1) / 2 / parities
                most[known] += chosen.parity * (largest - 1) / 2 / parities
            terms.append(sums)
            low, high = min(low, float(least.min())), max(high, float(most.max()))
    return Witness(IndependentTerms(np.concatenate(terms), low, high, chosen.spread), chosen.loss)


def occupation_settings(system: TFIM, total_shots: int) -> tuple[Outcomes, NDArray[np.int64]]:
    """Settings that tell the strings of `occupation_witnesses`, and the shots of each.

    All qubits in X, for the parity; and for every distance r and shift, every r-th qubit in Z (or Y) with X between,
    which tells the strings between such neighbours only, and X of the others. Shots are as the standard deviations in
    the target, in closed form. Distances end where the strings beyond are worth less, at their worst, than they cost.

    Args:
        system: the chain.
        total_shots: of all settings together, at least 100.

    Returns:
        Settings, uint8 (S, n_sites), 0 X, 1 Y, 2 Z; and shots, (S,).

    Raises:
        InputError: fewer shots.
    """
    if total_shots < _FEWEST_PARITIES:
        raise InputError(Code.TOO_FEW, f"total_shots is {total_shots}, expected at least {_FEWEST_PARITIES}")
    n, strings = system.n_sites, system.free_fermions.correlations
    bases, deviations, distances = [np.zeros(n, np.uint8)], [_parity_deviation()], [0]
    for distance in range(1, n):
        for shift in range(min(distance, n - distance)):
            sites = np.arange(shift, n, distance)
            for code, (i, j) in ((2, (sites[:-1], sites[1:])), (1, (sites[1:], sites[:-1]))):
                setting = np.zeros(n, np.uint8)
                setting[sites] = code
                bases.append(setting)
                deviations.append(_deviation(strings, i, j))
                distances.append(distance)
    sizes, reach = np.array(deviations), np.array(distances)
    costs = np.array([_cost(strings, sizes[reach <= longest], longest, total_shots) for longest in range(n)])
    kept = np.flatnonzero(reach <= int(np.flatnonzero(costs <= float(costs.min()) + _INDIFFERENT)[0]))
    return np.array(bases)[kept], _shared(sizes[kept], total_shots)


def _parity_deviation() -> float:
    """Standard deviation that is expected of a shot's parity in the witness with all weights 1."""
    return float(np.sqrt(_WRONG_PARITY)) / 2


def _deviation(strings: Reals, i: Rows, j: Rows) -> float:
    """Standard deviation of a shot's sum of G S/4 over the strings (i, j) that its setting tells, in the target.

    Two of them have the covariance -G_il G_kj for (i, j) and (k, l), by Wick's theorem.
    """
    weights = strings[i, j] / 4
    covariance = -_SHRUNK * strings[np.ix_(i, j)] * strings[np.ix_(i, j)].T
    np.fill_diagonal(covariance, 1 - _SHRUNK * strings[i, j] ** 2)
    variance = float(weights @ covariance @ weights)
    return math.sqrt(max(variance, 0.0))


def _cost(strings: Reals, sizes: Reals, longest: int, total_shots: int) -> float:
    """How far below the truth the bound is to be expected, with strings of at most this length."""
    if 2 * len(sizes) > total_shots:
        return np.inf
    first, last = np.indices(strings.shape)
    rest = np.where(np.abs(first - last) > longest, strings, 0.0)
    worst = float(np.linalg.svd(rest, compute_uv=False).sum() + (rest * strings).sum()) / 4
    return worst + _ERRORS * float(sizes.sum()) / float(np.sqrt(total_shots))


def _shared(sizes: Reals, total_shots: int) -> NDArray[np.int64]:
    """Shots in proportion to these sizes, one or more each."""
    shots: NDArray[np.int64] = np.maximum(np.floor(total_shots * sizes / sizes.sum()), 1).astype(np.int64)
    shots[int(shots.argmax())] += total_shots - int(shots.sum())
    return shots
