"""Does one state, whichever, fit all settings? If not, settings were not what they were called, or shots not alike.

The likelihood ratio of the frequencies of each setting, learned from one half of the shots, to the best state of the
other half: at most 1 on average if the shots are independent and of one state (universal inference, arXiv
1912.11436). The best state's likelihood is bounded from above: with R = sum_a (n_a/n) M_a/Tr(rho M_a), no state is
likelier than rho by more than n (largest eigenvalue of R - 1) (Hradil 1997; Glancy, Knill and Girard 2012).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.measurement.povm import POVM
from qtomo.records.records import Records, distinct_rows
from qtomo.seeds import stream
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.states.pauli import from_paulis, to_paulis
from qtomo.statistics.evidence import log_mean_exp, p_of_log_e
from qtomo.verification.checks.base import Test, TestKind
from qtomo.verification.context import Context

__all__ = ["one_state"]

Reals = NDArray[np.float64]

_LARGEST = 6  # qubits of a register that is looked at as a whole
_WINDOW = 3  # neighbours, in a longer one
_ITERATIONS = 300
_ENOUGH = 0.05  # nats that the bound may be above the state found
_FEWEST = 100
_MOST = 20_000


def one_state(context: Context) -> Iterator[Test]:
    """One state against the frequencies of each setting, of all qubits or of any three neighbours."""
    records = context.part(_MOST, "one state").records
    if not records.has_settings or len(records) < _FEWEST:
        return
    n = records.n_sites
    windows = [range(n)] if n <= _LARGEST else [range(i, i + _WINDOW) for i in range(n - _WINDOW + 1)]
    rows = records.halves(stream(context.options.seed, "one state"))
    logs = []
    for window in windows:
        parts = [_window(records.take(half), list(window)) for half in rows]
        logs.append(log_mean_exp([_ratio(parts[0], parts[1]), _ratio(parts[1], parts[0])]))
    found = log_mean_exp(logs)
    best = windows[int(np.argmax(logs))]
    sites = () if len(windows) == 1 else tuple(best)
    yield Test(TestKind.ONE_STATE, p_of_log_e(found), f"ln E = {found:.1f}", sites=sites)


def _window(records: Records, sites: list[int]) -> tuple[Outcomes, Reals, POVM]:
    """Different rows of some sites without a lost outcome, how often, and their measurement."""
    labels = records.labels[:, sites]
    labels = labels[(labels != LOST).all(axis=1)]
    first, inverse = distinct_rows(labels)
    elements = 3 * records.povm.site_elements(records.n_sites)[sites]
    return labels[first], np.bincount(inverse, minlength=len(first)).astype(float), POVM(elements / 3)


def _ratio(learned: tuple[Outcomes, Reals, POVM], held_out: tuple[Outcomes, Reals, POVM]) -> float:
    """ln of the likelihood ratio of held-out shots: frequencies of the others against the best state."""
    rows, counts, povm = held_out
    if not len(rows):
        return 0.0
    n_sites = rows.shape[1]
    cells = 2**n_sites
    # Frequencies of each setting, smoothed towards uniform.
    seen = {row.tobytes(): count for row, count in zip(learned[0], learned[1], strict=True)}
    totals: dict[bytes, float] = {}
    for row, count in zip(learned[0], learned[1], strict=True):
        key = (row // 2).tobytes()
        totals[key] = totals.get(key, 0.0) + count
    frequencies = np.array([
        (seen.get(row.tobytes(), 0.0) + 0.5) / (totals.get((row // 2).tobytes(), 0.0) + 0.5 * cells) for row in rows
    ])  # fmt: skip
    return float(counts @ np.log(frequencies)) - _best_state(rows, counts, povm)


def _best_state(rows: Outcomes, counts: Reals, povm: POVM) -> float:
    """An upper bound on ln P(bits | settings) under any state, by iterations of R rho R (Hradil 1997).

    Elements are held as products of their Pauli coefficients over either half of the register.
    """
    n_sites = rows.shape[1]
    table = 3 * pauli_coefficients(povm.site_elements(n_sites))
    half = n_sites // 2
    left, right = (_products(table, rows, sites) for sites in (range(half), range(half, n_sites)))
    n = float(counts.sum())
    rho = np.eye(2**n_sites, dtype=np.complex128) / 2**n_sites
    best = math.inf
    for step in range(_ITERATIONS):
        values = to_paulis(rho).reshape(left.shape[1], right.shape[1])
        chances = np.einsum("ap,ap->a", left @ values, right).clip(1e-300)
        coefficients = (left * (counts / chances / n)[:, None]).T @ right
        r = from_paulis(coefficients.reshape((4,) * n_sites))
        if step % 10 == 0 or step == _ITERATIONS - 1:
            gap = n * max(float(np.linalg.eigvalsh(r)[-1]) - 1, 0.0)
            best = min(best, float(counts @ np.log(chances)) + gap)
            if gap < _ENOUGH:
                break
        rho = r @ rho @ r
        rho = (rho + rho.conj().T) / (2 * np.trace(rho).real)
    return best


def _products(table: Reals, rows: Outcomes, sites: range) -> Reals:
    """Pauli coefficients of the product of the elements that some sites showed, (rows, 4**sites)."""
    found = np.ones((len(rows), 1))
    for site in sites:
        found = (found[:, :, None] * table[site][rows[:, site]][:, None, :]).reshape(len(rows), -1)
    return found
