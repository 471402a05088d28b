"""Which qubits may have been exchanged or flipped, from expectations of one and two qubits held against exact ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import InputError
from qtomo.observables.duals import bit_values, dual_values
from qtomo.verification.context import Context
from qtomo.verification.faults.axes import AXES, Axes

__all__ = ["Expectations", "expectations", "flipped_qubits", "permutations"]

Reals = NDArray[np.float64]

_MOST_SITES = 60  # of a chain whose permutations are searched
_ROUNDS = 40


@dataclass(frozen=True, eq=False)
class Expectations:
    """Of X, Y, Z of each qubit and of their products of each pair, as records have them and as they should be.

    Args:
        seen: <P_i Q_j>, (n_sites, n_sites, 3, 3); the diagonal i = j has <P_i> at P = Q.
        exact: the same in the hypothesis.
        weights: inverse variances of `seen`, 0 where it was not measured.
    """

    seen: Reals
    exact: Reals
    weights: Reals


def expectations(context: Context) -> Expectations:
    """One- and two-qubit expectations of the records and of the hypothesis.

    Raises:
        InputError: outcomes of a POVM that is not informationally complete.
    """
    records, n = context.records, context.records.n_sites
    lookup, there = (bit_values if records.has_settings else dual_values)(context.hypothesis.povm, n)
    labels, counts = context.rows, context.counts
    sites = np.arange(n)
    values = [lookup[letter][sites, labels] for letter in "XYZ"]
    present = [there[letter][sites, labels] for letter in "XYZ"]
    seen, weights = np.zeros((2, n, n, 3, 3))
    for p in range(3):
        for q in range(3):
            numbers = (present[p] * counts[:, None]).T @ present[q]
            sums = (values[p] * counts[:, None]).T @ values[q]
            squares = (values[p] ** 2 * counts[:, None]).T @ values[q] ** 2
            measured = np.maximum(numbers, 1)
            seen[:, :, p, q] = sums / measured
            weights[:, :, p, q] = np.where(numbers > 0, measured**2 / np.maximum(squares, 1e-12), 0.0)
    exact = np.zeros_like(seen)
    marginals = context.hypothesis.marginals
    i, j = marginals.places.T
    exact[i, j] = marginals.pairs[:, 1:, 1:]
    exact[j, i] = marginals.pairs[:, 1:, 1:].transpose(0, 2, 1)
    known = np.eye(n, dtype=bool)
    known[i, j] = known[j, i] = True
    weights[~known] = 0.0
    weights[sites, sites] = seen[sites, sites] = 0.0
    for p in range(3):
        numbers, sums = counts @ present[p], counts @ values[p]
        squares = counts @ values[p] ** 2
        exact[sites, sites, p, p] = marginals.sites[:, 1 + p]
        seen[sites, sites, p, p] = sums / np.maximum(numbers, 1)
        weights[sites, sites, p, p] = np.where(numbers > 0, numbers**2 / np.maximum(squares, 1e-12), 0.0)
    return Expectations(seen, exact, weights)


def permutations(context: Context) -> Iterator[list[int]]:
    """Orders of the columns under which the records' expectations look like the hypothesis': the best that exchanges of
    two lead to, from a few starts. Column order[i] of the records is then qubit i.
    """
    n = context.records.n_sites
    if not 2 < n <= _MOST_SITES:
        return
    try:
        found = context.once(expectations)
    except InputError:
        return
    chain = np.arange(n)
    starts = [chain, chain[::-1], np.roll(chain, 1), np.roll(chain, -1), _matched(found)]
    known = {tuple(chain)}
    for start in starts:
        order = _descended(found, start.copy())
        if tuple(order) not in known:
            known.add(tuple(order))
            yield [int(column) for column in order]


def _misfit(found: Expectations, order: NDArray[np.intp]) -> Reals:
    """Squared standardised differences with the columns in some order, (n_sites, n_sites)."""
    moved, weights = found.seen[np.ix_(order, order)], found.weights[np.ix_(order, order)]
    return np.asarray((weights * (moved - found.exact) ** 2).sum(axis=(2, 3)))


def _descended(found: Expectations, order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Exchange two columns as long as that lowers the misfit, the best exchange first."""
    n = len(order)
    total = float(_misfit(found, order).sum())
    for _ in range(_ROUNDS):
        gains = np.zeros((n, n))
        for i in range(n):
            gains[i] = _exchange_gains(found, order, i)
        i, j = (int(x) for x in np.unravel_index(int(gains.argmax()), gains.shape))
        if gains[i, j] <= 1e-9 * max(total, 1.0):
            break
        order[i], order[j] = order[j], order[i]
        total = float(_misfit(found, order).sum())
    return order


def _exchange_gains(found: Expectations, order: NDArray[np.intp], i: int) -> Reals:
    """By how much exchanging column i with each other one lowers the misfit of what involves either."""
    n = len(order)
    seen, weights = found.seen[np.ix_(order, order)], found.weights[np.ix_(order, order)]
    exact = found.exact

    def cost(a: int | slice, b: int | slice, at: int | slice) -> Reals:
        """Misfit of the rows of column a when it stands at place `at`."""
        return np.asarray((weights[a] * (seen[a] - exact[at]) ** 2).sum(axis=(-1, -2)))[..., b]

    now = cost(slice(None), slice(None), slice(None))
    there = np.stack([(weights[i] * (seen[i] - exact[j]) ** 2).sum(axis=(-1, -2)) for j in range(n)])
    here = (weights * (seen - exact[i]) ** 2).sum(axis=(-1, -2))
    places = np.arange(n)
    other = np.ones((n, n), dtype=bool)
    other[places, places] = other[:, i] = False
    before = (now[i][None] * other).sum(axis=1) + (now * other).sum(axis=1) + now[i, i] / 2 + np.diag(now) / 2
    after = (there * other).sum(axis=1) + (here * other).sum(axis=1)
    own = (weights[i, i] * (seen[i, i] - exact[places, places]) ** 2).sum(axis=(-1, -2)) / 2
    theirs = (weights[places, places] * (seen[places, places] - exact[i, i]) ** 2).sum(axis=(-1, -2)) / 2
    gain = before - after - own - theirs
    gain[i] = 0.0
    return np.asarray(gain)


def _matched(found: Expectations) -> NDArray[np.intp]:
    """A start: columns paired with qubits by what is known of each alone and of its strongest partners."""
    from scipy.optimize import linear_sum_assignment

    def signature(values: Reals) -> Reals:
        n = len(values)
        own = values[np.arange(n), np.arange(n)].reshape(n, -1)
        norms = np.sort(np.abs(values).max(axis=(2, 3)) * (1 - np.eye(n)), axis=1)[:, ::-1][:, :4]
        return np.concatenate([own, norms], axis=1)

    seen, exact = signature(found.seen), signature(found.exact)
    costs = ((exact[:, None] - seen[None]) ** 2).sum(axis=2)
    return np.asarray(linear_sum_assignment(costs)[1])


def flipped_qubits(context: Context) -> Iterator[tuple[Axes, tuple[int, ...]]]:
    """Sets of two or more qubits whose bits, in some of the bases, look flipped."""
    n = context.records.n_sites
    try:
        found = context.once(expectations)
    except InputError:
        return
    agreement = found.weights * found.seen * found.exact
    known = set()
    for axes in AXES:
        if axes.order != (0, 1, 2):
            continue
        flipped = np.array(axes.flips)
        both = agreement[:, :, flipped][:, :, :, flipped].sum(axis=(2, 3))
        field = 2 * agreement[:, :, flipped][:, :, :, ~flipped].sum(axis=(1, 2, 3)) + np.diag(both)
        couplings = both - np.diag(np.diag(both))
        for start in (np.ones(n), (-1.0) ** np.arange(n), _spectral(couplings)):
            signs = _aligned(couplings, field, np.array(start, dtype=np.float64))
            sites = tuple(int(site) for site in np.flatnonzero(signs < 0))
            if 1 < len(sites) < n and (axes, sites) not in known:
                known.add((axes, sites))
                yield axes, sites


def _spectral(couplings: Reals) -> Reals:
    vector = np.linalg.eigh(couplings + couplings.T)[1][:, -1]
    return np.where(vector < 0, -1.0, 1.0)


def _aligned(couplings: Reals, field: Reals, signs: Reals) -> Reals:
    """Flip signs one at a time as long as that raises s.J.s + h.s."""
    for _ in range(4 * len(signs)):
        gains = -2 * signs * ((couplings + couplings.T) @ signs + field)
        best = int(gains.argmax())
        if gains[best] <= 1e-12:
            break
        signs[best] = -signs[best]
    return signs
